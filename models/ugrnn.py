"""Update gate RNN: one gate that mixes the old state with a vanilla candidate (Collins et al. 2017).

    g = sigmoid(x W_ig + h W_hg + b_g)
    c = f(x W_ic + h W_hc + b_c)
    h <- g h + (1 - g) c

`f` is the activation (tanh); the gates stand in the order g, c in `input` and `recurrent`. g near 1 keeps the state.
The readout is `y = h W_out + b_out`; h starts at 0.
Noise, in training only: `sigma xi` added to h at every step, xi standard normal (form "raw"; there is no dt here).
"""

from typing import Any, ClassVar

import jax

from models import given, off, setting
from models._layers import ACTIVATIONS, SATURATING, activation
from models._recurrence import gate_bias, plus
from models._recurrent import Recurrent


class Model(Recurrent):
    """See the module's text.

    Attributes:
      hidden: units.
      activation: f.
      gain: factor on the initial recurrent weights, one orthogonal matrix per gate.
      forget_bias: initial bias of the gate.
      noise: sigma.
      outputs: readout units.
    """

    hidden: int = setting(64, above=0)
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS))
    gain: float = setting(1.0, least=0.0)
    forget_bias: float = 1.0
    noise: float = off(0.0)
    outputs: int = given(1)

    gates: ClassVar[int] = 2

    @property
    def bounded(self) -> bool:
        """Where the activation is: a state is a mean of the one before and a candidate."""
        return self.activation in SATURATING

    def input_bias(self) -> Any:
        return gate_bias(2, 0, self.forget_bias)

    def cell(self, q: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
        """The next h."""
        gate = jax.nn.sigmoid(drive[0] + recurrent[0])
        candidate = activation(self.activation)(drive[1] + recurrent[1])
        return plus(candidate + gate * (state - candidate), noise)
