"""Mean RDMs: how far apart the stimuli are, layer by layer, in every model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis import artefacts
from analysis.report.compared import Compared
from analysis.report.figures import levels_of, runs
from analysis.report.pages import Picture

ORDER = 60
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return compared.has(artefacts.MEAN_RDMS)


def figures(compared: Compared) -> Iterator[Picture]:
    means = artefacts.read_dataset(compared.path(artefacts.MEAN_RDMS))
    for layer in dict.fromkeys(means["layer"].to_numpy().tolist()):
        yield f"{layer}-rdms", draw(means, layer, compared.title)


def lines(compared: Compared) -> tuple[()]:
    return ()


def draw(means: xr.Dataset, layer: str, title: str) -> Figure:
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
                starts, names = runs(labels)
                if len(names) <= 20:
                    ends = [*starts[1:], len(labels)]
                    axes.set_yticks([(a + b - 1) / 2 for a, b in zip(starts, ends)], names, fontsize=7)
                    axes.tick_params(length=0)
                axes.set_ylabel(str(conditions[0]).removeprefix("condition_"))
    if image is not None:
        figure.colorbar(
            image, ax=panels, shrink=0.6, label=f"dissimilarity, {means.attrs.get('name', '1 - Pearson r')}"
        )
    figure.suptitle(f"{title}\nlayer {layer}, mean RDM\nover networks", x=0.01, ha="left", fontsize=10)
    return figure
