"""Networks of some places run forward: where states end, and how near they come to every fixed point on their way."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.spatial.distance import cdist

from analysis.dynamics.packing import packed
from analysis.dynamics.states import flow_of

REACHED = 1e-3
"""Distance from a point at which it is reached."""
STEPS_AT_ONCE = (64, 64, 128, 256, 512)
"""Steps after which starts that have come to their end are taken out; the last again and again."""
ON_WAY, ELSEWHERE = -2, -1
"""Of a state: still on its way; at no fixed point when the steps ended, as on a cycle."""


class Places(NamedTuple):
    """The fixed points of one network under one input.

    Attributes:
      states: `(point, coordinate)`.
      unstable: unstable modes of each, `(point,)`.
      inputs: that it is under, `(unit,)`.
      scale: the range of the states that it visits.
    """

    states: np.ndarray
    unstable: np.ndarray
    inputs: np.ndarray
    scale: float


class Following:
    """Runs networks of some places forward.

    Args:
      run: `Assayed.map`.
      members: their ids.
      places: (place of the member, place of the input) -> the fixed points.
      steps: of time, at most.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        members: Sequence[str],
        places: dict[tuple[int, int], Places],
        steps: int,
    ):
        self.run, self.members, self.places, self.steps = run, members, places, steps
        self.width = next(iter(places.values())).states.shape[1]
        self.most = max([1, *(len(here.states) for here in places.values())])
        self.targets = self._targets()

    def ends_of(
        self, states: np.ndarray, pairs: Sequence[tuple[int, int]], left: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The point that every state reaches, or ELSEWHERE; and how near it comes to each, `(state, point)`.

        Args:
          states: `(state, coordinate)`.
          pairs: whose they are.
          left: the saddle beside which each begins, which it cannot reach.
        """
        count, states = len(states), states.copy()
        ends, nearest, done = np.full(count, ON_WAY), np.full((count, self.most), np.inf), 0
        for phase in range(self.steps):
            rows = np.flatnonzero(ends == ON_WAY)
            steps = min(STEPS_AT_ONCE[min(phase, len(STEPS_AT_ONCE) - 1)], self.steps - done)
            if not len(rows) or steps < 1:
                break
            done += steps
            self._further(rows, states, ends, nearest, pairs, steps)
        for row in np.flatnonzero(ends == ON_WAY).tolist():
            here = self.places[pairs[row]]
            far = cdist(here.states, states[row, None])[:, 0]
            if left is not None:
                far[left[row]] = np.inf
            ends[row] = int(far.argmin()) if far.min(initial=np.inf) <= REACHED * here.scale else ELSEWHERE
        return ends, nearest

    def advanced(self, states: np.ndarray, pairs: Sequence[tuple[int, int]], steps: int) -> np.ndarray:
        """States so many steps later, or where they have reached a stable point, `(state, coordinate)`."""
        count, states = len(states), states.copy()
        ends, nearest = np.full(count, ON_WAY), np.full((count, self.most), np.inf)
        self._further(np.arange(count), states, ends, nearest, pairs, steps)
        return states

    def _further(
        self,
        rows: np.ndarray,
        states: np.ndarray,
        ends: np.ndarray,
        nearest: np.ndarray,
        pairs: Sequence[tuple[int, int]],
        steps: int,
    ) -> None:
        """Some rows of these arrays so many steps later, in place."""
        whose, which = np.array([pairs[row] for row in rows]).T
        inputs = np.stack([self.places[pairs[row]].inputs for row in rows]).astype(np.float64)
        for part in packed(whose, [16, 64]):
            at = rows[part.rows]
            standing = np.where(part.real, ON_WAY, ELSEWHERE).astype(np.int32)
            now = [states[at], standing, nearest[at], inputs[part.rows], which[part.rows].astype(np.int32)]
            targets = [values[part.members] for values in self.targets]
            given = self.map(followed, part.members, [*now, *targets], [np.int32(steps)])
            for target, values in zip((states, ends, nearest), given):
                target[at[part.real]] = values[part.real]

    def map(self, function: Any, members: np.ndarray, each: Sequence[Any], shared: Sequence[Any] = ()) -> Any:
        """A function of some of the networks, in double precision."""
        ids = [self.members[m] for m in members]
        return self.run(function, shared, each, members=ids, dtype="float64")

    def _targets(self) -> list[np.ndarray]:
        """All fixed points of every network, one input after the other, as `followed` takes them."""
        width = next(iter(self.places.values())).states.shape[1]
        inputs = 1 + max(i for _, i in self.places)
        shape = (len(self.members), inputs, self.most)
        points, stable, of_input = np.zeros((*shape, width)), np.zeros(shape, bool), np.full(shape, -1, np.int32)
        radius = np.zeros(len(self.members))
        for (m, i), here in self.places.items():
            count = len(here.states)
            points[m, i, :count], stable[m, i, :count], of_input[m, i, :count] = here.states, here.unstable == 0, i
            radius[m] = REACHED * here.scale
        flat = [
            values.reshape(shape[0], inputs * self.most, *values.shape[3:]) for values in (points, stable, of_input)
        ]
        return [*flat, radius]


def followed(
    bound: Any,
    variables: Any,
    key: Any,
    steps: Any,
    states: Any,
    ends: Any,
    nearest: Any,
    inputs: Any,
    which: Any,
    points: Any,
    stable: Any,
    of_input: Any,
    radius: Any,
) -> tuple[Any, Any, Any]:
    """Up to `steps` steps further, fewer where all rows are at their end. A function for `Assayed.map`.

    Args:
      states: `(row, coordinate)`.
      ends: the stable point that each has reached, its place among those of its input, or ON_WAY, `(row,)`.
      nearest: how near each has come to every point of its input, `(row, point)`.
      inputs: that each is under, `(row, unit)`.
      which: the place of that input, `(row,)`.
      points: the fixed points under all inputs, `(target, coordinate)`, as many for each.
      stable: which of them are stable, `(target,)`.
      of_input: whose they are, `(target,)`, -1 where there is none.
      radius: distance at which one is reached.
    """
    flow, most = flow_of(bound.model, variables), nearest.shape[1]
    square = jnp.sum(points**2, axis=-1)
    own = of_input[None] == which[:, None]
    columns = which[:, None] * most + jnp.arange(most, dtype=which.dtype)[None]

    def further(carry: Any) -> Any:
        count, x, ends, nearest = carry
        moving = ends == ON_WAY
        x = jnp.where(moving[:, None], flow(x, inputs), x)
        far = jnp.sum(x**2, axis=-1)[:, None] - 2 * x @ points.T + square[None]
        far = jnp.where(own, jnp.sqrt(jnp.maximum(far, 0)), jnp.inf)
        here = jnp.take_along_axis(far, columns, axis=1)
        nearest = jnp.where(moving[:, None], jnp.minimum(nearest, here), nearest)
        to_stable = jnp.take_along_axis(jnp.where(stable[None], far, jnp.inf), columns, axis=1)
        there = moving & (to_stable.min(1) <= radius)
        return count + 1, x, jnp.where(there, to_stable.argmin(1).astype(ends.dtype), ends), nearest

    def unfinished(carry: Any) -> Any:
        return (carry[0] < steps) & (carry[2] == ON_WAY).any()

    return lax.while_loop(unfinished, further, (jnp.int32(0), states, ends, nearest))[1:]
