"""Rows of unequal counts as arrays: every row once, the rest marked as padding."""

import numpy as np

from analysis.dynamics.packing import packed


def test_every_row_stands_once_with_its_network() -> None:
    whose = np.array([4, 1, 4, 4, 1, 7])
    (part,) = packed(whose, [2, 8])
    assert part.members.tolist() == [1, 4, 7]
    assert part.rows.shape == (3, 8)
    assert sorted(part.rows[part.real].tolist()) == list(range(6))
    assert (whose[part.rows] == part.members[:, None]).all(), "padding is a row of the same network"


def test_the_size_is_the_first_that_holds_all_or_a_multiple_of_the_last() -> None:
    assert [packed(np.zeros(n, int), [2, 4])[0].rows.shape[1] for n in (1, 2, 3, 5, 9)] == [2, 2, 4, 8, 12]
    assert packed(np.zeros(0, int), [2, 4]) == []
