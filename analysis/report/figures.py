"""The pictures of a compared zoo, one function each: data in, figure out, nothing computed that is not drawn."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from analysis.inference.factors import MOST_LEVELS
from analysis.labelled_comparison import MeasureRecord

PALETTE = ("#3b6fb6", "#d1652c", "#3f9154", "#8a5fb0", "#b8446a", "#7a6a52", "#2f9aa0", "#9a9a2e")
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
}
MOST_LABELS = 40
LONGEST_LABEL = 48
"""Rows of a heat map that are named, and the letters that a name may have."""


def style() -> Any:
    """The context in which every figure is drawn and saved."""
    return mpl.rc_context(STYLE)


def names_of(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """One short name per row: the values of the varied fields, `gru hidden=64 l2=1e-05`."""
    columns = [[_named(field, value) for value in table[field]] for field in fields]
    return [" ".join(part for part in row if part) for row in zip(*columns)] if columns else [""] * len(table)


def _named(field: str, value: Any) -> str:
    text = _value(value)
    return text if field == "model" or not text else f"{field}={text}"


def _value(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:g}"
    return str(value)


STATES = ("trained", "untrained", "recording", "half", "baseline")
"""What an item may be, in the order in which pictures show them."""


def states_of(table: pd.DataFrame) -> np.ndarray:
    """What every item is, one of `STATES`: a network's state, or what a file brought in."""
    network = np.where(table["trained"].to_numpy(bool), "trained", "untrained")
    sources = table["source"].to_numpy(object) if "source" in table else network
    return np.array([source if source in STATES else state for source, state in zip(sources, network)])


def heat_map(
    similarity: np.ndarray, table: pd.DataFrame, fields: Sequence[str], record: MeasureRecord, title: str
) -> Figure:
    """Values of every pair, ordered and labelled by hyperparameters: trained, untrained, and what files brought in."""
    ranks = table.assign(state_=[STATES.index(state) for state in states_of(table)])
    ranks = ranks.assign(**{field: _ranks(table[field]) for field in fields})
    order = ranks.sort_values(["state_", *fields, "seed"]).index.to_numpy()
    table, similarity = table.iloc[order].reset_index(drop=True), similarity[np.ix_(order, order)]
    states = states_of(table)
    labels, named = _row_labels(table, fields, states)
    starts, names = _runs(labels)
    ends = [*starts[1:], len(labels)]
    figure = Figure(figsize=(8.4, 6.2), layout="constrained")
    axes = figure.subplots()
    draw_matrix(figure, axes, similarity, record)
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends)]
    size = 8 if len(names) <= 24 else 6
    axes.set_xticks([])  # the same names as the rows
    axes.set_yticks(middles, names, fontsize=size)
    axes.tick_params(length=0)
    for edge in starts[1:]:
        axes.axhline(edge - 0.5, color="white", lw=0.4)
        axes.axvline(edge - 0.5, color="white", lw=0.4)
    for edge in _runs(states.tolist())[0][1:]:
        axes.axhline(edge - 0.5, color="white", lw=2)
        axes.axvline(edge - 0.5, color="white", lw=2)
    ordered = f"members ordered by {', '.join([*fields, 'seed'])}"
    if len(named) < len(fields):
        ordered += f"; named by {', '.join(named) or 'model'}"
    ordered = textwrap.fill(ordered, 78)
    empty = "; grey: undefined" if np.isnan(similarity).any() else ""
    axes.set_title(f"{title}\n{ordered};\n{about(record)}{empty}", loc="left")
    return figure


