"""What lines and pictures of assays share: a result cut by task, layer and state, and the files of pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

STATES = {True: "trained", False: "untrained"}
MOST_LAYERS = 6
"""Layers that a picture shows: of more, so many from the first to the last."""


def tasks(result: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Task -> its networks, in the order of the result."""
    names = result["task"].to_numpy()
    for task in dict.fromkeys(names.tolist()):
        yield str(task), result.isel({result["task"].dims[0]: np.flatnonzero(names == task)})


def layers_of(result: xr.Dataset, variable: str) -> list[str]:
    """The layers at which some network has a value, at most `MOST_LAYERS`."""
    values = result[variable].transpose("layer", ...).to_numpy()
    there = np.isfinite(values).reshape(len(values), -1).any(1)
    layers = result["layer"].to_numpy()[there]
    places = np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round().astype(int)
    return layers[places].tolist()


def slices(result: xr.Dataset) -> Iterator[tuple[str, str, xr.Dataset]]:
    """Task, layer, and the networks of the task that have the layer, there."""
    for task, of_task in tasks(result):
        for layer in of_task["layer"].to_numpy().tolist():
            at = of_task.sel(layer=layer)
            if len(rows := np.flatnonzero(np.isfinite(at["units"].to_numpy()))):
                yield task, str(layer), at.isel(member=rows)


def states(result: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """ "trained" and "untrained" -> the networks that are so, where there are some."""
    trained = result["trained"].to_numpy()
    for state, word in STATES.items():
        if len(rows := np.flatnonzero(trained == state)):
            yield word, result.isel({result["trained"].dims[0]: rows})


def quantile(values: np.ndarray, share: float) -> np.ndarray:
    """A quantile over networks, the first axis; NaN where none has a value."""
    known = np.isfinite(values).any(0)
    found = np.full(values.shape[1:], np.nan)
    found[known] = np.nanquantile(values[:, known], share, axis=0)
    return found


def save(figure: Figure, folder: Path, result: xr.Dataset, part: str) -> Path:
    """Writes a picture, named after the assay and the part of its result."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^\w.=-]+", "_", f"assay-{result.attrs['name']}-{part}") + ".png")
    options: Any = dict(bbox_inches="tight", pad_inches=0.1)
    figure.savefig(path, **options)
    return path
