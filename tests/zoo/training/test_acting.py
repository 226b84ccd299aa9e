"""Episodes against their environment and network played out one step after the other."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import vanilla
from zoo.tasks import Episode, bandit
from zoo.training.acting import rollout
from zoo.training.binding import bound_model


@dataclasses.dataclass(frozen=True)
class Short(bandit.Task):
    """Worlds that end after their third pull, and pay 1 more for each."""

    def act(self, world: Any, action: Any, key: jax.Array) -> Any:
        world, seen, reward, _ = super().act(world, action, key)
        return world, seen, reward + 1, world.pulls >= 3


TASK = Short(steps=5, arms=3)
KEYS = jax.random.split(jax.random.key(1), 4)
ACTING = jax.random.key(2)
MODEL = bound_model(vanilla.Model(hidden=3), TASK)


@functools.cache
def played(drawn: bool) -> tuple[jax.Array, Episode]:
    """Episodes of a network, and the logits that it gives for all that it saw in them, `(trial, time, action)`."""

    @jax.jit
    def play() -> Any:
        variables = MODEL.init(jax.random.key(0), jnp.zeros((1, *TASK.input_shape)))
        variables = jax.tree.map(lambda x: x + jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), variables)
        episode = rollout(TASK, MODEL, variables, KEYS, ACTING if drawn else None)
        return MODEL.apply(variables, episode.inputs)[0], episode

    return play()


@pytest.mark.parametrize("drawn", [False, True])
def test_actions_are_the_likeliest_or_drawn_from_the_networks_outputs(drawn: bool) -> None:
    logits, episode = played(drawn)
    for step in range(TASK.steps):
        now = logits[:, step]
        expected = jax.random.categorical(jax.random.fold_in(ACTING, step), now) if drawn else now.argmax(-1)
        np.testing.assert_array_equal(episode.actions[:, step], expected)


def test_what_is_seen_and_paid_is_what_the_world_answers_to_the_actions() -> None:
    _, episode = played(True)

    @jax.jit
    @jax.vmap
    def replayed(key: jax.Array, actions: jax.Array) -> Any:
        world, seen = TASK.reset(jax.random.fold_in(key, TASK.steps))
        shown = []
        for step in range(3):
            world, following, reward, _ = TASK.act(world, actions[step], jax.random.fold_in(key, step))
            shown.append((seen, reward))
            seen = following
        return jax.tree.map(lambda *steps: jnp.stack(steps), *shown)

    inputs, rewards = replayed(KEYS, episode.actions)
    np.testing.assert_array_equal(episode.inputs[:, :3], inputs)
    np.testing.assert_array_equal(episode.rewards[:, :3], rewards)


def test_a_world_that_is_done_stands_still_and_nothing_it_would_answer_counts() -> None:
    _, episode = played(True)
    np.testing.assert_array_equal(episode.mask, np.tile([1, 1, 1, 0, 0], (4, 1)))
    assert (episode.rewards[:, :3] >= 1).all()
    assert (episode.rewards[:, 3:] == 0).all()
    assert (episode.worlds.pulls == 3).all()
    np.testing.assert_array_equal(episode.inputs[:, 3], episode.inputs[:, 4])
