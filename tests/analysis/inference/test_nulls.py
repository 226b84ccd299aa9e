"""Permutation moments in closed form equal enumeration and shuffling; p follows the drawn distribution."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import skew

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.inference.nulls import (
    Moments,
    dominated,
    invariants,
    permutation_moments,
    permutation_null,
    z_and_p,
)
from analysis.measures import cka, rsa


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def symmetric(seed, members, n):
    maps = normal(seed, members, n, n)
    return maps + maps.swapaxes(1, 2) + 2  # not centred, and with a diagonal of its own scale


def gram(x, debiased):
    """The map of linear CKA for `(stimulus, unit)`."""
    x = x - x.mean(0)
    full = x @ x.T
    if not debiased:
        return full
    n = len(full)
    hollow = full - np.diag(full.diagonal())
    rows = hollow.sum(1)
    hollow = hollow - rows[:, None] / (n - 2) - rows / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return hollow - np.diag(hollow.diagonal())


@pytest.mark.parametrize("n", [4, 5, 6])
def test_moments_equal_those_over_every_permutation(n):
    a, b = symmetric(0, 2, n), symmetric(1, 3, n)
    orders = np.array(list(itertools.permutations(range(n))))
    values = np.stack([np.einsum("aij,bij->ab", a, b[:, order][:, :, order]) for order in orders])
    found = permutation_moments(invariants(a), invariants(b))
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-10)
    np.testing.assert_allclose(found.sd, values.std(0), rtol=1e-10)
    np.testing.assert_allclose(found.skew, skew(values), atol=1e-10)


@pytest.mark.parametrize("debiased", [False, True], ids=["biased", "debiased"])
@pytest.mark.parametrize(("n", "units"), [(12, 30), (40, 10), (100, 60)])
def test_moments_of_cka_equal_those_of_4000_permutations(n, units, debiased):
    spectrum = np.geomspace(1, 0.1, units)
    x = normal(n, 2, n, units) * spectrum
    a, b = gram(x[0], debiased), gram(x[1], debiased)
    draw = np.random.default_rng(1)
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    drawn = np.array([np.vdot(a, b[(order := draw.permutation(n))][:, order]) for _ in range(4000)]) / norm
    found = permutation_null(prepare(cka.Measure(debiased=debiased), [x[:, :, None]], "float64"))
    mean, sd, third = (part[0, 1] for part in found)
    # Four standard errors of 4,000 draws; the kurtosis is the draws' own.
    fourth = np.mean((drawn - drawn.mean()) ** 4) / drawn.var() ** 2
    assert mean == pytest.approx(drawn.mean(), abs=4 * sd / 4000**0.5)
    assert sd == pytest.approx(drawn.std(), rel=2 * ((fourth - 1) / 4000) ** 0.5)
    assert third == pytest.approx(skew(drawn), abs=0.3)
    if debiased:
        assert mean == pytest.approx(0, abs=1e-12)
        assert sd == pytest.approx(cka.Measure().chance_sd(n, rows=1), rel=1e-10)


def test_the_mean_is_the_chance_level_that_the_measure_states():
    x = normal(0, 4, 15, 1, 6)
    for measure in (cka.Measure(debiased=False), rsa.Measure(compare="cosine")):
        stated = similarities([prepare(measure, [x], "float64")])[0].chance
        np.testing.assert_allclose(permutation_null(prepare(measure, [x], "float64")).mean, stated, atol=1e-12)
        np.testing.assert_allclose(permutation_null(prepare(measure, [x])).mean, stated, atol=1e-5)


def test_p_of_the_third_moment_follows_the_shuffled_distribution_where_a_normal_one_fails():
    x = normal(3, 2, 30, 1, 2) * [1, 0.2]  # one strong dimension: skew above 1
    measure = cka.Measure(debiased=False)
    null = permutation_null(prepare(measure, [x]))
    assert null.skew[0, 1] > 1
    draw = np.random.default_rng(0)
    a, b = gram(x[0, :, 0], False), gram(x[1, :, 0], False)
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    drawn = np.array([np.vdot(a, b[(order := draw.permutation(30))][:, order]) for _ in range(4000)]) / norm
    for level in (0.05, 0.01):
        z, p = z_and_p(np.quantile(drawn, 1 - level), null)
        assert p[0, 1] == pytest.approx(level, rel=0.4)
        assert math.erfc(z[0, 1] / 2**0.5) / 2 < level / 1.5


def test_what_has_no_closed_form_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"several rows per stimulus .* take time=features, mean or last"):
        permutation_null(prepare(cka.Measure(), [normal(0, 2, 6, 3, 4)]))
    with pytest.raises(ValueError, match=r"A map of shape .3, 3. has no permutation moments"):
        invariants(np.zeros((1, 3, 3)))
    with pytest.raises(ValueError, match="Maps of 5 and of 6 stimuli"):
        permutation_moments(invariants(symmetric(0, 1, 5)), invariants(symmetric(0, 1, 6)))


def test_maps_that_no_permutation_changes_have_no_spread():
    constant = np.ones((1, 7, 7)) + np.eye(7)
    found = permutation_moments(invariants(constant), invariants(symmetric(0, 1, 7)))
    assert np.isnan(found.sd).all()
    assert np.isfinite(found.mean).all()


def with_one_far(seed, members, n, far):
    """Networks without anything in common, each with one far stimulus of its own."""
    x = normal(seed, members, n, 10)
    for member in range(members):
        x[member, member] += far * normal(seed + member + 1, 10) / 10**0.5
    return x[:, :, None]


@pytest.mark.parametrize(
    "measure", [cka.Measure(), cka.Measure(debiased=False), rsa.Measure(rdm="euclidean", compare="pearson")], ids=str
)
def test_a_stimulus_that_makes_up_a_map_is_named(measure):
    found = dominated(prepare(measure, [with_one_far(0, 3, 30, 40.0), normal(1, 2, 30, 1, 10)]))
    assert [(of.member, of.stimulus) for of in found] == [(0, 0), (1, 1), (2, 2)]
    assert all(0.5 < of.share < 1 for of in found)


def test_maps_of_even_stimuli_and_of_ranks_are_dominated_by_none():
    for n in (20, 30, 100):
        assert not dominated(prepare(cka.Measure(), [normal(0, 5, n, 1, 10)]))
        assert not dominated(prepare(rsa.Measure(rdm="euclidean"), [with_one_far(0, 3, n, 100.0)]))


@pytest.mark.parametrize("n", [8, 30, 100])
@pytest.mark.parametrize("far", [2, 3, 4, 6])
def test_several_stimuli_that_make_up_a_map_are_noticed_and_so_is_any_of_few(n, far):
    x = normal(0, 2, n, 10)
    x[:, :far] += 20 * normal(1, 2, far, 10) / 10**0.5
    found = dominated(prepare(cka.Measure(), [x[:, :, None]]))
    assert [of.member for of in found] == [0, 1]
    assert all(of.alike < 8 or of.alike < n / 2 for of in found)


def closed_rates(far, n=30, draws=4000):
    """How often p <= .05 and p <= .001 among orders of the stimuli, which all are as likely."""
    x = with_one_far(3, 2, n, far)
    prepared = prepare(cka.Measure(), [x], "float64")
    a, b = (gram(of[:, 0], debiased=True) for of in x)
    draw = np.random.default_rng(1)
    values = np.array([np.vdot(a, b[(order := draw.permutation(n))][:, order]) for _ in range(draws)])
    moments = Moments(*(part[:1, 1:] for part in permutation_null(prepared)))
    _, p = z_and_p(values[:, None] / (np.linalg.norm(a) * np.linalg.norm(b)), moments)
    return (p <= 0.05).mean(), (p <= 0.001).mean(), bool(dominated(prepared))


def test_where_no_stimulus_dominates_p_in_closed_form_holds_its_level_and_where_one_does_not():
    middle, tail, far = closed_rates(5.0)
    assert not far
    assert middle == pytest.approx(0.05, abs=0.02)
    assert tail < 0.0025
    middle, tail, far = closed_rates(30.0)
    assert far
    assert tail > 0.003, "and is not used"
