"""Maps of a population: members as points, with the confidence of what a level's mean is, and recordings among them."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from analysis.geometry.embedding import (
    FEWEST_UNITS,
    Draws,
    classical_mds,
    complete,
    mean_region,
    metric_mds,
    resampled,
    stress,
    true_distance,
)
from analysis.inference.factors import MOST_LEVELS
from analysis.inference.field_tests import alike
from analysis.labelled_comparison import MeasureRecord
from analysis.report.choices import chosen
from analysis.report.compared import Compared
from analysis.report.figures import (
    MARKS,
    about,
    colours_of,
    distance_title,
    guest_names,
    levels_of,
    marks_of,
    name_levels,
    states_of,
)
from analysis.report.pages import Picture
from analysis.report.settling import name_points
from analysis.words import field_words, row_words
from zoo.training.status import DIVERGED_WORD

ORDER = 30
TAKES = "comparison"

MOST_PANELS = 6
MOST_METRIC = 400
"""Items that metric scaling places; more of them are placed by classical scaling, which takes no iterations."""
MOST_AXES = 32
"""Leading axes of classical scaling among which the draws of a large map turn."""
MOST_NAMED = 12
"""Recordings, or baselines, that are named where they lie."""
WITHOUT = (0.75, 0.75, 0.75, 1.0)
"""The colour of networks that do not have the field of a panel, or are copies of each other that differ in it."""
CONFIGURATIONS, NETWORKS = "configurations", "networks"
MARKED = {"recording": "recording", "half": "half of its units", "baseline": "baseline"}
"""What is in a map beside networks, and its name in the legend."""


class Layout(NamedTuple):
    """The items of a map and where they lie.

    Attributes:
      distance: `(item, item)`, true distances.
      points: `(item, 2)`, where they lie.
      all_axes: `(item, axis)`, of classical scaling; None where metric scaling places the items.
      table: one row per item.
      states: `(item,)`, see `analysis.report.figures.states_of`.
      diverged: `(item,)`, trained networks that have diverged.
      gone: how many items were left out because they do not have all distances.
    """

    distance: np.ndarray
    points: np.ndarray
    all_axes: np.ndarray | None
    table: pd.DataFrame
    states: np.ndarray
    diverged: np.ndarray
    gone: int

    @property
    def good(self) -> np.ndarray:
        """`(item,)`: trained networks that have not diverged."""
        return (self.states == "trained") & ~self.diverged

    @property
    def untrained(self) -> np.ndarray:
        """`(item,)`: untrained networks."""
        return self.states == "untrained"

    @property
    def network(self) -> np.ndarray:
        """`(item,)`: networks of whatever state."""
        return self.good | self.untrained | self.diverged


def applies(compared: Compared) -> bool:
    return True


def figures(compared: Compared) -> Iterator[Picture]:
    for shown in compared.shown:
        # A score has no distance, and of networks that were compared in groups none has all: nothing to lay out.
        if shown.record.kind != "score" and len(complete(true_distance(shown.values, shown.record.kind))):
            what = (shown.values, shown.table, shown.fields, shown.record, shown.title, compared.fields)
            yield f"{shown.stem}-mds", draw(*what)


def lines(compared: Compared) -> tuple[()]:
    return ()


def draw(
    similarity: np.ndarray,
    table: pd.DataFrame,
    fields: Sequence[str],
    record: MeasureRecord,
    title: str,
    configuration: Sequence[str] = (),
) -> Figure:
    """Items as points whose distances imitate the true ones: one panel per field that colours them.

    Ellipses hold the mean of a level's trained (full line) or untrained (dashed) networks with 90 % confidence; see
    `analysis.geometry.embedding.mean_region` and `units_of`.

    Args:
      similarity: `(item, item)`, values of a similarity or a distance.
      table: one row per item.
      fields: of the panels.
      record: of the measure.
      title: of the figure.
      configuration: the columns that make a configuration; the fields where none is given.
    """
    layout = _layout(true_distance(similarity, record.kind), table)
    fields = list(fields)[:MOST_PANELS] or ["model"]
    columns = len(fields) if len(fields) <= 4 else 3
    rows = -(-len(fields) // columns)
    figure = Figure(figsize=(max(4.6 * columns, 5.4), 5.0 * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(fields) :]:
        axes.set_visible(False)
    draws: dict[str, Draws] = {}
    resampled_units: set[str] = set()
    for axes, field in zip(panels.flat, fields):
        levels = levels_of(layout.table[field][layout.network])
        colours = colours_of(levels)
        _draw_points(axes, layout, field, colours)
        over = _draw_means(axes, layout, field, colours, configuration or fields, draws)
        axes.set_xlabel(f"MDS 1 ({'radians' if record.kind == 'similarity' else 'distance'})")
        resampling = f"\nellipses: means, over {over}" if over else ""
        resampled_units |= {over} if over else set()
        without = len(set(layout.table[field][layout.network]) - set(levels)) > 0
        named = f"{field_words(field)} (grey: none, or several)" if without else field_words(field)
        heading = textwrap.fill(f"coloured by {named}", 48) + name_levels(axes, field, levels, colours)
        axes.set_title(heading + resampling, loc="left")
    _frame(panels.flat[: len(fields)])
    for axes in panels[:, 0]:
        axes.set_ylabel(axes.get_xlabel().replace("1", "2"))
    _draw_legend(figure, panels[0, 0], layout)
    figure.suptitle(f"{title}\n{_note(layout, record, resampled_units)}", x=0.01, ha="left", fontsize=10)
    return figure


def _frame(panels: Any) -> None:
    """The same square for all panels, which holds every point and every ellipse."""
    low = np.min([axes.dataLim.min for axes in panels], axis=0)
    high = np.max([axes.dataLim.max for axes in panels], axis=0)
    half = 0.53 * float(np.max(high - low)) or 1.0
    for axes in panels:
        for set_limits, middle in zip((axes.set_xlim, axes.set_ylim), (low + high) / 2):
            set_limits(middle - half, middle + half)
        axes.set_aspect("equal")
        axes.locator_params(nbins=5)


def _layout(distance: np.ndarray, table: pd.DataFrame) -> Layout:
    """Where the items lie that have all distances."""
    kept = complete(distance)
    distance, gone = distance[np.ix_(kept, kept)], len(table) - len(kept)
    table = table.iloc[kept].reset_index(drop=True)
    metric = 2 < len(distance) <= MOST_METRIC
    all_axes = None if metric else classical_mds(distance, MOST_AXES).coordinates
    points = metric_mds(distance).coordinates if all_axes is None else all_axes[:, :2]
    states = states_of(table)
    diverged = (states == "trained") & (table["status"] == DIVERGED_WORD).to_numpy()
    return Layout(distance, points, all_axes, table, states, diverged, gone)


def _draw_points(axes: Any, layout: Layout, field: str, colours: dict[Any, Any]) -> None:
    """The items, coloured by a field: full where trained, hollow where untrained, crosses where diverged."""
    size = 1.0 if layout.all_axes is None else 0.5
    x, y = layout.points.T
    mixed = np.random.default_rng(0).permutation(len(x))  # where points meet, no level is always above
    good, diverged, untrained = layout.good, layout.diverged, layout.untrained
    shade = np.array([colours.get(value, WITHOUT) for value in layout.table[field]])
    for mark, marked in _marked(layout).items():
        full, hollow = mixed[(good & marked)[mixed]], mixed[(untrained & marked)[mixed]]
        axes.scatter(x[full], y[full], s=26 * size, color=shade[full], marker=mark, lw=0)
        edges: Any = dict(facecolors="none", edgecolors=shade[hollow], marker=mark, lw=0.8)
        axes.scatter(x[hollow], y[hollow], s=22 * size, **edges)
    axes.scatter(x[diverged], y[diverged], s=26 * size, color=shade[diverged], marker="x", lw=1)
    _draw_guests(axes, x, y, layout.table, layout.states)


def _marked(layout: Layout) -> dict[str, np.ndarray]:
    """Shape -> `(item,)`, which items have it: by the field that was chosen for marks, else one for all."""
    field = chosen().marks
    if field not in layout.table or not (levels := levels_of(layout.table[field][layout.network])):
        return {MARKS[0]: np.ones(len(layout.table), bool)}
    marks, values = marks_of(levels), layout.table[field]
    shapes = {mark: (values == level).to_numpy(bool) for level, mark in marks.items()}
    return {**shapes, ".": ~np.any([*shapes.values()], axis=0)}


def _draw_means(
    axes: Any,
    layout: Layout,
    field: str,
    colours: dict[Any, Any],
    configuration: Sequence[str],
    draws: dict[str, Draws],
) -> str:
    """The ellipses of the means of a field's levels; what the bootstrap draws, or "" where there is none.

    Args:
      axes: of the panel.
      layout: where the items lie.
      field: the column whose levels have means.
      colours: level -> its colour.
      configuration: the columns that make a configuration.
      draws: the draws that other panels have made, by what was drawn; this one's are added.
    """
    words, units = units_of(layout.table, field, layout.good, layout.network, configuration)
    if len(colours) > MOST_LEVELS or len(layout.distance) <= 2:
        return ""
    if words not in draws:
        count = 100 if len(layout.distance) <= 200 else 50
        draws[words] = resampled(layout.distance, layout.points, units, axes=layout.all_axes, draws=count)
    drawn = False
    for state, line in ((layout.good, "-"), (layout.untrained, "--")):
        for level, colour in colours.items():
            which = state & (layout.table[field] == level).to_numpy()
            drawn |= outline(axes, layout.points, draws[words], which, units, colour, line)
    return words if drawn else ""


def _note(layout: Layout, record: MeasureRecord, resampled_units: set[str]) -> str:
    """How good the map is, what it is of, and what its ellipses mean."""
    misfit = stress(layout.distance, layout.points)
    fit = "a poor fit" if misfit > 0.2 else "a fair fit" if misfit > 0.1 else "a good fit"
    method = "metric MDS" if layout.all_axes is None else f"classical MDS ({len(layout.distance)} items)"
    note = f"{method} of {distance_title(record)};\n"
    note += f"near is alike, stress {misfit:.2f} ({fit}; 0: exact), {about(record)}"
    if resampled_units:
        note += "\nellipses hold the mean of a level with 90 % confidence (bootstrap"
        note += "; over networks: for these configurations only)" if NETWORKS in resampled_units else ")"
    if together := int((layout.distance + np.eye(len(layout.distance)) == 0).any(1).sum()):
        note += f"\n{together} of {len(layout.distance)} items lie at 0 from another, and on it"
    items = layout.gone + len(layout.table)
    return note + (f"\nwithout all distances, and left out: {layout.gone} of {items} items" if layout.gone else "")


def _draw_legend(figure: Figure, axes: Any, layout: Layout) -> None:
    """What the marks mean, of those that are there."""
    grey = "#555555"
    face: Any = dict(s=26, lw=0, color=grey)
    handles = [axes.scatter([], [], **face), axes.scatter([], [], s=22, facecolors="none", edgecolors=grey, lw=0.8)]
    if layout.diverged.any():
        handles.append(axes.scatter([], [], s=26, color=grey, marker="x", lw=1))
    names = ["trained", "untrained", "diverged"][: len(handles)]
    for state, name in MARKED.items():
        if (layout.states == state).any():
            handles.append(axes.scatter([], [], **_mark(state, whole=True)))
            names.append(name)
    if (field := chosen().marks) in layout.table:
        for level, mark in marks_of(levels_of(layout.table[field][layout.network])).items():
            handles.append(axes.scatter([], [], **face, marker=mark))
            names.append(row_words(field, level))
    figure.legend(handles, names, loc="outside right center", fontsize=8)


def _draw_guests(axes: Any, x: np.ndarray, y: np.ndarray, table: pd.DataFrame, states: np.ndarray) -> None:
    """Recordings as stars and baselines as diamonds, with their names; single subjects smaller and without."""
    subjects = table["subject"].to_numpy(object) if "subject" in table else np.full(len(table), "")
    whole = np.isin(subjects.astype(str), ("", "mean"))
    names = guest_names(table)
    for state in MARKED:
        for of_all in (False, True):
            here = np.flatnonzero((states == state) & (whole == of_all))
            axes.scatter(x[here], y[here], zorder=4, **_mark(state, of_all))
            if of_all and state != "half" and len(here) <= MOST_NAMED:
                name_points(axes, np.column_stack([x, y])[here], [names[i] for i in here])


def _mark(state: str, whole: bool) -> dict[str, Any]:
    if state == "baseline":
        return dict(marker="D", s=22, color="#222222", lw=0)
    if state == "half":
        return dict(marker="*", s=40, facecolors="white", edgecolors="#222222", lw=0.7)
    return dict(marker="*", s=90 if whole else 28, color="#222222", lw=0)


def units_of(
    table: pd.DataFrame, field: str, trained: np.ndarray, network: np.ndarray, configuration: Sequence[str]
) -> tuple[str, np.ndarray]:
    """What the bootstrap of a field draws, in words and as a code per item: -1 for items that are in every draw.

    Configurations, all members of one together, where a level of the field has enough of them. Else networks, which
    says nothing about other configurations; members of one cohort with one seed start alike, and count as one.

    Args:
      table: one row per item.
      field: the columns whose levels have means.
      trained, network: which items are trained networks, and networks at all.
      configuration: the columns that make a configuration.
    """
    names = list(dict.fromkeys([field, *configuration]))
    codes: Any = table[names].astype(str).groupby(names, sort=False).ngroup().to_numpy()
    counts: Any = pd.Series(codes[trained]).groupby(table[field].to_numpy()[trained]).nunique()
    words = CONFIGURATIONS
    if len(counts) and counts.median() < FEWEST_UNITS and {"cohort", "seed"} <= set(table):
        words, codes = NETWORKS, table.groupby([alike(table), "seed"], sort=False).ngroup().to_numpy()
    return words, np.where(network, codes, -1)


def outline(
    axes: Any, coordinates: np.ndarray, draws: Draws, which: np.ndarray, units: np.ndarray, colour: Any, line: str
) -> bool:
    """Draw the ellipse of the mean of some items, about the mean; False where there are too few units for one."""
    region = mean_region(draws, which, units) if which.any() else None
    if region is None:
        return False
    sizes, axes_of = np.linalg.eigh(region)
    width, height = 2 * np.sqrt(np.maximum(sizes, 0))[::-1]
    angle = np.degrees(np.arctan2(*axes_of[::-1, 1]))
    centre = coordinates[which].mean(0)
    halo = [withStroke(linewidth=2.6, foreground="white")]
    style: Any = dict(
        angle=angle, fc="none", ec=colour, lw=1.3 if line == "-" else 0.9, ls=line, zorder=3, path_effects=halo
    )
    axes.add_artist(Ellipse((centre[0], centre[1]), width, height, **style))
    reach = np.sqrt(np.maximum(np.diag(region), 0))  # how far it goes along the axes
    axes.update_datalim([centre - reach, centre + reach])  # nothing of it is cut at the frame
    return True
