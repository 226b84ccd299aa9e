"""Similarity with something else taken out: the input's own geometry, or that of a condition."""

from typing import Any

import numpy as np
import xarray as xr

from analysis.agreement import partial
from analysis.probes import Probe
from analysis.recordings import Outside
from zoo.lookup import nearest

__all__ = ["INPUT", "confound", "given"]

INPUT = "input"
"""What networks were shown, taken as a representation."""


def confound(name: str, probe: Probe, every: int = 1) -> Outside:
    """What is to be taken out, as a member of the comparison.

    Args:
      name: "input", or a condition of the probe: a number as it is, a class as an indicator for each level.
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
        if labels.dtype.kind == "f":
            x = labels.astype(np.float32)[:, None]
        if probe.dt:
            times = -(-probe.inputs.shape[1] // every)
            x = np.repeat(x[:, None], times, 1)
    else:
        raise ValueError(f"There is no condition {name!r} to take out; {nearest(name, [INPUT, *probe.conditions])}.")
    return Outside(f"control/{name}", x, {"recording": name, "subject": "", "source": "control"})


def given(result: xr.Dataset, measures: dict[str, Any], name: str) -> xr.Dataset:
    """The comparison with one more variable for each measure that is a cosine of maps: what is left of it.

    A partial correlation (Cui et al. 2022; see `analysis.agreement.partial`), which the tests and pictures of a
    comparison take for another measure, `cka_given_input`.

    Args:
      result: with the confound among its items.
      measures: variable -> measure.
      name: of the confound.
    """
    place = result["a"].to_numpy().tolist().index(f"control/{name}")
    found = {}
    for variable, measure in measures.items():
        if measure.form != "inner" or measure.kind != "similarity" or measure.identity != 1:
            continue
        value = result[variable]
        if np.isnan(value.to_numpy()[place, place]):
            raise ValueError(f"{name} has no geometry under {measure.name}, so that nothing can be taken out.")
        attrs = {key: held for key, held in value.attrs.items() if key != "chance_sd"}
        attrs |= dict(name=f"{measure.name} given {name}", chance="no closed form", control=name)
        found[f"{variable}_given_{name}"] = (("a", "b"), partial(value.to_numpy(), [place]).astype(value.dtype), attrs)
    if not found:
        names = ", ".join(measure.name for measure in measures.values())
        raise ValueError(f"Nothing can be taken out of {names}; of cka and rsa it can.")
    return result.assign(found)
