"""How members cluster beyond their labels: trees, beside the matrix in their order."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from analysis.geometry.embedding import complete, true_distance
from analysis.geometry.trees import Tree, tree_of
from analysis.labelled_comparison import MeasureRecord
from analysis.report.compared import Compared
from analysis.report.figures import (
    GUESTS,
    about,
    colours_of,
    distance_title,
    draw_matrix,
    guest_names,
    levels_of,
    names_of,
    states_of,
)
from analysis.report.pages import Picture
from analysis.words import field_words, level_words
from zoo.wording import counted

ORDER = 40
TAKES = "comparison"

LEAF_WORDS = {
    "trained": "trained network",
    "recording": "recording",
    "half": "half-recording",
    "baseline": "baseline",
}
"""What a tree shows, in words."""
MOST_NAMED_ROWS = 40
"""Rows whose names are written beside the matrix."""
LONGEST_NAME = 60
"""Letters of the longest name there; where one is longer, rows have their seeds alone, and the bars say the rest."""
MOST_BARS = 6
MOST_IN_LEGEND = 8
"""Levels of a field that the legend under the matrix names."""


def applies(compared: Compared) -> bool:
    return True


def figures(compared: Compared) -> Iterator[Picture]:
    for shown in compared.shown:
        if shown.record.kind != "score":  # a score has no distance: nothing to join
            tree = draw(shown.values, shown.table, shown.fields, shown.record, shown.title)
            if tree is not None:
                yield f"{shown.stem}-clusters", tree


def lines(compared: Compared) -> tuple[()]:
    return ()


def draw(
    similarity: np.ndarray, table: pd.DataFrame, fields: Sequence[str], record: MeasureRecord, title: str
) -> Figure | None:
    """Trained networks and recordings as a tree, beside the matrix in the tree's order, and a bar per varied field.

    Average linkage of the true distance, leaves in the order that puts the closest next to each other. Untrained
    networks would take half of the picture to say that they are apart; they stand in the heat map.

    Args:
      similarity: `(item, item)`, values of a similarity or a distance.
      table: one row per item.
      fields: of the bars.
      record: of the measure.
      title: of the figure.

    Returns:
      None where fewer than three items have all distances.
    """
    shown = np.flatnonzero(states_of(table) != "untrained")
    distance = true_distance(similarity[np.ix_(shown, shown)], record.kind)
    kept = complete(distance)
    if len(kept) < 3:
        return None
    distance, shown, gone = distance[np.ix_(kept, kept)], shown[kept], len(shown) - len(kept)
    tree = tree_of(distance)
    order = tree.leaves
    rows = table.iloc[shown[order]].reset_index(drop=True)
    fields = list(fields)[:MOST_BARS]
    named = len(rows) <= MOST_NAMED_ROWS
    legends = [_levels(field, rows) for field in fields]
    widths = [1.7, 0.2 * max(len(fields), 1), 6.0]
    size = (sum(widths) + 1.9 + 1.6 * named, widths[-1] + 1.5 + 0.19 * max(map(len, legends), default=0))
    figure = Figure(figsize=size, layout="constrained")
    branches, bars, matrix = figure.subplots(1, 3, gridspec_kw=dict(width_ratios=widths, wspace=0.0))
    _tree(branches, tree)
    _bars(bars, fields, rows)
    values = similarity[np.ix_(shown[order], shown[order])]
    draw_matrix(figure, matrix, values, record, contrast=True, aspect="auto")
    matrix.set_xticks([])
    matrix.set_yticks([])
    states = states_of(rows)
    if named:
        names = _names(rows, fields, states)
        matrix.yaxis.set_ticks_position("right")
        matrix.set_yticks(range(len(rows)), names, fontsize=7 if len(rows) <= 24 else 6)
        matrix.tick_params(length=0)
    if legends:
        _legend(figure, legends)
    unit = "distance" if record.kind == "distance" else "radians"
    branches.set_xlabel(f"{unit} at which\ngroups join\n(left: less alike)", fontsize=8)
    count = ", ".join(
        counted(int(np.sum(states == state)), name) for state, name in LEAF_WORDS.items() if state in states
    )
    line = "\n"
    note = f"{count}: average linkage of {distance_title(record, line)};"
    note += f" {_faithful(tree, distance)}; {about(record)}"
    note += f"\n{counted(gone, 'item')} without all distances left out" if gone else ""
    figure.suptitle(f"{title}\n{note}", x=0.01, ha="left", fontsize=10)
    return figure


def _faithful(tree: Tree, distance: np.ndarray) -> str:
    """How far the tree's distances are the true ones, in words."""
    pairs = squareform(distance, checks=False)
    if np.ptp(pairs) == 0:
        return f"all are {pairs[0]:.3g} from each other"
    return f"cophenetic correlation {np.corrcoef(hierarchy.cophenet(tree.joins), pairs)[0, 1]:.2f} (1: faithful)"


