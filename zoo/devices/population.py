"""A function of one network, run for the networks of a cohort: the one way in which anything runs over members."""

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from zoo import lookup
from zoo.devices.startup import cores, lanes, start_as
from zoo.devices.traced_functions import TracedFunction, traced_for
from zoo.spec.cohorts import Cohort
from zoo.spec.settings import score_level
from zoo.training.binding import Floats, floats_of

MEMBERS_AT_ONCE = 32
"""Members that are read together, and whose results one call computes at most."""

RESULT_BYTES = 2**28
"""Bytes of results that the calls of all devices make at a time at most, or those of one member each."""


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
    dtype: str = "float32",
) -> Population:
    """Runs `function(bound, variables, key, *shared, *each)` for members of one cohort, on all devices.

    The function is traced once, for all of them, and not again while it lives: the same function of the same cohort, on
    arrays of the same shapes, finds its program. A fresh lambda is another function, and traced anew. As of `jax.jit`,
    what it reads besides its arguments is as it was when it was traced. Matrix products are as exact as its
    numbers. Members are padded to calls of one size, which never shows in what comes back, and a member's result does
    not depend on which others are asked for. JAX is started as the directory's recipes ask, unless it runs already.

    Args:
      trained: what `zoo.load` gives.
      cohort: whose members run, or its id.
      function: pure. `bound` has the member's task, model, training and rule with its own floats filled in
        (`zoo.training.binding.Bound`); `variables` is what `bound.model.apply` takes, with the rule's state, as its
        `init` gives it, as the further entry "rule" if that is asked for; `key` comes from the member's whole id.
      shared: arrays, or trees of them, that all members get: inputs, data.
      each: the same with `member` as the first axis, one row per member that is asked for.
      members: ids, of this cohort; default all that have a checkpoint or, at a score, have reached it.
      at: "last", "initial" (before training), a step of which there is a checkpoint, or "score=0.5", one of
        `Training.score_levels`.
      rule_state: whether to read what the rule remembers, too.
      dtype: of the variables and the floats; "float64" computes on the CPU, where double precision is to be had, and
        takes `shared` and `each` as they are.

    Raises:
      ValueError: no such cohort or member, one without a checkpoint at this step, or `each` of another length.
    """
    mapped = Mapped(trained, cohort, function, members, at, rule_state, dtype)
    parts = list(mapped.parts(shared, each))
    return Population(mapped.ids, jax.tree.map(lambda *leaves: np.concatenate(leaves), *(p.values for p in parts)))


def population_batches(
    trained: Any,
    cohort: Cohort | str,
    function: Callable[..., Any],
    shared: Sequence[Any] = (),
    *,
    members: Sequence[str] | None = None,
    at: str | int = "last",
) -> Iterator[Population]:
    """`population_map` a few members at a time, in order: for results too large to be held together."""
    yield from Mapped(trained, cohort, function, members, at).parts(shared, ())


class Call(NamedTuple):
    """Members that the program computes together.

    Attributes:
      start: place of the first.
      count: how many; the rest, up to the size, is padding.
      size: of all calls: a remainder of its own would be a second program.
    """

    start: int
    count: int
    size: int


