"""Mutual nearest neighbours equal a loop over stimuli that follows Huh et al. 2024."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.measures import neighbors

PRECISIONS = pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def result(measure, a, b, dtype="float64"):
    """Value and chance for two arrays (stimulus, time, unit)."""
    found = similarities([prepare(measure, [a[None], b[None]], dtype)])[0]
    return found.value[0, 1], found.chance if np.ndim(found.chance) == 0 else found.chance[0, 1]


def near(x, k, metric):
    """For each row of (stimulus, unit) the set of its k nearest."""
    distance = cdist(x, x, metric)
    np.fill_diagonal(distance, np.inf)
    return [set(row[:k]) for row in distance.argsort(1)]


@PRECISIONS
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 7])
def test_the_value_is_the_mean_share_of_common_neighbours(k, metric, dtype, atol):
    a = normal(0, 45, 1, 9) + 1
    b = np.concatenate([a + normal(1, 45, 1, 9), normal(2, 45, 1, 3)], 2)
    sets = zip(near(a[:, 0], k, metric), near(b[:, 0], k, metric))
    expected = np.mean([len(p & q) / k for p, q in sets])
    value, chance = result(neighbors.Measure(k=k, metric=metric), a, b, dtype)
    assert value == pytest.approx(expected, abs=atol)
    assert chance == pytest.approx(k / 44)


@pytest.mark.parametrize("time", ["features", "mean", "last"])
def test_time_enters_as_named(time):
    a, b = normal(0, 30, 4, 5), normal(1, 30, 4, 5)
    b += a
    enters = {"features": lambda x: x.reshape(30, -1), "mean": lambda x: x.mean(1), "last": lambda x: x[:, -1]}[time]
    expected = np.mean([len(p & q) / 5 for p, q in zip(near(enters(a), 5, "cosine"), near(enters(b), 5, "cosine"))])
    assert result(neighbors.Measure(k=5, time=time), a, b)[0] == pytest.approx(expected, abs=1e-10)


def test_neighbours_tied_with_the_last_all_count_so_that_no_order_of_stimuli_decides():
    a = np.repeat(normal(0, 10, 1, 4), 6, 0)  # ten patterns, shown six times each: k = 3 of 5 at distance 0
    b = a + 0.5 * normal(1, 60, 1, 4)
    measure, order = neighbors.Measure(k=3, metric="euclidean"), np.random.default_rng(2).permutation(60)
    same = [{j for j in range(60) if j // 6 == i // 6} - {i} for i in range(60)]
    expected = np.mean([len(p & q) / 5 for p, q in zip(same, near(b[:, 0], 3, "euclidean"))])
    assert result(measure, a, b)[0] == pytest.approx(expected, abs=1e-10)
    assert result(measure, a[order], b[order])[0] == pytest.approx(expected, abs=1e-10)
    assert result(measure, a, a)[0] == 1


def test_chance_with_ties_is_the_mean_over_permutations():
    a = np.repeat(normal(0, 10, 1, 4), 6, 0)
    a[:20] = normal(1, 20, 1, 4)
    b = normal(2, 60, 1, 4)
    b[30:] = b[30]
    draw, measure = np.random.default_rng(3), neighbors.Measure(k=3)
    shuffled = np.stack([a, *(b[draw.permutation(60)] for _ in range(120))])
    found = similarities([prepare(measure, [shuffled])])[0]
    values = found.value[0, 1:]
    assert abs(found.chance[0, 1] - values.mean()) < 4 * values.std() / 120**0.5
    assert found.chance[0, 1] > 1.2 * 3 / 59, "more neighbours are shared by chance than without ties"


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_representation_of_nothing_but_rounding_noise_has_no_value(metric):
    b = normal(1, 20, 1, 5)
    for flat in (np.zeros((20, 1, 5)), 7 + 1e-7 * normal(0, 20, 1, 5)):
        value, chance = result(neighbors.Measure(k=3, metric=metric), flat, b, "float32")
        assert np.isnan(value)
        assert np.isnan(chance)


def test_one_far_stimulus_moves_neighbours_little():
    a, b = normal(0, 50, 1, 20), normal(1, 50, 1, 20)
    a[0], b[0] = a[0] + 100, b[0] + 100
    value, chance = result(neighbors.Measure(metric="euclidean"), a, b)
    assert value == pytest.approx(chance, abs=0.04)


def test_too_few_stimuli_for_k_are_named_with_the_fix():
    assert neighbors.Measure(k=10).fault(12, 1, 5) == ""
    assert neighbors.Measure(k=10).fault(11, 1, 5) == (
        "k=10 needs at least 12 stimuli and there are 11; choose a smaller k"
    )
    with pytest.raises(ValueError, match="neighbors has no k=0; it must be at least 1"):
        neighbors.Measure(k=0)
