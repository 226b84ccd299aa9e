"""Path integration: from movements, where it is.

The input is a displacement, or a heading and a speed; the output the position, in one to three dimensions, in an arena
with reflecting walls. Cueva & Wei (2018, ICLR) trained networks on speed and heading; Huang et al. (2025, NeurIPS) in
two and three dimensions, with positions from -5 to 5. With displacements the task is to add up inputs, with headings
to add up products of two.

8 vanilla networks of 64 units pass the criterion in two dimensions within 600 to 1600 steps of Adam (64 trials each,
rate .001, clipped at 1), in 4 minutes on two busy cores; leaky ones, tau = 50 ms, within 100.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, r_squared, squared_error

EVALUATION, PROBE = 0x1A7E0001, 0x1A7E0002
"""Seeds of the held-out trials and of the probe; members' own seeds are small numbers."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Path integration in D = `dimensions`, from the centre of the arena, with side 2 A, A = `arena`.

    Along each axis the velocity without walls is a stationary Gaussian process of sd `speed` and correlation
    exp(-time / persistence). Its integral is folded back where it would pass a wall, as by a mirror: that is the
    position x(t). Inputs are the displacements of each step, d(t) = x(t) - x(t - dt), or the heading d / |d| and then
    |d|. The target at t is x(t), the input's own step counted.

    Inputs `(trial, steps, D)`, with headings `(trial, steps, D + 1)`; targets `(trial, steps, D)`; mask of ones
    `(trial, steps)`. Condition: `end`, on which side of the centre the path ends along each axis, read as a binary
    number, the first axis the least.

    Attributes:
      dimensions: number of axes, D.
      motion: what is shown, "displacement" or "heading", which is heading and speed.
      arena: distance from the centre to a wall, A, in the unit of positions.
      speed: sd of the velocity along an axis, per s. At 8 paths of 1 s reach the walls at times.
      persistence: time constant of the velocity, ms.
      steps: time steps of a trial.
      dt: ms per time step.
      noise: standard deviation of the noise added to every input at every step; targets do not see it.
      eval_trials: trials of the held-out set.
      probe_trials: trials of the probe, random ones frozen by a stored key, without noise.
    """

    dimensions: int = setting(2, least=1, most=3)
    motion: str = setting("displacement", choices=("displacement", "heading"))
    arena: Static[float] = setting(5.0, above=0.0)
    speed: Static[float] = setting(8.0, above=0.0)
    persistence: Static[float] = setting(200.0, above=0.0)
    steps: int = setting(100, least=2)
    dt: Static[float] = setting(10.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=1)
    probe_trials: int = setting(48, least=4)

    scored = "R²"
    chance = 0.0
    solved = 0.95

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.dimensions + (self.motion == "heading")

    @property
    def outputs(self) -> int:
        return self.dimensions

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` random trials of training step `step`."""
        return self._trials(jax.random.fold_in(key, step), batch)

    def _trials(self, key: jax.Array, batch: int) -> Trials:
        path_key, noise_key = jax.random.split(key)
        position = self._path(jax.random.normal(path_key, (batch, self.steps, self.dimensions)))
        inputs = jnp.diff(position, axis=1, prepend=jnp.zeros((batch, 1, self.dimensions)))
        if self.motion == "heading":
            size = jnp.sqrt(jnp.sum(inputs**2, axis=-1, keepdims=True))
            inputs = jnp.concatenate([inputs / jnp.maximum(size, 1e-6), size], axis=-1)
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)
        place = 2 ** jnp.arange(self.dimensions, dtype=jnp.int32)
        end = jnp.sum(jnp.where(position[:, -1] > 0, place[None], 0), axis=1)
        return Trials(inputs, position, jnp.ones((batch, self.steps)), {"end": end})

    def _path(self, normals: jax.Array) -> jax.Array:
        """Positions of standard normal numbers, both `(trial, steps, axis)`."""
        # Velocities are linear in the numbers: one product with a table in place of a scan.
        kept = np.exp(-self.dt / self.persistence)
        after = np.arange(self.steps)[:, None] - np.arange(self.steps)[None]
        table = np.where(after >= 0, kept ** np.maximum(after, 0), 0.0)
        table[:, 1:] *= np.sqrt(1 - kept**2)  # the first is drawn from the stationary distribution
        table = jnp.asarray(table * self.speed * self.dt / 1000, jnp.float32)
        moves = jnp.einsum("ts,bsd->btd", table, normals, precision=jax.lax.Precision.HIGHEST)
        free = jnp.cumsum(moves, axis=1)
        turns = jnp.round(free / (2 * self.arena))  # how many walls lie between
        return (free - 2 * self.arena * turns) * jnp.where(turns % 2 == 0, 1.0, -1.0)

    def condition_words(self, name: str, value: Any) -> str:
        """The sides on which a path ends, the first axis first."""
        return " ".join("+" if int(value) >> axis & 1 else "-" for axis in range(self.dimensions))

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step, axis)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """R^2 over masked (trial, step, axis) of all trials together: 1 - error / variance of the targets."""
        return r_squared(outputs, trials)

    def evaluation(self, data: Any = None) -> Trials:
        """Held-out random trials, with the noise of the task."""
        return self._trials(threefry_key(EVALUATION), self.eval_trials)

    def probe(self, data: Any = None) -> Trials:
        """Random trials frozen by a stored key, without noise."""
        return dataclasses.replace(self, noise=0.0)._trials(threefry_key(PROBE), self.probe_trials)

    def static_inputs(self) -> dict[str, Any]:
        """At rest: what the network does while it remembers where it is."""
        return {"at rest": np.zeros(self.input_shape[1])}

    def longer(self, factor: float) -> "Task":
        """The task with trials that many times as long, to the next time step."""
        return dataclasses.replace(self, steps=round(self.steps * factor))
