"""Shares of a zoo: every block is in exactly one, and what a block is halved into stays together."""

import pytest

from zoo.running.shares import ALONE, Share


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_block_is_in_one_share_and_halves_stay_in_it(count: int) -> None:
    shares = [Share(i, count) for i in range(count)]
    for cohort in range(5):
        for first in range(0, 64, 8):
            (owner,) = [share for share in shares if share.owns(cohort, first, asked=8)]
            assert owner.owns(cohort, first + 4, asked=8), "the second half of a block of eight"


def test_cohorts_of_one_block_go_to_shares_in_turn() -> None:
    owners = [next(i for i in range(3) if Share(i, 3).owns(cohort, 0, asked=8)) for cohort in range(6)]
    assert owners == [0, 1, 2, 0, 1, 2]


def test_a_process_alone_owns_every_block() -> None:
    assert all(ALONE.share.owns(cohort, first, asked=4) for cohort in range(3) for first in range(0, 16, 4))