def _tree(axes: Any, tree: Tree) -> None:
    """The dendrogram, its root on the left."""
    leaves = len(tree.leaves)
    axes.add_collection(LineCollection([*tree.branches], colors="#444444", linewidths=0.9 if leaves <= 100 else 0.5))
    axes.set_xlim(tree.branches[..., 0].max() * 1.03 or 1.0, 0)
    axes.set_ylim(leaves - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)


def _bars(axes: Any, fields: Sequence[str], rows: pd.DataFrame) -> None:
    """A column of colours per field."""
    white = to_rgba("#ffffff")
    shade = [[colours.get(v, white) for v in rows[f]] for f in fields for colours in [colours_of(levels_of(rows[f]))]]
    if shade:
        axes.imshow(np.array(shade).swapaxes(0, 1), aspect="auto", interpolation="nearest")
    for edge in range(1, len(fields)):
        axes.axvline(edge - 0.5, color="white", lw=3)
    names = [field_words(field) for field in fields]
    axes.set_xticks(range(len(fields)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _levels(field: str, rows: pd.DataFrame) -> list[tuple[Any, str]]:
    """A field's part of the legend: its name and its levels, each with its colour."""
    levels = levels_of(rows[field])
    colours = colours_of(levels)
    without = any(value == "" or pd.isna(value) for value in rows[field].tolist())
    missing = [((1.0, 1.0, 1.0, 1.0), "(none)")] if without else []
    title = field_words(field)
    if len(levels) <= MOST_IN_LEGEND:
        return [(None, title), *((colours[level], level_words(level)) for level in levels), *missing]
    first, last = ((colours[levels[i]], level_words(levels[i])) for i in (0, -1))
    return [(None, title), first, (None, f"... {len(levels)} levels"), last, *missing]


def _legend(figure: Figure, columns: list[list[tuple[Any, str]]]) -> None:
    """One legend with a column per field: matplotlib fills column by column, short ones are padded."""
    height = max(map(len, columns))
    entries = [entry for column in columns for entry in [*column, *[(None, "")] * (height - len(column))]]
    axes = figure.axes[0]
    clear = (0.0, 0.0, 0.0, 0.0)
    edges = ["#777777" if colour and min(colour) == 1 else clear for colour, _ in entries]  # white on white
    faces = [colour or clear for colour, _ in entries]
    handles = [
        axes.scatter([], [], s=26, marker="s", lw=0.6, color=face, edgecolors=edge) for face, edge in zip(faces, edges)
    ]
    place: Any = dict(loc="outside lower center", ncols=len(columns), fontsize=8, handletextpad=0.2)
    legend = figure.legend(handles, [text for _, text in entries], **place)
    for heading in legend.get_texts()[::height]:
        heading.set_fontweight("bold")


def _names(rows: pd.DataFrame, fields: Sequence[str], states: np.ndarray) -> list[str]:
    """What a row is called: its values and seed, or a recording's own name."""
    networks = names_of(rows, fields) if len(fields) else [str(model) for model in rows["model"]]
    seeds = [f"seed {level_words(seed)}" for seed in rows["seed"]]
    whole = seeds if list(fields) == ["seed"] else [f"{name}, {seed}" for name, seed in zip(networks, seeds)]
    short = max(map(len, whole)) <= LONGEST_NAME
    return [
        guest if state in GUESTS else name if short else seed
        for name, seed, guest, state in zip(whole, seeds, guest_names(rows), states)
    ]
