"""Every environment in `zoo/tasks/` keeps its contract; then what is special to each."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import gru
from zoo import lookup
from zoo.spec.contracts import check_contract, class_of
from zoo.tasks import bandit, is_environment
from zoo.training.acting import rollout
from zoo.training.answers import check_task
from zoo.training.binding import bound_model

NAMES = [name for name in lookup.names("task") if is_environment(class_of("task", name))]


@pytest.fixture(params=NAMES)
def task(request) -> Any:
    return class_of("task", request.param)()


def episode_of(task, greedy: bool = False, seed: int = 0):
    model = bound_model(gru.Model(hidden=3), task)
    variables = model.init(jax.random.key(seed), jnp.zeros((1, *task.input_shape)))
    keys = jax.random.split(jax.random.key(seed), 5)
    acting = None if greedy else jax.random.key(seed)
    return jax.jit(lambda keys: rollout(task, model, variables, keys, acting))(keys)


def test_is_a_frozen_dataclass_of_plain_numbers(task):
    check_contract("task", type(task))
    assert hash(task) == hash(dataclasses.replace(task))
    assert 0 <= task.chance < task.solved <= 1


def test_what_it_gives_has_the_shapes_of_its_contract(task):
    check_task(task)


def test_an_episode_repeats_with_its_keys_and_its_actions_are_allowed(task):
    one, other = episode_of(task), episode_of(task)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))
    assert one.inputs.shape == (5, *task.input_shape)
    assert one.actions.shape == one.rewards.shape == one.mask.shape == (5, task.steps)
    assert ((one.actions >= 0) & (one.actions < task.outputs)).all()
    assert np.isfinite(task.loss(one))
    assert np.isfinite(task.score(one))


def test_after_the_end_of_a_world_no_reward_counts(task):
    episode = episode_of(task)
    mask = np.asarray(episode.mask)
    assert (mask[:, 0] == 1).all()
    assert (np.diff(mask, axis=1) <= 0).all()
    assert (np.asarray(episode.rewards)[mask == 0] == 0).all()


def test_evaluation_and_probe_are_the_same_for_every_member(task):
    keys = task.evaluation(task.data())
    assert (jax.random.key_data(keys) == jax.random.key_data(task.evaluation(task.data()))).all()
    probe, again = task.probe(task.data()), dataclasses.replace(task).probe(task.data())
    np.testing.assert_array_equal(probe.inputs, again.inputs)


# bandit


def test_a_bandit_pays_with_the_chance_of_the_arm():
    task = bandit.Task(arms=3)
    world, _ = task.reset(jax.random.key(0))
    for arm in range(3):
        keys = jax.random.split(jax.random.key(arm), 4000)
        _, seen, rewards, _ = jax.vmap(lambda key, arm=arm: task.act(world, jnp.int32(arm), key))(keys)
        assert float(rewards.mean()) == pytest.approx(float(world.chances[arm]), abs=0.03)
        np.testing.assert_array_equal(seen[:, :3], np.tile(np.eye(3)[arm], (4000, 1)))
        np.testing.assert_array_equal(seen[:, 3], rewards)


def test_to_pull_at_random_scores_0_and_the_best_arm_scores_1():
    task = bandit.Task(steps=50)
    episode = episode_of(task)
    chances = jax.random.uniform(jax.random.key(3), (5, 4))
    worlds = episode.worlds._replace(chances=chances)
    best = jnp.broadcast_to(chances.argmax(-1)[:, None], (5, 50))
    assert float(task.score(episode._replace(worlds=worlds, actions=best))) == 1
    assert float(task.loss(episode._replace(worlds=worlds, actions=best))) == 0
    evenly = jnp.broadcast_to(jnp.arange(48) % 4, (5, 48))  # every arm as often
    assert float(task.score(episode._replace(worlds=worlds, actions=evenly))) == pytest.approx(0, abs=1e-6)
