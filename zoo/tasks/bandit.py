"""The multi-armed bandit: which of several arms pays most often has to be found out by pulling them.

Wang et al. 2018 (Nature Neuroscience 21, 860): networks that learn to do so within an episode. An environment.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from models import Static, setting
from zoo.keys import threefry_key
from zoo.tasks import Episode, Trials

EVALUATION, PROBE = 0xBA4D0001, 0xBA4D0002
"""Seeds of the held-out and the recorded episodes; members' own seeds are small numbers."""


class World(NamedTuple):
    """One bandit.

    Attributes:
      chances: of a reward, by arm, `(arm,)`.
      pulls: so far.
    """

    chances: jax.Array
    pulls: jax.Array


@dataclasses.dataclass(frozen=True)
class Task:
    """Bandit with independent arms, which pay 1 with chances that are uniform in 0 to 1, anew in every episode.

    Observed before each pull: the last arm, one-hot, and its reward; zeros before the first. The regret of a pull is
    the best arm's chance minus that of the arm pulled.

    Attributes:
      arms: how many.
      steps: pulls in an episode.
      dt: ms per pull.
      eval_trials: held-out episodes.
      probe_trials: recorded episodes, made by pulling at random; condition `best`, the arm that pays most often.
    """

    arms: int = setting(4, least=2)
    steps: int = setting(100, least=2)
    dt: Static[float] = setting(100.0, above=0.0)
    eval_trials: int = setting(256, least=1)
    probe_trials: int = setting(64, least=4)

    scored = "1 - regret / regret at random"
    chance = 0.0
    solved = 0.7

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.arms + 1

    @property
    def outputs(self) -> int:
        return self.arms

    def data(self) -> None:
        return None

    def reset(self, key: jax.Array) -> tuple[World, jax.Array]:
        """Arms with new chances, and zeros."""
        return World(jax.random.uniform(key, (self.arms,)), jnp.int32(0)), jnp.zeros(self.arms + 1)

    def act(self, world: World, action: jax.Array, key: jax.Array) -> tuple[World, jax.Array, jax.Array, jax.Array]:
        """Pulls an arm."""
        reward = jax.random.bernoulli(key, world.chances[action]).astype(jnp.float32)
        observation = jnp.append(jax.nn.one_hot(action, self.arms), reward)
        world = world._replace(pulls=world.pulls + 1)
        return world, observation, reward, world.pulls >= self.steps

    def condition_words(self, name: str, value: Any) -> str:
        """The number of the best arm."""
        return f"arm {int(value) + 1}"

    def loss(self, episode: Episode) -> jax.Array:
        """Mean regret of a pull."""
        return jnp.mean(_regret(episode))

    def score(self, episode: Episode) -> jax.Array:
        """1 - regret / regret of pulling at random, over all episodes together: 1 is to know the best arm."""
        chances = episode.worlds.chances
        return 1 - jnp.mean(_regret(episode)) / jnp.mean(chances.max(-1) - chances.mean(-1))

    def evaluation(self, data: Any = None) -> jax.Array:
        """Keys of the held-out episodes."""
        return jax.random.split(threefry_key(EVALUATION), self.eval_trials)

    def probe(self, data: Any = None) -> Trials:
        """Recorded episodes; targets are the best arm, one-hot, at every step."""
        beginning, pulling, answering = jax.random.split(threefry_key(PROBE), 3)
        shape = (self.probe_trials, self.steps)
        worlds, _ = jax.vmap(self.reset)(jax.random.split(beginning, self.probe_trials))
        arms = jax.random.randint(pulling, shape, 0, self.arms)
        pays = jnp.take_along_axis(worlds.chances, arms, axis=-1)
        rewards = jax.random.bernoulli(answering, pays).astype(jnp.float32)
        seen = jnp.concatenate([jax.nn.one_hot(arms, self.arms), rewards[..., None]], axis=-1)
        inputs = jnp.pad(seen[:, :-1], ((0, 0), (1, 0), (0, 0)))
        best = jnp.argmax(worlds.chances, axis=-1)
        targets = jnp.broadcast_to(jax.nn.one_hot(best, self.arms)[:, None], (*shape, self.arms))
        return Trials(inputs, targets, jnp.ones(shape), {"best": best})


def _regret(episode: Episode) -> jax.Array:
    """Of every pull, `(trial, time)`."""
    chances = episode.worlds.chances
    return chances.max(-1, keepdims=True) - jnp.take_along_axis(chances, episode.actions, axis=-1)
