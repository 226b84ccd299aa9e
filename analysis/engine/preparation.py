"""A measure's states of the members of a request, made once for their values, nulls and intervals."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import jax
import numpy as np

from analysis.activations.inputs import stimuli_of
from analysis.activations.types import RDMs, Repeats, array_of
from analysis.arithmetic import in_precision
from analysis.measures import InnerMeasure, Measure, PairMeasure
from analysis.measures._family import State

__all__ = [
    "GroupArray",
    "Prepared",
    "members_of",
    "prepare",
    "prepare_all",
    "prepare_group",
    "stimuli_in_order",
    "taken",
]

GroupArray = np.ndarray | Repeats | RDMs
"""Members of one shape: `(member, stimulus, time, unit)`, or one of the others."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A measure and the groups of a request, with what the measure made of them.

    Attributes:
      measure: see `analysis.measures`.
      groups: all groups of the request, of equal stimulus counts.
      states: one per group. None where the measure cannot be had of the group, and of a Pair measure, whose states
        serve nothing but its tiles and are made with these.
      dtype: "float32" or "float64": the precision of the states and of all that is computed from them.
      takes: for each group whether the measure can be had of it.
    """

    measure: Measure
    groups: tuple[GroupArray, ...]
    states: tuple[State | None, ...]
    dtype: str
    takes: tuple[bool, ...]

    @property
    def inner(self) -> InnerMeasure:
        """The measure, known to be an Inner one: for code that is reached by these only."""
        return cast(InnerMeasure, self.measure)

    @property
    def pair(self) -> PairMeasure:
        """The measure, known to be a Pair one."""
        return cast(PairMeasure, self.measure)

    @property
    def taken_groups(self) -> list[GroupArray]:
        """The groups that the measure can be had of."""
        return [group for group, takes in zip(self.groups, self.takes) if takes]

    @property
    def taken_states(self) -> list[State]:
        """The states that there are, in the order of the groups."""
        return [state for state in self.states if state is not None]

    @property
    def places(self) -> list[np.ndarray]:
        """For each group that the measure can be had of, where its members stand among all."""
        ends = np.cumsum([0, *(len(array_of(group)) for group in self.groups)])
        return [np.arange(start, end) for takes, start, end in zip(self.takes, ends, ends[1:]) if takes]

    @property
    def members(self) -> np.ndarray:
        """Where the members that the measure can be had of stand among all, `(member,)`."""
        return np.concatenate(self.places or [np.empty(0, int)])

    @property
    def count(self) -> int:
        """All members, also those that the measure cannot be had of."""
        return sum(len(array_of(group)) for group in self.groups)

    @property
    def stimuli(self) -> int:
        """The stimuli of every group."""
        return stimuli_of(self.groups[0])

    @property
    def rows(self) -> int:
        """The rows per stimulus in the measure's maps: the time steps of the members that have them, or 1."""
        if self.measure.time != "samples":
            return 1
        return max((array_of(group).shape[-2] for group in self.groups if not isinstance(group, RDMs)), default=1)


def prepare(
    measure: Measure, groups: Sequence[GroupArray], dtype: str = "float32", takes: Sequence[bool] | None = None
) -> Prepared:
    """A measure's states of the groups of a request.

    Args:
      measure: see `analysis.measures`.
      groups: members of equal stimulus counts; units may differ between groups, times only where the measure leaves
        one row per stimulus.
      dtype: "float32" or "float64" (on CPU).
      takes: for each group whether it takes part; by default where the measure is made for its kind.
    """
    inner = measure.form == "inner"
    takes = [taken(measure, group) for group in groups] if takes is None else takes
    with in_precision(dtype):
        states = [
            prepare_group(measure, as_taken(measure, group, dtype)) if inner and takes_part else None
            for group, takes_part in zip(groups, takes)
        ]
    return Prepared(measure, tuple(groups), tuple(states), dtype, tuple(takes))


def prepare_all(
    measures: Iterable[Measure],
    groups: Sequence[GroupArray],
    dtype: str = "float32",
    fits: Callable[[Measure, GroupArray], bool] | None = None,
) -> list[Prepared]:
    """The measures of one request, each as `prepare` gives it; `fits` says which groups take part under a measure."""
    return [
        prepare(measure, groups, dtype, None if fits is None else [fits(measure, group) for group in groups])
        for measure in measures
    ]


def prepare_group(measure: Measure, group: GroupArray) -> State:
    """A measure's state of one group of any kind that it takes."""
    if isinstance(group, np.ndarray):
        return measure.prepare(group)
    of_kind: Any = measure  # the two below stand only where `takes` says so
    return of_kind.prepare_rdms(group.array) if isinstance(group, RDMs) else of_kind.prepare_repeats(group.array)


def taken(measure: Measure, group: GroupArray) -> bool:
    """Whether a measure is made for a group of this kind: ready RDMs and single patterns are not enough for all."""
    if isinstance(group, RDMs):
        return "rdms" in measure.takes
    return isinstance(group, Repeats) or bool({"patterns", "trajectories"} & set(measure.takes))


def as_taken(measure: Measure, group: GroupArray, dtype: str) -> GroupArray:
    """A group as a measure takes it: in `dtype`, and repeats as their mean for a measure that does not take them."""
    if isinstance(group, Repeats) and "repeats" not in measure.takes:
        return group.array.mean(1).astype(dtype)
    array = array_of(group).astype(dtype, copy=False)
    return array if isinstance(group, np.ndarray) else type(group)(array)


def members_of(state: State) -> int:
    """How many members a state is of."""
    return len(jax.tree.leaves(state)[0])


def stimuli_in_order(group: GroupArray, order: np.ndarray) -> GroupArray:
    """A group with only the stimuli `order`, in this order."""
    if isinstance(group, RDMs):
        return RDMs(group.array[:, order][:, :, order])
    return Repeats(group.array[:, :, order]) if isinstance(group, Repeats) else group[:, order]
