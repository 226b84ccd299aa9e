"""Layers against layers: which depth of one network is like which depth of another; where all were compared."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis import artefacts
from analysis.labelled_comparison import MeasureRecord
from analysis.report.compared import Compared
from analysis.report.figures import alike_map, value_words
from analysis.report.pages import Picture
from analysis.words import layer_words

ORDER = 80
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return compared.has(artefacts.LAYERS)


def figures(compared: Compared) -> Iterator[Picture]:
    correspondence = artefacts.read_dataset(compared.path(artefacts.LAYERS))
    for variable in correspondence["measure"].to_numpy().tolist():
        of_measure = correspondence.sel(measure=variable)
        if int(of_measure["pairs"].sum()):
            record = compared.comparison.measures[variable].record
            yield f"layers-{variable}", draw(of_measure, record, compared.title)


def lines(compared: Compared) -> Iterator[str]:
    words = identification(artefacts.read_dataset(compared.path(artefacts.LAYERS)).isel(measure=0))
    if words:
        yield f"  {compared.told[0]}: {'; '.join(words)}"


def draw(correspondence: xr.Dataset, record: MeasureRecord, title: str) -> Figure:
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
        image = axes.imshow(part, vmin=low, vmax=high, cmap=alike_map(record), origin="lower", interpolation="nearest")
        ticks, labels = _ticks(names)
        axes.set_xticks(ticks, labels, **(dict(rotation=45, ha="right", rotation_mode="anchor") if names else {}))
        axes.set_yticks(ticks, labels if axes is panels[0] else [])
        axes.tick_params(length=0)
        axes.set_xlabel("layer of network B" if names else "relative depth in network B")
        axes.set_title(f"{kind}\n({int(correspondence['pairs'].sel(kind=kind)) // 2} pairs)", fontsize=9)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if names and len(names) <= 8:
            for i, j in np.ndindex(part.shape):
                if np.isnan(part[i, j]):
                    continue
                dark = (part[i, j] < (low + high) / 2) != (record.kind == "distance")
                shade = "white" if dark else "black"
                axes.text(j, i, f"{part[i, j]:.2f}", ha="center", va="center", fontsize=7, color=shade)
    panels[0].set_ylabel("layer of network A" if names else "relative depth in network A")
    figure.colorbar(image, ax=list(panels), shrink=0.7, label=f"mean {value_words(record)}\n({record.way})")
    note = "\n".join(identification(correspondence)) or "no two networks of one architecture to identify layers in"
    figure.suptitle(f"{title}, layer by layer\n{record.name}; {note}", x=0.01, ha="left", fontsize=10)
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
    return (list(range(len(names))), list(map(layer_words, names))) if names else ([0, 5, 10], ["0", "0.5", "1"])
