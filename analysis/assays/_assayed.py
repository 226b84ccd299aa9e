"""What an assay is given: the networks of one cohort, and all that may be asked of them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import xarray as xr

from analysis.activations.probes import Probe, is_plain, shapes_of
from models import Network
from zoo.devices.population import Population, population_batches, population_map
from zoo.spec.cohorts import Cohort
from zoo.store.reader import Trained


@dataclasses.dataclass(frozen=True, eq=False)
class Assayed:
    """Networks of one cohort, at one moment of their training.

    Attributes:
      trained: the zoo directory.
      cohort: theirs.
      members: their ids.
      at: "last", "initial" or a step.
      probe: what all of them are shown; `probe.inputs` is `(stimulus, ...)`.
      needs: name of an assay that was asked for -> its result, of these networks.
    """

    trained: Trained
    cohort: Cohort
    members: list[str]
    at: str | int
    probe: Probe
    needs: Mapping[str, xr.Dataset]

    @property
    def task(self) -> Any:
        """The task of the first of them; the others may differ in its traced fields."""
        return self.cohort.members[0].task

    @functools.cached_property
    def model(self) -> Network:
        """The model of the first of them, ready for `apply`; the others may differ in its traced fields."""
        return self.trained.model(self.members[0])

    @functools.cached_property
    def data(self) -> Any:
        """What `task.evaluation` and `task.probe` take: hand it to `map` as a shared argument."""
        return self.task.data()

    @functools.cached_property
    def layers(self) -> dict[str, tuple[int, ...]]:
        """Layer -> shape of its activations on the probe, `(stimulus, ...)`, in the model's order, of plain layers; see
        `analysis.activations.probes.is_plain`."""
        shapes = shapes_of(self.cohort, self.probe.inputs)
        return {name: shape for name, shape in shapes.items() if is_plain(name)}

    def map(
        self,
        function: Callable[..., Any],
        shared: Sequence[Any] = (),
        each: Sequence[Any] = (),
        *,
        members: Sequence[str] | None = None,
        at: str | int | None = None,
        rule_state: bool = False,
        dtype: str = "float32",
    ) -> Any:
        """`function(bound, variables, key, *shared, *each)` for all of them, or some, on all devices.

        Args:
          function, shared, each, rule_state, dtype: see `zoo.devices.population.population_map`.
          members: ids of some of them.
          at: another moment than theirs.

        Returns:
          What the function returns, every array with `member` as its first axis; NumPy.
        """
        when = self.at if at is None else at
        where: Any = dict(members=members or self.members, at=when, rule_state=rule_state, dtype=dtype)
        return population_map(self.trained, self.cohort, function, shared, each, **where).values

    def batches(self, function: Callable[..., Any], shared: Sequence[Any] = ()) -> Iterator[Population]:
        """`map` a few networks at a time: for results too large to be held together."""
        yield from population_batches(self.trained, self.cohort, function, shared, members=self.members, at=self.at)
