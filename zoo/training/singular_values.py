"""The nuclear norm, with a gradient that is made of products alone."""

import math

import jax
import jax.numpy as jnp


def nuclear_norm(weight: jax.Array) -> jax.Array:
    """The sum of the singular values of `(..., n, n)`, `(...,)`; its gradient is the polar factor.

    A gradient through a singular value decomposition would divide by differences of singular values, and the
    decomposition is slow inside a program. Small singular values: see `polar_factor`.
    """
    return jnp.sum(weight * jax.lax.stop_gradient(polar_factor(weight)), axis=(-2, -1))


def polar_factor(weight: jax.Array) -> jax.Array:
    """U V' of `(..., n, n)` with the singular value decomposition U S V', by products alone.

    The scaled Newton-Schulz iteration (Chen & Chow 2014, "A stable scaling of Newton-Schulz for improving the sign
    function computation of a Hermitian matrix", Argonne preprint ANL/MCS-P5059-0114): with all singular values of X
    between l and 1,

        X <- r X (3 I - r^2 X'X) / 2,    r^2 = 3 / (1 + l + l^2),    l <- r l (3 - r^2 l^2) / 2.

    It starts from X = W / |W| and l = `LEAST_SINGULAR`. A singular value below l |W| becomes less than 1, in proportion
    to it: there the gradient of the nuclear norm goes through 0 continuously instead of jumping.
    """
    size = jnp.sqrt(jnp.sum(weight * weight, axis=(-2, -1), keepdims=True))
    x = weight / jnp.maximum(size, jnp.finfo(weight.dtype).tiny)
    for factor in _SCALINGS:
        # As exact as numbers are on every device: rounding grows with each product.
        gram = jnp.matmul(jnp.swapaxes(x, -1, -2), x, precision="highest")
        x = 1.5 * factor * x - 0.5 * factor**3 * jnp.matmul(x, gram, precision="highest")
    return x


LEAST_SINGULAR = 1e-3
"""Singular values from here on, in units of |W|, count whole."""


def _scalings() -> tuple[float, ...]:
    """r of every iteration, until singular values from `LEAST_SINGULAR` on are 1 to float32."""
    least, factors = LEAST_SINGULAR, []
    while least < 1 - 1e-7:
        factors.append(math.sqrt(3 / (1 + least + least**2)))
        least = factors[-1] * least * (3 - (factors[-1] * least) ** 2) / 2
    return tuple(factors)


_SCALINGS = _scalings()
