"""Category structure along the depth of networks: how much more alike stimuli of one class are."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import artefacts
from analysis.inference.factors import MOST_LEVELS
from analysis.report.compared import Compared
from analysis.report.figures import GREY, colours_of, levels_of
from analysis.report.pages import Picture
from analysis.words import field_words, layer_words, level_words
from models import is_before_nonlinearity
from zoo.training.status import DIVERGED_WORD

ORDER = 70
TAKES = "comparison"

MOST_CONDITIONS = 6
MANY_NETWORKS = 100
"""Networks of which each is a fainter line, without a mark per layer."""


def applies(compared: Compared) -> bool:
    return compared.has(artefacts.CATEGORIES) and len(table_of(compared)) > 0


def figures(compared: Compared) -> Iterator[Picture]:
    yield "categories", draw(table_of(compared), compared.colouring(), compared.title)


def lines(compared: Compared) -> Iterator[str]:
    return category_lines(table_of(compared))


def table_of(compared: Compared) -> Any:
    """The category structure of networks that have not diverged, with the field that colours them."""
    table: Any = pd.read_csv(compared.path(artefacts.CATEGORIES))
    table = table[(table["status"] != DIVERGED_WORD) | ~table["trained"]]
    if (field := compared.colouring()) not in table:
        table = table.assign(**{field: compared.table[field].reindex(table["member"]).to_numpy()})
    return table


def category_lines(table: pd.DataFrame) -> Iterator[str]:
    """From the first to the last layer: medians of the category index, and in how many networks it rises."""
    layers: Any = table.groupby("member")["layer"].nunique()
    single = int((layers == 1).sum())
    note = f"; {single} networks of one layer neither rise nor fall" if single else ""
    for condition in dict.fromkeys(table["condition"]):
        words = []
        for state, trained in (("trained", True), ("untrained", False)):
            part: Any = table[(table["condition"] == condition) & (table["trained"] == trained)]
            ordered = part.sort_values("depth", kind="stable").groupby("member")["index"]
            # Not pandas' own first and last, which pass over a dead layer's NaN.
            ends = ordered.agg(first=lambda index: index.iloc[0], last=lambda index: index.iloc[-1]).dropna()
            rises, falls = (ends["last"] > ends["first"]).sum(), (ends["last"] < ends["first"]).sum()
            first, last = ends.median()
            count = part["member"].nunique()
            words.append(f"{first:z.2f} -> {last:z.2f} {state} (of {count}, rises in {rises}, falls in {falls})")
        yield f"  category index of {condition}, first -> last layer: {', '.join(words)}{note}"


def draw(table: Any, field: str, title: str) -> Figure:
    """Category index against depth, one panel per condition: a thin line per network, the median of all in bold.

    Args:
      table: rows of `<task>-categories.csv`, with the column `field` that colours trained networks.
      field: "model", or a field with few levels.
      title: of the figure.
    """
    conditions = list(dict.fromkeys(table["condition"]))[:MOST_CONDITIONS]
    names = _shared_layers(table)
    many = table["member"].nunique() > MANY_NETWORKS
    levels = levels_of(table[field])
    colours = colours_of(levels) if len(levels) <= MOST_LEVELS else {}
    columns = min(3, len(conditions))
    rows = -(-len(conditions) // columns)
    figure = Figure(figsize=(max(3.4 * columns + 2.4, 6.4), 3.4 * rows + 0.7), layout="constrained")
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
        axes.set_title(f"classes: {condition.replace('_', ' ')}", loc="left")
        axes.set_xlabel("relative depth (0: first layer, 1: last)")
        if names:
            slant: Any = dict(rotation=45, ha="right", rotation_mode="anchor") if len("".join(names)) > 12 else {}
            words = [layer_words(name) for name in names]
            axes.set_xticks(np.linspace(0, 1, len(names)) if len(names) > 1 else [0], words, **slant)
            axes.set_xlabel("layer")
    for axes in panels[::columns]:
        axes.set_ylabel("category index, dissimilarity\nbetween - within classes\n(higher: clearer classes, 0: none)")
    handles, labels = (part[::-1] for part in panels[0].get_legend_handles_labels())  # trained first
    if 1 < len(levels) <= MOST_LEVELS:
        for level in levels:
            handles.append(panels[0].plot([], [], color=colours[level], marker="o", ms=3, lw=0.8)[0])
            labels.append(str(level) if field == "model" else f"{field_words(field)} {level_words(level)}")
    if not (table["trained"].all() or many):
        handles.append(panels[0].plot([], [], color=GREY, marker="o", ms=3, mfc="white", lw=0.8)[0])
        labels.append("untrained, each network")
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    count = table["member"].nunique()
    figure.suptitle(f"{title}: category structure,\nfrom all units, {count} networks", x=0.01, ha="left", fontsize=10)
    return figure


def _shared_layers(table: pd.DataFrame) -> list[str]:
    """The layers, in order, where all networks have the same ones."""
    first = table["condition"] == table["condition"].iloc[0]
    rows: Any = table[first]
    lists = rows.sort_values("depth", kind="stable").groupby(["member", "trained"])["layer"].agg(tuple)
    plain = set(lists)
    names = list(plain.pop()) if len(plain) == 1 else []
    return [] if any(map(is_before_nonlinearity, names)) else names


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