class Mapped:
    """A function that is ready to run over members of a cohort.

    Args:
      trained, cohort, function, members, at, rule_state, dtype: as for `population_map`.

    Attributes:
      ids: the members.
    """

    def __init__(
        self,
        trained: Any,
        cohort: Cohort | str,
        function: Callable[..., Any],
        members: Sequence[str] | None = None,
        at: str | int = "last",
        rule_state: bool = False,
        dtype: str = "float32",
    ):
        start_as(trained.manifest)
        self._dtype = np.dtype(dtype)
        self._trained, self._at, self._rule_state, self._function = trained, at, rule_state, function
        self._read = functools.lru_cache(maxsize=1 + len(lanes()))(self._variables)
        self._reading = threading.Lock()  # lanes that want the same members read them once
        self._cohort = cohort if isinstance(cohort, Cohort) else _named(trained, cohort)
        self._rows = {member.id: row for row, member in enumerate(self._cohort.members)}
        self._floats = jax.tree.map(self._as_wide, floats_of(self._cohort))
        if members is not None and not len(members):
            raise ValueError(f"The members are {members!r}; give ids of cohort {self._cohort.id}, or None for all.")
        if members is None:
            members = list(trained.with_checkpoint([member.id for member in self._cohort.members], at))
        for member in members:
            if member not in self._rows:
                raise ValueError(f"Cohort {self._cohort.id} has no member {member!r}; ask for one cohort at a time.")
        if not members:
            if score_level(at) is not None:
                raise ValueError(f"No member of cohort {self._cohort.id} has reached {at}.")
            raise ValueError(f"No member of cohort {self._cohort.id} has a checkpoint; train the zoo first.")
        self.ids = list(members)
        self._conv_form = trained.recipe(self._cohort.id)["conv_form"]

    def parts(self, shared: Any, each: Any) -> Iterator[Population]:
        """The results of all calls, in order, with a call on every device at a time and no more than these waiting."""
        places = lanes()
        if self._is_double:
            places = [jax.devices("cpu")[0]] * cores()
        with jax.enable_x64(self._is_double):
            self._traced = self._traced_for(shared, each)
            if self._traced.solves and places[0].platform == "cpu":
                places = places[:1]  # see `zoo.devices.compilation.SOLVERS`
        calls = self.calls(-(-len(self.ids) // len(places)), RESULT_BYTES // len(places))

        def run(i: int) -> Population:
            call = calls[i]
            with jax.enable_x64(self._is_double), jax.default_device(places[i % len(places)]):
                return Population(self.ids[call.start : call.start + call.count], self.run(call, shared, each))

        with ThreadPoolExecutor(len(places)) as pool:
            waiting: deque[Any] = deque()
            for i in range(len(calls)):
                if len(waiting) == len(places):
                    yield waiting.popleft().result()
                waiting.append(pool.submit(run, i))
            while waiting:
                yield waiting.popleft().result()

    def _traced_for(self, shared: Any, each: Any) -> TracedFunction:
        for array in jax.tree.leaves(each):
            if np.ndim(array) == 0 or len(array) != len(self.ids):
                raise ValueError(
                    f"An array of `each` is {np.shape(array)}; its first axis must be the {len(self.ids)} members."
                )
        first = jax.tree.map(lambda x: x[0], self._arguments(Call(0, 1, 1), each))
        return traced_for(self._cohort, self._conv_form, self._function, tuple(shared), first)

    def calls(self, most: int, room: int) -> list[Call]:
        """How the members are cut into calls of at most `most`, whose results take at most `room` bytes, or those of
        one member."""
        needed = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(self._traced.results))
        size = max(1, min(most, MEMBERS_AT_ONCE, len(self.ids), room // max(needed, 1)))
        # No call takes members of two readings.
        ends = [min(start + MEMBERS_AT_ONCE, len(self.ids)) for start in range(0, len(self.ids), MEMBERS_AT_ONCE)]
        return [
            Call(start, min(size, end - start), size)
            for i, end in enumerate(ends)
            for start in range(i * MEMBERS_AT_ONCE, end, size)
        ]

    def run(self, call: Call, shared: Any, each: Any) -> Any:
        """The results of the members of a call, `(member, ...)`."""
        results = self._traced.run(tuple(shared), self._arguments(call, each))
        return jax.tree.map(lambda x: np.asarray(x)[: call.count], results)

    def _arguments(self, call: Call, each: Any) -> tuple[Floats, Any, np.ndarray, Any]:
        """Floats, variables, key and `each` of the members of a call, padded with the last of them."""
        places = call.start + np.minimum(np.arange(call.size), call.count - 1)
        ids = [self.ids[place] for place in places]
        rows = np.array([self._rows[member] for member in ids])
        reading, within = call.start // MEMBERS_AT_ONCE, places % MEMBERS_AT_ONCE
        variables = jax.tree.map(lambda x: x[within], self._read_once(reading))
        floats = jax.tree.map(lambda x: x[rows], self._floats)
        words = np.array([key_words(member) for member in ids], np.uint32)
        return floats, variables, words, jax.tree.map(lambda x: np.asarray(x)[places], tuple(each))

    @property
    def _is_double(self) -> bool:
        return self._dtype == np.float64

    def _as_wide(self, x: Any) -> Any:
        """Numbers that have a point, as wide as was asked for."""
        return np.asarray(x, self._dtype) if np.asarray(x).dtype == np.float32 else x

    def _read_once(self, reading: int) -> Any:
        with self._reading:
            return self._read(reading)

    def _variables(self, reading: int) -> Any:
        """The variables of `MEMBERS_AT_ONCE` members, from the checkpoints."""
        ids = self.ids[reading * MEMBERS_AT_ONCE : (reading + 1) * MEMBERS_AT_ONCE]
        return jax.tree.map(self._as_wide, self._trained.variables(ids, at=self._at, rule_state=self._rule_state))


def key_words(member: str) -> tuple[int, int]:
    """All digits of a member's id, as the two words of 32 bits that its key is folded from."""
    return divmod(int(member.rpartition("-")[2], 16), 2**32)


def _named(trained: Any, cohort: str) -> Cohort:
    known = {each.id: each for each in trained.zoo.cohorts}
    if cohort not in known:
        raise ValueError(f"{trained.path} has no cohort {cohort!r}; {lookup.nearest(cohort, known)}.")
    return known[cohort]
