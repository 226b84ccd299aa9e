"""What stands beside the values: z and p where they were asked for or nothing can be read without, and limits."""

import numpy as np
import pytest

from analysis.activations.types import RDMs
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.inference.intervals import jackknife
from analysis.inference.nulls import PERMUTATIONS, permutation_null, permutation_test, z_and_p
from analysis.inference.nulls_and_limits import MOST_SHUFFLED, annotated, check_nulls
from analysis.measures import cka, dsa, predictivity, procrustes, rsa


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def beside(measure, groups, nulls=False, intervals=False):
    prepared = prepare(measure, groups)
    value = similarities([prepared])[0].value
    return annotated(prepared, value, nulls=nulls, intervals=intervals), value, prepared


def test_biased_cka_always_has_z_and_p_where_they_are_closed_and_no_other_measure_does():
    one_row, trajectories = [normal(0, 3, 10, 1, 4)], [normal(0, 3, 10, 5, 4)]
    assert set(beside(cka.Measure(debiased=False), one_row)[0]) == {"z", "p"}
    assert not beside(cka.Measure(debiased=False), trajectories)[0], "999 permutations, which nobody asked for"
    assert not beside(cka.Measure(), one_row)[0]
    assert not beside(rsa.Measure(), one_row)[0]


def test_one_row_per_stimulus_has_z_and_p_in_closed_form_and_nothing_is_asked_of_a_member_with_itself():
    found, value, prepared = beside(rsa.Measure(), [normal(0, 3, 10, 1, 4)], nulls=True)
    z, p = z_and_p(value, permutation_null(prepared))
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_array_equal(found["z"][off], z[off])
    np.testing.assert_array_equal(found["p"][off], p[off])
    assert np.isnan(found["z"].diagonal()).all()
    assert np.isnan(found["p"].diagonal()).all()


def test_rows_of_trajectories_are_shuffled_by_whole_stimuli():
    found, _, prepared = beside(cka.Measure(), [normal(0, 2, 8, 3, 4)], nulls=True)
    test = permutation_test(prepared)
    assert found["p"][0, 1] == test.p[0, 1]
    assert found["z"][0, 1] == ((test.value - test.moments.mean) / test.moments.sd)[0, 1]


def test_dynamics_do_not_see_which_stimulus_is_which_and_have_no_null():
    assert not beside(dsa.Measure(rank=2), [normal(0, 2, 8, 9, 4)], nulls=True)[0]


def test_members_that_a_measure_cannot_be_had_of_have_nothing_beside_them():
    groups = [RDMs(np.ones((2, 12, 12)) - np.eye(12)), normal(0, 3, 12, 1, 4)]
    found, _, _ = beside(cka.Measure(), groups, nulls=True, intervals=True)
    alone = jackknife(prepare(cka.Measure(), groups[1:]))
    for part in found.values():
        assert part.shape == (5, 5)
        assert np.isnan(part[:2]).all()
        assert np.isnan(part[:, :2]).all()
    np.testing.assert_array_equal(found["low"][2:, 2:], alone.low)
    np.testing.assert_array_equal(found["high"][2:, 2:], alone.high)
    assert not beside(cka.Measure(), groups[:1], nulls=True, intervals=True)[0]


@pytest.mark.parametrize("measure", [procrustes.Measure(), predictivity.Measure()], ids=lambda m: m.family)
def test_comparisons_that_would_have_to_be_repeated_are_allowed_for_few_items(measure):
    check_nulls([measure, cka.Measure()], MOST_SHUFFLED)
    check_nulls([dsa.Measure()], MOST_SHUFFLED + 1)
    with pytest.raises(ValueError, match=f"take {PERMUTATIONS} comparisons of all {MOST_SHUFFLED + 1} items"):
        check_nulls([cka.Measure(), measure], MOST_SHUFFLED + 1)
