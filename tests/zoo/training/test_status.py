"""The words of the member table."""

import math

import numpy as np
import pytest

from zoo.training.status import DIVERGED, RUNNING, STOPPED, exploded, word_of


@pytest.mark.parametrize(
    ("status", "score", "word"),
    [
        (None, math.nan, "pending"),
        (RUNNING, 1.0, "training"),
        (DIVERGED, 1.0, "diverged"),
        (STOPPED, 0.9, "solved"),
        (STOPPED, 0.89, "unsolved"),
        (STOPPED, math.nan, "unsolved"),
    ],
)
def test_a_member_is_solved_only_at_its_end_and_at_the_criterion(status: int | None, score: float, word: str) -> None:
    assert word_of(status, score, solved=0.9) == word


def test_a_finite_loss_a_million_times_that_before_training_has_diverged() -> None:
    status = np.array([STOPPED, STOPPED, STOPPED, RUNNING, DIVERGED, STOPPED])
    loss = np.array([1e12, 1.1e6, 1e7, 1e12, 1.0, 1e12])
    untrained = np.array([1.0, 0.1, 100.0, 1.0, 1.0, math.nan])
    assert exploded(status, loss, untrained).tolist() == [DIVERGED, DIVERGED, STOPPED, RUNNING, DIVERGED, STOPPED]
