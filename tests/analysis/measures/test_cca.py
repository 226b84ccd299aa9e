"""Canonical correlations are cosines of SciPy's angles between column spaces; chance is the mean of permutations."""

import itertools

import numpy as np
import pytest
from scipy import linalg

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.measures import _spectra, cca

PRECISIONS = pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
MEAN, SQUARED, PWCCA = (cca.Measure(summary=summary) for summary in ("mean", "squared", "pwcca"))
EVERY = pytest.mark.parametrize("measure", [MEAN, SQUARED, PWCCA], ids=lambda measure: measure.name)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def two(rows=40, units=(9, 6), times=1):
    """Two related representations (stimulus, time, unit), with offsets and spectra of their own."""
    a = normal(0, rows, times, units[0]) * np.geomspace(1, 8, units[0])
    b = normal(1, rows, times, units[1]) + a @ normal(2, *units)
    return a + 3, b - 1


def pair(measure, a, b, dtype="float64"):
    """The value for two arrays (stimulus, time, unit)."""
    return similarities([prepare(measure, [a[None], b[None]], dtype)])[0].value[0, 1]


def oracle(a, b, summary):
    """Of centred (row, unit), from the angles between column spaces and, for weights, from Morcos et al. 2018."""
    rho = np.cos(linalg.subspace_angles(linalg.orth(a), linalg.orth(b)))
    if summary != "pwcca":
        return (rho if summary == "mean" else rho**2).mean()
    q_a, q_b = linalg.orth(a), linalg.orth(b)
    values, directions = np.linalg.eigh(q_b.T @ q_a @ q_a.T @ q_b)
    variates = q_b @ directions[:, ::-1]
    weights = np.array([sum(abs(h @ unit) for unit in b.T) for h in variates.T])[: len(rho)]
    return weights @ np.sqrt(np.maximum(values[::-1][: len(rho)], 0)) / weights.sum()


def leading(x, share):
    """Centred (row, unit) reduced to the fewest principal components with that share of the variance."""
    values, vectors = np.linalg.eigh(x.T @ x)
    values, vectors = values[::-1], vectors[:, ::-1]
    count = 1 + np.argmax(np.cumsum(values) / values.sum() >= share)
    return x @ vectors[:, :count] @ vectors[:, :count].T


def test_components_keep_so_many_leading_ones_at_most():
    a, b = two()
    x, y = (z[:, 0] - z[:, 0].mean(0) for z in (a, b))
    first = [u[:, :3] * s[:3] for u, s, _ in (np.linalg.svd(z, full_matrices=False) for z in (x, y))]
    assert pair(cca.Measure(components=3), a, b) == pytest.approx(oracle(*first, "mean"), abs=1e-10)
    assert pair(cca.Measure(components=50), a, b) == pytest.approx(pair(MEAN, a, b), abs=1e-12)
    assert cca.Measure(components=3).name == "cca(summary=mean, components=3)"
    assert "invertible" not in cca.Measure(components=3).invariances


def test_few_components_are_compared_of_few_stimuli():
    many = cca.Measure().fault(20, 1, 40)
    assert many
    assert not cca.Measure(components=10).fault(20, 1, 40)


@PRECISIONS
@EVERY
@pytest.mark.parametrize("units", [(9, 6), (6, 9)])
def test_summaries_are_those_of_the_angles_between_column_spaces(measure, units, dtype, atol):
    a, b = two(units=units)
    x, y = (z[:, 0] - z[:, 0].mean(0) for z in (a, b))
    assert pair(measure, a, b, dtype) == pytest.approx(oracle(x, y, measure.summary), abs=atol)


@PRECISIONS
@EVERY
def test_rows_of_trajectories_are_centred_at_each_time_or_at_all(measure, dtype, atol):
    a, b = two(rows=12, times=4)
    for center, axes in (("time", 0), ("grand", (0, 1))):
        x, y = ((z - z.mean(axes, keepdims=True)).reshape(48, -1) for z in (a, b))
        value = pair(cca.Measure(summary=measure.summary, center=center), a, b, dtype)
        assert value == pytest.approx(oracle(x, y, measure.summary), abs=atol)


@PRECISIONS
@EVERY
def test_few_directions_among_many_units_count_as_few(measure, dtype, atol):
    a, b = normal(0, 20, 1, 4) @ normal(1, 4, 50), normal(2, 20, 1, 7) @ normal(3, 7, 35)
    x, y = (z[:, 0] - z[:, 0].mean(0) for z in (a, b))
    assert pair(measure, a, b, dtype) == pytest.approx(oracle(x, y, measure.summary), abs=atol)


@PRECISIONS
@EVERY
@pytest.mark.parametrize("shape", [(40, 15), (20, 60)])
def test_svcca_keeps_the_fewest_components_that_explain_the_share(measure, shape, dtype, atol):
    a = normal(0, shape[0], 1, shape[1]) / np.arange(1, shape[1] + 1)
    b = normal(1, shape[0], 1, shape[1]) / np.arange(1, shape[1] + 1) ** 0.5 + 2 * a
    x, y = (leading(z[:, 0] - z[:, 0].mean(0), 0.9) for z in (a, b))
    value = pair(cca.Measure(summary=measure.summary, variance=0.9), a, b, dtype)
    assert value == pytest.approx(oracle(x, y, measure.summary), abs=atol)
    assert value != pytest.approx(pair(measure, a, b), abs=1e-3)


