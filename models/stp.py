"""Rate units with short-term synaptic plasticity: what a unit sends depends on what it has sent before.

    sent_t = u_t x_t r_t
    x <- x + dt ((1 - x) / tau_x - u x r),    u <- u + dt ((U - u) / tau_u + U (1 - u) r)
    r_t = f((1 - a) r_{t-1} + a (sent_{t-1} W + x_t W_in + b))

`a = min(dt / tau, 1)`. u is the release probability, x what is left to release, both within 0 and 1; r counts per
second in their equations, and they start at U and 1. The first half of the units facilitates, U = .15, tau_u = 1500 ms,
tau_x = 200 ms; the other half is depressed, U = .45, tau_u = 200 ms, tau_x = 1500 ms.
At a constant rate r they settle at `u = U (1 + tau_u r) / (1 + U tau_u r)` and `x = 1 / (1 + tau_x u r)`.
Mongillo, Barak & Tsodyks (2008), Science 319, 1543; Masse et al. (2019), Nature Neuroscience 22, 1159.
Noise, in training only: `sigma sqrt(2 a) xi` inside f, xi standard normal.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from models import Static, given, off, setting
from models._layers import ACTIVATIONS, activation
from models._recurrence import plus, time_step
from models._recurrent import Leaky

FACILITATING, DEPRESSED = (0.15, 1500.0, 200.0), (0.45, 200.0, 1500.0)
"""U, tau_u and tau_x, times in ms."""


class State(NamedTuple):
    """State of the network.

    Attributes:
      rate: r, (trial, unit).
      utilization: u, (trial, unit).
      resources: x, (trial, unit).
    """

    rate: jax.Array
    utilization: jax.Array
    resources: jax.Array


class Model(Leaky):
    """See the module's text.

    Attributes:
      hidden: units.
      activation: f.
      tau: time constant of the rates, ms; at or below dt it acts as dt.
      gain: factor on the initial recurrent weights, an orthogonal matrix.
      noise: sigma.
      outputs: readout units.
      dt: ms per time step.
    """

    hidden: int = setting(64, above=0)
    activation: str = setting("relu", choices=tuple(ACTIVATIONS))
    tau: float = setting(100.0, above=0.0)
    gain: float = setting(1.0, least=0.0)
    noise: float = off(0.0)
    outputs: int = given(1)
    dt: Static[float] = given(0.0)

    def cell(self, q: Any, state: State, drive: Any, recurrent: Any, noise: Any) -> State:
        """The next rates and synapses."""
        r, u, x = state
        step, perhaps = time_step(self.dt), jnp.maximum(r, 0.0) / 1000.0
        U, tau_u, tau_x = self._synapses()
        new_x = x + step * ((1 - x) / tau_x - u * x * perhaps)
        new_u = u + step * ((U - u) / tau_u + U * (1 - u) * perhaps)
        z = (1 - q["alpha"]) * r + q["alpha"] * (recurrent[0] + drive[0])
        rate = activation(self.activation)(plus(z, noise))
        return State(rate, jnp.clip(new_u, 0.0, 1.0), jnp.clip(new_x, 0.0, 1.0))

    def observe(self, q: Any, state: State) -> dict[str, jax.Array]:
        """Rates, and both variables of the synapses."""
        return state._asdict()

    def transmit(self, q: Any, state: State, rate: jax.Array) -> jax.Array:
        """u x r."""
        return state.utilization * state.resources * rate

    def initial_state(self, trials: int) -> State:
        """Nothing sent yet: r = 0, u = U, x = 1."""
        shape = (trials, self.hidden)
        return State(jnp.zeros(shape), jnp.broadcast_to(self._synapses()[0], shape), jnp.ones(shape))

    def _synapses(self) -> tuple[jax.Array, ...]:
        """U, tau_u and tau_x of every unit, `(1, unit)`."""
        first = jnp.arange(self.hidden)[None] < -(-self.hidden // 2)
        return tuple(jnp.where(first, a, b) for a, b in zip(FACILITATING, DEPRESSED))
