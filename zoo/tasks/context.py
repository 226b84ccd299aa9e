"""Context-dependent integration: integrate one of two streams of evidence, ignore the other, as a cue says.

Mante, Sussillo, Shenoy & Newsome 2013 (Nature); Maheswaranathan et al. 2019 (NeurIPS), task 3, where the output is the
running integral itself. A trained network holds the integral on one line attractor per context.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, r_squared, squared_error

EVALUATION, PROBE = 0xC0E70001, 0xC0E70002
"""Seeds of the held-out trials and of the probe; members' own seeds are small numbers."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Context-dependent integration of white noise.

    Two streams of evidence with coherences c_1 and c_2, drawn independently, and white noise n of unit variance:

        e_i(t) = c_i + n_i(t),    target(t) = sum over s <= t of e_k(s), divided by sqrt(steps),

    k the cued stream. So the target ends at c_k sqrt(steps), give or take 1: with 100 steps and the default coherences
    within about -3 and 3. The evidence's own noise is part of what is integrated; `noise` is not.

    Inputs `(trial, steps, 4)`: e_1, e_2, and the context, one-hot and static. Targets `(trial, steps, 1)`, mask of ones
    `(trial, steps)`. Conditions: `context`, 0 or 1; `coherence1`, `coherence2`.

    The score is R^2 of the integral and not the accuracy of its sign at the end. The target is graded, R^2 counts every
    step, and integrals that end near 0 make the share of right signs depend on the coherences drawn more than on the
    network. A network that integrates both streams alike cannot pass .5.

    Attributes:
      coherences: the values that each stream's mean is drawn from, in standard deviations of the evidence per step.
      steps: time steps of a trial.
      dt: ms per time step.
      noise: standard deviation of the noise added to all four inputs at every step; targets do not see it.
      eval_trials: trials of the held-out set.
      probe_repeats: trials of the probe per context and pair of coherences.
    """

    coherences: tuple[float, ...] = (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2)
    steps: int = setting(100, least=2)
    dt: Static[float] = setting(10.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=1)
    probe_repeats: int = setting(1, least=1)

    scored = "R²"
    chance = 0.0
    solved = 0.95

    def __post_init__(self) -> None:
        if not self.coherences or len(set(self.coherences)) < len(self.coherences):
            raise ValueError(f"context: coherences={self.coherences} must be one or more different numbers.")

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, 4

    @property
    def outputs(self) -> int:
        return 1

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` random trials of training step `step`."""
        return self._random(jax.random.fold_in(key, step), batch)

    def _random(self, key: jax.Array, batch: int) -> Trials:
        cell_key, trials_key = jax.random.split(key)
        return self._trials(trials_key, jax.random.randint(cell_key, (batch,), 0, self._cells))

    @property
    def _cells(self) -> int:
        """Cells of the design: contexts x coherences x coherences."""
        return 2 * len(self.coherences) ** 2

    def _trials(self, key: jax.Array, cell: jax.Array) -> Trials:
        """One trial of each cell of the design in `cell`, `(trial,)`."""
        context, first, second = jnp.unravel_index(cell, (2, len(self.coherences), len(self.coherences)))
        coherence = jnp.asarray(self.coherences, jnp.float32)[jnp.stack([first, second], axis=1)]
        evidence_key, noise_key = jax.random.split(key)
        batch = cell.shape[0]
        evidence = coherence[:, None, :] + jax.random.normal(evidence_key, (batch, self.steps, 2))
        cued = jnp.where(context[:, None] == 0, evidence[..., 0], evidence[..., 1])
        targets = jnp.cumsum(cued, axis=1)[..., None] / self.steps**0.5

        cue = jax.nn.one_hot(context, 2)
        inputs = jnp.concatenate([evidence, jnp.broadcast_to(cue[:, None, :], evidence.shape)], axis=-1)
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)
        conditions = {"context": context, "coherence1": coherence[:, 0], "coherence2": coherence[:, 1]}
        return Trials(inputs, targets, jnp.ones((batch, self.steps)), conditions)

    def condition_words(self, name: str, value: Any) -> str:
        """The stream that is to be integrated, or the mean of one of them."""
        return f"integrate {int(value) + 1}" if name == "context" else f"mean {value:+.2g}"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """R^2 over masked (trial, step) of all trials together: 1 - error / variance of the targets."""
        return r_squared(outputs, trials)

    def evaluation(self, data: Any = None) -> Trials:
        """Held-out random trials, with the noise of the task."""
        return self._random(threefry_key(EVALUATION), self.eval_trials)

    def probe(self, data: Any = None) -> Trials:
        """Every context with every pair of coherences, `probe_repeats` times; its noise is frozen by a stored key."""
        cells = jnp.repeat(jnp.arange(self._cells), self.probe_repeats)
        quiet = dataclasses.replace(self, noise=0.0)
        return quiet._trials(threefry_key(PROBE), cells)

    def static_inputs(self) -> dict[str, Any]:
        """Each context without evidence: what the network does while it holds the integral."""
        return {self.condition_words("context", i): np.array([0.0, 0.0, 1.0 - i, float(i)]) for i in (0, 1)}
