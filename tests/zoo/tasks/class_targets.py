"""A task over time whose targets are classes, which no task of the folder has: the contract tests hold for it, too."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from models import Static, off, on, setting
from zoo.tasks import Trials


@dataclasses.dataclass(frozen=True)
class Task:
    """Delayed match to sample: two pulses on one of three lines each; class 1 for the same line, else 0, at the end.

    Attributes:
      by: whether there is a label at every step, or one for the trial.
      delay: steps between the pulses.
      dt: ms per time step.
      noise: standard deviation of the noise added to the input.
    """

    by: str = setting("step", choices=("step", "trial"))
    delay: int = setting(4, least=1)
    dt: Static[float] = setting(20.0, above=0.0)
    noise: float = off(0.0)

    outputs = 2
    chance = 0.5
    solved = 0.95

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.delay + 4, 3

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        first, second, noise = jax.random.split(jax.random.fold_in(key, step), 3)
        match = jax.random.bernoulli(second, 0.5, (batch,)).astype(jnp.int32)
        return self._trials(jax.random.randint(first, (batch,), 0, 3), match, noise)

    def _trials(self, line: jax.Array, match: jax.Array, noise: jax.Array) -> Trials:
        steps = (len(line), self.input_shape[0])
        inputs = jnp.zeros((*steps, 3)).at[:, 0].set(jax.nn.one_hot(line, 3))
        inputs = inputs.at[:, self.delay + 1].set(jax.nn.one_hot((line + 1 - match) % 3, 3))
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise, inputs.shape)
        mask = jnp.broadcast_to(jnp.arange(steps[1]) >= self.delay + 2, steps).astype(jnp.float32)
        targets = match if self.by == "trial" else jnp.broadcast_to(match[:, None], steps)
        return Trials(inputs, targets, mask, {"line": line, "match": match})

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Cross entropy, nats."""
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), self._classes(trials)[..., None], axis=-1)[..., 0]
        return -jnp.sum(chosen * trials.mask) / jnp.sum(trials.mask)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Share of steps at which the right class has the larger output."""
        right = jnp.argmax(outputs, axis=-1) == self._classes(trials)
        return jnp.sum(right * trials.mask) / jnp.sum(trials.mask)

    def _classes(self, trials: Trials) -> jax.Array:
        targets = trials.targets if trials.targets.ndim == 2 else trials.targets[:, None]
        return jnp.broadcast_to(targets, trials.mask.shape)

    def evaluation(self, data: Any = None) -> Trials:
        return self.sample(jax.random.key(0xC1A55, impl="threefry2x32"), 64)

    def probe(self, data: Any = None) -> Trials:
        line, match = jnp.divmod(jnp.arange(6), 2)
        return dataclasses.replace(self, noise=0.0)._trials(line, match, jax.random.key(0))
