"""Convolutional network: blocks of convolution, normalisation, f and max pooling, then dense layers, linear readout.

    conv_l: c = conv(r_{l-1}, W_l) + b_l, SAME padding, stride 1;  r_l = f(norm(c));  then r_l is max-pooled
    dense_l: r_l = f(r_{l-1} W_l + b_l);  y = r_L W_out + b_out

normalization (over what mean and variance are taken; both have a learned scale and bias, epsilon inside the root):

- "layer": all units of a trial's map (Ba et al. 2016), scale and bias per channel;
- "batch": trials and positions, per channel (Ioffe & Szegedy 2015): the batch's in training, running means with
  momentum .9 in evaluation (`batch_stats`; the running variance is the biased one).

Pooling by p keeps floor(size / p) positions: what does not fill a window is cropped (torch's and "VALID" pooling).
Dropout, in training only, acts after f of the dense layers.
"""

from collections.abc import Callable
from functools import reduce
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from models import given, off, on, setting
from models._layers import ACTIVATIONS, activation, dropout, feedforward_init


def convolve(x: jax.Array, weight: jax.Array, form: str) -> jax.Array:
    """Convolution with SAME padding: x (trial, height, width, in), weight (k, k, in, out).

    Two forms of one sum, because XLA's native convolution is slow inside scans on CPU, and becomes a grouped
    convolution under vmap: form = "native" calls it, form = "columns" lays the k x k shifted maps side by side as
    columns, (trial, height, width, k k in), and multiplies once.
    """
    kernel, _, channels, filters = weight.shape
    if form == "native":
        dtype = jnp.result_type(x, weight)
        x, weight = x.astype(dtype), weight.astype(dtype)
        return lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    before = (kernel - 1) // 2
    pad = (before, kernel - 1 - before)
    padded = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))
    height, width = x.shape[1:3]
    shifted = [padded[:, i : i + height, j : j + width] for i in range(kernel) for j in range(kernel)]
    # A matrix, not (trial, height, width, column): the weight's gradient is 2 times faster on CPU.
    columns = jnp.concatenate(shifted, axis=-1).reshape(-1, kernel * kernel * channels)
    return (columns @ weight.reshape(-1, filters)).reshape(*x.shape[:3], filters)


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """Maximum over size x size windows of (trial, height, width, channel); equal maxima share the gradient.

    Written as maxima of views: on CPU its gradient is 12 times faster than that of `lax.reduce_window`.
    """
    trials, height, width, channels = x.shape
    height, width = height // size, width // size
    x = x[:, : height * size, : width * size].reshape(trials, height, size, width, size, channels)
    return reduce(jnp.maximum, (x[:, :, i, :, j] for i in range(size) for j in range(size)))


class Model(nn.Module):
    """See the module's text.

    Attributes:
      channels: feature maps of each convolution block.
      kernel: width and height of the kernels.
      pool: width and height of the pooling windows; 1 pools nothing.
      dense: units of each dense layer.
      activation: f.
      normalization: "none", "layer" or "batch", of the convolutions.
      gain: factor on the initial weights of convolutions and dense layers (LeCun or He scaling at 1).
      dropout: probability that a dense unit is set to 0.
      outputs: readout units.
      conv_form: "columns" or "native", see `convolve`; the parameters are the same.
    """

    channels: tuple[int, ...] = setting((16, 32), above=0)
    kernel: int = setting(3, above=0)
    pool: int = setting(2, above=0)
    dense: tuple[int, ...] = setting((64,), above=0)
    activation: str = setting("relu", choices=tuple(ACTIVATIONS))
    normalization: str = setting("none", choices=("none", "layer", "batch"))
    gain: float = setting(1.0, least=0.0)
    dropout: float = off(0.0, below=1.0)
    outputs: int = given(1)
    conv_form: str = given("columns")

    family: ClassVar[str] = "convolutional"

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, unit), and representations, of inputs (trial, height, width, channel).

        The representations are "conv1": (trial, height, width, channel), ..., after f and before pooling, and
        "dense1": (trial, unit), ...
        """
        if inputs.ndim != 4:
            raise ValueError(f"inputs have shape {inputs.shape}, but need (trial, height, width, channel).")
        f, init = activation(self.activation), feedforward_init(self.activation, self.gain)
        x, representations = inputs, {}
        for layer, filters in enumerate(self.channels, start=1):
            self._check(layer, x.shape)
            x = Convolution(filters, self.kernel, self.conv_form, init, name=f"conv{layer}")(x)
            x = f(self._normalize(x, layer, train))
            representations[f"conv{layer}"] = x
            x = max_pool(x, self.pool)
        x = x.reshape(x.shape[0], -1)
        for layer, units in enumerate(self.dense, start=1):
            x = f(nn.Dense(units, kernel_init=init, name=f"dense{layer}")(x))
            representations[f"dense{layer}"] = x
            if train and on(self.dropout):
                x = dropout(x, self.dropout, self.make_rng("noise"))
        return nn.Dense(self.outputs, name="readout")(x), representations

    def _normalize(self, x: jax.Array, layer: int, train: bool) -> jax.Array:
        name = f"norm{layer}"
        if self.normalization == "layer":
            axes = (1, 2, 3)
            norm = nn.LayerNorm(1e-5, reduction_axes=axes, feature_axes=-1, use_fast_variance=False, name=name)
            return norm(x)
        if self.normalization == "batch":
            return nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, use_fast_variance=False, name=name)(x)
        return x

    def _check(self, layer: int, shape: tuple[int, ...]) -> None:
        height, width = shape[1:3]
        if self.kernel > min(height, width):
            raise ValueError(f"kernel is {self.kernel}, but the map of conv{layer} is only {height} x {width}.")
        if self.pool > min(height, width):
            raise ValueError(f"pool is {self.pool}, which leaves nothing of conv{layer}'s {height} x {width} map.")


class Convolution(nn.Module):
    """`convolve` with its parameters: kernel (k, k, in, out) and bias (out,)."""

    filters: int
    size: int
    form: str
    init_kernel: Callable[..., jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.init_kernel, (self.size, self.size, x.shape[-1], self.filters))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.filters,))
        return convolve(x, kernel, self.form) + bias[None, None, None]
