"""Labelled representations: the activations of many members, at many layers, on one probe."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["TIMES", "Group", "Representations", "in_time"]

TIMES = ("samples", "features", "mean", "last")
"""How time enters a measure; see `in_time`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Items (members at one layer each) whose representations share a shape.

    Attributes:
      names: one name per item, unique over all groups.
      labels: one row per item; columns such as member, layer, model, seed, trained, hidden. May have no columns.
      array: `(item, stimulus, unit)` or `(item, stimulus, time, unit)`, float32.
    """

    names: tuple[str, ...]
    labels: pd.DataFrame
    array: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Representations:
    """All representations of a population on one probe.

    Attributes:
      groups: the items, grouped by the shape of their representation.
      probe: the probe's id, a hash of its inputs and conditions; what differs in it is never compared.
      conditions: name -> one label per stimulus, `(stimulus,)`.
      dt: ms between the steps of the time axis, 0 where there is none.
    """

    groups: tuple[Group, ...]
    probe: str = ""
    conditions: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    dt: float = 0.0


def in_time(x: Any, time: str) -> Any:
    """`(member, stimulus, time, unit)` with time entering as asked, again with four axes.

    `samples` keeps each time step as a row of its stimulus, `features` makes each (time, unit) a feature of the
    stimulus, `mean` averages over time and `last` takes the last step: the latter three leave one row per stimulus.
    """
    members, stimuli, times, units = x.shape
    if time == "features":
        return x.reshape(members, stimuli, 1, times * units)
    if time == "mean":
        return x.mean(2, keepdims=True)
    return x[:, :, -1:] if time == "last" else x