def draw_matrix(
    figure: Figure, axes: Any, values: np.ndarray, record: MeasureRecord, *, contrast: bool = False, **place: Any
) -> None:
    """A matrix of values with its colour bar: yellow is alike, grey is undefined, in measures of every kind.

    The scale begins at 0 or a lower value, with `contrast` at the lowest; of scores, which have no lower limit, at the
    second percentile.
    """
    kind = record.kind
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    low, high = float(known.min()) if contrast else min(0.0, float(known.min())), 1.0
    if kind == "score":
        low, high = min(0.0, float(np.quantile(known, 0.02))), max(1.0, float(known.max()))
        axes.set_ylabel("predicts")
        axes.set_xlabel("is predicted")
    if kind == "distance":
        low, high = 0.0, float(known.max()) or 1.0
    colours = mpl.colormaps["viridis_r" if kind == "distance" else "viridis"].with_extremes(bad="#dddddd")
    smooth: Any = "nearest" if len(values) <= 300 else "auto"  # more rows than pixels: averaged, not skipped
    image = axes.imshow(values, vmin=low, vmax=high, cmap=colours, interpolation=smooth, **place)
    for spine in axes.spines.values():
        spine.set_visible(False)
    below = "min" if known.min() < low else "neither"
    figure.colorbar(image, ax=axes, shrink=0.7, extend=below, label=f"{kind}, {record.name}")


def about(record: MeasureRecord) -> str:
    """The stimuli and the chance level of a measure, for captions."""
    return f"n = {record.n_stimuli} stimuli, {_chance(record)}"


def _row_labels(table: pd.DataFrame, fields: Sequence[str], states: Any) -> tuple[list[str], list[str]]:
    """Names of a heat map's rows, and the fields in them: as many of the first as give few and short names."""
    guests = [name if state in STATES[2:] else "" for name, state in zip(guest_names(table), states)]
    labels: list[str] = []
    for count in range(len(fields), -1, -1):
        named = list(fields[:count])
        names = names_of(table, named) if count else [str(model) for model in table["model"]]
        labels = [guest or f"{name} {state}".strip() for name, state, guest in zip(names, states, guests)]
        runs = _runs(labels)[1]
        if len(runs) <= MOST_LABELS and max(map(len, runs), default=0) <= LONGEST_LABEL:
            return labels, named
    return labels, []


def guest_names(table: pd.DataFrame) -> list[str]:
    """The items' own names, short: what a recording or a baseline is called in a picture."""
    names: Any = table.get("item", table.index)
    if "recording" in table:
        names = [str(name).rpartition("/")[2] for name in table["recording"]]
    return [name if len(name) <= 32 else f"{name[:29]}..." for name in map(str, names)]


def _chance(record: MeasureRecord) -> str:
    if record.chance_by_pair:
        return "chance differs by pair"
    if record.chance is None:
        return "chance level not known in closed form"
    sd = "" if record.chance_sd is None else f" ± {record.chance_sd:.2g}"
    return f"chance {record.chance:.2g}{sd}"


def _runs(labels: Sequence[str]) -> tuple[list[int], list[str]]:
    """Where each run of equal labels starts, and the labels."""
    starts = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    return starts, [labels[i] for i in starts]


def colours_of(levels: Sequence[Any]) -> dict[Any, Any]:
    """A colour for every level of a field, as RGBA."""
    numeric = not any(isinstance(level, str) for level in levels)
    return {level: to_rgba(_colour(i, len(levels), numeric)) for i, level in enumerate(levels)}


