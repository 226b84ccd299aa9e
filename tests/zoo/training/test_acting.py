"""Episodes against their environment and network played out one step after the other."""

import dataclasses
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
DRAWN = jax.random.key(2)
MODEL = bound_model(vanilla.Model(hidden=3), TASK)


def played(acting: jax.Array | None) -> tuple[Any, Episode]:
    """The variables of a network and its episodes."""
    variables = MODEL.init(jax.random.key(0), jnp.zeros((1, *TASK.input_shape)))
    variables = jax.tree.map(lambda x: x + jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), variables)
    return variables, rollout(TASK, MODEL, variables, KEYS, acting)


@pytest.fixture(scope="module")
def episode() -> Episode:
    return played(DRAWN)[1]


@pytest.mark.parametrize("acting", [None, DRAWN], ids=["likeliest", "drawn"])
def test_actions_are_the_likeliest_or_drawn_from_the_networks_outputs(acting: jax.Array | None) -> None:
    variables, episode = played(acting)
    logits, _ = MODEL.apply(variables, episode.inputs)
    for step in range(TASK.steps):
        now = logits[:, step]
        key = jax.random.fold_in(DRAWN, step)
        expected = now.argmax(-1) if acting is None else jax.random.categorical(key, now)
        np.testing.assert_array_equal(episode.actions[:, step], expected)


def test_what_is_seen_and_paid_is_what_the_world_answers_to_the_actions(episode: Episode) -> None:
    for trial, key in enumerate(KEYS):
        world, seen = TASK.reset(jax.random.fold_in(key, TASK.steps))
        for step in range(3):
            np.testing.assert_array_equal(episode.inputs[trial, step], seen)
            answer = TASK.act(world, episode.actions[trial, step], jax.random.fold_in(key, step))
            world, seen, reward, _ = answer
            assert episode.rewards[trial, step] == reward


def test_a_world_that_is_done_stands_still_and_nothing_it_would_answer_counts(episode: Episode) -> None:
    np.testing.assert_array_equal(episode.mask, np.tile([1, 1, 1, 0, 0], (4, 1)))
    assert (episode.rewards[:, :3] >= 1).all()
    assert (episode.rewards[:, 3:] == 0).all()
    assert (episode.worlds.pulls == 3).all()
    np.testing.assert_array_equal(episode.inputs[:, 3], episode.inputs[:, 4])
