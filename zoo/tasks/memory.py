"""Short-term memory of a cue: which of two cues was shown before a delay.

The delayed cue discrimination task of Kurtkaya, Dinc et al. (2025, ICML, arXiv:2502.17433), of which this has the times
and the loss as their published code has them. Networks hold the cue at slow points, or come back to it on a limit
cycle; which, depends on the delay and the learning rate.

Their networks begin each trial at random, which hides what a cue has left behind (`vanilla`: `initial_noise=0.1`, noise
0.001 inside, tau = 10 ms, Xavier's weights, an initial diagonal of 0); SGD with momentum 0.9, 64 trials of each cue.
8 such networks of 100 units pass the criterion at 100 ms within 20 steps of rate 0.1, in 11 s on two busy cores; at 200
ms within 20 to 600 steps, in 31 s.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials

EVALUATION = 0x3E300001
"""Seed of the held-out trials' noise; members' own seeds are small numbers."""
CUES = 2
"""Cues, each with an input and an output of its own."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Delayed cue discrimination.

    One of two inputs is 1 for `cue` ms. After `delay` ms without input, the output of the same number is to be 1 for
    `response` ms; all outputs are to be 0 before, and for `post` ms after it. Every time step counts in the loss: with
    T time steps of a trial, and R of them in the response and after it, these weigh 1 - R / T and the others R / T, and

        loss = sum over steps of weight x mean squared error over outputs, divided by T.

    The delay is a number of each network, and takes up no program of its own: a trial has room for `longest_delay`, and
    what a shorter one leaves is masked. It is rounded to time steps.

    Inputs and targets `(trial, steps, 2)`; mask, the weights, `(trial, steps)`. Condition: `cue`, 0 or 1. Trials show
    the cues in turn; without noise all trials of a cue are alike, and a batch of 2 is as good as any.

    The score is the smaller of two means over the steps of the response: accuracy, the share in which the right output
    y is the larger one, the other being z, and reliability, (1 + y - z) / 2 kept within 0 and 1. Where both add up to 1
    that is y / (y + z), as it is published; of outputs near 0 it is a half and not anything.

    Attributes:
      cue: ms that the cue is shown.
      delay: ms from its end to the response.
      response: ms of the response.
      post: ms after the response in which outputs are to be 0 again.
      longest_delay: ms that a trial has room for between cue and response.
      dt: ms per time step.
      noise: standard deviation of the noise added to every input at every step.
      eval_trials: trials of the held-out set where there is noise; without, one trial of each cue is all.
    """

    cue: Static[float] = setting(30.0, above=0.0)
    delay: float = setting(100.0, least=0.0)
    response: Static[float] = setting(50.0, above=0.0)
    post: Static[float] = setting(0.0, least=0.0)
    longest_delay: Static[float] = setting(400.0, least=0.0)
    dt: Static[float] = setting(5.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=2)

    scored = "accuracy or reliability, the smaller"
    chance = 0.5
    solved = 0.8

    def __post_init__(self) -> None:
        for name in ("cue", "response", "post", "longest_delay"):
            if abs(round(count := getattr(self, name) / self.dt) - count) > 1e-6:
                raise ValueError(f"memory: {name}={getattr(self, name)} ms must be a multiple of dt={self.dt} ms.")
        if isinstance(self.delay, (int, float)) and self.delay > self.longest_delay:  # in a program it is an array
            raise ValueError(f"memory: delay={self.delay} ms must be at most longest_delay={self.longest_delay} ms.")

    def _steps_of(self, name: str) -> int:
        return round(getattr(self, name) / self.dt)

    @property
    def steps(self) -> int:
        """Time steps of a trial with the longest delay."""
        return sum(map(self._steps_of, ("cue", "longest_delay", "response", "post")))

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, CUES

    @property
    def outputs(self) -> int:
        return CUES

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` trials of training step `step`, of the cues in turn."""
        return self._trials(jax.random.fold_in(key, step), batch)

    def _trials(self, noise_key: jax.Array, batch: int) -> Trials:
        which = jnp.arange(batch) % CUES
        time, shown = jnp.arange(self.steps), self._steps_of("cue")
        begins = shown + jnp.round(jnp.asarray(self.delay) / self.dt)  # of the response
        ends = begins + self._steps_of("response")
        length = ends + self._steps_of("post")
        late = (length - begins) / length
        weights = jnp.where(time < begins, late, 1 - late) * (time < length)
        cues = jax.nn.one_hot(which, CUES)
        inputs = cues[:, None] * (time < shown)[None, :, None]
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)
        targets = cues[:, None] * ((time >= begins) & (time < ends))[None, :, None]
        return Trials(inputs, targets, jnp.broadcast_to(weights[None], (batch, self.steps)), {"cue": which})

    def condition_words(self, name: str, value: Any) -> str:
        """Which cue was shown."""
        return f"cue {int(value) + 1}"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """The weighted squared error by step, over the steps of all trials; see the class's text."""
        error = jnp.mean(jnp.square(outputs - trials.targets), axis=-1)
        return jnp.sum(error * trials.mask) / jnp.sum(trials.mask > 0)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """The smaller of accuracy and reliability."""
        return jnp.minimum(*self.accuracy_and_reliability(outputs, trials))

    def accuracy_and_reliability(self, outputs: jax.Array, trials: Trials) -> tuple[jax.Array, jax.Array]:
        """Both, over the masked steps of the response; see the class's text. Equal outputs are half right."""
        answers = jnp.float32((trials.targets.sum(-1) > 0) & (trials.mask > 0))
        right = jnp.sum(outputs * trials.targets, axis=-1)
        wrong = jnp.sum(outputs * (1 - trials.targets), axis=-1)
        accuracy = 0.5 + 0.5 * jnp.sign(right - wrong)
        reliability = jnp.clip(0.5 + 0.5 * (right - wrong), 0.0, 1.0)
        count = jnp.sum(answers)
        return jnp.sum(accuracy * answers) / count, jnp.sum(reliability * answers) / count

    def evaluation(self, data: Any = None) -> Trials:
        """Both cues in turn, with the noise of the task."""
        # Noise-free trials of one cue are all alike.
        return self._trials(threefry_key(EVALUATION), self.eval_trials if on(self.noise) else CUES)

    def probe(self, data: Any = None) -> Trials:
        """One noise-free trial of each cue, with the longest delay: the same for networks of every delay."""
        return dataclasses.replace(self, noise=0.0, delay=self.longest_delay).evaluation()

    def static_inputs(self) -> dict[str, Any]:
        """No cue: what the network does in the delay."""
        return {"no cue": np.zeros(CUES)}

    def longer(self, factor: float) -> "Task":
        """The task with delays that many times as long."""
        longest = round(self._steps_of("longest_delay") * factor) * self.dt
        return dataclasses.replace(self, delay=self.delay * factor, longest_delay=longest)
