"""Lyapunov exponents: how fast neighbouring trajectories part, direction by direction.

With J_t the Jacobian of the time step at x_t and Q_0 orthonormal, J_t Q_{t-1} = Q_t R_t (QR decomposition), and

    lambda_k = 1/T sum_t log |R_t[k, k]|,

the k-th largest exponent per time step (Benettin et al. 1980, Meccanica 15:9; Vogt et al. 2022, Frontiers in Applied
Mathematics and Statistics 8:818799, of recurrent networks). Along a finite trajectory they are finite-time exponents.
The Kaplan-Yorke dimension (1979) is that of the attractor, k the most leading exponents whose sum is not negative:

    D = k + (lambda_1 + ... + lambda_k) / |lambda_{k+1}|.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from analysis.dynamics.states import Flow

__all__ = ["exponents", "kaplan_yorke"]

LEAST_GROWTH = 1e-30
"""A direction that shrinks more in one step has no size left that could be told from 0: its exponent is -inf."""
NEARLY_NEUTRAL = 1e-5
"""Per time step, by which the exponents of single precision may fall short of 0."""


def exponents(flow: Flow, states: jax.Array, inputs: jax.Array, count: int, settle: int = 0) -> jax.Array:
    """The largest exponents, per time step.

    Args:
      flow: one time step.
      states: where trajectories begin, `(row, coordinate)`.
      inputs: that they are under, `(time, row, unit)`.
      count: of exponents, at most as many as coordinates.
      settle: first steps that do not count: states come to their attractor in them, and directions to theirs.

    Returns:
      `(row, count)`, by falling size; -inf of directions that vanish, as where all ReLU units are silent; NaN where a
      trajectory overflows.
    """
    rows, width = states.shape
    first = jax.random.normal(jax.random.key(0, impl="threefry2x32"), (width, count), states.dtype)
    q = jnp.broadcast_to(jnp.linalg.qr(first)[0][None], (rows, width, count))

    def pushed(x: jax.Array, u: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(direction: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.jvp(lambda x: flow(x[None], u[None])[0], (x,), (direction,))

        ahead, along = jax.vmap(one, in_axes=1, out_axes=(None, 1))(q)
        return ahead, along

    def step(carry: tuple[jax.Array, jax.Array, jax.Array], now: tuple[jax.Array, jax.Array]) -> Any:
        x, q, total = carry
        u, counts = now
        x, along = jax.vmap(pushed)(x, u, q)
        q, r = jnp.linalg.qr(along)
        size = jnp.abs(jnp.diagonal(r, axis1=1, axis2=2))
        growth = jnp.where(size > LEAST_GROWTH, jnp.log(size), -jnp.inf)
        growth = jnp.where(jnp.isfinite(size), growth, jnp.nan)
        return (x, q, total + jnp.where(counts > 0, growth, 0)), None

    steps = inputs.shape[0]
    counts = (jnp.arange(steps) >= settle).astype(states.dtype)
    begin = states, q, jnp.zeros((rows, count), states.dtype)
    total = lax.scan(step, begin, (inputs, counts))[0][2]
    return -jnp.sort(-total / jnp.maximum(counts.sum(), 1), axis=-1)


def kaplan_yorke(spectrum: np.ndarray, width: int) -> np.ndarray:
    """The Kaplan-Yorke dimension from the largest exponents, `(..., exponent)` -> `(...)`.

    Args:
      spectrum: by falling size.
      width: coordinates of the state.

    Returns:
      0 where all exponents are negative; NaN where the sum of those that there are is not negative and others are
      missing, and where one is NaN.
    """
    sums = np.cumsum(spectrum, -1)
    count = (sums >= -NEARLY_NEUTRAL * np.arange(1, spectrum.shape[-1] + 1)).sum(-1)
    whole = count == spectrum.shape[-1]
    following = np.minimum(count, spectrum.shape[-1] - 1)
    before = np.take_along_axis(sums, np.maximum(count - 1, 0)[..., None], -1)[..., 0]
    before = np.maximum(np.where(count > 0, before, 0), 0)
    size = np.abs(np.take_along_axis(spectrum, following[..., None], -1)[..., 0])
    dimension = count + np.divide(before, size, out=np.zeros_like(before), where=size > 0)
    dimension = np.where(whole, width if spectrum.shape[-1] >= width else np.nan, dimension)
    return np.where(np.isnan(spectrum).any(-1), np.nan, dimension)
