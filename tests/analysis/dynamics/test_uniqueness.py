"""Which places are one does not depend on their order."""

import numpy as np

from analysis.dynamics.uniqueness import groups_of, of_each_group


def test_groups_are_the_same_in_every_order_and_chains_are_one() -> None:
    places = np.array([[0.0], [0.9], [1.8], [5.0], [5.1], [9.0]])
    draw = np.random.default_rng(0)
    for _ in range(20):
        order = draw.permutation(6)
        groups = groups_of(places[order], 1.0)
        together = {frozenset(order[groups == g].tolist()) for g in set(groups.tolist())}
        assert together == {frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5})}


def test_of_each_group_the_slowest_stands_for_it() -> None:
    assert of_each_group(np.array([1, 0, 1, 0]), np.array([3.0, 2.0, 1.0, 4.0])).tolist() == [1, 2]
    assert len(groups_of(np.zeros((0, 3)), 1.0)) == 0