def name_levels(axes: Any, levels: Sequence[Any], colours: dict[Any, Any]) -> str:
    """A legend of the levels under the axes; where it would be larger than they are, the words that replace it."""
    if len(levels) > MOST_LEVELS:
        return f"\n{len(levels)} levels: {_short(levels[0])} dark, {_short(levels[-1])} light"
    names = [_value(level) or "(none)" for level in levels]
    for level, name in zip(levels, names):
        axes.scatter([], [], s=26, color=colours[level], lw=0, label=name)
    # As many columns as the panel is wide, at about 45 letters.
    columns = max(1, min(len(names), 45 // (max(map(len, names), default=0) + 5)))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=columns, fontsize=8)
    return ""


def _short(level: Any) -> str:
    text = _value(level)
    return text if len(text) <= 20 else f"{text[:17]}..."


def levels_of(values: Any) -> list[Any]:
    """The levels of a field in the order in which every picture shows them: numbers by size, inside text too."""

    def key(level: Any) -> tuple[Any, ...]:
        parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", str(level))
        return tuple((1, float(part), "") if i % 2 else (0, 0.0, part) for i, part in enumerate(parts))

    return sorted((level for level in values.dropna().unique() if level != ""), key=key)


def _ranks(values: Any) -> list[int]:
    order = {level: i for i, level in enumerate(levels_of(values))}
    return [order.get(value, -1) for value in values]


def _colour(i: int, count: int, numeric: bool) -> Any:
    if numeric or count > len(PALETTE):
        return mpl.colormaps["viridis"](0.08 + 0.82 * i / max(count - 1, 1))
    return PALETTE[i]


def curves(frame: pd.DataFrame, groups: dict[str, str], chance: float, solved: float, title: str) -> Figure:
    """Loss and score on the evaluation set against steps: median and the band from 10 to 90 % of each group.

    Args:
      frame: member, step, loss, score.
      groups: member -> name of its group.
      chance, solved: the task's levels of the score.
      title: of the figure.
    """
    # A member that reached its target has no later rows: it stays where it is.
    wide = (
        frame.iloc[[i for i, member in enumerate(frame["member"]) if member in groups]]
        .pivot_table(index="step", columns="member", values=["loss", "score"])
        .ffill()
    )
    frame = wide.stack(level="member", future_stack=True).reset_index()
    frame = frame.assign(group=[groups[member] for member in frame["member"]])
    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, column in zip(panels, ("loss", "score")):
        for i, name in enumerate(levels_of(frame["group"])):
            part: Any = frame[frame["group"] == name]
            band = part.groupby("step")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
            colour = _colour(i, len(set(frame["group"])), numeric=False)
            axes.fill_between(band.index, band[0.1], band[0.9], color=colour, alpha=0.2, lw=0)
            count = part["member"].nunique()
            axes.plot(band.index, band[0.5], color=colour, lw=1.6, label=f"{name} (n = {count})")
        axes.set_xlabel("training step")
        axes.set_ylabel(f"{column}, evaluation set")
    panels[0].set_yscale("log")
    for level, name in ((chance, "chance"), (solved, "solved")):
        panels[1].axhline(level, color="#777777", lw=0.8, ls=":")
        where = dict(xycoords=("axes fraction", "data"), textcoords="offset points", xytext=(3, 0))
        panels[1].annotate(name, (1, level), va="center", fontsize=8, annotation_clip=False, **where)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.suptitle(f"{title}: median and 10-90 % of members", x=0.01, ha="left", fontsize=10)
    return figure


def rdms(means: xr.Dataset, layer: str, title: str) -> Figure:
    """Mean RDMs of every model at one layer: trained above, untrained below, stimuli sorted by condition."""
    part = means.isel(group=np.flatnonzero(means["layer"] == layer))
    models = levels_of(pd.Series(part["model"].to_numpy()))
    top = float(np.nanquantile(part["rdm"], 0.99)) or 1.0
    figure = Figure(figsize=(2.5 * len(models) + 1.4, 5.8), layout="constrained")
    panels = figure.subplots(2, len(models), squeeze=False)
    image = None
    conditions = [c for c in part.coords if str(c).startswith("condition_")]
    for column, model in enumerate(models):
        for axes, trained in zip(panels[:, column], (True, False)):
            which = np.flatnonzero((part["model"] == model) & (part["trained"] == trained))
            axes.set_xticks([])
            axes.set_yticks([])
            if not len(which):
                axes.set_visible(False)
                continue
            chosen = part.isel(group=which[0])
            image = axes.imshow(chosen["rdm"], vmin=0, vmax=top, cmap="magma", interpolation="nearest")
            state = "trained" if trained else "untrained"
            axes.set_title(f"{model}, {state} (n = {int(chosen['members'])})", fontsize=9)
            if column == 0 and conditions:
                labels = [str(v) for v in part[conditions[0]].to_numpy()]
                starts, names = _runs(labels)
                if len(names) <= 20:
                    ends = [*starts[1:], len(labels)]
                    axes.set_yticks([(a + b - 1) / 2 for a, b in zip(starts, ends)], names, fontsize=7)
                    axes.tick_params(length=0)
                axes.set_ylabel(str(conditions[0]).removeprefix("condition_"))
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.6, label="dissimilarity, 1 - Pearson r")
    figure.suptitle(f"{title}\nlayer {layer}, mean RDM\nover members", x=0.01, ha="left", fontsize=10)
    return figure
