"""Centre-out reaching: a cue says where to, the go signal when; the output is the hand's velocity or position.

The instructed-delay task of motor physiology (Georgopoulos, Kalaska, Caminiti & Massey 1982, J. Neurosci. 2:1527), with
the straight, smooth movements of Flash & Hogan (1985, J. Neurosci. 5:1688). Sussillo, Churchland, Kaufman & Shenoy
(2015, Nat. Neurosci. 18:1025) set networks trained on such a task against motor cortex.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, r_squared, squared_error

EVALUATION = 0x4EAC0001
"""Seed of the held-out trials' noise; members' own seeds are small numbers."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Centre-out reaching in n = `directions` directions, at angles 2 pi j / n counter-clockwise from rightward.

    Time runs from `start` to `end`, in ms from movement onset. Two inputs are 0 until `cue` and then the direction,
    (cos, sin); the third, "hold", is 1 until `go` and then 0. The hand moves one unit along its direction with the
    least jerk, at rest before and after: with u = t / movement, kept within 0 and 1 (Flash & Hogan 1985, eq. 4),

        distance(t) = 10 u^3 - 15 u^4 + 6 u^5,    speed(t) = 30 u^2 (1 - u)^2,

    the speed in multiples of its mean over the movement: its peak, halfway, is 1.875.

    Inputs `(trial, steps, 3)`, targets `(trial, steps, 2)`, x and y, mask of ones `(trial, steps)`. Condition:
    `direction`, in degrees.

    Attributes:
      directions: number of directions, n.
      output: what is to be produced, the hand's "velocity" or "position".
      start: time of the first step, ms from movement onset.
      end: time of the last step.
      cue: time at which the direction is shown, ms from movement onset; it stays.
      go: time at which "hold" ends, before onset by the reaction time.
      movement: ms that the movement takes.
      dt: ms per time step.
      noise: standard deviation of the noise added to every input at every step.
      eval_trials: trials of the held-out set where there is noise; without, one trial of each direction is all.
    """

    directions: int = setting(8, least=2)
    output: str = setting("velocity", choices=("velocity", "position"))
    start: Static[float] = setting(-800.0, most=0.0)
    end: Static[float] = setting(400.0, above=0.0)
    cue: Static[float] = setting(-600.0, most=0.0)
    go: Static[float] = setting(-250.0, most=0.0)
    movement: Static[float] = setting(400.0, above=0.0)
    dt: Static[float] = setting(10.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=1)

    scored = "R²"
    chance = 0.0
    solved = 0.95

    def __post_init__(self) -> None:
        if not self.start <= self.cue <= self.go:
            raise ValueError(f"reach: start={self.start}, cue={self.cue} and go={self.go} ms must be in this order.")
        if abs(round(self._length) - self._length) > 1e-6:
            raise ValueError(
                f"reach: from start={self.start} to end={self.end} ms must be a multiple of dt={self.dt} ms."
            )

    @property
    def _length(self) -> float:
        return (self.end - self.start) / self.dt

    @property
    def steps(self) -> int:
        """Time steps of a trial."""
        return round(self._length) + 1

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, 3

    @property
    def outputs(self) -> int:
        return 2

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` trials of training step `step`, each of a direction drawn at random."""
        index_key, noise_key = jax.random.split(jax.random.fold_in(key, step))
        return self._trials(noise_key, jax.random.randint(index_key, (batch,), 0, self.directions))

    def _trials(self, noise_key: jax.Array, index: jax.Array) -> Trials:
        # Tables in float64, made before the program, as for the sine waves: the probe has the same bits everywhere.
        degrees = 360 * np.arange(self.directions) / self.directions
        unit = np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=-1)
        time = self.start + self.dt * np.arange(self.steps)
        u = np.clip(time / self.movement, 0, 1)
        course = 30 * u**2 * (1 - u) ** 2 if self.output == "velocity" else 10 * u**3 - 15 * u**4 + 6 * u**5
        cues = unit[:, None] * (time >= self.cue)[:, None]
        hold = np.broadcast_to((time < self.go)[:, None], (self.directions, self.steps, 1))
        tables = np.concatenate([cues, hold], axis=-1), unit[:, None] * course[:, None], degrees
        inputs, targets, direction = (jnp.asarray(table, jnp.float32)[index] for table in tables)
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)
        return Trials(inputs, targets, jnp.ones(inputs.shape[:2]), {"direction": direction})

    def condition_words(self, name: str, value: Any) -> str:
        """A direction with its unit."""
        return f"{value:.4g}\u00b0"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step, output)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """R^2 over masked (trial, step, output) of all trials together: 1 - error / variance of the targets."""
        return r_squared(outputs, trials)

    def evaluation(self, data: Any = None) -> Trials:
        """Every direction in turn, with the noise of the task."""
        # Noise-free trials of one direction are all alike.
        count = self.eval_trials if on(self.noise) else self.directions
        return self._trials(threefry_key(EVALUATION), jnp.arange(count) % self.directions)

    def probe(self, data: Any = None) -> Trials:
        """One noise-free trial of each direction, counter-clockwise from rightward."""
        return dataclasses.replace(self, noise=0.0).evaluation()
