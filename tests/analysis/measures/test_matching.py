"""Unit matching equals SciPy's assignment and transport of the correlations, and its distance is one."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, linprog

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import matching

PRECISIONS = pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(measure, a, b, dtype="float64"):
    """The value for two arrays (stimulus, time, unit)."""
    return similarities([prepare(measure, [a[None], b[None]], dtype)])[0].value[0, 1]


def two(p, q, times=1):
    """Two populations that share some of their units' tuning."""
    a = normal(0, 25, times, p) + 2
    b = normal(1, 25, times, q)
    shared = min(p, q) // 2
    b[..., :shared] += 2 * a[..., p - shared :]
    return a, b


def correlations(a, b):
    return np.corrcoef(a.reshape(-1, a.shape[-1]).T, b.reshape(-1, b.shape[-1]).T)[: a.shape[-1], a.shape[-1] :]


def carried(r):
    """The most that a transport between uniform weights carries, as a dense linear program."""
    p, q = r.shape
    sums = np.concatenate([np.kron(np.eye(p), np.ones(q)), np.kron(np.ones(p), np.eye(q))])
    return -linprog(-r.ravel(), A_eq=sums, b_eq=np.r_[np.full(p, 1 / p), np.full(q, 1 / q)]).fun


@PRECISIONS
@pytest.mark.parametrize(("p", "q"), [(8, 8), (8, 5), (6, 9)])
def test_one_to_one_is_the_mean_correlation_of_the_best_assignment(p, q, dtype, atol):
    a, b = two(p, q)
    r = correlations(a, b)
    expected = r[linear_sum_assignment(-r)].mean()
    assert pair(matching.Measure(), a, b, dtype) == pytest.approx(expected, abs=atol)


@PRECISIONS
@pytest.mark.parametrize("copies", [1, 512])
@pytest.mark.parametrize(("p", "q"), [(7, 7), (8, 4), (9, 6), (7, 5)])
def test_soft_is_the_best_transport_by_assignment_of_copies_and_by_the_simplex(p, q, copies, dtype, atol, monkeypatch):
    monkeypatch.setattr(matching, "COPIES", copies)
    a, b = two(p, q)
    assert pair(matching.Measure(match="soft"), a, b, dtype) == pytest.approx(carried(correlations(a, b)), abs=atol)


def test_soft_of_equal_populations_is_one_to_one():
    a, b = two(10, 10)
    soft, strict = similarities(prepare_all([matching.Measure(match="soft"), matching.Measure()], [a[None], b[None]]))
    np.testing.assert_allclose(soft.value, strict.value, atol=1e-6)


@PRECISIONS
def test_best_reads_a_predicts_b(dtype, atol):
    a, b = two(8, 5)
    found = similarities([prepare(matching.Measure(match="best"), [a[None], b[None]], dtype)])[0].value
    r = correlations(a, b)
    assert found[0, 1] == pytest.approx(r.max(0).mean(), abs=atol)
    assert found[1, 0] == pytest.approx(r.max(1).mean(), abs=atol)
    assert not matching.Measure(match="best").symmetric


@pytest.mark.parametrize("signed", [True, False])
def test_the_distance_is_the_soft_matching_distance_of_normalised_units_and_keeps_the_triangle_inequality(signed):
    measure = matching.Measure(match="soft", values="distance", signed=signed)
    members = [normal(k, 3, 12, 1, units) for k, units in enumerate((4, 6, 9))]
    members[1][..., :4] += 2 * members[0]
    members[2][..., :6] -= members[1]
    value = similarities([prepare(measure, members, "float64")])[0].value
    for i, j in ((0, 3), (0, 6), (4, 8)):
        a, b = (members[k // 3][k % 3] for k in (i, j))
        r = correlations(a, b)
        expected = np.sqrt(2 - 2 * carried(r if signed else np.abs(r)))
        assert value[i, j] == pytest.approx(expected, abs=1e-10)
    assert (value[:, None] <= value[:, :, None] + value.T[None] + 1e-12).all()
    np.testing.assert_array_equal(value.diagonal(), 0)
    np.testing.assert_array_equal(value, value.T)


def test_copies_of_all_units_are_at_distance_zero_and_rotations_are_not():
    a = normal(0, 20, 1, 6)
    measure = matching.Measure(match="soft", values="distance")
    assert pair(measure, a, np.repeat(a, 3, 2)) == pytest.approx(0, abs=1e-12)
    assert pair(measure, a, a @ np.linalg.qr(normal(1, 6, 6))[0]) > 0.3


def test_mirrored_units_match_only_unsigned():
    a = normal(0, 30, 1, 6)
    mirrored = a * np.array([1, -1, -1, 1, -1, 1.0])
    assert pair(matching.Measure(), a, mirrored) < 0.7
    assert pair(matching.Measure(signed=False), a, mirrored) == pytest.approx(1, abs=1e-12)
    soft = matching.Measure(match="soft", values="distance", signed=False)
    assert soft.name == "matching(match=soft, distance, unsigned)"
    assert pair(soft, a, mirrored) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("match", ["one-to-one", "soft", "best"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_units_are_left_out_and_a_silent_population_has_no_value(match, dtype):
    a, b = two(8, 6)
    filled = np.insert(a, [0, 3], 0.7, 2)  # up to rounding
    measure = matching.Measure(match=match)
    assert pair(measure, filled, b, dtype) == pytest.approx(pair(measure, a, b, dtype), abs=1e-6)
    assert np.isnan(pair(measure, 0 * a + 0.1, b, dtype))


@pytest.mark.parametrize("center", ["time", "grand"])
def test_trajectories_are_correlated_over_stimuli_and_times_without_or_with_their_time_course(center):
    a, b = two(6, 6, times=4)
    course = 3 * normal(5, 1, 4, 1)
    a, b = a + course, b + course
    plain = [x - x.mean(0) for x in (a, b)] if center == "time" else [a, b]
    r = correlations(*plain)
    expected = r[linear_sum_assignment(-r)].mean()
    assert pair(matching.Measure(center=center), a, b) == pytest.approx(expected, abs=1e-10)


def test_a_distance_of_other_matchings_is_refused():
    with pytest.raises(ValueError, match="matching has no values='distance' with match='best'; only match='soft'"):
        matching.Measure(match="best", values="distance")
