"""REINFORCE follows the gradient of the expected reward, and learns to explore."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import gru, vanilla
from zoo import Training, Zoo, train
from zoo.rules import Context, reinforce
from zoo.rules.reinforce import to_go
from zoo.tasks import bandit
from zoo.training.acting import rollout
from zoo.training.binding import bound_model


def test_the_return_to_go_is_the_discounted_sum_of_what_follows() -> None:
    rewards = jnp.array([[1.0, 0.0, 2.0, 4.0]])
    np.testing.assert_allclose(to_go(rewards, 0.5), [[1 + 0 + 0.5 + 0.5, 0 + 1 + 1, 2 + 2, 4]])
    np.testing.assert_allclose(to_go(rewards, 0.0), rewards)


def test_on_average_it_is_the_gradient_of_the_expected_reward() -> None:
    """Two pulls of arms that always or never pay: the expectation is a sum over four ways to act."""
    task = bandit.Task(arms=2, steps=2)
    sure = jnp.array([1.0, 0.0])
    fixed = SimpleNamespace(
        steps=2,
        act=task.act,
        reset=lambda key: (task.reset(key)[0]._replace(chances=sure), jnp.zeros(3)),
        input_shape=(2, 3),
        loss=task.loss,
    )
    model = bound_model(vanilla.Model(hidden=3), task)
    variables = model.init({"params": jax.random.key(0)}, jnp.zeros((1, 2, 3)))

    def expected(params: Any) -> jax.Array:
        total = 0.0
        for first in (0, 1):
            seen = jnp.stack([jnp.zeros(3), jnp.append(jax.nn.one_hot(first, 2), sure[first])])[None]
            chances = jax.nn.softmax(model.apply({"params": params}, seen)[0])[0]
            for second in (0, 1):
                total += chances[0, first] * chances[1, second] * (sure[first] + sure[second])
        return total

    exact = jax.grad(expected)(variables["params"])
    rule = reinforce.Rule(discount=1.0, entropy=0.0)
    bound = SimpleNamespace(
        task=fixed, model=model, rollout=lambda v, keys, acting: rollout(fixed, model, v, keys, acting)
    )
    ctx = Context(jnp.int32(0), jax.random.key(0), lambda: jax.random.key(0))
    for level in (0.0, 0.7):  # a baseline changes the spread of the estimate, not its mean
        memory = rule.init(bound, variables, jax.random.key(0))
        memory = memory._replace(baseline=memory.baseline.at[-1].set(level))
        keys = jax.random.split(jax.random.key(1), 100_000)
        estimate = jax.jit(lambda keys, memory=memory: rule.gradient(bound, variables, memory, keys, ctx).grads)(keys)
        for ours, theirs in zip(jax.tree.leaves(estimate), jax.tree.leaves(exact), strict=True):
            np.testing.assert_allclose(-2 * ours, theirs, atol=6e-3)  # it is a mean over two steps, and descends


def test_the_baseline_learns_the_return() -> None:
    task = bandit.Task(arms=2, steps=10)
    model = bound_model(gru.Model(hidden=4), task)
    variables = model.init({"params": jax.random.key(0)}, jnp.zeros((1, *task.input_shape)))
    rule = reinforce.Rule(baseline_rate=0.05)
    bound = SimpleNamespace(
        task=task, model=model, rollout=lambda v, keys, acting: rollout(task, model, v, keys, acting)
    )
    ctx = Context(jnp.int32(0), jax.random.key(0), lambda: jax.random.key(0))
    memory = rule.init(bound, variables, jax.random.key(0))
    learn = jax.jit(lambda memory, keys: rule.gradient(bound, variables, memory, keys, ctx).state)
    for step in range(300):
        memory = learn(memory, jax.random.split(jax.random.key(step), 32))
    episode = bound.rollout(variables, jax.random.split(jax.random.key(10**6), 512), jax.random.key(7))
    rates = np.asarray(model.apply(variables, episode.inputs)[1]["rate"])
    returns = np.asarray(to_go(episode.rewards, rule.discount))
    errors = returns - (rates @ memory.baseline[:-1] + memory.baseline[-1])
    features = np.append(rates, np.ones((*returns.shape, 1)), axis=-1).reshape(-1, 5)
    best = np.linalg.lstsq(features, returns.reshape(-1), rcond=None)[0]
    assert (errors**2).mean() < 1.1 * ((returns.reshape(-1) - features @ best) ** 2).mean()
    assert (errors**2).mean() < 0.9 * (returns**2).mean()


def test_a_population_learns_to_pull_the_better_of_two_arms(tmp_path: Any) -> None:
    zoo = Zoo(
        "bandits",
        task=bandit.Task(arms=2, steps=20, eval_trials=128, probe_trials=8),
        model=gru.Model(hidden=16),
        training=Training(learning_rate=1e-2, steps=250, batch=32, evaluate_every=250, clip=1.0),
        rule=reinforce.Rule(),
        seeds=2,
    )
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    first = trained.curves[trained.curves["step"] == 0]["score"]
    assert trained.members["score"].min() > 0.5
    assert first.max() < 0.3


def thompson(arms: int, steps: int, episodes: int, seed: int = 0) -> float:
    """Mean regret of a pull by Thompson sampling with uniform priors."""
    draw = np.random.default_rng(seed)
    chances = draw.uniform(size=(episodes, arms))
    won, lost, regret = np.ones((episodes, arms)), np.ones((episodes, arms)), 0.0
    rows = np.arange(episodes)
    for _ in range(steps):
        arm = draw.beta(won, lost).argmax(1)
        reward = draw.uniform(size=episodes) < chances[rows, arm]
        won[rows, arm] += reward
        lost[rows, arm] += ~reward
        regret += (chances.max(1) - chances[rows, arm]).mean() / steps
    return regret


def epsilon_greedy(arms: int, steps: int, episodes: int, epsilon: float = 0.1, seed: int = 0) -> float:
    """Mean regret of a pull of the arm with the best mean so far, or with chance epsilon of any."""
    draw = np.random.default_rng(seed)
    chances, rows, regret = draw.uniform(size=(episodes, arms)), np.arange(episodes), 0.0
    total, count = np.zeros((episodes, arms)), np.zeros((episodes, arms))
    for _ in range(steps):
        mean = np.where(count > 0, total / np.maximum(count, 1), 1.0) + 1e-6 * draw.uniform(size=(episodes, arms))
        arm = np.where(draw.uniform(size=episodes) < epsilon, draw.integers(0, arms, episodes), mean.argmax(1))
        total[rows, arm] += draw.uniform(size=episodes) < chances[rows, arm]
        count[rows, arm] += 1
        regret += (chances.max(1) - chances[rows, arm]).mean() / steps
    return regret


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_32_networks_regret_less_than_epsilon_greedy_and_at_most_a_fifth_more_than_thompson(tmp_path: Any) -> None:
    task = bandit.Task()
    training = Training(learning_rate=1e-2, steps=1000, batch=64, clip=1.0, schedule="linear", evaluate_every=250)
    zoo = Zoo("bandits", task=task, model=gru.Model(hidden=48), training=training, rule=reinforce.Rule(), seeds=32)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    regret = trained.members["loss"].to_numpy()
    # With the usual epsilon; one tuned to the length of an episode, .02, regrets .066, less than Thompson sampling.
    assert np.median(regret) < epsilon_greedy(task.arms, task.steps, 20_000, epsilon=0.1), np.median(regret)
    assert np.mean(regret) < 1.2 * thompson(task.arms, task.steps, 20_000), np.mean(regret)
