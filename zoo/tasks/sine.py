"""The frequency-cued sine wave: a static input says how fast the output has to oscillate.

Sussillo & Barak 2013 (Neural Computation, section 3.3); Maheswaranathan et al. 2019 (NeurIPS), task 2. A trained
network has one unstable fixed point per value of the input, whose rotation is the frequency.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, r_squared, squared_error

EVALUATION = 0x51E50001
"""Seed of the held-out trials' noise; members' own seeds are small numbers."""
SAMPLES = 10
"""Fewest time steps in a period: below, the target is no longer smooth."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Frequency-cued sine wave.

    For condition j = 1 ... n of n = `frequencies`, with f_j evenly spaced from `lowest` to `highest`:

        input(t) = j / n + 0.25,    target(t) = sin(2 pi f_j t),    t = 0, dt, 2 dt ...

    The input is that of Sussillo & Barak 2013, with their 51 conditions. Theirs run from 1 to 6 rad per time constant
    of the network; the defaults, 1 to 5 Hz, are .6 to 3.1 rad per 100 ms and give 20 steps to the shortest period.

    Inputs and targets `(trial, steps, 1)`, mask of ones `(trial, steps)`. Condition: `frequency`, in Hz.

    Attributes:
      frequencies: number of conditions, n.
      lowest: lowest frequency, Hz.
      highest: highest frequency, Hz.
      steps: time steps of a trial.
      dt: ms per time step.
      noise: standard deviation of the noise added to the input at every step.
      eval_trials: trials of the held-out set where there is noise; without, one trial of each frequency is all.
    """

    frequencies: int = setting(51, least=2)
    lowest: Static[float] = setting(1.0, above=0.0)
    highest: Static[float] = setting(5.0, above=0.0)
    steps: int = setting(100, least=2)
    dt: Static[float] = setting(10.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=1)

    scored = "R²"
    chance = 0.0
    solved = 0.95

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise ValueError(f"sine: lowest={self.lowest} Hz must be below highest={self.highest} Hz.")
        if self.highest * self.dt * SAMPLES > 1000:
            raise ValueError(
                f"sine: highest={self.highest} Hz at dt={self.dt} ms leaves fewer than {SAMPLES} steps to a period; "
                f"allowed is at most {1000 / (SAMPLES * self.dt):g} Hz."
            )

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, 1

    @property
    def outputs(self) -> int:
        return 1

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` trials of training step `step`, each of a frequency drawn at random."""
        index_key, noise_key = jax.random.split(jax.random.fold_in(key, step))
        return self._trials(noise_key, jax.random.randint(index_key, (batch,), 0, self.frequencies))

    def _trials(self, noise_key: jax.Array, index: jax.Array) -> Trials:
        batch = index.shape[0]
        # Waves and cues are tables, made in float64 before the program: cheaper to look up than sines are to compute,
        # and the probe has the same bits on every device.
        hertz = np.linspace(self.lowest, self.highest, self.frequencies)
        waves = np.sin(2 * np.pi * hertz[:, None] * (np.arange(self.steps) * self.dt / 1000))
        cues = np.arange(1, self.frequencies + 1) / self.frequencies + 0.25
        hertz, waves, cues = (jnp.asarray(table, jnp.float32)[index] for table in (hertz, waves, cues))
        inputs = jnp.broadcast_to(cues[:, None, None], (batch, self.steps, 1))
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)
        return Trials(inputs, waves[..., None], jnp.ones((batch, self.steps)), {"frequency": hertz})

    def condition_words(self, name: str, value: Any) -> str:
        """A frequency with its unit."""
        return f"{value:.3g} Hz"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """R^2 over masked (trial, step) of all trials together: 1 - error / variance of the targets."""
        return r_squared(outputs, trials)

    def evaluation(self, data: Any = None) -> Trials:
        """Every frequency in turn, with the noise of the task."""
        # Noise-free trials of one frequency are all alike.
        count = self.eval_trials if on(self.noise) else self.frequencies
        return self._trials(threefry_key(EVALUATION), jnp.arange(count) % self.frequencies)

    def probe(self, data: Any = None) -> Trials:
        """One noise-free trial of each frequency, in rising order."""
        return dataclasses.replace(self, noise=0.0).evaluation()

    def static_inputs(self) -> dict[str, Any]:
        """The cues of the lowest, the middle and the highest frequency."""
        hertz = np.linspace(self.lowest, self.highest, self.frequencies)
        shown = dict.fromkeys((0, self.frequencies // 2, self.frequencies - 1))
        return {f"{hertz[j]:.3g} Hz": np.array([(j + 1) / self.frequencies + 0.25]) for j in shown}

    def longer(self, factor: float) -> "Task":
        """The task with trials that many times as long, to the next time step."""
        return dataclasses.replace(self, steps=round(self.steps * factor))
