"""Multilayer perceptron: `r_l = f(r_{l-1} W_l + b_l)`, linear readout `y = r_L W_out + b_out`.

The input is flattened. Dropout (Srivastava et al. 2014), in training only, acts after each hidden layer's f.
"""

from typing import ClassVar

import jax
from flax import linen as nn

from models import given, off, setting
from models._layers import ACTIVATIONS, Perturbation, check_layers, dense_layers
from models._products import Dense


class Model(nn.Module):
    """See the module's text.

    Attributes:
      layers: units of each hidden layer.
      activation: f.
      gain: factor on the hidden layers' initial weights (LeCun or He scaling at 1).
      dropout: probability that a hidden unit is set to 0.
      outputs: readout units.
    """

    layers: tuple[int, ...] = setting((128, 64), above=0)
    activation: str = setting("relu", choices=tuple(ACTIVATIONS))
    gain: float = setting(1.0, least=0.0)
    dropout: float = off(0.0, below=1.0)
    outputs: int = given(1)

    family: ClassVar[str] = "feedforward"

    @nn.compact
    def __call__(
        self, inputs: jax.Array, train: bool = False, perturb: Perturbation | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, unit), and {"dense1.pre": (trial, unit), before f, "dense1": after it, ...}.

        `perturb`: layer -> (scale, shift), each (unit,); see `models`.
        """
        x = inputs.reshape(inputs.shape[0], -1)
        x, representations = dense_layers(self, x, self.layers, self.activation, train, perturb)
        check_layers(perturb, representations)
        return Dense(self.outputs, name="readout")(x), representations
