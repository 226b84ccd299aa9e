"""How well networks predict recordings: scores per layer against the noise ceiling, beside their baselines."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import artefacts
from analysis.report.compared import Compared
from analysis.report.figures import GREY, colours_of, levels_of
from analysis.report.pages import Picture
from analysis.scoring.recording_scores import SCORE_COLUMNS, score_lines
from analysis.words import layer_words, measure_words, row_words, short_names

ORDER = 110
TAKES = "comparison"

SCORED_KINDS = ("network", "untrained", "baseline", "recording")
TRAINED_COLOUR, UNTRAINED_COLOUR, BASELINE_COLOUR, PARTIAL_COLOUR = "#3b6fb6", GREY, "#b9a27c", "#d1652c"
WIDTH = 0.36


def applies(compared: Compared) -> bool:
    return compared.has(artefacts.SCORES)


def figures(compared: Compared) -> Iterator[Picture]:
    """One per recording."""
    table = table_of(compared)
    records = {measure: compared.comparison.measures[measure].record for measure in table["measure"].unique()}
    chance = {measure: record.chance for measure, record in records.items()}
    values = {measure: f"{record.kind}\n{record.way}" for measure, record in records.items()}
    table = table.assign(chance=table["measure"].map(chance).astype(float), value=table["measure"].map(values))
    table["measure"] = table["measure"].map({measure: record.name for measure, record in records.items()})
    if (field := compared.colouring()) not in table:
        table[field] = compared.table[field].reindex(table["name"]).to_numpy()
    for recording in table["recording"].unique():
        yield f"{recording}-scores", draw(table[table["recording"] == recording], compared.title, field)


def lines(compared: Compared) -> Iterator[str]:
    return score_lines(table_of(compared), compared.comparison.measures)


def table_of(compared: Compared) -> Any:
    """The scores, see `analysis.scoring.recording_scores.score_table`; a name that reads like nothing stays a name."""
    texts: Any = dict.fromkeys(("measure", "recording", "layer", "kind", "name", "model"), str)
    return pd.read_csv(compared.path(artefacts.SCORES), dtype=texts, keep_default_na=False, na_values=[""])


def draw(table: Any, title: str, field: str = "model") -> Figure:
    """One panel per measure: layers in their order, then baselines and other recordings; grey is the noise ceiling.

    A bar is the median over networks and ends in a line, at 0 too, a point one network, coloured by a field; the bar
    beside it, hollow, is of untrained networks. What has no value is called so, and of what was not compared there is
    nothing. A line on a baseline is the standard error over subjects. Triangles are the medians of what is
    left of the score when the silhouette is taken out of both. The axis holds everything: nothing is clipped.

    Args:
      table: rows of one recording, with `SCORE_COLUMNS`; `score` is the mean over subjects, `sem` its standard error.
        Columns that may be there: `chance`, and `value`, what the measure's values are and which way is better.
      title: of the figure.
      field: the column that colours networks.

    Raises:
      ValueError: for a missing column, an unknown kind, or several recordings.
    """
    _check(table)
    measures = list(dict.fromkeys(table["measure"]))
    networks = table[table["kind"].isin(("network", "untrained"))]
    layers = list(dict.fromkeys(networks["layer"]))
    beside = list(dict.fromkeys(table["name"][table["kind"].isin(("baseline", "recording"))]))
    names = [*map(str, layers), *map(str, beside)]
    width = max(0.62 * len(names) + 3.0, 6.4)
    figure = Figure(figsize=(width, 3.5 * len(measures) + 1.5), layout="constrained")
    panels = figure.subplots(len(measures), 1, squeeze=False)[:, 0]
    levels = levels_of(networks[field])
    colours = colours_of(levels) if 1 < len(levels) <= 8 else {}
    slant: Any = dict(rotation=40, ha="right", rotation_mode="anchor")
    for axes, measure in zip(panels, measures):
        part: Any = table[table["measure"] == measure]
        _ceiling(axes, part)
        for place, layer in enumerate(layers):
            for kind, side in (("network", -0.5), ("untrained", 0.5)):
                here: Any = part[(part["kind"] == kind) & (part["layer"] == layer)]
                _networks(axes, here, place + side * (WIDTH + 0.04), field, colours)
        for place, name in enumerate(beside, len(layers)):
            _beside(axes, part[(part["name"] == name) & part["kind"].isin(("baseline", "recording"))], place)
        if beside and layers:
            axes.axvline(len(layers) - 0.5, color="#bbbbbb", lw=0.8, ls=":")
        axes.axhline(0, color="#555555", lw=0.8, zorder=1.5)
        axes.set_xlim(-0.6, len(names) - 0.4)
        short = [layer_words(str(name)) for name in layers] + short_names(beside)
        axes.set_xticks(range(len(names)), short if axes is panels[-1] else [], **slant)
        axes.tick_params(axis="x", length=0)
        subjects = part["subjects"].max()
        value = part["value"].iloc[0] if "value" in part else "value"
        axes.set_ylabel(f"{measure_words(measure)[1]}: {value}" + (", mean over subjects" if subjects > 1 else ""))
        caption = f"{measure_words(measure)[0]}, {measure}\nn = {part['n_stimuli'].iloc[0]:g} stimuli"
        caption += f", {subjects:g} subjects" if subjects > 1 else ""
        caption += f", chance {part['chance'].iloc[0]:.2g}" if "chance" in part and part["chance"].notna().all() else ""
        axes.set_title(caption, loc="left", fontsize=9)
    _legend(figure, panels[0], table, {row_words(field, level): colour for level, colour in colours.items()})
    what = table["recording"].iloc[0]
    note = "bars: medians over networks; nothing is clipped; no bar: not compared"
    figure.suptitle(f"{title}\nagainst {what}\n{note}", x=0.01, ha="left", fontsize=10)
    return figure


def _check(table: Any) -> None:
    if missing := [column for column in SCORE_COLUMNS if column not in table]:
        raise ValueError(f"The table of scores has no column {missing[0]!r}; it needs {', '.join(SCORE_COLUMNS)}.")
    if unknown := [kind for kind in table["kind"].unique() if kind not in SCORED_KINDS]:
        raise ValueError(f"The table of scores has kind {unknown[0]!r}; allowed: {', '.join(SCORED_KINDS)}.")
    if (count := table["recording"].nunique()) != 1:
        raise ValueError(f"A figure of scores shows one recording; this table has {count}.")


def _ceiling(axes: Any, part: Any) -> None:
    """The noise ceiling, a band; a line where only one of its ends is known."""
    low, high = (part[column].median() for column in ("ceiling_lower", "ceiling_upper"))
    if np.isfinite(low) and np.isfinite(high):
        axes.axhspan(low, high, color="#cccccc", alpha=0.7, lw=0, zorder=0)
    for end in (low, high):
        if np.isfinite(end):
            axes.axhline(end, color="#aaaaaa", lw=0.8, zorder=0)


def _networks(axes: Any, part: Any, at: float, field: str, colours: dict[Any, Any]) -> None:
    """A bar at the median of a layer's networks, and a point each, spread sideways by rank, not by chance."""
    if not len(part):
        return
    part = part[np.isfinite(part["score"])]
    if not len(part):
        return _without(axes, at)
    trained = set(part["kind"]) == {"network"}
    face = (
        dict(color=TRAINED_COLOUR, alpha=0.35, lw=0)
        if trained
        else dict(facecolor="none", edgecolor=UNTRAINED_COLOUR, lw=1)
    )
    axes.bar(at, part["score"].median(), WIDTH, zorder=1, **face)
    _end(axes, at, part["score"].median(), WIDTH, TRAINED_COLOUR if trained else UNTRAINED_COLOUR)
    count = len(part)
    order = np.argsort(np.argsort(part["score"].to_numpy(), kind="stable"), kind="stable")
    aside = (((order * 0.618034) % 1) - 0.5) * WIDTH * 0.7 if count > 1 else np.zeros(1)
    shade = [colours.get(level, TRAINED_COLOUR if trained else UNTRAINED_COLOUR) for level in part[field]]
    size = 14 if count <= 50 else 5
    fill: Any = dict(color=shade, lw=0) if trained else dict(facecolors="none", edgecolors=shade, lw=0.7)
    axes.scatter(at + aside, part["score"], s=size, zorder=2, **fill)
    _partial(axes, at, part["partial"].median())


