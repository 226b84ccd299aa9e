"""Lists of instances: products, pairs, draws."""

from typing import Any

import numpy as np
import pytest

from zoo import Training, log_uniform, sampled, uniform, zipped


def test_zipped_pairs_and_sampled_draws_within_bounds_by_its_key() -> None:
    pairs = zipped(Training, learning_rate=[1e-3, 1e-2], steps=[10, 20], batch=8)
    assert [(t.learning_rate, t.steps, t.batch) for t in pairs] == [(1e-3, 10, 8), (1e-2, 20, 8)]
    draw = dict(learning_rate=log_uniform(1e-4, 1e-2), l2=uniform(0.0, 1.0), optimizer=["adam", "sgd"])
    drawn = sampled(Training, 400, key=1, **draw)
    rates = np.log10([t.learning_rate for t in drawn])
    assert drawn == sampled(Training, 400, key=1, **draw)
    assert drawn != sampled(Training, 400, key=2, **draw)
    assert rates.min() >= -4 and rates.max() <= -2  # noqa: PT018
    assert abs(rates.mean() + 3) < 0.1
    assert {t.optimizer for t in drawn} == {"adam", "sgd"}
    without = sampled(Training, 400, key=1, learning_rate=log_uniform(1e-4, 1e-2))
    assert [t.learning_rate for t in without] == [t.learning_rate for t in drawn]


@pytest.mark.parametrize("count", [5, 12])
def test_stratified_draws_cover_every_part_of_a_range_and_every_choice_alike(count: int) -> None:
    axes = dict(learning_rate=log_uniform(1e-4, 1e-2), l2=uniform(0.0, 1.0), optimizer=["adam", "sgd", "adamw"])
    drawn = sampled(Training, count, key=3, **axes)
    parts = np.floor((np.log10([t.learning_rate for t in drawn]) + 4) / 2 * count)
    assert sorted(parts) == list(range(count))
    assert sorted(np.floor(np.array([t.l2 for t in drawn]) * count)) == list(range(count))
    times = [[t.optimizer for t in drawn].count(name) for name in ("adam", "sgd", "adamw")]
    assert max(times) - min(times) <= 1
    assert abs(np.corrcoef(parts, [t.l2 for t in drawn])[0, 1]) < 0.9  # drawn independently of each other


def test_independent_draws_leave_gaps() -> None:
    drawn = sampled(Training, 12, key=3, stratified=False, l2=uniform(0.0, 1.0))
    assert len(set(np.floor(np.array([t.l2 for t in drawn]) * 12))) < 12


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (dict(count=3, key=-1), "key is -1; it must be a whole number from 0 on"),
        (dict(count=3.0, key=0), r"count is 3\.0; it must be a whole number from 1 on"),
        (dict(count=3, key=0, l2=[]), r"Training\.l2 is an empty list; give one value or more"),
    ],
)
def test_bad_draws_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        sampled(Training, **given)
