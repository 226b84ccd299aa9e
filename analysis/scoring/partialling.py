"""Similarity with something else taken out: the input's own geometry, or that of a condition."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from analysis.activations.probes import Probe
from analysis.activations.recordings import Outside
from analysis.scoring.measure_agreement import partial
from zoo.lookup import nearest

__all__ = ["INPUT", "check", "confound", "given"]

FEW = 24
"""Levels of a number that are taken for classes, such as directions."""

INPUT = "input"
"""What networks were shown, taken as a representation."""


def confound(name: str, probe: Probe, every: int = 1) -> Outside:
    """What is to be taken out, as a member of the comparison.

    Args:
      name: "input", or a condition of the probe: an indicator for each level, or, of a number with more than 24, the
        number.
      probe: what the networks were shown.
      every: time steps from one that was kept to the next.
    """
    if name == INPUT:
        x = np.asarray(probe.inputs, np.float32)
        x = x[:, ::every] if probe.dt else x.reshape(len(x), -1)
    elif name in probe.conditions:
        labels = probe.conditions[name]
        levels, codes = np.unique(labels, return_inverse=True)
        x = np.eye(len(levels), dtype=np.float32)[codes.reshape(-1)]
        if labels.dtype.kind == "f" and len(levels) > FEW:
            x = labels.astype(np.float32)[:, None]
        if probe.dt:
            times = -(-probe.inputs.shape[1] // every)
            x = np.repeat(x[:, None], times, 1)
    else:
        raise ValueError(f"There is no condition {name!r} to take out; {nearest(name, [INPUT, *probe.conditions])}.")
    return Outside(f"control/{name}", x, {"recording": name, "subject": "", "source": "control"})


def given(result: xr.Dataset, measures: dict[str, Any], name: str) -> xr.Dataset:
    """The comparison with one more variable for each measure that is a cosine of maps: what is left of it.

    A partial correlation (Cui et al. 2022; see `analysis.scoring.measure_agreement.partial`), which the tests and
    pictures of a comparison take for another measure, `cka_given_input`.

    Args:
      result: with the confound among its items.
      measures: variable -> measure.
      name: of the confound.
    """
    place = result["a"].to_numpy().tolist().index(f"control/{name}")
    found = {}
    for variable, measure in measures.items():
        if not is_cosine(measure):
            continue
        value = result[variable]
        if np.isnan(value.to_numpy()[place, place]):
            raise ValueError(f"{name} has no geometry under {measure.name}, so that nothing can be taken out.")
        attrs = {key: held for key, held in value.attrs.items() if key != "chance_sd"}
        attrs |= dict(name=f"{measure.name} given {name}", chance="no closed form", control=name)
        found[f"{variable}_given_{name}"] = (("a", "b"), partial(value.to_numpy(), [place]).astype(value.dtype), attrs)
    return result.assign(found)


def is_cosine(measure: Any) -> bool:
    """Whether a measure is the cosine of one map per member: only of these can another map be taken out."""
    inner = measure.form == "inner" and measure.kind == "similarity"
    return inner and measure.identity == 1 and measure.is_metric


def check(name: str, measures: Sequence[Any], probes: Iterable[Probe]) -> None:
    """Refuses what cannot be taken out, before anything is computed."""
    if not any(map(is_cosine, measures)):
        names = ", ".join(measure.name for measure in measures)
        raise ValueError(f"Nothing can be taken out of {names}; of cka and rsa it can.")
    for probe in probes:
        confound(name, probe)
