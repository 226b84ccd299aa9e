"""The words of the member table."""

import math

import pytest

from zoo.training.status import DIVERGED, RUNNING, STOPPED, word_of


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
