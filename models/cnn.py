"""Convolutional network: blocks of convolution, normalisation, f and pooling, then dense layers, linear readout.

    conv_l: r_l = f(norm(conv(r_{l-1}, W_l) + b_l)), then pooled;  dense_l: r_l = f(r_{l-1} W_l + b_l)
    y = r_L W_out + b_out

Kernel, stride, pooling, activation and normalisation are one for all convolutions or one each. Convolutions are padded
with zeros to their input's size (divided by the stride); pooling by p keeps floor(size / p) positions. The dense layers
have the last convolution's f; the maps are flattened channel first, as in torch.

normalization:

- "layer": over all units of a trial's map (Ba et al. 2016), epsilon inside the root, scale and bias per channel;
- "batch": over trials and positions, per channel (Ioffe & Szegedy 2015): the batch's mean and variance in training,
  running ones with momentum .9 in evaluation (`batch_stats`; the running variance is the biased one);
- "divisive": I_c <- gamma_c I_c / (sum_j I_j + sigma), with I = max(0, conv + b) and the channels j at the same
  position as the pool (Carandini & Heeger 2012; Yang & Wang 2020, eq. 37); gamma starts at the number of channels.

Dropout, in training only: `conv_dropout` after f of the convolutions, unit by unit, and `dropout` after f of the dense
layers.
"""

from typing import Any, ClassVar

import jax
from flax import linen as nn
from jax import lax

from models import Each, given, off, on, setting
from models._layers import (
    ACTIVATIONS,
    Perturbation,
    activation,
    check_layers,
    dense_layers,
    dropout,
    feedforward_init,
    perturbed,
)
from models._maps import POOLINGS, Convolution, DenseOfMaps, normalization, of_maps, pool, to_maps
from models._products import Dense


class Model(nn.Module):
    """See the module's text.

    Attributes:
      channels: feature maps of each convolution.
      kernel: width and height of the kernels; one, or one per convolution, as for stride, pool, pooling, activation and
        normalization.
      stride: of the convolutions.
      pool: width and height of the pooling windows; 1 pools nothing.
      pooling: "max" or "mean".
      dense: units of each dense layer.
      activation: f.
      normalization: "none", "layer", "batch" or "divisive", of the convolutions.
      semisaturation: sigma of divisive normalisation, in the units of its input.
      gain: factor on the initial weights of convolutions and dense layers (LeCun or He scaling at 1).
      conv_dropout: probability that a unit of a convolution is set to 0.
      dropout: probability that a dense unit is set to 0.
      outputs: readout units.
      conv_form: "columns" or "native", see `models._maps.convolve`; the parameters are the same.
    """

    channels: tuple[int, ...] = setting((16, 32), above=0)
    kernel: Each[int] = setting(3, above=0)
    stride: Each[int] = setting(1, above=0)
    pool: Each[int] = setting(2, above=0)
    pooling: Each[str] = setting("max", choices=POOLINGS)
    dense: tuple[int, ...] = setting((64,), above=0)
    activation: Each[str] = setting("relu", choices=tuple(ACTIVATIONS))
    normalization: Each[str] = setting("none", choices=("none", "layer", "batch", "divisive"))
    semisaturation: float = setting(1.0, above=0.0)
    gain: float = setting(1.0, least=0.0)
    conv_dropout: float = off(0.0, below=1.0)
    dropout: float = off(0.0, below=1.0)
    outputs: int = given(1)
    conv_form: str = given("columns")

    family: ClassVar[str] = "convolutional"

    @nn.compact
    def __call__(
        self, inputs: jax.Array, train: bool = False, perturb: Perturbation | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, unit), and representations, of inputs (trial, height, width, channel).

        The representations are "conv1.pre", normalised and before f, and "conv1", after f and before pooling, both
        (trial, height, width, channel), ..., and "dense1.pre" and "dense1", (trial, unit), ...
        `perturb`: layer -> (scale, shift), each (channel,) or (unit,); see `models`.
        """
        x, representations = to_maps(inputs), {}
        names = [self._each("activation", i) for i in range(max(1, len(self.channels)))]
        for i, filters in enumerate(self.channels):
            kernel, stride, size = (self._each(field, i) for field in ("kernel", "stride", "pool"))
            layer, f = f"conv{i + 1}", activation(names[i])
            _check_kernel(layer, kernel, x)
            init = feedforward_init(names[i], self.gain)
            x = Convolution(filters, kernel, self.conv_form, init, stride, name=layer)(x)
            kind = self._each("normalization", i)
            x = normalization(kind, train, f"norm{i + 1}", self.semisaturation)(x)
            representations[f"{layer}.pre"] = of_maps(x)
            x = perturbed(f(x), perturb, layer, axis=0)
            representations[layer] = of_maps(x)
            if train and on(self.conv_dropout):
                x = dropout(x, self.conv_dropout, self.make_rng("noise"))
            _check_pool(layer, size, x)
            # On CPU, XLA would fuse pooling into its reader and compute it anew for each of the reader's copies.
            x = lax.optimization_barrier(pool(x, size, self._each("pooling", i)))
        x, dense = dense_layers(self, x, self.dense, names[-1], train, perturb, first=DenseOfMaps)
        representations.update(dense)
        check_layers(perturb, representations)
        readout = Dense if self.dense else DenseOfMaps
        return readout(self.outputs, name="readout")(x), representations

    def _each(self, field: str, i: int) -> Any:
        """A field's value for convolution i."""
        value = getattr(self, field)
        if not isinstance(value, tuple):
            return value
        if len(value) != len(self.channels):
            raise ValueError(
                f"{field} has {len(value)} values, {value}, for {len(self.channels)} convolutions; "
                "it must be one value, or one for each."
            )
        return value[i]


def _check_kernel(layer: str, kernel: int, maps: jax.Array) -> None:
    _, height, width, _ = maps.shape
    if kernel > min(height, width):
        raise ValueError(f"kernel is {kernel}, but the map of {layer} is only {height} x {width}.")


def _check_pool(layer: str, size: int, maps: jax.Array) -> None:
    _, height, width, _ = maps.shape
    if size > min(height, width):
        raise ValueError(f"pool is {size}, which leaves nothing of {layer}'s {height} x {width} map.")
