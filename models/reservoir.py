"""Reservoir: a random recurrent network that stays as it is, with a readout that is trained and may be fed back.

    x_t = (1 - a) x_{t-1} + a (r_{t-1} J + y_{t-1} W_fb + u_t W_in),    r_t = f(x_t),    y_t = r_t W_out

`a = min(dt / tau, 1)`. J is normal with sd gain / sqrt(N), chaotic above a gain of 1; W_in and W_fb are uniform in -1
to 1 times their gains; all three, and the initial x, uniform in -.5 to .5, are constants. W_out starts at 0.
With the readout fed back the network is one with recurrent weights `J + W_out W_fb`.
Jaeger (2001), GMD report 148; Sussillo & Abbott (2009), Neuron 63, 544.
Noise, in training only: `sigma sqrt(2 a) xi` added to x, xi standard normal.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import Static, given, off, setting
from models._layers import ACTIVATIONS, SATURATING, Perturbation, activation, check_layers, perturbed
from models._products import backward_of, product
from models._recurrence import plus
from models._recurrent import Leaky


class Input(nn.Module):
    """The constant input weights.

    Attributes:
      units: N.
      gain: of the weights.
    """

    units: int
    gain: Any

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """`inputs W_in`."""
        shape = (inputs.shape[-1], self.units)
        weights = self.variable("constants", "kernel", lambda: _uniform(self.make_rng("constants"), shape)).value
        return inputs @ (weights * self.gain)


class Readout(nn.Module):
    """The trained weights.

    Attributes:
      units: N.
      outputs: readout units.
    """

    units: int
    outputs: int

    def setup(self) -> None:
        self.kernel = self.param("kernel", nn.initializers.zeros_init(), (self.units, self.outputs))

    def __call__(self, rates: jax.Array) -> jax.Array:
        """`rates W_out`."""
        return product(rates, self.kernel, backward_of(self, "kernel"))


class Model(Leaky):
    """See the module's text.

    Attributes:
      hidden: units N.
      activation: f.
      tau: time constant, ms; at or below dt it acts as dt.
      gain: of J, near its spectral radius.
      input_gain: of W_in.
      feedback: gain of W_fb.
      noise: sigma.
      outputs: readout units.
      dt: ms per time step.
    """

    hidden: int = setting(500, above=0)
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS))
    tau: float = setting(10.0, above=0.0)
    gain: float = setting(1.5, least=0.0)
    input_gain: float = setting(1.0, least=0.0)
    feedback: float = setting(1.0, least=0.0)
    noise: float = off(0.0)
    outputs: int = given(1)
    dt: Static[float] = given(0.0)

    @property
    def bounded(self) -> bool:
        """Where the activation is: the leak shrinks what is large."""
        return self.activation in SATURATING

    def setup(self) -> None:
        self.readout = Readout(self.hidden, self.outputs)
        units = (self.hidden,)
        self.drawn = self.constant("recurrent", jax.random.normal, (self.hidden, self.hidden))
        self.scale = self.gain / jnp.sqrt(self.hidden)
        self.input = Input(self.hidden, self.input_gain)
        self.fed_back = self.constant("feedback", _uniform, (self.outputs, *units)) * self.feedback
        self.initial = self.constant("initial", _uniform, units) / 2

    def weight(self) -> jax.Array:
        return self.drawn * self.scale + self.readout.kernel @ self.fed_back

    def backward(self) -> jax.Array | None:
        through = backward_of(self.readout, "kernel")
        return None if through is None else self.drawn * self.scale + through @ self.fed_back

    def cell(self, q: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
        """The next x."""
        return plus((1 - q["alpha"]) * state + q["alpha"] * (recurrent[0] + drive[0]), noise)

    def observe(self, q: Any, state: jax.Array) -> dict[str, jax.Array]:
        """The rates."""
        return {"rate": activation(self.activation)(state)}

    def initial_state(self, trials: int) -> jax.Array:
        """The same constant x in every trial, (trial, unit)."""
        return jnp.broadcast_to(self.initial, (trials, self.hidden))

    def _stepped(
        self, state: jax.Array, input: jax.Array, noise: jax.Array | None, perturb: Perturbation | None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """With the readout fed back as it is: weights that change at every step are never merged. J is not scaled here,
        but what comes of it: N numbers instead of N x N at every step."""
        check_layers(perturb, ["rate"])
        q, drive = self.hyperparameters(), self.input(input)
        if noise is not None:
            drive, noise = self.noise_of(q, drive, noise)
        before = perturbed(self.observe(q, state)["rate"], perturb, "rate")
        recurrent = before @ self.drawn * self.scale + self.readout(before) @ self.fed_back
        state = self.cell(q, state, [drive], [recurrent], noise)
        return state, {"rate": perturbed(self.observe(q, state)["rate"], perturb, "rate")}


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
