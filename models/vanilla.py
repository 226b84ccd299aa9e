"""Vanilla recurrent network: discrete (Elman 1990), or continuous-time rate units by Euler steps.

`f` is the activation, `a = min(dt / tau, 1)`, `z_t = r_{t-1} W + x_t W_in + b`; rows are trials; the readout is
`y_t = r_t W_out + b_out`. The state starts at 0.

Discrete (`continuous=False`): `r_t = f(z_t)`; tau, dt and leak are not used.
Continuous (`continuous=True`), by where the leak acts:

- leak = "rate": `r_t = (1 - a) r_{t-1} + a f(z_t)`; tau dr/dt = -r + f(z) (Yang et al. 2019).
- leak = "rectified": `r_t = f((1 - a) r_{t-1} + a z_t)`; the leak inside f (Masse et al. 2019).
- leak = "current": `h_t = (1 - a) h_{t-1} + a z_t`, `r_t = f(h_t)`; the state is the input current h
  (Sompolinsky et al. 1988; Song et al. 2016).

At a = 1 the three are the discrete network (the current form where f(0) = 0: it starts at h = 0, not r = 0);
below it they are three different systems.

Noise, in training only, `xi` standard normal, independent over units, steps and trials:

- noise_form = "state": `sigma sqrt(2 a) xi` added to the state (Masse et al. 2019, Song et al. 2016).
- noise_form = "inside": `sigma sqrt(2 / a) xi` added to z (Yang et al. 2019); the same as "state" except for
  leak = "rate", where f is between them.
- noise_form = "raw": `sigma xi` added to the state, its strength tied to dt (Dubreuil et al. 2022).

The rectified form's state is what f acts on. The first two leave the stationary variance of a linear unit
independent of dt. The discrete network has a = 1.
"""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import Static, given, off, on, setting
from models._layers import ACTIVATIONS, activation
from models._recurrence import (
    INITS,
    Cell,
    Rate,
    advance,
    by_time,
    by_trial,
    normals,
    plus,
    recurrent_init,
    unroll,
)


def _cell(name: str, form: str, floats: Any, state: Any, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
    f, a, z = activation(name), floats["alpha"], recurrent[0] + drive[0]
    if form == "discrete":
        return plus(f(z), noise)
    if form == "rate":
        return plus((1 - a) * state + a * f(z), noise)
    current = plus((1 - a) * state + a * z, noise)
    return f(current) if form == "rectified" else current


class Model(nn.Module):
    """See the module's text.

    Attributes:
      hidden: units N.
      activation: f.
      continuous: Euler steps of a rate equation instead of the discrete network.
      leak: where the leak acts, "rate", "rectified" or "current".
      tau: time constant, ms; at or below dt it acts as dt.
      initial_weights: recurrent, "orthogonal", "normal" (sd gain / sqrt(N)) or "identity".
      gain: factor on the initial recurrent weights.
      noise: recurrent noise sigma.
      noise_form: its convention, "state", "inside" or "raw".
      outputs: readout units.
      dt: ms per time step.
    """

    hidden: int = setting(64, above=0)
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS))
    continuous: bool = False
    leak: str = setting("rate", choices=("rate", "rectified", "current"))
    tau: float = setting(100.0, above=0.0)
    initial_weights: str = setting("orthogonal", choices=INITS)
    gain: float = setting(1.0, least=0.0)
    noise: float = off(0.0)
    noise_form: str = setting("state", choices=("state", "inside", "raw"))
    outputs: int = given(1)
    dt: Static[float] = given(0.0)

    family: ClassVar[str] = "recurrent"

    def setup(self) -> None:
        self.input = nn.Dense(self.hidden)
        self.recurrent = self.param(
            "recurrent", recurrent_init(self.initial_weights, self.gain), (self.hidden, self.hidden)
        )
        self.readout = nn.Dense(self.outputs)

    def __call__(self, inputs: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs (trial, time, unit) and {"rate": (trial, time, unit)} of inputs (trial, time, unit)."""
        drive = self.input(by_time(inputs))
        alpha, noise = self._alpha(), None
        if train and on(self.noise):
            scale = {"state": jnp.sqrt(2 * alpha), "inside": jnp.sqrt(2 / alpha), "raw": 1.0}[self.noise_form]
            noise = self.noise * scale * normals(self.make_rng("noise"), drive, self.hidden)
            if self.noise_form == "inside":
                drive, noise = drive + noise, None
        state = self.initial_state(inputs.shape[0])
        rates = unroll(*self._cell(), self.recurrent, None, {"alpha": alpha}, state, drive, noise)
        return by_trial(self.readout(rates)), {"rate": by_trial(rates)}

    def initial_state(self, trials: int) -> jax.Array:
        """Zeros, (trial, unit): rates r, or currents h for leak = "current"."""
        return jnp.zeros((trials, self.hidden))

    def step(self, state: jax.Array, input: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One noise-free time step: state (trial, unit) and input (trial, unit) to the next state and rate."""
        cell, rate = self._cell()
        state = advance(cell, rate, self.recurrent, None, {"alpha": self._alpha()}, state, self.input(input))
        return state, rate(state)

    def _cell(self) -> tuple[Cell, Rate]:
        form = self.leak if self.continuous else "discrete"
        rate = activation(self.activation) if form == "current" else activation("linear")
        return partial(_cell, self.activation, form), rate

    def _alpha(self) -> jax.Array | float:
        if not self.continuous:
            return 1.0
        if self.dt <= 0:
            raise ValueError(f"dt is {self.dt} ms, but a continuous network needs a task with steps of some ms.")
        return jnp.minimum(self.dt / self.tau, 1.0)
