"""Shuffled values: what an order of the stimuli gives, for measures of every form, and the p that follows."""

import numpy as np
import pytest

from analysis.engine import journal
from analysis.engine.all_pairs import similarities
from analysis.engine.journal import Journal
from analysis.engine.preparation import prepare, stimuli_in_order
from analysis.inference.nulls import permutation_null, z_and_p
from analysis.inference.permutation_tests import permutation_test, shuffles
from analysis.measures import cka, matching, predictivity, procrustes, rsa


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("measure", [cka.Measure(debiased=False), rsa.Measure()], ids=["cka", "rsa"])
def test_moments_of_any_inner_measure_equal_its_shuffled_values(measure):
    groups = [normal(0, 2, 9, 1, 4), normal(1, 1, 9, 1, 7)]
    exact = permutation_null(prepare(measure, groups, "float64"))
    test = permutation_test(prepare(measure, groups, "float64"), draws=1500)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(test.moments.mean[off], exact.mean[off], atol=5 * exact.sd.max() / 1500**0.5)
    np.testing.assert_allclose(test.moments.sd[off], exact.sd[off], rtol=0.12)
    np.testing.assert_allclose(test.moments.skew[off], exact.skew[off], atol=0.4)


@pytest.mark.parametrize("measure", [cka.Measure(), rsa.Measure(ranks="exact")], ids=["cka", "rsa"])
def test_a_draw_is_the_value_of_stimuli_in_another_order(measure):
    groups, others = [normal(0, 2, 8, 3, 4), normal(1, 1, 8, 3, 5)], [normal(2, 2, 8, 3, 6)]
    order = np.random.default_rng([5, 0]).permutation(8)
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


@pytest.mark.parametrize(
    "measure",
    [procrustes.Measure(), matching.Measure(), rsa.Measure(compare="tau-a"), predictivity.Measure(folds=3)],
    ids=lambda m: m.family,
)
def test_shuffled_values_of_any_form_are_those_of_the_whole_comparison_of_shuffled_stimuli(measure):
    groups = [normal(0, 3, 12, 1, 4), normal(1, 2, 12, 1, 6)]
    prepared = prepare(measure, groups, "float64")
    value, repetitions = shuffles(prepared, draws=19, seed=3)
    whole = similarities([prepared])[0].value
    np.testing.assert_allclose(value, whole, atol=1e-8)
    order = np.random.default_rng([3, 7]).permutation(12)
    both = prepare(measure, [*groups, *(stimuli_in_order(group, order) for group in groups)], "float64")
    wanted = similarities([both])[0].value[:5, 5:]
    found = repetitions.once(7)
    if measure.symmetric:  # one order serves both sides of a pair
        either = np.isclose(found, wanted, atol=1e-8) | np.isclose(found, wanted.T, atol=1e-8)
        assert either.all()
        np.testing.assert_array_equal(found, found.T)
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_a_killed_test_goes_on_with_the_draws_that_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS", 0.0)
    monkeypatch.setattr(journal, "SHARE", 0)
    prepared = prepare(procrustes.Measure(), [normal(0, 3, 9, 1, 4)])
    whole = permutation_test(prepared, draws=19)

    class Killed(Exception):
        """In place of a kill, which would end the test too."""

    class Stopping(Journal):
        def write(self, key, **arrays):
            super().write(key, **arrays)
            if arrays["done"] == 5:
                raise Killed

    with pytest.raises(Killed):
        permutation_test(prepared, draws=19, journal=Stopping(tmp_path))
    again = permutation_test(prepared, draws=19, journal=Journal(tmp_path))
    np.testing.assert_array_equal(again.p, whole.p)
    np.testing.assert_array_equal(again.moments.sd, whole.moments.sd)


def test_no_draws_are_refused():
    with pytest.raises(ValueError, match="test of 0 draws"):
        permutation_test(prepare(rsa.Measure(), [normal(0, 2, 6, 1, 4)]), draws=0)
