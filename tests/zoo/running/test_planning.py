"""What training a zoo would take is said without training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import vanilla
from tests.zoo.small_zoos import tiny
from zoo import Training, Zoo, product
from zoo.running import planning
from zoo.tasks import flipflop
from zoo.training.flops import step_flops


def test_the_plan_counts_without_training(tmp_path: Path) -> None:
    (row,) = planning.plan(tiny(), block=2, timed=True)
    assert (row.members, row.blocks, row.steps) == (4, 2, 4)
    assert row.megabytes > 0
    assert row.seconds > 0


def test_the_plan_of_many_cohorts_measures_a_few_and_says_which(monkeypatch: Any) -> None:
    zoo = Zoo(
        "many",
        task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
        model=product(vanilla.Model, hidden=range(1, 13)),
        training=Training(steps=4, batch=4),
        seeds=2,
    )
    monkeypatch.setattr(planning, "MOST_MEASURED", 2)
    monkeypatch.setattr(planning, "MEASURE_SECONDS", float("inf"))  # however slow the machine
    said: list[str] = []
    rows = planning.plan(zoo, timed=True, say=said.append)
    assert [row.cohort for row in rows] == [cohort.id for cohort in zoo.cohorts]
    assert len(said) == 2
    assert [not np.isnan(row.megabytes) for row in rows] == [True] + 10 * [False] + [True]
    assert rows[5].seconds == pytest.approx((rows[0].seconds + rows[-1].seconds) / 2)


def test_members_that_stop_before_count_with_their_own_steps() -> None:
    zoo = tiny()
    grid = product(Training, steps=[8], batch=[4], horizon=[2.0, 4.0])
    (row,) = planning.plan(Zoo("h", task=zoo.members[0].task, model=zoo.members[0].model, training=grid, seeds=2))
    assert row.steps == 3
    assert np.isnan(row.flops)
    (timed,) = planning.plan(Zoo("h", task=zoo.members[0].task, model=zoo.members[0].model, training=grid), timed=True)
    assert timed.flops == step_flops(zoo.cohorts[0]) * (2 + 4)


def test_a_plan_compiles_nothing_unless_it_is_to_be_timed(monkeypatch: Any) -> None:
    monkeypatch.setattr(planning, "fitted", None)
    (row,) = planning.plan(tiny(), block=2)
    assert (row.members, row.blocks, row.steps, row.checked) == (4, 2, 4, True)
    assert row.disk > 0
    assert np.isnan([row.megabytes, row.seconds]).all()


def test_rows_say_in_words_what_sets_a_cohort_apart() -> None:
    zoo = Zoo(
        "many",
        task=flipflop.Task(steps=6),
        model=product(vanilla.Model, hidden=[3, 4], noise=[0.0, 0.1, 0.2]),
        training=product(Training, learning_rate=[1e-3, 1e-2]),
    )
    words = [row.words for row in planning.plan(zoo)]
    assert words == [
        "hidden 3, model.noise 0",
        "hidden 3, model.noise 0.1 to 0.2",
        "hidden 4, model.noise 0",
        "hidden 4, model.noise 0.1 to 0.2",
    ]
