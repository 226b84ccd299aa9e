"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000), gates in torch's order.

    i, f, o = sigmoid(x W_i. + h W_h. + b_.)
    g = phi(x W_ig + h W_hg + b_g)
    c <- f c + i g
    h <- o phi(c)

`phi` is the activation (tanh); the gates stand in the order i, f, g, o in `input` and `recurrent`; torch's second
biases add to the first and are left out. The readout is `y = h W_out + b_out`; h and c start at 0.
Noise, in training only: `sigma xi` added to h at every step, xi standard normal (form "raw"; there is no dt here).
"""

from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import given, off, on, setting
from models._layers import ACTIVATIONS, activation
from models._recurrence import Cell, Rate, advance, by_time, by_trial, gate_bias, normals, plus, recurrent_init, unroll


class State(NamedTuple):
    """State of the network.

    Attributes:
      h: output of the units, (trial, unit); the rate.
      c: their memory cells, (trial, unit).
    """

    h: jax.Array
    c: jax.Array


def _cell(name: str, floats: Any, state: State, drive: Any, recurrent: Any, noise: Any) -> State:
    del floats
    phi = activation(name)
    write, forget, candidate, read = (d + r for d, r in zip(drive, recurrent))
    c = jax.nn.sigmoid(forget) * state.c + jax.nn.sigmoid(write) * phi(candidate)
    return State(plus(jax.nn.sigmoid(read) * phi(c), noise), c)


def _rate(state: State) -> jax.Array:
    return state.h


class Model(nn.Module):
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

    family: ClassVar[str] = "recurrent"

    def setup(self) -> None:
        shape = (self.hidden, 4 * self.hidden)
        self.input = nn.Dense(4 * self.hidden, bias_init=gate_bias(4, 1, self.forget_bias))
        self.recurrent = self.param("recurrent", recurrent_init("orthogonal", self.gain, gates=4), shape)
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

    def initial_state(self, trials: int) -> State:
        """Zeros."""
        zeros = jnp.zeros((trials, self.hidden))
        return State(zeros, zeros)

    def step(self, state: State, input: jax.Array) -> tuple[State, jax.Array]:
        """One noise-free time step: state and input (trial, unit) to the next state and rate (trial, unit)."""
        cell, rate = self._cell()
        state = advance(cell, rate, self.recurrent, None, {}, state, self.input(input))
        return state, rate(state)

    def _cell(self) -> tuple[Cell, Rate]:
        return partial(_cell, self.activation), _rate
