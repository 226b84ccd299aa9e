"""Which measures agree about the members: how far they rank the pairs of them alike, layer by layer."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.geometry.embedding import FEWEST_UNITS
from analysis.report.compared import Compared, ShownSlice
from analysis.report.figures import states_of
from analysis.report.pages import Picture
from analysis.scoring.measure_agreement import agreement
from analysis.words import layer_words, measure_words
from zoo.training.status import DIVERGED_WORD

ORDER = 50
TAKES = "comparison"

MOST_WRITTEN = 12
"""Measures whose agreement is written into the cells."""


def applies(compared: Compared) -> bool:
    return len(compared.comparison.measures) > 1


def figures(compared: Compared) -> Iterator[Picture]:
    by_layer: dict[str, list[ShownSlice]] = {}
    for each in compared.shown:
        by_layer.setdefault(each.layer, []).append(each)
    several = len(compared.table[compared.fields].astype(str).drop_duplicates()) >= FEWEST_UNITS
    fields = compared.fields if several else []
    tables = {layer: _agreement(of_layer, fields) for layer, of_layer in by_layer.items()}
    if known := {layer: table for layer, table in tables.items() if table is not None}:
        yield "agreement", draw(known, "configurations" if fields else "members", compared.title)


def lines(compared: Compared) -> tuple[()]:
    return ()


def _agreement(of_layer: list[ShownSlice], fields: list[str]) -> pd.DataFrame | None:
    """How far the measures of one layer agree over trained networks that all of them have; None for one measure."""
    values: dict[str, Any] = {}
    for each in of_layer:
        good = (states_of(each.table) == "trained") & (each.table["status"] != DIVERGED_WORD).to_numpy()
        names = each.table["item"].to_numpy()[good]
        values[each.variable] = pd.DataFrame(each.values[np.ix_(good, good)], names, names)
    shared = [item for item in next(iter(values.values())).index if all(item in part.index for part in values.values())]
    if len(values) < 2 or len(shared) < 3:
        return None
    matrices = {variable: part.loc[shared, shared].to_numpy() for variable, part in values.items()}
    rows = of_layer[0].table.set_index("item").loc[shared, fields].astype(str)
    groups = list(rows.itertuples(index=False, name=None)) if fields else None
    return agreement(matrices, {each.variable: each.record.kind for each in of_layer}, groups)


def draw(tables: Mapping[str, Any], over: str, title: str) -> Figure:
    """How far measures rank the pairs of members alike: a matrix of Spearman correlations per layer.

    Args:
      tables: layer -> what `analysis.scoring.measure_agreement.agreement` returns.
      over: what the intervals are over, in words.
      title: of the figure.
    """
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    names = {layer: list(dict.fromkeys(table.index.get_level_values("a"))) for layer, table in tables.items()}
    most = max(map(len, names.values()))
    side = max(0.8 * most, 2.0) if most <= MOST_WRITTEN else 0.3 * most
    figure = Figure(figsize=(side * columns + 3.2, side * rows + 2.1), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    low = min(0.0, *(float(np.nanmin(table["rho"], initial=0.0)) for table in tables.values()))
    for axes in panels.flat[len(tables) :]:
        axes.set_visible(False)
    image: Any = None
    for i, (axes, (layer, table)) in enumerate(zip(panels.flat, tables.items())):
        labels = names[layer]
        short = [measure_words(name)[1] + name[len(name.partition("(")[0]) :] for name in labels]
        square = {key: table[key].unstack().loc[labels, labels].to_numpy(float) for key in ("rho", "low", "high")}
        rho = np.ma.masked_invalid(square["rho"])
        image = axes.imshow(rho, vmin=low, vmax=1, cmap="viridis", interpolation="nearest")
        axes.set_facecolor("#dddddd")
        last = i + columns >= len(tables)
        axes.set_xticks(range(len(labels)), short if last else [], rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), short if i % columns == 0 else [])
        axes.tick_params(length=0, labelsize=8)
        axes.set_title(f"{layer_words(layer)}\n({int(table['pairs'].max())} pairs)", loc="left", fontsize=9)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for a, b in np.ndindex(rho.shape) if len(labels) <= MOST_WRITTEN else ():
            if np.isnan(square["rho"][a, b]):
                continue
            ends = [square[end][a, b] for end in ("low", "high")]
            text = _rounded(square["rho"][a, b])
            text += f"\n[{_rounded(ends[0])}, {_rounded(ends[1])}]" if a != b and np.isfinite(ends).all() else ""
            shade = "white" if rho[a, b] < (low + 1) / 2 else "black"
            axes.text(b, a, text, ha="center", va="center", fontsize=7, color=shade)
    label = "Spearman correlation\nover pairs (higher is more\nagreement, 1: same order)"
    figure.colorbar(image, ax=panels, shrink=0.7, label=label)
    note = f"agreement of measures over pairs of trained networks,\n95 % jackknife over {over}; chance 0"
    figure.suptitle(f"{title}\n{note}", x=0.01, ha="left", fontsize=10)
    return figure


def _rounded(value: float) -> str:
    return f"{np.round(value, 2) + 0:.2f}"
