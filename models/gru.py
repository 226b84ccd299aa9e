"""Gated recurrent unit (Cho et al. 2014), torch's variant: the reset gate acts after the recurrent product and bias.

    r = sigmoid(x W_ir + h W_hr + b_r)
    z = sigmoid(x W_iz + h W_hz + b_z)
    n = f(x W_in + b_n + r * (h W_hn + c))
    h <- (1 - z) n + z h

`f` is the activation (tanh); the gates stand in the order r, z, n in `input` and `recurrent`; `c` is `recurrent_bias`.
torch's second biases of r and z add to the first and are left out. The readout is `y = h W_out + b_out`; h starts at 0.
Noise, in training only: `sigma xi` added to h at every step, xi standard normal (form "raw"; there is no dt here).
"""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import given, off, on, setting
from models._layers import ACTIVATIONS, activation
from models._recurrence import Cell, Rate, advance, by_time, by_trial, normals, plus, recurrent_init, unroll


def _cell(name: str, floats: Any, state: Any, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
    del floats
    reset = jax.nn.sigmoid(drive[0] + recurrent[0])
    update = jax.nn.sigmoid(drive[1] + recurrent[1])
    candidate = activation(name)(drive[2] + reset * recurrent[2])
    return plus(candidate + update * (state - candidate), noise)


class Model(nn.Module):
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

    family: ClassVar[str] = "recurrent"

    def setup(self) -> None:
        shape = (self.hidden, 3 * self.hidden)
        self.input = nn.Dense(3 * self.hidden)
        self.recurrent = self.param("recurrent", recurrent_init("orthogonal", self.gain, gates=3), shape)
        self.recurrent_bias = self.param("recurrent_bias", nn.initializers.zeros_init(), (self.hidden,))
        self.readout = nn.Dense(self.outputs)

    def __call__(self, inputs: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, time, unit) and {"rate": (trial, time, unit)}, h, of inputs (trial, time, unit)."""
        drive = self.input(by_time(inputs))
        noise = None
        if train and on(self.noise):
            noise = self.noise * normals(self.make_rng("noise"), drive, self.hidden)
        state = self.initial_state(inputs.shape[0])
        rates = unroll(*self._cell(), self.recurrent, self._bias(), {}, state, drive, noise, inside=(2,))
        return by_trial(self.readout(rates)), {"rate": by_trial(rates)}

    def initial_state(self, trials: int) -> jax.Array:
        """Zeros, (trial, unit)."""
        return jnp.zeros((trials, self.hidden))

    def step(self, state: jax.Array, input: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One noise-free time step: state (trial, unit) and input (trial, unit) to the next state and rate."""
        cell, rate = self._cell()
        state = advance(cell, rate, self.recurrent, self._bias(), {}, state, self.input(input))
        return state, rate(state)

    def _cell(self) -> tuple[Cell, Rate]:
        return partial(_cell, self.activation), activation("linear")

    def _bias(self) -> jax.Array:
        return jnp.concatenate([jnp.zeros(2 * self.hidden, self.recurrent_bias.dtype), self.recurrent_bias])
