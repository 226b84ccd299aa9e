"""Roots made exact, and certified: Newton's method in double precision, and the spectrum of the flow at each.

That a network is slow at a place does not make it a fixed point: a *ghost*, left by two points that have met and
vanished, is as slow as one likes. At a fixed point Newton's step is as short as the speed is small; at a ghost it leads
away. So a point counts by both.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from analysis.dynamics.states import Flow, jacobian_of

NEWTON_STEPS = 30
"""At most; from a place that descent has found, four or five do."""

MARGIN = 1e-6
"""An eigenvalue whose modulus is as near to 1 neither grows nor decays."""

KINK_WIDTH = 1e-8
"""Distance at which Jacobians on two sides of a place are compared, of its largest coordinate, or of 1."""
KINK = 1e-5
"""Part of the largest entry by which they may differ: by some 1e-8 where the flow is smooth, or bends as the square of
ReLU does; on a kink by what the slope changes by."""


class Roots(NamedTuple):
    """Places after Newton's method, of one network.

    Attributes:
      states: `(place, coordinate)`.
      speeds: |F(x) - x|, `(place,)`.
      steps: the length of the Newton step that would be next, `(place,)`; infinite where J - I is singular.
      indices: the sign of det(I - J), `(place,)`.
    """

    states: jax.Array
    speeds: jax.Array
    steps: jax.Array
    indices: jax.Array


SIDES = 2
"""Directions along which the spectra of both sides of a kink are compared."""
LIKE = 1e-3
"""By which the moduli of eigenvalues may differ that count as one: those of nearly equal ones are not well told."""


class Spectra(NamedTuple):
    """The flow's Jacobian at places.

    Attributes:
      eigenvalues: by falling modulus, `(place, coordinate)`, complex.
      kinked: whether the flow has a kink there, and so no Jacobian: what it is taken for is that of one of the sides,
        `(place,)`.
    """

    eigenvalues: jax.Array
    kinked: jax.Array


def polished(flow: Flow, states: jax.Array, inputs: jax.Array) -> Roots:
    """Newton's method from places near roots; a step that does not make the speed smaller is not taken, and is the
    last.

    Args:
      flow: one time step, or several.
      states: `(place, coordinate)`, float64.
      inputs: that each is under, `(place, unit)`.
    """
    jacobian = jacobian_of(flow)
    identity = jnp.eye(states.shape[-1], dtype=states.dtype)

    def factors(x: jax.Array) -> Any:
        return jax.vmap(jax.scipy.linalg.lu_factor)(jacobian(x, inputs) - identity[None])

    def step(x: jax.Array, lu: Any) -> jax.Array:
        to_root = jax.vmap(jax.scipy.linalg.lu_solve)(lu, x - flow(x, inputs))
        return jnp.where(jnp.isfinite(to_root), to_root, jnp.inf)

    def further(carry: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        count, x, speeds, moving = carry
        there = x + step(x, factors(x))
        new = jnp.linalg.norm(flow(there, inputs) - there, axis=-1)
        moving = moving & (new < speeds)  # false of what is not finite
        return count + 1, jnp.where(moving[:, None], there, x), jnp.where(moving, new, speeds), moving

    def unfinished(carry: tuple[Any, Any, Any, Any]) -> Any:
        return (carry[0] < NEWTON_STEPS) & carry[3].any()

    speeds = jnp.linalg.norm(flow(states, inputs) - states, axis=-1)
    begin = jnp.int32(0), states, speeds, jnp.isfinite(speeds)
    _, states, speeds, _ = lax.while_loop(unfinished, further, begin)
    # One factorisation for both: of two that do not wait for each other a CPU's threads may begin both, and end none
    # (see `zoo.devices.compilation.SOLVERS`).
    lu, pivots = factors(states)
    swaps = (pivots != jnp.arange(states.shape[-1], dtype=pivots.dtype)[None]).sum(-1)
    signs = jnp.sign(jnp.diagonal(lu, axis1=1, axis2=2)).prod(-1)
    indices = signs * (-1.0) ** (swaps + states.shape[-1])
    return Roots(states, speeds, jnp.linalg.norm(step(states, (lu, pivots)), axis=-1), indices)


def spectra(flow: Flow, states: jax.Array, inputs: jax.Array) -> Spectra:
    """The eigenvalues of the flow's Jacobian at places, and where it has none.

    A network with ReLU and no bias has a fixed point at 0, where each unit is on its kink: the Jacobian in which all
    are silent has eigenvalues of 0, although what is beside the point may grow.
    """
    jacobian = jacobian_of(flow)
    here, ahead, behind = (jacobian(x, inputs) for x in (states, *_beside(states, 0)))
    kinked = jnp.abs(ahead - behind).max((-2, -1)) > KINK * jnp.maximum(1.0, jnp.abs(here).max((-2, -1)))
    return Spectra(_falling(jnp.linalg.eigvals(here)), kinked)


def side_spectra(flow: Flow, states: jax.Array, inputs: jax.Array) -> jax.Array:
    """The eigenvalues of the flow's Jacobians beside places on a kink, `(place, side, coordinate)`, by falling
    modulus."""
    sides = [jacobian_of(flow)(x, inputs) for way in range(SIDES) for x in _beside(states, way)]
    return _falling(jnp.linalg.eigvals(jnp.stack(sides, axis=1)))


def matters(eigenvalues: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Whether the spectrum is another on some side of a kink, `(place,)`. It is not where nothing acts back on what has
    the kink: of a unit of an LSTM with ReLU whose candidate is silent the cell is 0, on the kink of its output, and
    decays whatever that is.

    Args:
      eigenvalues: at the places, `(place, coordinate)`.
      sides: beside them, `(place, side, coordinate)`.
    """
    here, beside = np.abs(eigenvalues)[:, None], np.abs(sides)
    unlike = (np.abs(beside - here) > LIKE * np.maximum(here[..., :1], 1)).any((1, 2))
    return unlike | ((beside > 1 + MARGIN).sum(-1) != (here > 1 + MARGIN).sum(-1)).any(1)


def _beside(states: jax.Array, way: int) -> tuple[jax.Array, jax.Array]:
    """Places to both sides of others, in a direction of that number."""
    draw = jax.random.normal(jax.random.key(way, impl="threefry2x32"), states.shape[-1:], states.dtype)
    size = jnp.maximum(1.0, jnp.abs(states).max(-1))
    step = size[:, None] * (KINK_WIDTH / jnp.linalg.norm(draw) * draw)[None]
    return states + step, states - step


def _falling(eigenvalues: jax.Array) -> jax.Array:
    """By falling modulus."""
    return jnp.take_along_axis(eigenvalues, jnp.argsort(-jnp.abs(eigenvalues), axis=-1), axis=-1)


def indices(eigenvalues: np.ndarray) -> np.ndarray:
    """The sign of det(I - J) from J's eigenvalues, `(point, mode)` -> `(point,)`: each real one above 1 turns it; a
    conjugate pair does not, nor does one below -1."""
    above = (np.imag(eigenvalues) == 0) & (np.real(eigenvalues) > 1)
    return 1 - 2 * (above.sum(1) % 2)
