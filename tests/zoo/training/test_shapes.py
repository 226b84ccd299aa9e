"""Whether a task and a model fit, and how large what they train is: known before anything is compiled."""

from typing import Any

import jax
import pytest

from models import cnn, lstm, vanilla
from zoo import Training, Zoo, product
from zoo.tasks import digits, flipflop
from zoo.training import shapes
from zoo.training.binding import floats_of
from zoo.training.program import program_of

FLIPFLOP = flipflop.Task(steps=8, eval_trials=8)


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (FLIPFLOP, vanilla.Model(hidden=5)),
        (FLIPFLOP, lstm.Model(hidden=4)),
        (digits.Task(), cnn.Model(channels=(2,), dense=(3,), normalization="batch")),
    ],
    ids=["vanilla", "lstm", "cnn"],
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_bytes_of_a_state_are_those_of_its_arrays(task: Any, model: Any, optimizer: str) -> None:
    (cohort,) = Zoo("bytes", task=task, model=model, training=Training(optimizer=optimizer)).cohorts
    state = jax.eval_shape(program_of(cohort).init, jax.tree.map(lambda x: x[0], floats_of(cohort)))
    assert shapes.state_bytes(cohort) == sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))


def test_cohorts_of_one_task_and_model_are_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes.variables_of.cache_clear()
    zoo = Zoo("once", task=FLIPFLOP, model=vanilla.Model(hidden=3), training=product(Training, batch=[2, 4, 8]))
    for cohort in zoo.cohorts:
        shapes.check(cohort)
    assert shapes.variables_of.cache_info().misses == 1


def test_a_model_that_does_not_fit_its_task_is_one_sentence() -> None:
    (cohort,) = Zoo("misfit", task=FLIPFLOP, model=cnn.Model()).cohorts
    with pytest.raises(ValueError, match=r"^cnn\.Model cannot be trained on flipflop\.Task: ") as caught:
        shapes.check(cohort)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["recurrent_l1", "recurrent_nuclear"])
def test_a_penalty_on_recurrent_weights_is_refused_where_there_are_none(name: str) -> None:
    training = Training(**{name: 0.1})
    (cohort,) = Zoo("none", task=digits.Task(), model=cnn.Model(), training=training).cohorts
    with pytest.raises(
        ValueError, match=rf"^Training\.{name} is 0\.1; it must be 0\.0, since cnn\.Model has no recurrent weights\.$"
    ):
        shapes.check(cohort)
    (cohort,) = Zoo("some", task=FLIPFLOP, model=vanilla.Model(hidden=3), training=training).cohorts
    shapes.check(cohort)
