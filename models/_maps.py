"""Feature maps inside convolutional networks: `(channel, height, width, trial)`, trials last.

Every operation then runs along trials: the slices of a convolution, pooling and normalisation copy and combine long
runs, and the product with the columns is one wide matrix product. On CPU this is 1.2 to 2.3 times faster than channels
last (benchmarks/README.md); on accelerators XLA chooses the layout in memory itself.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from models._products import backward_of, product

POOLINGS = ("max", "mean")


def to_maps(inputs: jax.Array) -> jax.Array:
    """`(trial, height, width, channel)` to `(channel, height, width, trial)`."""
    if inputs.ndim != 4:
        raise ValueError(f"inputs have shape {inputs.shape}, but need (trial, height, width, channel).")
    return inputs.transpose(3, 1, 2, 0)


def of_maps(maps: jax.Array) -> jax.Array:
    """`(channel, height, width, trial)` to `(trial, height, width, channel)`."""
    return maps.transpose(3, 1, 2, 0)


def convolve(maps: jax.Array, weight: jax.Array, form: str, stride: int = 1) -> jax.Array:
    """Convolution of maps with weight (k, k, in, out), zero padding of (k - 1) / 2, the larger half after the map.

    Forms of one sum: "native" calls XLA's convolution, which is slow inside loops on CPU and becomes a grouped
    convolution under vmap; "columns" lays the k x k shifted maps below each other, (k k in, height width trial), and
    multiplies once. The shifts are copied in two steps, along the width and then along the height: 2 k copies, not k^2.
    """
    kernel, _, channels, filters = weight.shape
    before = (kernel - 1) // 2
    pad = (before, kernel - 1 - before)
    if form == "native":
        dtype = jnp.result_type(maps, weight)
        maps, weight = maps.astype(dtype), weight.astype(dtype)
        return lax.conv_general_dilated(
            maps, weight, (stride, stride), (pad, pad), dimension_numbers=("CHWN", "HWIO", "CHWN")
        )
    _, height, width, trials = maps.shape
    height, width = -(-height // stride), -(-width // stride)
    if kernel == 1:
        columns = maps[:, ::stride, ::stride]
    else:
        padded = jnp.pad(maps, ((0, 0), pad, pad, (0, 0)))
        reach = stride * (width - 1) + 1
        wide = jnp.concatenate([padded[:, :, j : j + reach : stride] for j in range(kernel)])
        reach = stride * (height - 1) + 1
        columns = jnp.concatenate([wide[:, i : i + reach : stride] for i in range(kernel)])
    columns = columns.reshape(kernel * kernel * channels, height * width * trials)
    return (weight.reshape(-1, filters).T @ columns).reshape(filters, height, width, trials)


def pool(maps: jax.Array, size: int, kind: str = "max") -> jax.Array:
    """Maximum or mean over size x size windows; positions that do not fill a window are cropped."""
    if size == 1:
        return maps
    if kind == "max":
        return _max_pool(maps, size)
    views = _views(maps, size)
    return sum(views[1:], start=views[0]) / size**2


def _views(maps: jax.Array, size: int) -> list[jax.Array]:
    """The size x size places of all windows."""
    windows = _windows(maps, size)
    return [windows[:, :, i, :, j] for i in range(size) for j in range(size)]


def _windows(maps: jax.Array, size: int) -> jax.Array:
    """`(channel, row of windows, row in it, column of windows, column in it, trial)`."""
    channels, height, width, trials = maps.shape
    height, width = height // size, width // size
    return maps[:, : height * size, : width * size].reshape(channels, height, size, width, size, trials)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_pool(maps: jax.Array, size: int) -> jax.Array:
    """Maxima of views: `lax.reduce_window` has a gradient 12 times slower on CPU. Equal maxima share the gradient."""
    return reduce(jnp.maximum, _views(maps, size))


@_max_pool.defjvp
def _max_pool_tangent(size: int, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (maps,), (tangent,) = primals, tangents
    largest = _max_pool(maps, size)
    is_largest = _windows(maps, size) == largest[:, :, None, :, None]
    count = sum((view == largest).astype(tangent.dtype) for view in _views(maps, size))
    return largest, jnp.where(is_largest, _windows(tangent, size), 0).sum((2, 4)) / count


class Convolution(nn.Module):
    """`convolve` with its parameters: kernel (k, k, in, out) and, unless it is left out, bias (out,)."""

    filters: int
    size: int
    form: str
    kernel_init: Callable[..., jax.Array]
    stride: int = 1
    bias: bool = True

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, maps.shape[0], self.filters))
        times = partial(convolve, form=self.form, stride=self.stride)
        maps = product(maps, kernel, backward_of(self, "kernel"), times)
        if not self.bias:
            return maps
        return maps + _per_channel(self.param("bias", nn.initializers.zeros_init(), (self.filters,)))


def normalization(
    kind: str,
    train: bool,
    name: str,
    semisaturation: Any = 1.0,
    first_scale: float = 1.0,
) -> Callable[[jax.Array], jax.Array]:
    """The module of a normalisation of maps, whose scale starts at `first_scale`; see `models.cnn` for the kinds."""
    if kind == "none":
        return lambda maps: maps
    if kind == "divisive":
        return Divisive(semisaturation, name=name)
    scale = nn.initializers.constant(first_scale)
    shared: dict[str, Any] = dict(epsilon=1e-5, use_fast_variance=False, scale_init=scale, name=name)
    if kind == "layer":
        return nn.LayerNorm(reduction_axes=(0, 1, 2), feature_axes=0, **shared)
    return nn.BatchNorm(not train, axis=0, momentum=0.9, **shared)


class Divisive(nn.Module):
    """Divisive normalisation across channels: gamma_c I_c / (sum_j I_j + sigma), I the rectified input.

    sigma is the input at which a unit alone reaches half of its largest response.
    """

    semisaturation: Any

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        drive = jax.nn.relu(maps)
        scale = self.param("scale", nn.initializers.constant(len(maps)), (len(maps),))
        return _per_channel(scale) * drive / (drive.sum(0, keepdims=True) + self.semisaturation)


class DenseOfMaps(nn.Module):
    """A dense layer on whole maps, flattened channel first: kernel (channel height width, out) and bias (out,).

    Its outputs are `(trial, unit)`. The maps are not transposed first: that would cost a fifth of a training step.
    """

    units: int
    kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        flat = maps.reshape(-1, maps.shape[-1])
        kernel = self.param("kernel", self.kernel_init, (len(flat), self.units))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.units,))
        return product(flat, kernel, backward_of(self, "kernel"), _of_columns) + bias[None]


def _of_columns(flat: jax.Array, kernel: jax.Array) -> jax.Array:
    return (kernel.T @ flat).T


def _per_channel(values: jax.Array) -> jax.Array:
    return values[:, None, None, None]
