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

The rectified form's state is what f acts on. With the first two the variance of a linear unit alone settles at
`sigma^2 / (1 - a / 2)`: where dt is small beside tau, it hardly depends on dt. The discrete network has a = 1.
"""

from typing import Any

import jax
import jax.numpy as jnp

from models import Static, given, off, setting
from models._layers import ACTIVATIONS, SATURATING, activation
from models._recurrence import INITS, plus, recurrent_init, time_step
from models._recurrent import Recurrent


class Model(Recurrent):
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

    @property
    def bounded(self) -> bool:
        """Where the activation is: the leak shrinks what is large."""
        return self.activation in SATURATING

    def cell(self, q: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
        """The next rates r, or currents h for leak = "current"."""
        f, a, z = activation(self.activation), q["alpha"], recurrent[0] + drive[0]
        if not self.continuous:
            return plus(f(z), noise)
        if self.leak == "rate":
            return plus((1 - a) * state + a * f(z), noise)
        current = plus((1 - a) * state + a * z, noise)
        return f(current) if self.leak == "rectified" else current

    def observe(self, q: Any, state: jax.Array) -> dict[str, jax.Array]:
        """The rates."""
        current = self.continuous and self.leak == "current"
        return {"rate": activation(self.activation if current else "linear")(state)}

    def hyperparameters(self) -> dict[str, Any]:
        """alpha."""
        return {"alpha": self._alpha()}

    def initial_weights_of(self) -> Any:
        return recurrent_init(self.initial_weights, self.gain)

    def noise_of(self, q: Any, drive: jax.Array, xi: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        alpha = q["alpha"]
        scale = {"state": jnp.sqrt(2 * alpha), "inside": jnp.sqrt(2 / alpha), "raw": 1.0}[self.noise_form]
        noise = self.noise * scale * xi
        return (drive + noise, None) if self.noise_form == "inside" else (drive, noise)

    def _alpha(self) -> jax.Array | float:
        if not self.continuous:
            return 1.0
        return jnp.minimum(time_step(self.dt) / self.tau, 1.0)
