"""Where networks are on the probe: states that they visit, their middle and their range."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analysis.dynamics.states import visited_states


class Range(NamedTuple):
    """Where networks are on the probe, `(member, ...)`.

    Attributes:
      starts: states drawn from those visited, `(member, start, coordinate)`.
      centre: their mean over all visited, `(member, coordinate)`.
      scale: root mean square distance from it, `(member,)`.
      farthest: the largest distance from it, `(member,)`.
    """

    starts: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    farthest: np.ndarray

    def of(self, member: int) -> "Range":
        """Those of one network."""
        return Range(*(part[member] for part in self))


def visited(bound: Any, variables: Any, key: Any, inputs: Any, weights: Any, starts: int) -> tuple[Any, ...]:
    """The parts of `Range` of the states that a network visits on the probe; a function for `Assayed.map`.

    Args:
      inputs: `(stimulus, time, unit)`.
      weights: 1 where a time step counts, `(stimulus, time)`.
      starts: how many states.
    """
    states = visited_states(bound.model, variables, inputs)
    rows = states.reshape(-1, states.shape[-1])
    share = weights.T.reshape(-1) / weights.sum()
    centre = share @ rows
    away = ((rows - centre[None]) ** 2).sum(-1)
    picked = jax.random.choice(key, len(rows), (starts,), p=share)
    return rows[picked], centre, jnp.sqrt(share @ away), jnp.sqrt(jnp.where(share > 0, away, 0).max())


@functools.cache
def visiting(starts: int) -> Any:
    """`visited` of so many starts: the same function each time, traced once."""
    return functools.partial(visited, starts=starts)
