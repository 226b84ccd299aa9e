"""What lines and pictures of assays share: a result cut by what the networks were shown, layer and state."""

import json
from collections.abc import Iterator

import numpy as np
import xarray as xr

from analysis.words import subject_words
from zoo.training.status import DIVERGED_WORD

STATE_WORDS = {True: "trained", False: "untrained"}
MOST_LAYERS = 6
"""Layers that a picture shows: of more, so many from the first to the last."""


def probes(result: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """The name of a probe -> the networks that were shown it, in the order of the result."""
    names = result["probe_name"].to_numpy()
    for name in dict.fromkeys(names.tolist()):
        yield str(name), result.isel({result["probe_name"].dims[0]: np.flatnonzero(names == name)})


def score_of(result: xr.Dataset) -> str:
    """What the score of the networks' task is, in words."""
    return json.loads(result.attrs.get("scored", "{}")).get(_task_of(result), "score")


def title_of(name: str, result: xr.Dataset) -> str:
    """The title of a picture of networks on one probe: what they were shown, and the assay.

    Args:
      name: of the probe.
      result: of the networks that were shown it.
    """
    return f"{subject_words(_task_of(result), name)}: {result.attrs['name']}"


def _task_of(result: xr.Dataset) -> str:
    return str(result["task"].to_numpy().reshape(-1)[0]) if "task" in result.coords else ""


def layers_of(result: xr.Dataset, variable: str) -> list[str]:
    """The layers at which some network has a value, at most `MOST_LAYERS`."""
    values = result[variable].transpose("layer", ...).to_numpy()
    there = np.isfinite(values).reshape(len(values), -1).any(1)
    layers = result["layer"].to_numpy()[there]
    places = np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round().astype(int)
    return layers[places].tolist()


def layer_slices(result: xr.Dataset) -> Iterator[tuple[str, str, xr.Dataset]]:
    """The name of a probe, layer, and the networks on the probe that have the layer, there."""
    for name, of_probe in probes(result):
        for layer in of_probe["layer"].to_numpy().tolist():
            at = of_probe.sel(layer=layer)
            if len(rows := np.flatnonzero(np.isfinite(at["units"].to_numpy()))):
                yield name, str(layer), at.isel(member=rows)


def span(values: xr.DataArray) -> str:
    """Whole numbers of networks in words: "4", or "3 to 4" from the least to the largest."""
    return " to ".join(str(n) for n in dict.fromkeys((int(values.min()), int(values.max()))))


def states(result: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """ "trained" and "untrained" -> the networks that are so, where there are some: of the trained none that diverged,
    of untrained copies one."""
    trained = result["trained"].to_numpy()
    gone = result["status"].to_numpy() == DIVERGED_WORD if "status" in result.coords else np.zeros(len(trained), bool)
    for state, word in STATE_WORDS.items():
        if len(rows := np.flatnonzero((trained == state) & ~(gone & trained))):
            part = result.isel({result["trained"].dims[0]: rows})
            yield word, part if state else distinct(part)


def _row_name(one: xr.Dataset) -> str:
    """A network in a few words: "gru seed 0"."""
    words = [str(one[label].item()) for label in ("model",) if label in one.coords]
    return " ".join([*words, f"seed {one['seed'].item()}" if "seed" in one.coords else ""])


def examples(result: xr.Dataset, variable: str, most: int) -> Iterator[tuple[str, xr.Dataset]]:
    """A few networks that have a variable, and what they are in words: trained ones, from the first to the last, and
    an untrained one."""
    for state, part in states(result):
        known = np.isfinite(part[variable].to_numpy().reshape(part.sizes["member"], -1)).any(1)
        rows = np.flatnonzero(known)
        count = min(len(rows), most if state == STATE_WORDS[True] else 1)
        for row in rows[np.linspace(0, len(rows) - 1, count).astype(int)]:
            one = part.isel(member=row)
            yield f"{state}: {_row_name(one)}", one


def distinct(untrained: xr.Dataset) -> xr.Dataset:
    """Untrained networks without copies: members that differ in their training only are one network before it.

    Copies are of one model and seed, with equal values throughout, which are not whole numbers only: small counts are
    equal by chance.
    """
    dimension = untrained["trained"].dims[0]
    columns = [array.transpose(dimension, ...).to_numpy() for array in untrained.values() if dimension in array.dims]
    kept: dict[tuple[object, ...], int] = {}
    for row in range(untrained.sizes[dimension]):
        values = [np.asarray(column[row], np.float64) for column in columns if column.dtype.kind in "fiub"]
        network = [untrained[name].to_numpy()[row] for name in ("model", "seed") if name in untrained.coords]
        telling = any((value != np.rint(value))[np.isfinite(value)].any() for value in values)
        kept.setdefault((*network, *(value.tobytes() for value in values), None if telling else row), row)
    return untrained.isel({dimension: list(kept.values())})


def quantile(values: np.ndarray, share: float) -> np.ndarray:
    """A quantile over networks, the first axis; NaN where none has a value."""
    known = np.isfinite(values).any(0)
    quantiles = np.full(values.shape[1:], np.nan)
    quantiles[known] = np.nanquantile(values[:, known], share, axis=0)
    return quantiles
