"""Accuracy of neighbours' labels: by hand, and without the help of relatives."""

import math

import numpy as np
import pytest

from analysis.inference.nearest_neighbours import knn_accuracy

LINE = np.abs(np.subtract.outer([0.0, 1.0, 10.0, 11.0], [0.0, 1.0, 10.0, 11.0]))


def test_the_nearest_neighbours_vote():
    assert knn_accuracy(LINE, ["a", "a", "b", "b"], range(4), k=1) == 1
    assert knn_accuracy(LINE, ["a", "b", "a", "b"], range(4), k=1) == 0
    assert knn_accuracy(LINE, ["a", "a", "b", "b"], range(4), k=3) == 0, "one of its own against two"
    assert knn_accuracy(LINE, ["a", "a", "b", "b"], range(4), k=2) == 0.5, "a tie of two counts half"


def test_members_of_the_same_configuration_or_seed_are_no_neighbours():
    labels = ["a", "a", "b", "b"]
    assert knn_accuracy(LINE, labels, [0, 0, 1, 1], k=1) == 0
    assert knn_accuracy(LINE, labels, range(4), [0, 0, 1, 1], k=1) == 0
    assert knn_accuracy(LINE, labels, range(4), [0, 1, 0, 1], k=1) == 1
    assert math.isnan(knn_accuracy(LINE, labels, range(4), [0, 0, 0, 0]))


def test_equals_a_loop_over_members():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((40, 3))
    distance = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    labels, configuration, seed = draw.integers(0, 3, 40), np.arange(40) // 4, np.arange(40) % 4
    right = []
    for i in range(40):
        there = [j for j in range(40) if configuration[j] != configuration[i] and seed[j] != seed[i]]
        near = sorted(there, key=lambda j: distance[i, j])[:5]
        votes = [sum(labels[j] == label for j in near) for label in range(3)]
        right.append((votes[labels[i]] == max(votes)) / votes.count(max(votes)))
    assert knn_accuracy(distance, labels, configuration, seed) == pytest.approx(np.mean(right))


def test_no_neighbours_are_refused():
    with pytest.raises(ValueError, match="k = 0 neighbours cannot vote; k must be at least 1"):
        knn_accuracy(LINE, list("abcd"), range(4), k=0)
