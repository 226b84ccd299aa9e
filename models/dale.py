"""Excitatory and inhibitory rate units under Dale's law: the outgoing weights of a unit have one sign.

    W = |W~| s M,    h_t = (1 - a) h_{t-1} + a (r_{t-1} W + x_t W_in + b),    r_t = f(h_t)

`a = min(dt / tau, 1)`; rows of W are the sending units, `s` their signs, +1 for the first ones and -1 for the others;
M is a mask of 0 and 1, drawn once, with a diagonal of 0. The readout is of excitatory rates alone,
`y_t = r^E_t W_out + b_out`. The state h starts at 0.

Initial |W~| are those of normal draws, gain / sqrt(N); the excitatory ones are multiplied by N_I / N_E, so that a
unit's excitation and inhibition are the same on average. Song, Yang & Wang (2016), PLOS Computational Biology 12,
e1004792.
Noise, in training only: `sigma sqrt(2 a) xi` added to h, xi standard normal.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import Static, given, off, setting
from models._layers import ACTIVATIONS, activation, scaled
from models._recurrence import plus
from models._recurrent import Leaky


class Model(Leaky):
    """See the module's text.

    Attributes:
      hidden: units N.
      excitatory: the share of excitatory units.
      density: the chance that one unit sends to another at all.
      activation: f.
      tau: time constant, ms; at or below dt it acts as dt.
      gain: factor on the initial recurrent weights.
      noise: sigma.
      outputs: readout units.
      dt: ms per time step.
    """

    hidden: int = setting(64, least=2)
    excitatory: Static[float] = setting(0.8, above=0.0, below=1.0)
    density: Static[float] = setting(1.0, above=0.0, most=1.0)
    activation: str = setting("relu", choices=tuple(ACTIVATIONS))
    tau: float = setting(100.0, above=0.0)
    gain: float = setting(1.0, least=0.0)
    noise: float = off(0.0)
    outputs: int = given(1)
    dt: Static[float] = given(0.0)

    @property
    def excitatory_units(self) -> int:
        """How many units are excitatory: at least one, and at least one is not."""
        return min(max(round(self.excitatory * self.hidden), 1), self.hidden - 1)

    def setup(self) -> None:
        super().setup()
        self.mask = self.constant("mask", self._mask, (self.hidden, self.hidden))

    def _mask(self, key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        return jax.random.bernoulli(key, self.density, shape) * (1.0 - jnp.eye(*shape))

    def initial_weights_of(self) -> Any:
        count = self.excitatory_units
        rows = jnp.where(jnp.arange(self.hidden) < count, (self.hidden - count) / count, 1.0)
        normal = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
        return scaled(lambda key, shape, dtype: jnp.abs(normal(key, shape, dtype)) * rows[:, None], self.gain)

    def weight(self) -> jax.Array:
        signs = jnp.where(jnp.arange(self.hidden) < self.excitatory_units, 1.0, -1.0)
        return jnp.abs(self.recurrent) * signs[:, None] * self.mask

    def cell(self, q: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
        """The next h."""
        return plus((1 - q["alpha"]) * state + q["alpha"] * (recurrent[0] + drive[0]), noise)

    def observe(self, q: Any, state: jax.Array) -> dict[str, jax.Array]:
        """The rates."""
        return {"rate": activation(self.activation)(state)}

    def read(self, observed: dict[str, jax.Array]) -> jax.Array:
        return observed["rate"][..., : self.excitatory_units]
