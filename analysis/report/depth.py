"""Pictures along the depth of networks: category structure, and which depth of one network is like which of another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.inference.factors import MOST_LEVELS
from analysis.labelled_comparison import MeasureRecord
from analysis.report.figures import colours_of, levels_of

GREY = "#8a8a8a"
MOST_CONDITIONS = 6
MANY = 100
"""Networks of which each is a fainter line, without a mark per layer."""


def category_structure(table: Any, field: str, title: str) -> Figure:
    """Category index against depth, one panel per condition: a thin line per network, the median of all in bold.

    Args:
      table: rows of `<task>-categories.csv`, with the column `field` that colours trained networks.
      field: "model", or a field with few levels.
      title: of the figure.
    """
    conditions = list(dict.fromkeys(table["condition"]))[:MOST_CONDITIONS]
    names = _shared_layers(table)
    many = table["member"].nunique() > MANY
    levels = levels_of(table[field])
    colours = colours_of(levels) if len(levels) <= MOST_LEVELS else {}
    columns = min(3, len(conditions))
    rows = -(-len(conditions) // columns)
    figure = Figure(figsize=(3.4 * columns + 1.6, 3.2 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).reshape(-1)
    for axes in panels[len(conditions) :]:
        axes.set_visible(False)
    for axes, condition in zip(panels, conditions):
        axes.axhline(0, color="#bbbbbb", lw=0.8)
        for trained in (False, True):
            networks: Any = table[(table["condition"] == condition) & (table["trained"] == trained)]
            for _, part in networks.groupby("member", sort=False):
                colour = colours.get(part[field].iloc[0], colours_of([0])[0]) if trained else GREY
                face = colour if trained else "white"
                style = dict(marker="" if many else "o", ms=3, mfc=face, mew=0.6, lw=0.6, alpha=0.15 if many else 0.5)
                axes.plot(part["depth_fraction"], part["index"], color=colour, **style)
            depth, median = _median(networks)
            axes.plot(depth, median, color="white", lw=4, zorder=4)
            face = "#222222" if trained else "white"
            line = dict(color="#222222", marker="o", ms=5, mfc=face, mew=1, lw=2, ls="-" if trained else "--", zorder=5)
            axes.plot(depth, median, label=f"{'trained' if trained else 'untrained'}, median", **line)
        axes.set_title(condition, loc="left")
        axes.set_xlabel("depth, first to last layer")
        if names:
            slant: Any = dict(rotation=45, ha="right", rotation_mode="anchor") if len("".join(names)) > 24 else {}
            axes.set_xticks(np.linspace(0, 1, len(names)) if len(names) > 1 else [0], names, **slant)
            axes.set_xlabel("layer")
    for axes in panels[::columns]:
        axes.set_ylabel("category index\n(between - within classes)")
    handles, labels = (part[::-1] for part in panels[0].get_legend_handles_labels())  # trained first
    if 1 < len(levels) <= MOST_LEVELS:
        for level in levels:
            handles.append(panels[0].plot([], [], color=colours[level], marker="o", ms=3, lw=0.8)[0])
            labels.append(str(level) if field == "model" else f"{field}={level}")
    if not (table["trained"].all() or many):
        handles.append(panels[0].plot([], [], color=GREY, marker="o", ms=3, mfc="white", lw=0.8)[0])
        labels.append("untrained, each network")
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    count = table["member"].nunique()
    figure.suptitle(f"{title}: category structure\nfrom all units, {count} networks", x=0.01, ha="left", fontsize=10)
    return figure


def _shared_layers(table: pd.DataFrame) -> list[str]:
    """The layers, in order, where all networks have the same ones."""
    first = table["condition"] == table["condition"].iloc[0]
    rows: Any = table[first]
    lists = rows.sort_values("depth", kind="stable").groupby(["member", "trained"])["layer"].agg(tuple)
    plain = set(lists)
    names = list(plain.pop()) if len(plain) == 1 else []
    return [] if any(name.endswith(".pre") for name in names) else names


def _median(part: Any) -> tuple[np.ndarray, np.ndarray]:
    """The median over networks; networks of several depths are interpolated to eleven."""
    depths = np.unique(part["depth_fraction"])
    if part["depth"].groupby(part["member"]).nunique().nunique() > 1:
        depths = np.linspace(0, 1, 11)
    lines = []
    for _, network in part.groupby("member"):
        line = network.sort_values("depth_fraction").groupby("depth_fraction")["index"].last()
        if len(line) > 1 and np.isfinite(line).all():
            lines.append(np.interp(depths, line.index, line))
    return depths, np.median(lines, axis=0) if lines else np.full(len(depths), np.nan)


def layers(correspondence: xr.Dataset, record: MeasureRecord, title: str) -> Figure:
    """How alike every depth of one network and every depth of another are: a mean heat map per kind of pair.

    Args:
      correspondence: one measure's layers against layers; see `analysis.geometry.layer_correspondence`.
      record: of the measure.
      title: of the figure.
    """
    shared = "layers" in correspondence and "layer_a" in correspondence.coords
    names = correspondence["layer_a"].to_numpy().tolist() if shared else []
    kinds = [kind for kind in correspondence["kind"].to_numpy() if int(correspondence["pairs"].sel(kind=kind))]
    values = correspondence["layers" if names else "similarity"]
    low, high = min(0.0, float(values.min())), max(float(values.max()), 0.1)
    figure = Figure(figsize=(3.3 * len(kinds) + 1.7, 5.0), layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    image: Any = None
    for axes, kind in zip(panels, kinds):
        part = values.sel(kind=kind).to_numpy()
        image = axes.imshow(part, vmin=low, vmax=high, cmap="viridis", origin="lower", interpolation="nearest")
        ticks, labels = _ticks(names)
        axes.set_xticks(ticks, labels, **(dict(rotation=45, ha="right", rotation_mode="anchor") if names else {}))
        axes.set_yticks(ticks, labels if axes is panels[0] else [])
        axes.tick_params(length=0)
        axes.set_xlabel("layer of network B" if names else "depth of network B")
        axes.set_title(f"{kind}\n({int(correspondence['pairs'].sel(kind=kind)) // 2} pairs)", fontsize=9)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if names and len(names) <= 8:
            for i, j in np.ndindex(part.shape):
                shade = "white" if part[i, j] < (low + high) / 2 else "black"
                axes.text(j, i, f"{part[i, j]:.2f}", ha="center", va="center", fontsize=7, color=shade)
    panels[0].set_ylabel("layer of network A" if names else "depth of network A")
    figure.colorbar(image, ax=list(panels), shrink=0.7, label=f"mean similarity, {record.name}")
    note = "\n".join(identification(correspondence)) or "no two networks of one architecture to identify layers in"
    figure.suptitle(f"{title}: layer by layer\n{note}", x=0.01, ha="left", fontsize=10)
    return figure


def identification(correspondence: xr.Dataset) -> list[str]:
    """Layer identification in words, trained and untrained; nothing where no two networks can be asked."""
    words: list[str] = []
    for state in correspondence["state"].to_numpy():
        here = correspondence.sel(state=state)
        if int(here["identified_pairs"]):
            share, chance = float(here["identified"]), float(here["identified_chance"])
            words.append(f"layers identified in {share:.0%} of cases {state} (chance {chance:.0%})")
    return words


def _ticks(names: Sequence[str]) -> tuple[list[int], list[str]]:
    return (list(range(len(names))), list(names)) if names else ([0, 5, 10], ["0", ".5", "1"])
