"""FORCE is recursive least squares, and what it leaves behind runs by itself."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import reservoir, vanilla
from zoo import Training, Zoo, train
from zoo.rules import Context, force
from zoo.tasks import Trials, targets
from zoo.training.binding import bound_model


def learned(model: Any, task: targets.Task, rule: force.Rule, trials: Trials, passes: int = 1) -> tuple[Any, Any, Any]:
    """The variables and P after some passes through the same trials, and the first pass's rates."""
    variables = model.init({"params": jax.random.key(0), "constants": jax.random.key(1)}, trials.inputs)
    bound = SimpleNamespace(task=task, model=model)
    ctx = Context(jnp.int32(0), jax.random.key(0), lambda: jax.random.key(0))
    P = rule.init(bound, variables, jax.random.key(0))
    rates = model.apply(variables, trials.inputs)[1]["rate"]
    for _ in range(passes):
        update = rule.update(bound, variables, P, trials, ctx)
        variables, P = {**variables, "params": update.params}, update.state
    return variables, P, rates


@pytest.mark.parametrize(("every", "patterns"), [(1, 1), (3, 1), (1, 4)])
def test_p_is_the_inverse_of_the_regularised_correlations_and_the_weights_are_those_of_ridge_regression(
    every: int, patterns: int
) -> None:
    task = targets.Task(steps=40, patterns=patterns, signals=2)
    model = bound_model(reservoir.Model(hidden=12, feedback=0.0), task)
    trials, alpha = task.evaluation(), 0.5
    variables, P, rates = learned(model, task, force.Rule(alpha=alpha, every=every), trials)
    seen = np.asarray(rates, np.float64)[:, ::every].reshape(
        -1, 12
    )  # without feedback they do not depend on what is learned
    inverse = np.linalg.inv(seen.T @ seen + alpha * np.eye(12))
    np.testing.assert_allclose(P, inverse, atol=1e-5 * np.abs(inverse).max())
    ridge = inverse @ seen.T @ np.asarray(trials.targets, np.float64)[:, ::every].reshape(-1, 2)
    np.testing.assert_allclose(variables["params"]["readout"]["kernel"], ridge, atol=2e-4 * np.abs(ridge).max())


def test_a_noisy_network_learns_from_the_rates_that_it_has_with_its_noise() -> None:
    """With noise so large that the rates are nothing but it, and without feedback: P of the same draws."""
    task = targets.Task(steps=40)
    model = bound_model(reservoir.Model(hidden=12, feedback=0.0, noise=0.5), task)
    trials = task.evaluation()
    _, P, quiet = learned(model, task, force.Rule(every=1), trials)
    noise, state = jax.random.normal(jax.random.key(0), (40, 1, 12)), None
    variables = model.init({"params": jax.random.key(0), "constants": jax.random.key(1)}, trials.inputs)
    state, rates = model.apply(variables, 1, method="initial_state"), []
    for t in range(40):
        state, rate = model.apply(variables, state, trials.inputs[:, t], noise[t], method="step")
        rates.append(np.asarray(rate[0], np.float64))
    inverse = np.linalg.inv(np.transpose(rates) @ np.stack(rates) + np.eye(12))
    np.testing.assert_allclose(P, inverse, atol=1e-5 * np.abs(inverse).max())
    assert np.abs(np.stack(rates) - quiet[0]).max() > 0.1


def test_the_loss_is_the_tasks() -> None:
    task = targets.Task(steps=20)
    model = bound_model(reservoir.Model(hidden=12), task)
    variables = model.init({"params": jax.random.key(0), "constants": jax.random.key(1)}, task.evaluation().inputs)
    ctx = Context(jnp.int32(0), jax.random.key(0), lambda: jax.random.key(0))
    rule = force.Rule(every=20)  # one update, at the first time step, where the readout is 0

    class Doubled(targets.Task):
        def loss(self, outputs: Any, trials: Trials) -> Any:
            return 2 * super().loss(outputs, trials)

    def loss_of(task: Any) -> Any:
        bound = SimpleNamespace(task=task, model=model)
        return rule.update(bound, variables, rule.init(bound, variables, None), task.evaluation(), ctx).loss

    assert loss_of(Doubled(steps=20)) == pytest.approx(2 * float(loss_of(task)))
    trials = task.evaluation()._replace(targets=jnp.zeros(1, jnp.int32))
    with pytest.raises(ValueError, match=r"targets in the shape of outputs, .*, and theirs is \(1,\)"):
        rule.update(SimpleNamespace(task=task, model=model), variables, jnp.eye(12), trials, ctx)


