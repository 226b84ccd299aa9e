"""Gated recurrent unit (Cho et al. 2014), torch's variant: the reset gate acts after the recurrent product and bias.

    r = sigmoid(x W_ir + h W_hr + b_r)
    z = sigmoid(x W_iz + h W_hz + b_z)
    n = f(x W_in + b_n + r * (h W_hn + c))
    h <- (1 - z) n + z h

`f` is the activation (tanh); the gates stand in the order r, z, n in `input` and `recurrent`; `c` is `recurrent_bias`.
torch's second biases of r and z add to the first and are left out. The readout is `y = h W_out + b_out`; h starts at 0.
Noise, in training only: `sigma xi` added to h at every step, xi standard normal (form "raw"; there is no dt here).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import given, off, setting
from models._layers import ACTIVATIONS, SATURATING, activation
from models._recurrence import plus
from models._recurrent import Recurrent


class Model(Recurrent):
    """See the module's text.

    Attributes:
      hidden: units.
      activation: f.
      gain: factor on the initial recurrent weights, one orthogonal matrix per gate.
      noise: sigma.
      outputs: readout units.
    """

    hidden: int = setting(64, above=0)
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS))
    gain: float = setting(1.0, least=0.0)
    noise: float = off(0.0)
    outputs: int = given(1)

    gates: ClassVar[int] = 3
    inside: ClassVar[tuple[int, ...]] = (2,)

    @property
    def bounded(self) -> bool:
        """Where the activation is: a state is a mean of the one before and a candidate."""
        return self.activation in SATURATING

    def setup(self) -> None:
        super().setup()
        self.recurrent_bias = self.param("recurrent_bias", nn.initializers.zeros_init(), (self.hidden,))

    def cell(self, q: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
        """The next h."""
        reset = jax.nn.sigmoid(drive[0] + recurrent[0])
        update = jax.nn.sigmoid(drive[1] + recurrent[1])
        candidate = activation(self.activation)(drive[2] + reset * recurrent[2])
        return plus(candidate + update * (state - candidate), noise)

    def bias(self) -> jax.Array:
        """c for the candidate, 0 for the gates."""
        return jnp.concatenate([jnp.zeros(2 * self.hidden, self.recurrent_bias.dtype), self.recurrent_bias])
