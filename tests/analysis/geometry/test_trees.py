"""Trees: what is near stands side by side, in the best order that the tree allows, however deep it is."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from analysis.geometry.trees import tree_of


def along(distance: np.ndarray, order: np.ndarray) -> float:
    return float(distance[order[:-1], order[1:]].sum())


def test_clusters_stand_side_by_side() -> None:
    x = np.array([0.0, 10, 0.1, 10.1, 0.2])[:, None]
    order = tree_of(np.abs(x - x.T)).leaves.tolist()
    assert order == [0, 2, 4, 1, 3]


@pytest.mark.parametrize("seed", range(5))
def test_no_order_that_the_tree_allows_is_shorter(seed: int) -> None:
    distance = squareform(pdist(np.random.default_rng(seed).normal(size=(7, 3))))
    tree = tree_of(distance)
    assert sorted(tree.leaves) == list(range(7))
    sums = []
    for turned in itertools.product([1, -1], repeat=6):
        leaves = {i: [i] for i in range(7)}
        for row, (a, b) in enumerate(tree.joins[:, :2].astype(int)):
            first, second = (leaves[a], leaves[b])[:: turned[row]]
            leaves[7 + row] = first + second
        sums.append(along(distance, np.array(leaves[12])))
    assert along(distance, tree.leaves) == pytest.approx(min(sums), abs=1e-12)


def test_branches_join_their_groups_at_the_middle_of_these_and_at_their_distance() -> None:
    x = np.array([0.0, 1.0, 4.0])[:, None]
    tree = tree_of(np.abs(x - x.T))
    assert tree.leaves.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(tree.branches[0], [[0, 0], [1, 0], [1, 1], [0, 1]])
    np.testing.assert_array_equal(tree.branches[1], [[1, 0.5], [3.5, 0.5], [3.5, 2], [0, 2]])


def test_a_tree_as_deep_as_it_has_items_needs_no_recursion() -> None:
    x = np.cumsum(np.arange(1100, 0, -1.0))
    tree = tree_of(np.abs(x[:, None] - x))
    assert along(np.abs(x[:, None] - x), tree.leaves) == x[-1] - x[0]


def test_what_is_no_matrix_of_distances_is_refused() -> None:
    with pytest.raises(ValueError, match=r"this one has shape \(2, 3\)"):
        tree_of(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="at least 2 members"):
        tree_of(np.zeros((1, 1)))
