"""Blocks that are mostly frozen: who takes in whom, in packs of eight places."""

from typing import Any

import numpy as np

from zoo.running.repacking import Repacking

SIZE = 8
FIRST, SECOND = 1, 2
"""Two workers."""


class Given:
    """A block that was given up with so many members that run."""

    def __init__(self, running: int):
        self.block: Any = f"block of {running}"
        self.running = np.arange(running)


def parked(*counts: int) -> Repacking:
    repacking = Repacking()
    repacking.park([Given(count) for count in counts])  # pyright: ignore[reportArgumentType]
    return repacking


def test_a_block_in_which_nobody_runs_does_not_wait_for_a_pack() -> None:
    assert parked(0).parked == []
    assert not parked(0).takeable
    assert parked(1).takeable


def test_parked_blocks_are_taken_in_their_order_as_far_as_they_fit() -> None:
    repacking = parked(5, 4, 3, 1)
    assert repacking.take(SIZE) == ["block of 5", "block of 3"]
    assert repacking.take(SIZE) == ["block of 4", "block of 1"]
    assert repacking.parked == []


def test_a_thin_pack_takes_in_what_is_parked_and_is_thin_no_more() -> None:
    repacking = parked(4, 6)
    assert repacking.offer(FIRST, 4, SIZE, others_wait=False) == ["block of 4"]
    assert repacking.takeable, "the other block waits, and no pack is thin"


def test_a_thin_pack_trains_on_alone_and_keeps_what_is_parked_later_for_itself() -> None:
    repacking = parked()
    assert repacking.offer(FIRST, 3, SIZE, others_wait=False) == []
    repacking.park([Given(2)])  # pyright: ignore[reportArgumentType]
    assert not repacking.takeable, "the thin pack takes it in at its next evaluation"
    repacking.leave(FIRST)
    assert repacking.takeable


def test_a_thin_pack_is_given_up_for_a_whole_block_or_for_another_thin_pack_that_it_fits_into() -> None:
    assert parked().offer(FIRST, 3, SIZE, others_wait=True) is None
    repacking = parked()
    assert repacking.offer(FIRST, 4, SIZE, others_wait=False) == []
    assert repacking.offer(FIRST, 4, SIZE, others_wait=False) == [], "it does not fit into itself"
    assert repacking.offer(SECOND, 4, SIZE, others_wait=False) is None
