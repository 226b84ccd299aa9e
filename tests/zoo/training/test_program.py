"""One member's training step against the same step written out with optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models import mlp, vanilla
from zoo import Training, Zoo, load, product, train
from zoo.tasks import digits, flipflop
from zoo.training.binding import Binder, bound_model, floats_of
from zoo.training.program import program_of
from zoo.training.status import RUNNING


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_step_is_that_of_optax(optimizer: str) -> None:
    training = Training(learning_rate=0.01, optimizer=optimizer, l2=1e-3, clip=0.5, batch=8, steps=5, schedule="linear")
    (cohort,) = Zoo("step", task=digits.Task(), model=mlp.Model(layers=(4,)), training=training).cohorts
    task, floats = digits.Task(), jax.tree.map(lambda x: x[0], floats_of(cohort))
    model, program, data = bound_model(mlp.Model(layers=(4,)), task), program_of(cohort), task.data()
    state = program.init(floats)
    params = state.params

    def objective(params, trials):
        loss = task.loss(model.apply({"params": params}, trials.inputs)[0], trials)
        weights = [w for w in jax.tree.leaves(params) if w.ndim > 1]
        return loss if optimizer == "adamw" else loss + 1e-3 * sum(jnp.sum(w * w) for w in weights)

    def rate(step):
        return 0.01 * (1 - 0.99 * step / 4)

    def decayed(params):
        return jax.tree.map(lambda w: w.ndim > 1, params)

    theirs = {
        "adam": optax.adam(rate),
        "adamw": optax.adamw(rate, weight_decay=1e-3, mask=decayed),
        "sgd": optax.sgd(rate, momentum=0.9),
    }[optimizer]
    theirs = optax.chain(optax.clip_by_global_norm(0.5), theirs)
    slots = theirs.init(params)
    for step in range(5):
        trials = task.sample(Binder(cohort.members[0], {}).data_key(floats), 8, step, data)
        updates, slots = theirs.update(jax.grad(objective)(params, trials), slots, params)
        params = optax.apply_updates(params, updates)
    end = program.advance(state, floats, data, 5, False)
    assert (int(end.step), int(end.status)) == (5, RUNNING)
    for ours, expected in zip(jax.tree.leaves(end.params), jax.tree.leaves(params)):
        np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-6)


def test_members_of_one_cohort_stop_after_steps_of_their_own(tmp_path) -> None:
    def zoo(training):
        return Zoo("horizon", task=flipflop.Task(steps=6), model=vanilla.Model(hidden=4), training=training, seeds=1)

    settings = {"batch": 4, "learning_rate": 0.01, "evaluate_every": 2}
    spec = zoo(product(Training, horizon=[3.0, 5.0, 8.0], steps=[8], **{k: [v] for k, v in settings.items()}))
    (cohort,) = spec.cohorts
    trained = train(spec, tmp_path / "horizon", quiet=True)
    assert trained.members["steps"].tolist() == [3, 5, 8]
    assert (trained.members["status"] == "unsolved").all()
    (alone,) = train(zoo(Training(steps=3, **settings)), tmp_path / "alone", quiet=True).members["member"]
    wanted = load(tmp_path / "alone").params(alone)
    chex.assert_trees_all_close(trained.params(cohort.members[0].id), wanted, rtol=1e-6)


def test_a_horizon_beyond_the_steps_is_said_to_stop_nothing() -> None:
    assert "stops nothing" in Training(steps=10, horizon=12.0).hint
    assert not Training(steps=10, horizon=10.0).hint