def test_pwcca_reads_how_much_of_b_is_found_in_a():
    a = normal(0, 60, 1, 5)
    b = np.concatenate([10 * a, normal(1, 60, 1, 5)], 2)  # half of b, most of its variance, is in a
    both = similarities([prepare(PWCCA, [a[None], b[None]], "float64")])[0].value
    assert both[1, 0] == pytest.approx(1), "all of a is in b"
    few = np.concatenate([a[..., :2], normal(2, 60, 1, 3)], 2)
    loud, quiet = (few * np.r_[[scale] * 2, [1] * 3] for scale in (30, 1))
    assert pair(PWCCA, a, loud) > pair(PWCCA, a, quiet) + 0.2
    assert pair(PWCCA, loud, a) == pytest.approx(pair(PWCCA, quiet, a), abs=1e-10), "the scale of a does not matter"


# --- chance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("center", ["time", "grand"])
@pytest.mark.parametrize("times", [1, 3])
def test_chance_of_mean_squared_cca_is_the_mean_over_all_permutations(center, times):
    course = normal(3, 1, times, 1)
    a, b = normal(0, 5, times, 2) + 2 * course, normal(1, 5, times, 3) - course
    shuffled = np.stack([b[list(order)] for order in itertools.permutations(range(5))])
    measure = cca.Measure(summary="squared", center=center)
    result = similarities([prepare(measure, [a[None], shuffled], "float64")])[0]
    chance = np.broadcast_to(result.chance, result.value.shape)[0, 1]
    assert result.value[0, 1:].mean() == pytest.approx(chance, abs=1e-12)
    if times == 1:
        assert chance == pytest.approx(3 / 4), "the larger rank over the stimuli less one"


def test_noise_has_its_chance_level():
    groups = [normal(0, 15, 100, 1, 40), normal(1, 15, 100, 1, 20)]
    result = similarities([prepare(SQUARED, groups)])[0]
    pairs = np.triu_indices(30, 1)
    assert result.value[pairs].mean() == pytest.approx(result.chance[pairs].mean(), abs=0.003)
    assert result.chance[0, 1] == pytest.approx(40 / 99, abs=1e-6)
    assert np.isnan(similarities([prepare(MEAN, groups)])[0].chance)


# --- the engine's ways -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("summary", ["mean", "pwcca"])
@pytest.mark.parametrize("variance", [1.0, 0.9])
def test_an_accelerator_gives_what_the_host_gives(monkeypatch, summary, variance):
    groups = [normal(0, 3, 30, 1, 12), normal(1, 3, 30, 1, 7)]
    measure = cca.Measure(summary=summary, variance=variance)
    on_host = similarities([prepare(measure, groups)])[0].value
    monkeypatch.setattr(_spectra, "host", lambda: False)
    np.testing.assert_allclose(similarities([prepare(measure, groups)])[0].value, on_host, atol=1e-5)


def test_mean_squared_cca_is_the_same_by_way_of_rows_and_of_units():
    groups = [normal(0, 3, 25, 4, 6), normal(1, 2, 25, 4, 9)]  # 100 rows > 6 x 9: by way of the units
    states = [SQUARED.prepare(x) for x in groups]
    maps = np.concatenate([SQUARED.left(state, np.arange(25), np.arange(25)) for state in states])
    ranks = np.concatenate([state["rank"] for state in states])
    expected = maps @ maps.T / np.minimum(ranks[:, None], ranks)
    np.testing.assert_allclose(similarities([prepare(SQUARED, groups)])[0].value, expected, atol=1e-5)


# --- at the door -----------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("variance", [1.0, 0.99])
def test_silence_and_rounding_noise_have_no_canonical_correlation(measure, variance):
    a = normal(0, 4, 12, 1, 6).astype("float32")
    a[1], a[2] = 0, np.float32(0.1) * (1 + np.float32(1e-7) * normal(1, 12, 1, 6))
    value = similarities([prepare(cca.Measure(summary=measure.summary, variance=variance), [a])])[0].value
    assert np.isnan(value[1:3]).all()
    assert np.isnan(value[:, 1:3]).all()
    assert np.isfinite(value[np.ix_([0, 3], [0, 3])]).all()


def test_more_parameters_than_stimuli_are_refused_with_the_fix():
    reason = MEAN.fault(12, 1, 11)
    assert "a linear map of 11 features fits any 12 centred stimuli exactly" in reason
    assert "variance=0.99" in reason
    assert MEAN.fault(12, 1, 10) == ""
    assert cca.Measure(variance=0.99).fault(12, 1, 500) == ""
    with pytest.raises(ValueError, match=r"cca has no variance=0\.0; it must be above 0\.0"):
        cca.Measure(variance=0.0)
