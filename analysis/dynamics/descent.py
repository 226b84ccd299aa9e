"""Roots of a flow's speed from many starts at once, each with its own damping and its own end.

With f(x) = F(x) - x, J its Jacobian, and the damping l of each start,

    step = -(J^T J + l t I)^(-1) J^T f,      t the mean of J^T J's diagonal:

Newton's step at l = 0, a short step downhill of |f|^2 where l is large (Levenberg 1944; Marquardt 1963). A step that
makes |f| smaller is taken and l divided by `EASE`; another is not, and l multiplied by `TIGHTEN`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from analysis.dynamics.states import Flow, jacobian_of

MOVING, ARRIVED, STUCK, ESCAPED = 0, 1, 2, 3
"""How a start stands: still moving; at a speed of 0; where no step leads to a slower place; beyond the range."""

FIRST_DAMPING, EASE, TIGHTEN = 1e-2, 8.0, 4.0
MOST_DAMPING = 1e8
"""From which on a start is stuck: its steps are too short to move it."""


class Descent(NamedTuple):
    """Starts on their way, of one network.

    Attributes:
      states: `(start, coordinate)`.
      speeds: |F(x) - x|, `(start,)`; computed anew where descent goes on.
      damping: of their next steps, `(start,)`.
      status: MOVING, ARRIVED, STUCK or ESCAPED, `(start,)`.
    """

    states: Any
    speeds: Any
    damping: Any
    status: Any


def descended(
    flow: Flow, descent: Descent, inputs: jax.Array, centre: jax.Array, radius: Any, arrived: Any, steps: Any
) -> Descent:
    """Up to `steps` steps further; fewer where all starts have come to their end before.

    Args:
      flow: one time step, or several.
      descent: the starts.
      inputs: that each is under, `(start, unit)`.
      centre: of the states that the network visits, `(coordinate,)`.
      radius: distance from it beyond which a start has escaped.
      arrived: speed at which it has arrived.
      steps: at most.
    """
    jacobian = jacobian_of(flow)
    identity = jnp.eye(descent.states.shape[-1], dtype=descent.states.dtype)

    def further(carry: tuple[Any, Descent]) -> tuple[Any, Descent]:
        count, now = carry
        f = flow(now.states, inputs) - now.states
        j = jacobian(now.states, inputs) - identity[None]
        normal = jnp.einsum("sij,sik->sjk", j, j)
        downhill = jnp.einsum("sij,si->sj", j, f)
        scale = jnp.trace(normal, axis1=1, axis2=2) / len(identity)
        damped = normal + (now.damping * scale)[:, None, None] * identity[None]
        factor = jax.scipy.linalg.cho_factor(damped)
        states = now.states - jax.scipy.linalg.cho_solve(factor, downhill[..., None])[..., 0]
        speeds = jnp.linalg.norm(flow(states, inputs) - states, axis=-1)
        better = (speeds < now.speeds) & (now.status == MOVING)  # false of what is not finite
        states = jnp.where(better[:, None], states, now.states)
        speeds = jnp.where(better, speeds, now.speeds)
        damping = jnp.where(better, now.damping / EASE, now.damping * TIGHTEN)
        escaped = jnp.linalg.norm(states - centre[None], axis=-1) > radius
        status = jnp.where(damping > MOST_DAMPING, STUCK, MOVING)
        status = jnp.where(escaped, ESCAPED, jnp.where(speeds <= arrived, ARRIVED, status))
        status = jnp.where(now.status == MOVING, status, now.status)
        return count + 1, Descent(states, speeds, damping, status)

    def unfinished(carry: tuple[Any, Descent]) -> Any:
        return (carry[0] < steps) & (carry[1].status == MOVING).any()

    speeds = jnp.linalg.norm(flow(descent.states, inputs) - descent.states, axis=-1)
    return lax.while_loop(unfinished, further, (jnp.int32(0), descent._replace(speeds=speeds)))[1]
