"""Permutation moments in closed form equal enumeration and shuffling; p follows the drawn distribution."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import skew

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.inference.nulls import (
    invariants,
    permutation_moments,
    permutation_null,
    permutation_test,
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


@pytest.mark.parametrize("measure", [cka.Measure(debiased=False), rsa.Measure()], ids=["cka", "rsa"])
def test_moments_of_any_inner_measure_equal_its_shuffled_values(measure):
    groups = [normal(0, 2, 9, 1, 4), normal(1, 1, 9, 1, 7)]
    exact = permutation_null(prepare(measure, groups, "float64"))
    test = permutation_test(prepare(measure, groups, "float64"), draws=1500)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(test.moments.mean[off], exact.mean[off], atol=5 * exact.sd.max() / 1500**0.5)
    np.testing.assert_allclose(test.moments.sd[off], exact.sd[off], rtol=0.12)
    np.testing.assert_allclose(test.moments.skew[off], exact.skew[off], atol=0.4)


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


@pytest.mark.parametrize("measure", [cka.Measure(), rsa.Measure(ranks="exact")], ids=["cka", "rsa"])
def test_a_draw_is_the_value_of_stimuli_in_another_order(measure):
    groups, others = [normal(0, 2, 8, 3, 4), normal(1, 1, 8, 3, 5)], [normal(2, 2, 8, 3, 6)]
    order = np.random.default_rng(5).permutation(8)
    prepared, shuffled = (prepare(measure, part, "float64") for part in (groups, others))
    drawn = permutation_test(prepared, shuffled, draws=1, seed=5)
    again = permutation_test(prepared, prepare(measure, [others[0][:, order]], "float64"), draws=1)
    np.testing.assert_allclose(drawn.moments.mean, again.value, atol=1e-10)
    blocks = permutation_test(prepared, shuffled, draws=1, seed=5, budget=2**13)
    np.testing.assert_allclose(drawn.moments.mean, blocks.moments.mean, atol=1e-10)
    wanted = similarities([prepare(measure, [*groups, *others], "float64")])[0].value[:3, 3:]
    np.testing.assert_allclose(drawn.value, wanted, atol=1e-10)


def test_a_measure_of_pairs_is_shuffled_by_the_engine():
    test = permutation_test(prepare(rsa.Measure(compare="tau-a"), [normal(0, 3, 7, 1, 4)]), draws=40)
    assert np.abs(test.moments.mean[0, 1]) < 4 * test.moments.sd[0, 1] / 40**0.5
    np.testing.assert_array_equal(test.p, test.p.T)
    assert test.p[0, 0] <= 3 / 41


def test_p_counts_the_value_itself_is_symmetric_and_small_for_the_same_stimuli():
    x = normal(0, 12, 1, 6)
    members = np.stack([x, x + 0.3 * normal(1, 12, 1, 6), normal(2, 12, 1, 6)])
    test = permutation_test(prepare(rsa.Measure(), [members]), draws=99)
    np.testing.assert_array_equal(test.p, test.p.T)
    assert test.p[0, 1] == 1 / 100
    assert test.p[0, 2] > 0.02
    assert test.draws == 99


def test_p_of_independent_representations_is_uniform():
    x = normal(0, 60, 12, 1, 5)
    p = permutation_test(prepare(rsa.Measure(), [x]), draws=99).p[np.triu_indices(60, 1)]
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.02)
    _, p = z_and_p(similarities([prepare(rsa.Measure(), [x])])[0].value, permutation_null(prepare(rsa.Measure(), [x])))
    assert np.mean(p[np.triu_indices(60, 1)] <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_what_has_no_closed_form_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"several rows per stimulus .* take time=features, mean or last"):
        permutation_null(prepare(cka.Measure(), [normal(0, 2, 6, 3, 4)]))
    with pytest.raises(ValueError, match=r"A map of shape .3, 3. has no permutation moments"):
        invariants(np.zeros((1, 3, 3)))
    with pytest.raises(ValueError, match="Maps of 5 and of 6 stimuli"):
        permutation_moments(invariants(symmetric(0, 1, 5)), invariants(symmetric(0, 1, 6)))
    with pytest.raises(ValueError, match="test of 0 draws"):
        permutation_test(prepare(rsa.Measure(), [normal(0, 2, 6, 1, 4)]), draws=0)


def test_maps_that_no_permutation_changes_have_no_spread():
    constant = np.ones((1, 7, 7)) + np.eye(7)
    found = permutation_moments(invariants(constant), invariants(symmetric(0, 1, 7)))
    assert np.isnan(found.sd).all()
    assert np.isfinite(found.mean).all()
