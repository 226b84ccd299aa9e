"""Delayed discrimination: which of two stimuli, one before and one after a delay, was the larger one.

The vibrotactile task of Romo, Brody, Hernandez & Lemus (1999), Nature 399:470, with the delays and frequencies of Huang
et al. (2025, NeurIPS), who make it harder by more channels, longer delays and a second question. A trained network
holds the first stimulus along a line of slow states until the second comes.

8 vanilla networks of 64 units pass the criterion within 150 to 350 steps of Adam (64 trials each, rate .002, clipped at
1), in 12 s on two busy cores; with two channels and the differences within 900 to 1500, in 93 s.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, r_squared, squared_error

EVALUATION, PROBE = 0xDE1A0001, 0xDE1A0002
"""Seeds of the held-out trials and of the probe; members' own seeds are small numbers."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Delayed discrimination in K = `channels` channels at once.

    In every channel a first stimulus f_1 is shown for `stimulus` ms, nothing for a delay, the same in all channels, and
    a second one f_2 for `stimulus` ms. Then, for `response` ms,

        target = sign(f_2 - f_1), and where `difference` is asked for, too, |f_2 - f_1| / (highest - lowest).

    Stimuli are two different ones of `levels` evenly spaced from `lowest` to `highest`; the input is f / highest, and 0
    where there is no stimulus. The delay is drawn from all time steps from `shortest_delay` to `longest_delay`.
    Nothing but the response counts.

    Inputs `(trial, steps, K)`, targets `(trial, steps, K)`, or `(trial, steps, 2 K)` with the differences last; mask
    `(trial, steps)`, 1 in the response. Conditions: `first` and `second`, f_1 and f_2 of the first channel, and
    `delay`, in ms.

    The score is R^2 and not the share of right signs: it counts the differences, too.

    Attributes:
      channels: number of channels, K.
      difference: whether the size of the difference is asked for beside its sign.
      levels: number of stimuli.
      lowest: the smallest stimulus, Hz.
      highest: the largest stimulus, Hz.
      stimulus: ms that each stimulus is shown.
      shortest_delay: ms between the stimuli at least.
      longest_delay: ms between the stimuli at most.
      response: ms in which outputs count.
      dt: ms per time step.
      noise: standard deviation of the noise added to every input at every step.
      eval_trials: trials of the held-out set.
    """

    channels: int = setting(1, least=1)
    difference: bool = False
    levels: int = setting(9, least=2)
    lowest: Static[float] = setting(2.0, above=0.0)
    highest: Static[float] = setting(10.0, above=0.0)
    stimulus: Static[float] = setting(50.0, above=0.0)
    shortest_delay: Static[float] = setting(50.0, least=0.0)
    longest_delay: Static[float] = setting(200.0, least=0.0)
    response: Static[float] = setting(50.0, above=0.0)
    dt: Static[float] = setting(10.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=1)

    scored = "R²"
    chance = 0.0
    solved = 0.95

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise ValueError(f"discrimination: lowest={self.lowest} Hz must be below highest={self.highest} Hz.")
        if self.shortest_delay > self.longest_delay:
            raise ValueError(
                f"discrimination: shortest_delay={self.shortest_delay} ms must be at most "
                f"longest_delay={self.longest_delay} ms."
            )
        for name in ("stimulus", "shortest_delay", "longest_delay", "response"):
            if abs(round(count := getattr(self, name) / self.dt) - count) > 1e-6:
                raise ValueError(
                    f"discrimination: {name}={getattr(self, name)} ms must be a multiple of dt={self.dt} ms."
                )

    def _steps_of(self, name: str) -> int:
        return round(getattr(self, name) / self.dt)

    @property
    def steps(self) -> int:
        """Time steps of a trial with the longest delay."""
        return sum(self._steps_of(name) for name in ("stimulus", "stimulus", "longest_delay", "response"))

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.channels

    @property
    def outputs(self) -> int:
        return self.channels * (1 + self.difference)

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` random trials of training step `step`."""
        return self._random(jax.random.fold_in(key, step), batch)

    def _random(self, key: jax.Array, batch: int) -> Trials:
        pair_key, delay_key, noise_key = jax.random.split(key, 3)
        pairs = jax.random.randint(pair_key, (batch, self.channels), 0, self._pairs)
        shortest, longest = self._steps_of("shortest_delay"), self._steps_of("longest_delay")
        delay = jax.random.randint(delay_key, (batch,), shortest, longest + 1)
        return self._trials(noise_key, pairs, delay)

    @property
    def _pairs(self) -> int:
        """Pairs of two different stimuli, in either order."""
        return self.levels * (self.levels - 1)

    def _trials(self, noise_key: jax.Array, pairs: jax.Array, delay: jax.Array) -> Trials:
        """Trials of these pairs, `(trial, channel)`, and delays in steps, `(trial,)`."""
        first, other = jnp.divmod(pairs, self.levels - 1)
        second = other + (other >= first)
        hertz = jnp.asarray(np.linspace(self.lowest, self.highest, self.levels), jnp.float32)
        f1, f2 = hertz[first], hertz[second]

        time, shown = jnp.arange(self.steps)[None], self._steps_of("stimulus")
        begins = delay[:, None] + shown  # of the second stimulus
        is_first, is_second = time < shown, (time >= begins) & (time < begins + shown)
        answers = (time >= begins + shown) & (time < begins + shown + self._steps_of("response"))
        inputs = (is_first[..., None] * f1[:, None] + is_second[..., None] * f2[:, None]) / self.highest
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)

        asked = [jnp.sign(f2 - f1)]
        if self.difference:
            asked.append(jnp.abs(f2 - f1) / (self.highest - self.lowest))
        targets = answers[..., None] * jnp.concatenate(asked, axis=1)[:, None]
        conditions = {"first": f1[:, 0], "second": f2[:, 0], "delay": jnp.float32(delay * self.dt)}
        return Trials(inputs, targets, jnp.float32(answers), conditions)

    def condition_words(self, name: str, value: Any) -> str:
        """A stimulus or a delay with its unit."""
        return f"{value:.3g} {'ms' if name == 'delay' else 'Hz'}"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step, output)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """R^2 over masked (trial, step, output) of all trials together: 1 - error / variance of the targets."""
        return r_squared(outputs, trials)

    def evaluation(self, data: Any = None) -> Trials:
        """Held-out random trials, with the noise of the task."""
        return self._random(threefry_key(EVALUATION), self.eval_trials)

    def probe(self, data: Any = None) -> Trials:
        """Every pair of different stimuli in the first channel, noise-free, with the longest delay. Pairs of further
        channels are random ones frozen by a stored key."""
        pairs = jax.random.randint(threefry_key(PROBE), (self._pairs, self.channels), 0, self._pairs)
        pairs = pairs.at[:, 0].set(jnp.arange(self._pairs))
        delay = jnp.full(self._pairs, self._steps_of("longest_delay"))
        return dataclasses.replace(self, noise=0.0)._trials(threefry_key(PROBE), pairs, delay)

    def static_inputs(self) -> dict[str, Any]:
        """No stimulus: what the network does in the delay."""
        return {"no stimulus": np.zeros(self.channels)}

    def longer(self, factor: float) -> "Task":
        """The task with its delays that many times as long, to the next time step."""
        delays = {name: self._steps_of(name) * factor for name in ("shortest_delay", "longest_delay")}
        return dataclasses.replace(self, **{name: round(steps) * self.dt for name, steps in delays.items()})
