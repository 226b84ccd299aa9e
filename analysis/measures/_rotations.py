"""Rotations that bring one vector field nearest to another: many pairs at once, by matrix products only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import HIGHEST

LONGEST = 0.7  # of a step, in radians: to this, four steps of Newton-Schulz make a rotation of 1 + step
FURTHER = 3  # times as many steps for the best start as for each: where A is nearly normal the slope is flat
SLACK = 1e-3  # by which a step may first lower the inner product; spectral steps gain by not being monotone


def matmul(a: Any, b: Any) -> Any:
    """Products of stacked matrices, at full precision."""
    return jnp.matmul(a, b, precision=HIGHEST)


def turned(a: Any) -> Any:
    """Stacked matrices, transposed."""
    return jnp.swapaxes(a, -1, -2)


def inner(a: Any, b: Any) -> Any:
    """Frobenius inner products of stacked matrices."""
    return (a * b).sum((-2, -1))


def orthogonal(c: Any, steps: int = 4) -> Any:
    """The orthogonal matrices nearest to `c`, which are nearly so, by Newton-Schulz."""
    for _ in range(steps):
        c = 1.5 * c - 0.5 * matmul(c, matmul(turned(c), c))
    return c


def starts(rank: int, pairs: int) -> np.ndarray:
    """The identity and as many pairs of a random orthogonal matrix and its transpose, always the same ones.

    A set that holds every matrix's transpose treats a and b alike.
    """
    draws = np.random.default_rng(0).standard_normal((pairs, rank, rank))
    q, r = np.linalg.qr(draws)
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    return np.concatenate([np.eye(rank)[None], np.stack([q, q.swapaxes(1, 2)], 1).reshape(-1, rank, rank)])


def nearest_image(a: Any, b: Any, pairs: int, steps: int) -> Any:
    """`C b C'` nearest to `a`, over orthogonal C, for all pairs: `(a, b, rank, rank)`.

    `<a, C b C'>` is raised from each start of `starts` by gradient steps on the orthogonal group, with the step sizes
    of Barzilai & Borwein (1988; on the group: Wen & Yin 2013), and the best start goes on. That need not lead to the
    largest value of all: what is returned is orthogonally similar to b, and no nearer than the nearest.

    Args:
      a: `(a, rank, rank)`, of norm 1.
      b: `(b, rank, rank)`, of norm 1.
      pairs: see `starts`.
      steps: gradient steps from each start.
    """
    rank = a.shape[-1]
    from_ = jnp.asarray(starts(rank, pairs), a.dtype)
    left, right = a[:, None, None], b[None, :, None]
    tiny = jnp.finfo(a.dtype).tiny ** 0.5

    def at(c: Any) -> Any:
        """The inner product, and its gradient as a skew matrix W: C moves to exp(W) C."""
        image = matmul(matmul(c, right), turned(c))
        slope = matmul(left, turned(image)) - matmul(turned(image), left)
        return inner(left, image), (slope - turned(slope)) / 2

    def step(k: Any, carry: Any) -> Any:
        c, value, slope, length = carry
        square = inner(slope, slope)
        length = jnp.minimum(length, LONGEST * jax.lax.rsqrt(square + tiny))
        moved = orthogonal(c + length[..., None, None] * matmul(slope, c))
        reached, new = at(moved)
        good = reached >= value - SLACK * 0.97**k
        change = new - slope
        along, across = length * jnp.abs(inner(slope, change)), inner(change, change)
        longer = length**2 * square / jnp.maximum(along, tiny)
        shorter = along / jnp.maximum(across, tiny)
        length = jnp.where(good, jnp.clip(jnp.where(k % 2 == 0, longer, shorter), 1e-3, 1e2), length / 4)
        keep = good[..., None, None]
        return jnp.where(keep, moved, c), jnp.where(good, reached, value), jnp.where(keep, new, slope), length

    def climbed(c: Any, steps: int) -> Any:
        """After so many steps, orthogonal to rounding, and the inner product there."""
        value, slope = at(c)
        c, *_ = jax.lax.fori_loop(0, steps, step, (c, value, slope, jnp.ones_like(value)))
        c = orthogonal(c)
        return c, at(c)[0]

    c, value = climbed(jnp.broadcast_to(from_, (len(a), len(b), *from_.shape)), steps)
    best = jnp.argmax(value, 2)[..., None, None, None]
    c, _ = climbed(jnp.take_along_axis(c, best, 2), FURTHER * steps)
    return matmul(matmul(c, right), turned(c))[:, :, 0]
