"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000), gates in torch's order.

    i, f, o = sigmoid(x W_i. + h W_h. + b_.)
    g = phi(x W_ig + h W_hg + b_g)
    c <- f c + i g
    h <- o phi(c)

`phi` is the activation (tanh); the gates stand in the order i, f, g, o in `input` and `recurrent`; torch's second
biases add to the first and are left out. The readout is `y = h W_out + b_out`; h and c start at 0.
Noise, in training only: `sigma xi` added to h at every step, xi standard normal (form "raw"; there is no dt here).
"""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from models import given, off, setting
from models._layers import ACTIVATIONS, SATURATING, activation
from models._recurrence import gate_bias, plus
from models._recurrent import Recurrent


class State(NamedTuple):
    """State of the network.

    Attributes:
      h: output of the units, (trial, unit); the rate.
      c: their memory cells, (trial, unit).
    """

    h: jax.Array
    c: jax.Array


class Model(Recurrent):
    """See the module's text.

    Attributes:
      hidden: units.
      activation: phi.
      gain: factor on the initial recurrent weights, one orthogonal matrix per gate.
      forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015).
      noise: sigma.
      outputs: readout units.
    """

    hidden: int = setting(64, above=0)
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS))
    gain: float = setting(1.0, least=0.0)
    forget_bias: float = 1.0
    noise: float = off(0.0)
    outputs: int = given(1)

    gates: ClassVar[int] = 4

    @property
    def bounded(self) -> bool:
        """Where the activation is: a forget gate of bounded input stays below 1."""
        return self.activation in SATURATING

    def input_bias(self) -> Any:
        return gate_bias(4, 1, self.forget_bias)

    def cell(self, q: Any, state: State, drive: Any, recurrent: Any, noise: Any) -> State:
        """The next h and c."""
        phi = activation(self.activation)
        write, forget, candidate, read = (d + r for d, r in zip(drive, recurrent))
        c = jax.nn.sigmoid(forget) * state.c + jax.nn.sigmoid(write) * phi(candidate)
        return State(plus(jax.nn.sigmoid(read) * phi(c), noise), c)

    def observe(self, q: Any, state: State) -> dict[str, jax.Array]:
        """h."""
        return {"rate": state.h}

    def initial_state(self, trials: int) -> State:
        """Zeros."""
        zeros = jnp.zeros((trials, self.hidden))
        return State(zeros, zeros)
