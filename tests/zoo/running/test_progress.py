"""The live view: counts of cohorts, and a table that stays readable for hundreds of them."""

import io
from typing import Any

import numpy as np
from rich.console import Console

from models import mlp
from zoo import Training, Zoo, product
from zoo.running.loaded_block import Progress
from zoo.running.progress import MOST_COHORTS, View
from zoo.tasks import digits
from zoo.training.status import RUNNING, STOPPED


def zoo_of(count: int) -> list[Any]:
    model = product(mlp.Model, layers=[(units,) for units in range(1, count + 1)])
    return Zoo("many", task=digits.Task(), model=model, training=Training(steps=10), seeds=2).cohorts


def report(cohort: str, status: int, step: int, score: float, taken: int = 4) -> Progress:
    ones = np.ones(2)
    return Progress(cohort, 0, taken, (status * ones).astype(int), (step * ones).astype(int), 0.5 * ones, score * ones)


def test_counts_follow_the_last_report() -> None:
    (cohort,) = zoo_of(1)
    view = View([cohort], Console(), quiet=True)
    assert view.counts(cohort.id).left == 20
    view.report(report(cohort.id, RUNNING, 4, 0.3))
    assert view.counts(cohort.id)[:4] == (2, 0, 0, 0)
    assert view.counts(cohort.id).left == 12
    view.report(report(cohort.id, STOPPED, 10, 0.99))
    assert view.counts(cohort.id)[:4] == (2, 2, 2, 0)
    assert view.counts(cohort.id).left == 0


def test_where_members_stop_at_a_score_the_time_left_is_said_to_be_the_longest(monkeypatch: Any) -> None:
    monkeypatch.setattr(View, "rate", lambda view: 4.0)
    for target, words in ((0.0, "5 s"), (0.9, "at most 5 s")):
        training, model = Training(steps=10, target=target), mlp.Model(layers=(2,))
        (cohort,) = Zoo("one", task=digits.Task(), model=model, training=training, seeds=2).cohorts
        assert View([cohort], Console(), quiet=True).remaining() == words


def test_the_table_of_many_cohorts_shows_those_at_work_and_all_together() -> None:
    found = zoo_of(MOST_COHORTS + 5)
    view = View(found, Console(), quiet=True)
    assert view.table().row_count == 1
    view.report(report(found[0].id, STOPPED, 10, 0.99))
    view.compiling(found[1].id)
    view.report(report(found[2].id, RUNNING, 4, 0.3))
    table = view.table()
    assert table.row_count == 3
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert f"all {len(found)} cohorts" in text
    assert "compiling" in text
    assert "training" in text


def test_the_table_of_a_few_cohorts_shows_each() -> None:
    assert View(zoo_of(3), Console(), quiet=True).table().row_count == 3


def test_a_cohort_that_is_done_or_goes_on_is_not_said_to_begin() -> None:
    found = zoo_of(4)
    console = Console(width=200, record=True, file=io.StringIO())
    view = View(found, console, quiet=False)
    view.report(report(found[0].id, STOPPED, 10, 0.99, taken=0))
    view.report(report(found[1].id, RUNNING, 4, 0.3, taken=0))
    view.report(report(found[2].id, RUNNING, 0, 0.1, taken=0))
    view.report(report(found[3].id, RUNNING, 4, 0.1, taken=8))  # of a share: the first that is heard of it
    text = console.export_text()
    assert found[0].id not in text
    assert f"{found[1].id}: compiled, going on" in text
    assert f"{found[2].id}: compiled, training" in text
    assert f"{found[3].id}: compiled, training" in text
