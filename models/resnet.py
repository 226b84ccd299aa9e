"""Residual network in the form for CIFAR (He et al. 2016, section 4.2): one convolution, stages of blocks, global mean.

    stem: r = f(norm(conv(x)));  block: r <- f(shortcut(r) + norm(conv(f(norm(conv(r))))))
    y = mean over positions of the last r, W_out + b_out

All kernels are 3 x 3. The first block of every stage but the first halves the map (stride 2); there the shortcut takes
every second position and new channels start at 0, without parameters ("option A"). Every block starts as the
identity: the scale of its second normalisation, or its second kernel where there is none, is 0 at first (Goyal et al.
2017), so that deep networks train. 6 n + 2 layers for 3 stages of n blocks: n = 3 is ResNet-20.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from models import given, off, on, setting
from models._layers import ACTIVATIONS, Perturbation, activation, check_layers, dropout, feedforward_init, perturbed
from models._maps import Convolution, normalization, of_maps, to_maps
from models._products import Dense


class Model(nn.Module):
    """See the module's text.

    Attributes:
      channels: feature maps of each stage; the stem has the first stage's.
      blocks: residual blocks per stage.
      activation: f.
      normalization: "batch", "layer" or "none", as in `models.cnn`.
      gain: factor on the initial weights of the convolutions that do not start at 0 (LeCun or He scaling at 1).
      dropout: probability that a unit of the averaged last map is set to 0, in training.
      outputs: readout units.
      conv_form: "columns" or "native", see `models._maps.convolve`; the parameters are the same.
    """

    channels: tuple[int, ...] = setting((16, 32, 64), above=0)
    blocks: int = setting(3, above=0)
    activation: str = setting("relu", choices=tuple(ACTIVATIONS))
    normalization: str = setting("batch", choices=("none", "layer", "batch"))
    gain: float = setting(1.0, least=0.0)
    dropout: float = off(0.0, below=1.0)
    outputs: int = given(1)
    conv_form: str = given("columns")

    family: ClassVar[str] = "convolutional"

    @nn.compact
    def __call__(
        self, inputs: jax.Array, train: bool = False, perturb: Perturbation | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, unit), and representations, of inputs (trial, height, width, channel).

        The representations, all (trial, height, width, channel), are "stem.pre", before f, and "stem", after it, then
        "stage1_block1.pre", the sum of shortcut and branch, and "stage1_block1", ...
        `perturb`: layer -> (scale, shift), each (channel,); see `models`.
        """
        if not self.channels:
            raise ValueError("channels is (); a residual network needs at least one stage.")
        x, f, representations = to_maps(inputs), activation(self.activation), {}
        x = self._normalized(x, self.channels[0], 1, "stem", train)
        representations["stem.pre"], x = of_maps(x), perturbed(f(x), perturb, "stem", axis=0)
        representations["stem"] = of_maps(x)
        for stage, channels in enumerate(self.channels, start=1):
            for block in range(1, self.blocks + 1):
                layer = f"stage{stage}_block{block}"
                stride = 2 if stage > 1 and block == 1 else 1
                branch = f(self._normalized(x, channels, stride, f"{layer}_conv1", train))
                branch = self._normalized(branch, channels, 1, f"{layer}_conv2", train, last=True)
                x = _shortcut(x, channels, stride) + branch
                representations[f"{layer}.pre"] = of_maps(x)
                # On CPU, XLA would fuse this into its readers and compute it anew for each of their copies.
                x = lax.optimization_barrier(perturbed(f(x), perturb, layer, axis=0))
                representations[layer] = of_maps(x)
        check_layers(perturb, representations)
        x = x.mean((1, 2)).T
        if train and on(self.dropout):
            x = dropout(x, self.dropout, self.make_rng("noise"))
        return Dense(self.outputs, name="readout")(x), representations

    def _normalized(
        self, x: jax.Array, filters: int, stride: int, name: str, train: bool, last: bool = False
    ) -> jax.Array:
        """Convolution and normalisation, which has the bias where there is one; the last of a branch starts at 0."""
        _, height, width, _ = x.shape
        if min(height, width) < 3:
            raise ValueError(f"The kernels are 3 x 3, but the map of {name} is only {height} x {width}.")
        plain = self.normalization == "none"
        init = nn.initializers.zeros_init() if last and plain else feedforward_init(self.activation, self.gain)
        x = Convolution(filters, 3, self.conv_form, init, stride, bias=plain, name=name)(x)
        return normalization(self.normalization, train, f"{name}_norm", first_scale=1.0 - last)(x)


def _shortcut(x: jax.Array, channels: int, stride: int) -> jax.Array:
    x = x[:, ::stride, ::stride]
    if channels < len(x):
        raise ValueError(f"A stage has {channels} channels after one of {len(x)}; channels must not shrink.")
    return jnp.pad(x, ((0, channels - len(x)), (0, 0), (0, 0), (0, 0)))
