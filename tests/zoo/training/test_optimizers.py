"""The direction of an update, and its schedule."""

import numpy as np
import optax
import pytest

from zoo import Training
from zoo.spec.settings import SCHEDULES
from zoo.training.optimizers import multiplier, optimizer_of


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_rises_linearly_and_ends_at_its_final_value(schedule: str) -> None:
    training = Training(schedule=schedule, steps=100, warmup=10, final=0.05)
    along = np.array([multiplier(training, step) for step in range(100)])
    np.testing.assert_allclose(along[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(along[-1], 1.0 if schedule == "constant" else 0.05, rtol=1e-5)
    assert (np.diff(along[10:]) <= 1e-7).all()


def test_the_cosine_is_that_of_optax() -> None:
    training, theirs = Training(schedule="cosine", steps=51, final=0.1), optax.cosine_decay_schedule(1.0, 50, alpha=0.1)
    ours = [multiplier(training, step) for step in range(51)]
    np.testing.assert_allclose(ours, [theirs(step) for step in range(51)], rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_the_direction_times_the_rate_is_optax_own_update(name: str) -> None:
    params, gradient = {"w": np.ones((3, 2), np.float32)}, {"w": np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)}
    ours, theirs = optimizer_of(Training(optimizer=name)), {"adam": optax.adam(0.01), "sgd": optax.sgd(0.01, 0.9)}[name]
    a, b = ours.init(params), theirs.init(params)
    for _ in range(3):
        direction, a = ours.update(gradient, a, params)
        update, b = theirs.update(gradient, b, params)
        np.testing.assert_allclose(-0.01 * np.asarray(direction["w"]), update["w"], rtol=1e-6)
