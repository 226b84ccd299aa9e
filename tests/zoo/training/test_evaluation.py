"""Evaluations: in parts as on the whole, and cheap beside the steps."""

from typing import Any

import jax
import numpy as np
import pytest

from models import cnn
from zoo import Training
from zoo.tasks import flipflop
from zoo.training import evaluation


def test_evaluation_in_parts_equals_the_whole(monkeypatch: Any) -> None:
    model = cnn.Model(channels=(3,), dense=(4,), normalization="batch", outputs=10)
    x = jax.random.normal(jax.random.key(0), (23, 8, 8, 1))
    variables = model.init(jax.random.key(1), x)
    whole = model.apply(variables, x)[0]
    monkeypatch.setattr(evaluation, "TRIALS_AT_ONCE", 5)
    parts = jax.jit(lambda x: evaluation.in_parts(lambda part: model.apply(variables, part)[0], x))(x)
    assert parts.shape == whole.shape
    np.testing.assert_allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize(("steps", "batch", "trials"), [(3000, 64, 256), (3000, 32, 256), (3000, 64, 16)])
def test_evaluations_cost_at_most_two_percent_of_the_steps(steps: int, batch: int, trials: int) -> None:
    from zoo.training.evaluation import EVALUATION_SHARE, evaluate_every

    every = evaluate_every(flipflop.Task(eval_trials=trials), Training(steps=steps, batch=batch), None)
    # A step is a forward and a backward pass over the batch, three forward passes in all.
    assert trials / (3 * batch * every) <= EVALUATION_SHARE