def test_weights_of_the_mask_are_those_of_weighted_least_squares() -> None:
    task = targets.Task(steps=40)
    model = bound_model(reservoir.Model(hidden=12, feedback=0.0), task)
    trials = task.evaluation()
    mask = np.random.default_rng(0).choice([0.0, 0.2, 1.0, 5.0], trials.mask.shape)
    variables, P, rates = learned(model, task, force.Rule(every=1), trials._replace(mask=jnp.float32(mask)))
    seen, weights = np.asarray(rates[0], np.float64), mask[0]
    inverse = np.linalg.inv(seen.T * weights @ seen + np.eye(12))
    ridge = inverse @ (seen.T * weights) @ np.asarray(trials.targets[0], np.float64)
    np.testing.assert_allclose(P, inverse, atol=1e-5 * np.abs(inverse).max())
    np.testing.assert_allclose(variables["params"]["readout"]["kernel"], ridge, atol=2e-4 * np.abs(ridge).max())


def test_with_feedback_p_is_the_inverse_over_the_rates_that_the_changing_network_had() -> None:
    """The rule's own loop, written once more in float64 and one unit of time at a time."""
    task = targets.Task(steps=40)
    model = bound_model(reservoir.Model(hidden=10), task)
    trials = task.evaluation()
    variables, P, _ = learned(model, task, force.Rule(alpha=1.0, every=1), trials)
    start = model.init({"params": jax.random.key(0), "constants": jax.random.key(1)}, trials.inputs)
    constants = jax.tree.map(lambda x: np.asarray(x, np.float64), start["constants"])
    J, feedback = constants["recurrent"] * 1.5 / np.sqrt(10), constants["feedback"]
    x, w, inverse = constants["initial"] / 2, np.zeros((10, 1)), np.eye(10)
    for u, target in zip(np.asarray(trials.inputs[0], np.float64), np.asarray(trials.targets[0], np.float64)):
        r = np.tanh(x)
        x = 0.9 * x + 0.1 * (r @ J + (r @ w) @ feedback + u @ constants["input"]["kernel"])
        r = np.tanh(x)
        k = inverse @ r / (1 + r @ inverse @ r)
        w, inverse = w - np.outer(k, r @ w - target), inverse - np.outer(k, inverse @ r)
    np.testing.assert_allclose(P, inverse, atol=1e-5)
    np.testing.assert_allclose(variables["params"]["readout"]["kernel"], w, atol=1e-4)


@pytest.mark.parametrize("kind", ["sines", "chaos"])
def test_the_error_is_small_while_it_learns_and_after_learning_is_switched_off(kind: str, tmp_path: Path) -> None:
    task = targets.Task(kind=kind)
    training = Training(steps=10, batch=1, evaluate_every=5)
    zoo = Zoo("force", task=task, model=reservoir.Model(hidden=200), training=training, rule=force.Rule(), seeds=3)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    variance = task.evaluation().targets.var()
    last = trained.curves[trained.curves["step"] == 10]
    assert last["train_loss"].max() < 0.05 * variance, "while it learns"
    assert trained.members["loss"].max() < 0.05 * variance, "by itself: the evaluation has no teacher"
    assert set(trained.members["status"]) == {"solved"}


def test_all_other_weights_stay_as_they_are() -> None:
    task = targets.Task(steps=30)
    model = bound_model(vanilla.Model(hidden=6), task)
    before = model.init({"params": jax.random.key(0)}, task.evaluation().inputs)["params"]
    after = learned(model, task, force.Rule(), task.evaluation())[0]["params"]
    np.testing.assert_array_equal(before["recurrent"], after["recurrent"])
    np.testing.assert_array_equal(before["input"]["kernel"], after["input"]["kernel"])
    np.testing.assert_array_equal(before["readout"]["bias"], after["readout"]["bias"])
    assert not np.array_equal(before["readout"]["kernel"], after["readout"]["kernel"])
