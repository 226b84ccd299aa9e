"""A function of one network, run for the networks of a cohort: the one way in which anything runs over members."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from zoo import lookup
from zoo.devices.compilation import compiler_options
from zoo.devices.startup import lanes
from zoo.spec.cohorts import Cohort
from zoo.training.binding import Binder, Floats, floats_of

AT_ONCE = 32
"""Members whose results one call computes at most."""

RESULT_BYTES = 2**28
"""Bytes of results that one call makes at most, or those of one member."""


class Population(NamedTuple):
    """What a function gave for some members.

    Attributes:
      members: their ids, in the order that was asked for.
      values: what the function returns, every array with `member` as its first axis; NumPy.
    """

    members: list[str]
    values: Any


def population_map(
    trained: Any,
    cohort: Cohort | str,
    function: Callable[..., Any],
    shared: Sequence[Any] = (),
    each: Sequence[Any] = (),
    *,
    members: Sequence[str] | None = None,
    at: str | int = "last",
    rule_state: bool = False,
) -> Population:
    """Runs `function(bound, variables, key, *shared, *each)` for members of one cohort, on all devices.

    The function is traced once, for all of them; matrix products are in float32. Members are padded to calls of one
    size, which never shows in what comes back, and a member's result does not depend on which others are asked for.

    Args:
      trained: what `zoo.load` gives.
      cohort: whose members run, or its id.
      function: pure. `bound` has the member's task, model, training and rule with its own floats filled in
        (`zoo.training.binding.Bound`); `variables` is what `bound.model.apply` takes, with the rule's state as the
        further entry "rule" if that is asked for; `key` comes from the member's id.
      shared: arrays, or trees of them, that all members get: inputs, data.
      each: the same with `member` as the first axis, one row per member that is asked for.
      members: ids, of this cohort; default all that have a checkpoint.
      at: "last", "initial" (before training), or a step of which there is a checkpoint.
      rule_state: whether to read what the rule remembers, too.

    Raises:
      ValueError: no such cohort or member, one without a checkpoint at this step, or `each` of another length.
    """
    mapped = Mapped(trained, cohort, function, members)
    places = lanes()
    size = mapped.size(shared, each, -(-len(mapped.ids) // len(places)), at, rule_state)
    starts = range(0, len(mapped.ids), size)

    def call(place: int) -> Any:
        with jax.default_device(places[place % len(places)]):
            return mapped.call(starts[place], size, shared, each, at, rule_state)

    with ThreadPoolExecutor(len(places)) as pool:
        parts = list(pool.map(call, range(len(starts))))
    return Population(mapped.ids, jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts))


def population_batches(
    trained: Any,
    cohort: Cohort | str,
    function: Callable[..., Any],
    shared: Sequence[Any] = (),
    *,
    members: Sequence[str] | None = None,
    at: str | int = "last",
) -> Iterator[Population]:
    """`population_map` a few members at a time, on JAX's default device: for results too large to be held together."""
    mapped = Mapped(trained, cohort, function, members)
    size = mapped.size(shared, (), AT_ONCE, at, False)
    for start in range(0, len(mapped.ids), size):
        yield Population(mapped.ids[start : start + size], mapped.call(start, size, shared, (), at, False))


class Mapped:
    """A function that is ready to run over members of a cohort.

    Args:
      trained, cohort, function, members: as for `population_map`.

    Attributes:
      ids: the members.
    """

    def __init__(
        self, trained: Any, cohort: Cohort | str, function: Callable[..., Any], members: Sequence[str] | None = None
    ):
        self._trained = trained
        self._cohort = cohort if isinstance(cohort, Cohort) else _named(trained, cohort)
        self._rows = {member.id: row for row, member in enumerate(self._cohort.members)}
        self._floats = floats_of(self._cohort)
        recipe = trained.manifest["cohorts"][self._cohort.id]["recipe"]
        if recipe is None:
            raise ValueError(
                f"{trained.path} has lost the folder of cohort {self._cohort.id}; `verify` says what is missing."
            )
        if members is None:
            members = [member.id for member in self._cohort.members if trained.has_checkpoint(member.id)]
        for member in members:
            if member not in self._rows:
                raise ValueError(f"Cohort {self._cohort.id} has no member {member!r}; ask for one cohort at a time.")
        if not members:
            raise ValueError(f"No member of cohort {self._cohort.id} has a checkpoint; train the zoo first.")
        self.ids = list(members)
        binder = Binder(self._cohort.members[0], {"conv_form": recipe["conv_form"]})

        def one(shared: Any, row: Any) -> Any:
            floats, variables, number, each = row
            with jax.default_matmul_precision("highest"):
                key = jax.random.key(number, impl="threefry2x32")
                return function(binder.bind(floats), variables, key, *shared, *each)

        self._one = one
        self._all = jax.jit(
            lambda shared, rows: jax.lax.map(lambda row: one(shared, row), rows), compiler_options=compiler_options()
        )

    def size(self, shared: Any, each: Any, most: int, at: str | int, rule_state: bool) -> int:
        """Members per call: as many as their results leave room for. One size for all: a remainder of its own would be
        a second program."""
        for array in jax.tree.leaves(each):
            if np.ndim(array) == 0 or len(array) != len(self.ids):
                raise ValueError(
                    f"An array of `each` is {np.shape(array)}; its first axis must be the {len(self.ids)} members."
                )
        first = jax.tree.map(lambda x: x[0], self._arguments(0, 1, each, at, rule_state))
        results = jax.eval_shape(self._one, tuple(shared), first)
        needed = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(results))
        return max(1, min(most, AT_ONCE, len(self.ids), RESULT_BYTES // max(needed, 1)))

    def call(self, start: int, size: int, shared: Any, each: Any, at: str | int, rule_state: bool) -> Any:
        """The results of up to `size` members from `start` on, `(member, ...)`."""
        rows = self._arguments(start, size, each, at, rule_state)
        count = min(size, len(self.ids) - start)
        return jax.tree.map(lambda x: np.asarray(x)[:count], self._all(tuple(shared), rows))

    def _arguments(
        self, start: int, size: int, each: Any, at: str | int, rule_state: bool
    ) -> tuple[Floats, Any, np.ndarray, Any]:
        """Floats, variables, key and `each` of the members of one call, padded with the last of them."""
        ids = self.ids[start : start + size]
        padded = np.minimum(np.arange(size), len(ids) - 1)
        variables = self._trained.variables(ids, at=at, rule_state=rule_state)
        variables = jax.tree.map(lambda x: x[padded], variables)
        rows = np.array([self._rows[ids[place]] for place in padded])
        floats = jax.tree.map(lambda x: x[rows], self._floats)
        numbers = np.array([int(ids[place].rpartition("-")[2][-8:], 16) for place in padded], np.uint32)
        of_each = jax.tree.map(lambda x: np.asarray(x)[start + padded], tuple(each))
        return floats, variables, numbers, of_each


def _named(trained: Any, cohort: str) -> Cohort:
    known = {each.id: each for each in trained.zoo.cohorts}
    if cohort not in known:
        raise ValueError(f"{trained.path} has no cohort {cohort!r}; {lookup.nearest(cohort, known)}.")
    return known[cohort]
