"""Update gate RNN: one gate that mixes the old state with a vanilla candidate (Collins et al. 2017).

    g = sigmoid(x W_ig + h W_hg + b_g)
    c = f(x W_ic + h W_hc + b_c)
    h <- g h + (1 - g) c

`f` is the activation (tanh); the gates stand in the order g, c in `input` and `recurrent`. g near 1 keeps the state.
The readout is `y = h W_out + b_out`; h starts at 0.
Noise, in training only: `sigma xi` added to h at every step, xi standard normal (form "raw"; there is no dt here).
"""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import given, off, on, setting
from models._layers import ACTIVATIONS, activation
from models._recurrence import Cell, Rate, advance, by_time, by_trial, gate_bias, normals, plus, recurrent_init, unroll


def _cell(name: str, floats: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
    del floats
    gate = jax.nn.sigmoid(drive[0] + recurrent[0])
    candidate = activation(name)(drive[1] + recurrent[1])
    return plus(candidate + gate * (state - candidate), noise)


class Model(nn.Module):
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

    family: ClassVar[str] = "recurrent"

    def setup(self) -> None:
        shape = (self.hidden, 2 * self.hidden)
        self.input = nn.Dense(2 * self.hidden, bias_init=gate_bias(2, 0, self.forget_bias))
        self.recurrent = self.param("recurrent", recurrent_init("orthogonal", self.gain, gates=2), shape)
        self.readout = nn.Dense(self.outputs)

    def __call__(self, inputs: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, time, unit) and {"rate": (trial, time, unit)}, h, of inputs (trial, time, unit)."""
        drive = self.input(by_time(inputs))
        noise = None
        if train and on(self.noise):
            noise = self.noise * normals(self.make_rng("noise"), drive, self.hidden)
        state = self.initial_state(inputs.shape[0])
        rates = unroll(*self._cell(), self.recurrent, None, {}, state, drive, noise)
        return by_trial(self.readout(rates)), {"rate": by_trial(rates)}

    def initial_state(self, trials: int) -> jax.Array:
        """Zeros, (trial, unit)."""
        return jnp.zeros((trials, self.hidden))

    def step(self, state: jax.Array, input: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One noise-free time step: state (trial, unit) and input (trial, unit) to the next state and rate."""
        cell, rate = self._cell()
        state = advance(cell, rate, self.recurrent, None, {}, state, self.input(input))
        return state, rate(state)

    def _cell(self) -> tuple[Cell, Rate]:
        return partial(_cell, self.activation), activation("linear")
