"""The base class of the recurrent architectures: a new one says its equation, and no more.

An architecture declares its fields: `hidden`, `outputs`, `gain` unless it has initial weights of its own, and `noise`
where it has any. Then it overrides what is its own:

- `cell`, `observe`, `transmit`: see `models/_recurrence.py`. In them static fields are read from `self`, and every
  number that may be traced, constant or trained from `q`.
- `hyperparameters()`: numbers of `q` that come from traced fields, such as alpha: no gradient flows to them.
  `quantities()`: numbers of `q` that are trained, or made of what is trained: they get their gradient. Those of a unit
  each are `(1, unit)`: the tests refuse arrays of unequal rank to be added.
- `gates`: how many recurrent inputs each unit has; `inside`: those of them that the cell does not simply add to their
  drive (a reset gate multiplies one).
- `setup`, `input_init`, `readout_init`, `weight`, `bias`, `initial_state`, `noise_of`, `read`, where the ones here are
  not right.

A constant of a network, such as a mask or the signs of its units, is drawn once by `self.constant(...)` in `setup`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from models import on
from models._layers import Perturbation, check_layers
from models._products import Dense, backward_of
from models._recurrence import (
    Roles,
    Weights,
    advance,
    by_time,
    by_trial,
    normals,
    recurrent_init,
    shown,
    split,
    time_step,
    unroll,
)


class Recurrent(nn.Module):
    """A recurrent network: inputs, recurrent weights, a linear readout of the rates; the state starts at 0."""

    if TYPE_CHECKING:  # fields that an architecture declares for itself
        hidden: int
        gain: float
        noise: float
        outputs: int
    else:
        noise = 0.0  # of one that declares none

    family: ClassVar[str] = "recurrent"
    gates: ClassVar[int] = 1
    inside: ClassVar[tuple[int, ...]] = ()

    @property
    def bounded(self) -> bool:
        """Whether a step maps some ball of states, and every larger one, into itself; False where nobody has shown it.
        Then the indices of all fixed points under one input add up to 1."""
        return False

    def setup(self) -> None:
        self.input = Dense(self.gates * self.hidden, kernel_init=self.input_init(), bias_init=self.input_bias())
        shape = (self.hidden, self.gates * self.hidden)
        self.recurrent = self.param("recurrent", self.initial_weights_of(), shape)
        self.readout = Dense(self.outputs, kernel_init=self.readout_init())

    def constant(self, name: str, draw: Callable[..., jax.Array], shape: tuple[int, ...]) -> jax.Array:
        """An array that is drawn once, from the seed and a stream of its own, and never trained.

        Args:
          name: in the collection "constants".
          draw: `(key, shape) -> array`.
          shape: of the array.
        """
        return self.variable("constants", name, lambda: draw(self.make_rng("constants"), shape)).value

    def input_init(self) -> Callable[..., jax.Array]:
        """Initial input weights, `(input, gates x unit)`; by default LeCun's, sd 1 / sqrt(inputs)."""
        return nn.initializers.lecun_normal()

    def readout_init(self) -> Callable[..., jax.Array]:
        """Initial readout weights, `(unit, output)`; by default LeCun's, sd 1 / sqrt(units)."""
        return nn.initializers.lecun_normal()

    def input_bias(self) -> Callable[..., jax.Array]:
        """Initial bias of the drive, `(gates x unit,)`."""
        return nn.initializers.zeros_init()

    def initial_weights_of(self) -> Callable[..., jax.Array]:
        """Initial recurrent weights; by default an orthogonal matrix per gate, times `gain`."""
        return recurrent_init("orthogonal", self.gain, gates=self.gates)

    @nn.nowrap
    def cell(self, q: Any, state: Any, drive: Any, recurrent: Any, noise: Any) -> Any:
        """The next state; see `models/_recurrence.py`."""
        raise NotImplementedError(f"{type(self).__module__}.Model has no cell")

    @nn.nowrap
    def observe(self, q: Any, state: Any) -> dict[str, jax.Array]:
        """What is returned and compared, the rate first; by default the state is the rate."""
        return {"rate": state}

    @nn.nowrap
    def transmit(self, q: Any, state: Any, rate: jax.Array) -> jax.Array:
        """What goes into the recurrent weights; by default the rate."""
        return rate

    def weight(self) -> jax.Array:
        """The recurrent weights as they act, `(unit, gates x unit)`."""
        return self.recurrent

    def backward(self) -> jax.Array | None:
        """What the error of the recurrent product goes back through, `(unit, gates x unit)`; None for `weight()`."""
        return backward_of(self, "recurrent")

    def bias(self) -> jax.Array | None:
        """A bias of the recurrent input that is not the drive's, `(gates x unit,)`."""
        return None

    def hyperparameters(self) -> dict[str, Any]:
        """Numbers that come from traced fields."""
        return {}

    def quantities(self) -> dict[str, Any]:
        """Numbers that are trained."""
        return {}

    def noise_of(self, q: Any, drive: jax.Array, xi: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """The drive `(..., gates x unit)` and the noise of the state `(..., unit)`, or None, of standard normals xi
        `(..., unit)`; by default `sigma xi`."""
        return drive, self.noise * xi

    def read(self, observed: dict[str, jax.Array]) -> jax.Array:
        """What the readout takes of what is observed; by default all rates."""
        return observed["rate"]

    def readout_of(self, observed: dict[str, jax.Array]) -> jax.Array:
        """The outputs, of what is observed."""
        return self.readout(self.read(observed))

    def initial_state(self, trials: int) -> Any:
        """Zeros, (trial, unit)."""
        return jnp.zeros((trials, self.hidden))

    def first_state(self, trials: int, train: bool) -> Any:
        """Where a pass begins; by default at the initial state. Noise of it is in training only."""
        return self.initial_state(trials)

    def __call__(
        self, inputs: jax.Array, train: bool = False, perturb: Perturbation | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs and what is observed.

        Args:
          inputs: (trial, time, unit).
          train: whether there is noise.
          perturb: {"rate": (scale, shift)}, each (unit,), or None; see `models`. A state keeps what it held: what a
            leak or a gate takes over from it, and what a synapse has released, is not perturbed.

        Returns:
          (trial, time, unit), and name -> (trial, time, unit), "rate" first.
        """
        drive, noise, weights = self.input(by_time(inputs)), None, self._weights()
        if train and on(self.noise):
            xi = normals(self.make_rng("noise"), drive, self.hidden)
            drive, noise = self.noise_of(weights.quantities, drive, xi)
        check_layers(perturb, ["rate"])
        state = self.first_state(inputs.shape[0], train)
        observed = unroll(self._roles(), weights, state, drive, noise, inside=self.inside, perturb=perturb)
        outputs = by_trial(self.readout_of(observed))
        observed = {"rate": observed["rate"], **observed}  # a scan sorts the names
        return outputs, {name: by_trial(x) for name, x in observed.items()}

    def step(
        self, state: Any, input: jax.Array, noise: jax.Array | None = None, perturb: Perturbation | None = None
    ) -> tuple[Any, jax.Array]:
        """One time step: the next state and its rate.

        Args:
          state: (trial, unit), or a tree of such.
          input: (trial, unit).
          noise: standard normals (trial, unit), which the network scales and adds as in training; None for none.
          perturb: {"rate": (scale, shift)} as in `__call__`, of the rates before and after; (0, r) clamps them to r.
            Here each may also be (trial, unit), or (1, unit).
        """
        state, observed = self._stepped(state, input, noise, perturb)
        return state, observed["rate"]

    def respond(
        self, state: Any, input: jax.Array, noise: jax.Array | None = None, perturb: Perturbation | None = None
    ) -> tuple[Any, jax.Array]:
        """One time step: the next state and the outputs; arguments as of `step`."""
        state, observed = self._stepped(state, input, noise, perturb)
        return state, self.readout_of(observed)

    def outputs_of(self, state: Any, perturb: Perturbation | None = None) -> tuple[jax.Array, jax.Array]:
        """The outputs and the rate that a state shows: what `respond` and `step` give beside it.

        Args:
          state: (trial, unit), or a tree of such.
          perturb: {"rate": (scale, shift)} as in `step`, of the rates that are shown.
        """
        check_layers(perturb, ["rate"])
        observed = shown(self._roles(), {**self.hyperparameters(), **self.quantities()}, state, perturb)[0]
        return self.readout_of(observed), observed["rate"]

    def _stepped(
        self, state: Any, input: jax.Array, noise: jax.Array | None, perturb: Perturbation | None
    ) -> tuple[Any, dict[str, jax.Array]]:
        check_layers(perturb, ["rate"])
        roles, weights, drive = self._roles(), self._weights(), self.input(input)
        if noise is not None:
            drive, noise = self.noise_of(weights.quantities, drive, noise)
        state = advance(roles, weights, state, split(drive, self.hidden), noise, perturb=perturb)
        return state, shown(roles, weights.quantities, state, perturb)[0]

    def _roles(self) -> Roles:
        other = type(self).transmit is not Recurrent.transmit
        return Roles(self.cell, self.observe, self.transmit if other else None)

    def _weights(self) -> Weights:
        return Weights(self.weight(), self.bias(), self.hyperparameters(), self.quantities(), self.backward())


class Leaky(Recurrent):
    """A recurrent network whose state leaks: `q["alpha"]` is `min(dt / tau, 1)`, and its noise in training
    `sigma sqrt(2 alpha) xi`: in a linear unit alone its variance settles at `sigma^2 / (1 - alpha / 2)`."""

    if TYPE_CHECKING:
        tau: float
        dt: float

    def hyperparameters(self) -> dict[str, Any]:
        """alpha."""
        return {"alpha": jnp.minimum(time_step(self.dt) / self.tau, 1.0)}

    def noise_of(self, q: Any, drive: jax.Array, xi: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        return drive, self.noise * jnp.sqrt(2 * q["alpha"]) * xi
