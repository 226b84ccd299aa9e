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
from analysis.words import layer_words
from zoo.tasks import condition_words

ORDER = 60
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return compared.has(artefacts.MEAN_RDMS)


def figures(compared: Compared) -> Iterator[Picture]:
    means = artefacts.read_dataset(compared.path(artefacts.MEAN_RDMS))
    for layer in dict.fromkeys(means["layer"].to_numpy().tolist()):
        yield f"{layer}-rdms", draw(means, layer, compared.title, labels_of(compared, means))


def lines(compared: Compared) -> tuple[()]:
    return ()


def labels_of(compared: Compared, means: xr.Dataset) -> tuple[str, list[str]]:
    """The name of the first condition, and the condition of every stimulus in words; "" and none without conditions."""
    names = [str(name) for name in means.coords if str(name).startswith("condition_")]
    if not names:
        return "", []
    name, values = names[0].removeprefix("condition_"), means[names[0]].to_numpy().tolist()
    if not compared.of_task.stimuli:  # the task's own
        task = compared.trained.task(compared.table.index[0])
        return name, [condition_words(task, name, value) for value in values]
    if set(values) <= {0, 1}:
        return name, [name if value else f"not {name}" for value in values]
    return name, [str(value) for value in values]


def draw(means: xr.Dataset, layer: str, title: str, labels: tuple[str, list[str]]) -> Figure:
    """Mean RDMs of every model at one layer: trained above, untrained below, stimuli sorted by condition.

    Args:
      means: see `analysis.zoo_comparison.mean_rdms`.
      layer: one of its layers.
      title: of the figure.
      labels: the name of a condition, and what every stimulus is of it.
    """
    part = means.isel(group=np.flatnonzero(means["layer"] == layer))
    models = levels_of(pd.Series(part["model"].to_numpy()))
    top = float(np.nanquantile(part["rdm"], 0.99)) or 1.0
    figure = Figure(figsize=(2.7 * len(models) + 2.2, 6.4), layout="constrained")
    panels = figure.subplots(2, len(models), squeeze=False)
    image = None
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
            axes.set_xlabel("stimuli, in the same order", fontsize=8)
            if column == 0 and labels[0]:
                starts, names = runs(labels[1])
                ends = [*starts[1:], len(labels[1])]
                axes.set_yticks([(a + b - 1) / 2 for a, b in zip(starts, ends)], names, fontsize=7)
                axes.tick_params(length=0)
            if column == 0:
                axes.set_ylabel(f"stimuli, by {labels[0].replace('_', ' ')}" if labels[0] else "stimuli")
    if image is not None:
        what = f"dissimilarity, {means.attrs.get('name', '1 - Pearson r')}\n(higher is less alike, 0 is identical)"
        figure.colorbar(image, ax=panels, shrink=0.6, extend="max", label=what)
    figure.suptitle(f"{title}, {layer_words(layer)}:\nmean RDM over networks", x=0.01, ha="left", fontsize=10)
    return figure
