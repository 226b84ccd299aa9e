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

- initial_noise: its own sigma, `sigma xi` added to the state before the first step.

The rectified form's state is what f acts on. With the first two the variance of a linear unit alone settles at
`sigma^2 / (1 - a / 2)`: where dt is small beside tau, it hardly depends on dt. The discrete network has a = 1.

Parametrization, of N units:

- "standard": as above.
- "mup": `z_t = r_{t-1} J / N + x_t W_in + b`, `y_t = r_t V / (gamma N) + b_out`, where J and V are trained. J begins as
  N times the standard weights and V as sqrt(N) times: the network begins alike, but for outputs that are smaller by
  gamma sqrt(N). With Adam, activity then changes alike at every width N under one learning rate. The larger gamma, the
  more activity has to change for the same outputs: gamma is the strength of feature learning, small values are the lazy
  regime. The learning rate goes with it, gamma times a common one. With `base_width` B, N / B stands for N in all of
this: networks of B units and gamma = 1 are then the standard ones, with learning rates of the usual size; with B = 1
recurrent weights learn N times as slowly as input weights. Maximal update parametrization, Yang & Hu (2021,
  ICML), Yang et al. (2022, arXiv:2203.03466); gamma as in Huang et al. (2025, NeurIPS). Training's `l2` is of J and V;
  its other penalties are of J / N, the weights as they act.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import Static, given, off, on, setting, since
from models._layers import ACTIVATIONS, SATURATING, activation, scaled
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
      initial_weights: recurrent, "orthogonal", "normal" (sd gain / sqrt(N)), "identity", "uniform" (within
        gain / sqrt(N) of 0) or "xavier" (within gain sqrt(3 / N)).
      gain: factor on the initial recurrent weights.
      noise: recurrent noise sigma.
      noise_form: its convention, "state", "inside" or "raw".
      initial_noise: sigma of the noise of the initial state.
      initial_diagonal: whether units begin with weights to themselves; else these begin at 0, and learn as all others.
      initial_projections: input and readout weights, "lecun" (normal, sd 1 / sqrt(inputs of a unit)), "uniform" (within
        1 / sqrt(N) of 0) or "xavier" (uniform within sqrt(6 / (inputs + outputs))).
      parametrization: "standard" or "mup".
      gamma: strength of feature learning; of "mup" alone.
      base_width: units at which "mup" is the standard parametrization, for gamma = 1; of "mup" alone.
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
    initial_noise: float = since(off(0.0))
    initial_diagonal: bool = since(True)
    initial_projections: str = since(setting("lecun", choices=("lecun", "uniform", "xavier")))
    parametrization: str = since(setting("standard", choices=("standard", "mup")))
    gamma: float = since(setting(1.0, above=0.0))
    base_width: int = since(setting(1, least=1))
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

    def first_state(self, trials: int, train: bool) -> jax.Array:
        state = self.initial_state(trials)
        if train and on(self.initial_noise):
            state = state + self.initial_noise * jax.random.normal(self.make_rng("noise"), state.shape, state.dtype)
        return state

    def hyperparameters(self) -> dict[str, Any]:
        """alpha."""
        return {"alpha": self._alpha()}

    def initial_weights_of(self) -> Any:
        draw = recurrent_init(self.initial_weights, self.gain * self._widths if self._is_mup else self.gain)
        return draw if self.initial_diagonal else lambda key, shape: draw(key, shape) * (1 - jnp.eye(*shape))

    def input_init(self) -> Any:
        if self.initial_projections == "uniform":
            return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -1, 1) / self.hidden**0.5
        xavier = self.initial_projections == "xavier"
        return nn.initializers.glorot_uniform() if xavier else nn.initializers.lecun_normal()

    def readout_init(self) -> Any:
        return scaled(self.input_init(), self._widths**0.5) if self._is_mup else self.input_init()

    def weight(self) -> jax.Array:
        return self.recurrent / self._widths if self._is_mup else self.recurrent

    def read(self, observed: dict[str, jax.Array]) -> jax.Array:
        rate = observed["rate"]
        return rate / (self.gamma * self._widths) if self._is_mup else rate

    def noise_of(self, q: Any, drive: jax.Array, xi: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        alpha = q["alpha"]
        scale = {"state": jnp.sqrt(2 * alpha), "inside": jnp.sqrt(2 / alpha), "raw": 1.0}[self.noise_form]
        noise = self.noise * scale * xi
        return (drive + noise, None) if self.noise_form == "inside" else (drive, noise)

    @property
    def _is_mup(self) -> bool:
        return self.parametrization == "mup"

    @property
    def _widths(self) -> float:
        """The width in base widths."""
        return self.hidden / self.base_width

    def _alpha(self) -> jax.Array | float:
        if not self.continuous:
            return 1.0
        return jnp.minimum(time_step(self.dt) / self.tau, 1.0)
