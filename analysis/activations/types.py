"""What is compared: patterns of many members at many layers, repeated measurements, ready RDMs."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class RDM(NamedTuple):
    """A ready dissimilarity matrix, of which no pattern is known.

    Attributes:
      array: `(stimulus, stimulus)`, symmetric, 0 on the diagonal.
    """

    array: np.ndarray


class Repeats(NamedTuple):
    """Repeated measurements of the same stimuli, of one item, or of a group with the member axis first.

    Attributes:
      array: `(repeat, stimulus, unit)` or `(repeat, stimulus, time, unit)`; of a group always
        `(member, repeat, stimulus, time, unit)`.
    """

    array: np.ndarray


class Outside(NamedTuple):
    """A representation that no network of the zoo made: a recording, a subject of one, or a baseline.

    Attributes:
      name: unique.
      array: `(stimulus, unit)`, `(stimulus, time, unit)`, an `RDM`, or `Repeats`.
      labels: `recording`, what it belongs to, "file/array" or a baseline's name; `subject`, "mean" or a subject's name,
        "" where there are none; `source`, "recording", "half" (of its units) or "baseline".
      repeats: `(repeat, stimulus, unit)` or `(repeat, stimulus, time, unit)`, NaN where one is missing; None where
        each stimulus was measured once.
    """

    name: str
    array: Any
    labels: dict[str, Any]
    repeats: np.ndarray | None = None

    def at(self, stimuli: np.ndarray, steps: np.ndarray | None = None) -> "Outside":
        """The same of some stimuli and, where it has time, of some time steps."""
        if isinstance(self.array, RDM):
            return self._replace(array=RDM(self.array.array[np.ix_(stimuli, stimuli)]))

        def part(x: np.ndarray, axis: int) -> np.ndarray:
            x = x.take(stimuli, axis)
            return x if steps is None or x.ndim < axis + 3 else x.take(steps, axis + 1)

        if isinstance(self.array, Repeats):
            array: Any = Repeats(part(self.array.array, 1))
        else:
            array = part(self.array, 0)
        return self._replace(array=array, repeats=None if self.repeats is None else part(self.repeats, 1))


class RDMs(NamedTuple):
    """Ready dissimilarity matrices of a group.

    Attributes:
      array: `(member, stimulus, stimulus)`.
    """

    array: np.ndarray


def array_of(group: np.ndarray | Repeats | RDMs | RDM) -> np.ndarray:
    """The array of a group, or an item, of any kind."""
    return group if isinstance(group, np.ndarray) else group.array


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
      space: how maps of convolution layers were reduced; "" where there are none.
      categories: category structure from all units, whatever the space: a row per item and condition with two classes
        or more, `member, model, layer, depth, depth_fraction, trained, status, condition, within, between, index`; see
        `analysis.geometry.category_structure`. Depth counts layers from 0, its fraction is 0 at the first and 1 at the
        last.
      copies: name of an item -> the item that stands for it, since it is of the same network; see
        `analysis.activations.copies`.
    """

    groups: tuple[Group, ...]
    probe: str = ""
    conditions: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    dt: float = 0.0
    space: str = ""
    categories: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    copies: dict[str, str] = dataclasses.field(default_factory=dict)

    def at(self, stimuli: np.ndarray, steps: np.ndarray) -> "Representations":
        """The same of some stimuli and, where there is time, of some of the time steps, as on a probe of its own.

        Category structure stays that of all stimuli.
        """
        shapes = [group.array.shape[1:-1] for group in self.groups]
        if all(shape == (len(stimuli), len(steps))[: len(shape)] for shape in shapes):
            return self
        groups = []
        for group in self.groups:
            array = group.array[:, stimuli]
            groups.append(dataclasses.replace(group, array=array[:, :, steps] if array.ndim == 4 else array))
        part = hashlib.sha256(self.probe.encode() + stimuli.tobytes() + steps.tobytes()).hexdigest()[:12]
        conditions = {name: np.asarray(values)[stimuli] for name, values in self.conditions.items()}
        return dataclasses.replace(self, groups=tuple(groups), probe=part, conditions=conditions)
