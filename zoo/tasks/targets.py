"""Patterns that a network has to produce by itself: sums of sines, or what a chaotic network does.

Sussillo & Abbott 2009 (Neuron 63, 544), figure 2: what FORCE learning is tried on.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, r_squared, squared_error

CHAOS_UNITS, CHAOS_GAIN, CHAOS_TAU = 200, 1.8, 10.0
"""The network that makes the chaotic patterns; its time constant in ms."""
CHAOS_SEED = 1
"""One that is chaotic: of a few hundred units some networks end on a cycle, as that of seed 0 does."""
SETTLING = 200.0
"""ms that go by until it is on its attractor."""
CUE_STEPS = 10
"""Time steps of the pulse that says which pattern is due."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Pattern generation.

    Pattern j = 1 ... n of n = `patterns` is due after a pulse of 1 on input j, over the first 10 steps. A pattern of
    kind "sines", with phases p drawn once,

        target_k(t) = 1.3 / 1.5 sum_m a_m sin(2 pi m t / period + p_jkm),    a = 1, 1/2, 1/6, 1/3,    m = 1 ... 4

    and, for one pattern of one signal, all p are 0: the target of Sussillo & Abbott. Of kind "chaos", signal k is the
    rate of unit k of a network of 200 units, tau dx/dt = -x + 1.8 J tanh(x), tau = 10 ms, 200 ms after a start
    that every pattern has for itself.

    Inputs `(trial, steps, patterns)`, targets `(trial, steps, signals)`, mask of ones. Condition: `pattern`, from 0.

    Attributes:
      kind: "sines" or "chaos".
      patterns: how many there are; batches have them in turn.
      signals: outputs of each.
      steps: time steps of a trial.
      dt: ms per time step.
      period: of the slowest sine, ms.
    """

    kind: str = setting("sines", choices=("sines", "chaos"))
    patterns: int = setting(1, least=1)
    signals: int = setting(1, least=1, most=CHAOS_UNITS)
    steps: int = setting(300, least=20)
    dt: Static[float] = setting(1.0, above=0.0)
    period: Static[float] = setting(150.0, above=0.0)

    scored = "R²"
    chance = 0.0
    solved = 0.95

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.patterns

    @property
    def outputs(self) -> int:
        return self.signals

    def data(self) -> dict[str, np.ndarray]:
        """The targets of all patterns, `(pattern, steps, signals)`."""
        return {"targets": _sines(self) if self.kind == "sines" else _chaos(self)}

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """The patterns in turn, from the first at step 0 on: nothing is random."""
        index = (step * batch + jnp.arange(batch)) % self.patterns
        cue = jnp.arange(self.steps)[None, :, None] < CUE_STEPS
        inputs = jnp.where(cue, jax.nn.one_hot(index, self.patterns)[:, None], 0.0)
        targets = jnp.asarray((self.data() if data is None else data)["targets"])[index]
        return Trials(inputs, targets, jnp.ones((batch, self.steps)), {"pattern": index})

    def condition_words(self, name: str, value: Any) -> str:
        """The number of a pattern."""
        return f"pattern {int(value) + 1}"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step, output)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """R^2 over masked (trial, step, output) of all trials together: 1 - error / variance of the targets."""
        return r_squared(outputs, trials)

    def evaluation(self, data: Any = None) -> Trials:
        """Every pattern once."""
        return self.sample(threefry_key(0), self.patterns, data=data)

    def probe(self, data: Any = None) -> Trials:
        """Every pattern once."""
        return self.evaluation(data)


@functools.lru_cache(maxsize=64)
def _sines(task: Task) -> np.ndarray:
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (task.patterns, task.signals, 4))
    if task.patterns == task.signals == 1:
        phases[:] = 0
    time = np.arange(task.steps)[:, None] * task.dt / task.period
    waves = np.sin(2 * np.pi * np.arange(1, 5) * time[None, None] + phases[:, :, None])  # pattern, signal, time, m
    return (1.3 / 1.5 * waves @ np.array([1, 1 / 2, 1 / 6, 1 / 3])).transpose(0, 2, 1).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _chaos(task: Task) -> np.ndarray:
    draw = np.random.default_rng(CHAOS_SEED)
    weights = draw.standard_normal((CHAOS_UNITS, CHAOS_UNITS)) * CHAOS_GAIN / np.sqrt(CHAOS_UNITS)
    x = draw.standard_normal((task.patterns, CHAOS_UNITS))
    fine = math.ceil(10 * task.dt / CHAOS_TAU)  # Euler steps of a tenth of the time constant, or finer
    alpha, rates = task.dt / fine / CHAOS_TAU, []
    settled = round(SETTLING / (task.dt / fine))
    for step in range(settled + task.steps * fine):
        x = (1 - alpha) * x + alpha * np.tanh(x) @ weights
        if step >= settled and (step - settled) % fine == 0:
            rates.append(np.tanh(x[:, : task.signals]))
    return np.stack(rates, axis=1).astype(np.float32)