def _beside(axes: Any, part: Any, at: float) -> None:
    """A bar of a baseline or of another recording, with its standard error over subjects."""
    if not len(part):
        return
    part = part[np.isfinite(part["score"])]
    if not len(part):
        return _without(axes, at)
    row: Any = part.iloc[0]
    recording = row["kind"] == "recording"
    colour = "#222222" if recording else BASELINE_COLOUR
    axes.bar(at, row["score"], 0.6, color=colour, alpha=0.55, lw=0, zorder=1)
    _end(axes, at, row["score"], 0.6, colour)
    if np.isfinite(row["sem"]):
        axes.errorbar(at, row["score"], row["sem"], color="#333333", lw=1, capsize=2, zorder=2)
    _partial(axes, at, row["partial"])


def _end(axes: Any, at: float, value: float, width: float, colour: str) -> None:
    """The line in which a bar ends: a bar of 0 has no height to be seen by."""
    axes.hlines(value, at - width / 2, at + width / 2, color=colour, lw=1.8, zorder=1.8)


def _without(axes: Any, at: float) -> None:
    """What was compared and has no value."""
    text = axes.annotate("undefined", (at, 0), textcoords="offset points", xytext=(0, 3))
    text.set(ha="center", va="bottom", rotation=90, fontsize=7, color="#777777")


def _partial(axes: Any, at: float, value: float) -> None:
    if np.isfinite(value):
        axes.scatter([at], [value], s=34, marker="^", color=PARTIAL_COLOUR, edgecolors="white", lw=0.6, zorder=4)


def _legend(figure: Figure, axes: Any, table: Any, colours: dict[Any, Any]) -> None:
    """What is in the table, and nothing else."""
    kinds = set(table["kind"])
    entries: list[tuple[Any, str]] = []
    if "network" in kinds:
        entries += [(axes.scatter([], [], s=26, color=colour, lw=0), words) for words, colour in colours.items()]
        entries += [(axes.bar([0], [0], 0, color=TRAINED_COLOUR, alpha=0.35, lw=0), "trained")]
    if "untrained" in kinds:
        entries += [(axes.bar([0], [0], 0, facecolor="none", edgecolor=UNTRAINED_COLOUR, lw=1), "untrained")]
    if "baseline" in kinds:
        entries += [(axes.bar([0], [0], 0, color=BASELINE_COLOUR, alpha=0.55, lw=0), "baseline ± s.e.m.")]
    if "recording" in kinds:
        entries += [(axes.bar([0], [0], 0, color="#222222", alpha=0.55, lw=0), "other recording ± s.e.m.")]
    if table["partial"].notna().any():
        entries += [(axes.scatter([], [], s=34, marker="^", color=PARTIAL_COLOUR, lw=0), "silhouette taken out")]
    if table["ceiling_lower"].notna().any():
        entries += [(axes.bar([0], [0], 0, color="#cccccc", alpha=0.7, lw=0), "noise ceiling")]
    figure.legend(*zip(*entries), loc="outside right upper", fontsize=8)
