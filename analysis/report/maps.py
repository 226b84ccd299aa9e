"""Maps of a population: members as points, with the confidence of what a level's mean is, and recordings among them."""

from collections.abc import Sequence
from typing import Any

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
from analysis.report.figures import Attrs, about, colours_of, guest_names, levels_of, name_levels, states_of

MOST_PANELS = 6
MOST_METRIC = 400
"""Items that metric scaling places; more of them are placed by classical scaling, which takes no iterations."""
MOST_AXES = 32
"""Leading axes of classical scaling among which the draws of a large map turn."""
MOST_NAMED = 12
"""Recordings, or baselines, that are named where they lie."""
CONFIGURATIONS, NETWORKS = "configurations", "networks"
GUESTS = {"recording": "recording", "half": "half of its units", "baseline": "baseline"}
"""What is in a map beside networks, and its name in the legend."""


def mds(
    similarity: np.ndarray,
    table: pd.DataFrame,
    fields: Sequence[str],
    attrs: Attrs,
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
      attrs: of the measure.
      title: of the figure.
      configuration: the columns that make a configuration; the fields where none is given.
    """
    distance = true_distance(similarity, attrs.get("kind", "similarity"))
    kept = complete(distance)
    distance, table, gone = (
        distance[np.ix_(kept, kept)],
        table.iloc[kept].reset_index(drop=True),
        len(table) - len(kept),
    )
    metric = 2 < len(distance) <= MOST_METRIC
    axes_of_all = None if metric else classical_mds(distance, MOST_AXES).coordinates
    points = metric_mds(distance).coordinates if axes_of_all is None else axes_of_all[:, :2]
    fields = list(fields)[:MOST_PANELS] or ["model"]
    columns = len(fields) if len(fields) <= 4 else 3
    rows = -(-len(fields) // columns)
    figure = Figure(figsize=(max(4.6 * columns, 5.4), 4.6 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(fields) :]:
        axes.set_visible(False)
    states, size = states_of(table), 1.0 if metric else 0.5
    diverged = (states == "trained") & (table["status"] == "diverged").to_numpy()
    good, rest = (states == "trained") & ~diverged, states == "untrained"
    x, y = points.T
    draws: dict[str, Any] = {}
    used: set[str] = set()
    for axes, field in zip(panels.flat, fields):
        levels = levels_of(table[field][good | rest | diverged])
        colours = colours_of(levels)
        shade = np.array([colours.get(value, (0.0,) * 4) for value in table[field]])  # without the field: not drawn
        axes.scatter(x[good], y[good], s=26 * size, color=shade[good], lw=0)
        axes.scatter(x[diverged], y[diverged], s=26 * size, color=shade[diverged], marker="x", lw=1)
        axes.scatter(x[rest], y[rest], s=22 * size, facecolors="none", edgecolors=shade[rest], lw=0.8)
        _draw_guests(axes, x, y, table, states)
        unit, units = units_of(table, field, good, good | rest | diverged, configuration or fields)
        drawn = False
        if len(levels) <= MOST_LEVELS and len(distance) > 2:
            if unit not in draws:
                many = 100 if len(distance) <= 200 else 50
                draws[unit] = resampled(distance, points, units, axes=axes_of_all, draws=many)
            for state, line in ((good, "-"), (rest, "--")):
                for level in levels:
                    which = state & (table[field] == level).to_numpy()
                    drawn |= outline(axes, points, draws[unit], which, units, colours[level], line)
        axes.set_aspect("equal", adjustable="datalim")
        unit_of = "radians" if attrs.get("kind", "similarity") == "similarity" else "distance"
        axes.set_xlabel(f"MDS 1 ({unit_of})")
        resampling = f"\nellipses: means, over {unit}" if drawn else ""
        used |= {unit} if drawn else set()
        axes.set_title(f"coloured by {field}{name_levels(axes, levels, colours)}{resampling}", loc="left")
    for axes in panels[:, 0]:
        axes.set_ylabel(axes.get_xlabel().replace("1", "2"))
    misfit = stress(distance, points)
    fit = "a poor fit" if misfit > 0.2 else "a fair fit" if misfit > 0.1 else "a good fit"
    method = "metric MDS" if metric else f"classical MDS ({len(distance)} items)"
    what = attrs["name"] if attrs.get("kind") == "distance" else f"arccos {attrs['name']}"
    note = f"{method} of {what},\nstress {misfit:.2f} ({fit}), {about(attrs)}"
    if used:
        note += "\nellipses hold the mean of a level with 90 % confidence (bootstrap"
        note += "; over networks: for these configurations only)" if NETWORKS in used else ")"
    note += f"\nwithout all distances, and left out: {gone} of {gone + len(table)} items" if gone else ""
    axes, grey = panels[0, 0], "#555555"
    face: Any = dict(s=26, lw=0, color=grey)
    handles = [axes.scatter([], [], **face), axes.scatter([], [], s=22, facecolors="none", edgecolors=grey, lw=0.8)]
    if diverged.any():
        handles.append(axes.scatter([], [], s=26, color=grey, marker="x", lw=1))
    names = ["trained", "untrained", "diverged"][: len(handles)]
    for state, name in GUESTS.items():
        if (states == state).any():
            handles.append(axes.scatter([], [], **_mark(state, whole=True)))
            names.append(name)
    figure.legend(handles, names, loc="outside right center", fontsize=8)
    figure.suptitle(f"{title}\n{note}", x=0.01, ha="left", fontsize=10)
    return figure


def _draw_guests(axes: Any, x: np.ndarray, y: np.ndarray, table: pd.DataFrame, states: np.ndarray) -> None:
    """Recordings as stars and baselines as diamonds, with their names; single subjects smaller and without."""
    subjects = table["subject"].to_numpy(object) if "subject" in table else np.full(len(table), "")
    whole = np.isin(subjects.astype(str), ("", "mean"))
    names = guest_names(table)
    for state in GUESTS:
        for of_all in (False, True):
            here = np.flatnonzero((states == state) & (whole == of_all))
            axes.scatter(x[here], y[here], zorder=4, **_mark(state, of_all))
            for i in here if of_all and state != "half" and len(here) <= MOST_NAMED else []:
                right = x[i] > (x.min() + x.max()) / 2  # inwards, that names stay in their panel
                place: Any = dict(xytext=(-6 if right else 6, 4), ha="right" if right else "left", fontsize=7, zorder=5)
                axes.annotate(names[i], (x[i], y[i]), textcoords="offset points", **place)


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
    axes.add_artist(Ellipse((centre[0], centre[1]), width, height, **style))  # not a patch: the points set the limits
    return True
