"""Kernels of CKA beyond the inner product, and what they need to know of all rows of a representation."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import HIGHEST

KERNELS = ("linear", "rbf", "polynomial")


def kernel(x: jax.Array, y: jax.Array, scale: jax.Array, name: str, degree: int, axes: str) -> jax.Array:
    """Kernel values of rows, `x` and `y` `(member, stimulus, time, unit)`; `axes` are an inner product's for einsum."""
    products = jnp.einsum(axes, x, y, precision=HIGHEST)
    if name == "linear":
        return products
    scale = scale.reshape(-1, *[1] * (products.ndim - 1))
    if name == "polynomial":
        return (1 + products / scale) ** degree
    ends = axes.split("->")[1]
    lengths = [jnp.einsum("nitp,nitp->nit", rows, rows, precision=HIGHEST) for rows in (x, y)]
    for which, length in zip(axes.split("->")[0].split(","), lengths):
        length = jnp.expand_dims(length, [i for i, axis in enumerate(ends) if axis not in which])
        products = products - length / 2
    return jnp.exp(jnp.minimum(products, 0) / scale)


def bandwidth(x: jax.Array, name: str, factor: float) -> jax.Array:
    """What the kernel divides by, `(member,)`: sigma^2 of "rbf", the mean squared length of a row of "polynomial".

    The median is over pairs of rows of different stimuli, one member at a time: no member's distances are kept.
    """
    if name != "rbf":
        length = jnp.einsum("nitp,nitp->n", x, x, precision=HIGHEST) / (x.shape[1] * x.shape[2])
        return jnp.where(length > 0, length, 1)
    upper = np.triu_indices(x.shape[1], 1)
    medians = []
    for member in range(len(x)):
        squared = np.maximum(np.asarray(_squared_distances(x, member)).swapaxes(1, 2)[upper], 0)
        medians.append(np.median(np.sqrt(squared)) ** 2)
    squares = np.array(medians, x.dtype) * factor**2
    return jnp.asarray(np.where(squares > 0, squares, 1).astype(x.dtype))


@jax.jit
def _squared_distances(x: jax.Array, member: Any) -> jax.Array:
    x = x[member]
    length = jnp.einsum("itp,itp->it", x, x, precision=HIGHEST)
    products = jnp.einsum("itp,jup->itju", x, x, precision=HIGHEST)
    return length[:, :, None, None] + length[None, None] - 2 * products


@partial(jax.jit, static_argnums=(2, 3))
def row_sums(x: jax.Array, scale: jax.Array, name: str, degree: int) -> jax.Array:
    """Sums of every row's kernel values over all stimuli, for each pair of times: `(member, stimulus, time, time)`.

    Row by row: what is held of a map is one stimulus against all.
    """

    def of_member(member: Any) -> jax.Array:
        x, scale = member

        def of_stimulus(row: jax.Array) -> jax.Array:
            values = kernel(row[None, None], x[None], scale[None], name, degree, "nitp,njup->nitju")
            return values.sum(3)[0, 0]

        return jax.lax.map(of_stimulus, x)

    return jax.lax.map(of_member, (x, scale))
