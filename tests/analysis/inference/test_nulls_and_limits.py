"""What stands beside the values: z and p where they were asked for or nothing can be read without, and limits."""

import re

import numpy as np

from analysis.activations.types import RDMs
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.inference.limits_over_stimuli import jackknife
from analysis.inference.nulls import permutation_null, z_and_p
from analysis.inference.nulls_and_limits import Beside, annotated, seconds_by_work
from analysis.inference.permutation_tests import permutation_test
from analysis.measures import cka, dsa, procrustes, rsa


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def beside(measure, groups, nulls=0, intervals=False):
    prepared = prepare(measure, groups)
    value = similarities([prepared])[0].value
    return annotated(prepared, value, Beside(nulls, intervals)), value, prepared


def test_biased_cka_always_has_z_and_p_where_they_are_closed_and_no_other_measure_does():
    one_row, trajectories = [normal(0, 3, 10, 1, 4)], [normal(0, 3, 10, 5, 4)]
    assert set(beside(cka.Measure(debiased=False), one_row)[0]) == {"z", "p"}
    assert not beside(cka.Measure(debiased=False), trajectories)[0], "shuffles, which nobody asked for"
    assert not beside(cka.Measure(), one_row)[0]
    assert not beside(rsa.Measure(), one_row)[0]


def test_one_row_per_stimulus_has_z_and_p_in_closed_form_and_nothing_is_asked_of_a_member_with_itself():
    found, value, prepared = beside(rsa.Measure(), [normal(0, 3, 10, 1, 4)], nulls=29)
    z, p = z_and_p(value, permutation_null(prepared))
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_array_equal(found["z"][off], z[off])
    np.testing.assert_array_equal(found["p"][off], p[off])
    assert np.isnan(found["z"].diagonal()).all()
    assert np.isnan(found["p"].diagonal()).all()


def test_where_one_stimulus_makes_up_a_map_z_and_p_are_from_orders_of_the_stimuli_and_it_is_named():
    x = normal(0, 2, 30, 1, 6)
    x[:, 4] += 40 * normal(1, 2, 1, 6)
    found, _, prepared = beside(cka.Measure(debiased=False), [x])
    assert found["p"][0, 1] == permutation_test(prepared).p[0, 1]
    asked = Beside(199)
    assert asked.nulls_of(prepared) == "over 199 orders of the stimuli"
    assert Beside().nulls_of(prepared) == "over 999 orders of the stimuli", "its values mean nothing without"
    assert Beside().nulls_of(prepare(cka.Measure(), [x])) == ""
    warning = asked.warning_of(prepared, ["m0/rate", "m1/rate"])
    assert re.fullmatch(
        r"cka\(kernel=linear, biased\): stimulus 4, from 0, makes up \d\d% of the map of m[01]/rate, which rests on "
        "as many as 1 alike ones would of 30, and few stimuli make up those of 1 more; z and p are over 199 orders of "
        "the stimuli",
        warning,
    )
    limits = Beside(intervals=True).warning_of(prepare(cka.Measure(), [x]), ["m0/rate", "m1/rate"])
    assert limits.endswith("1 more; limits may cover far less than 95 %")
    assert asked.warning_of(prepare(cka.Measure(), [normal(0, 2, 30, 1, 6)]), ["a", "b"]) == ""
    assert asked.warning_of(prepare(procrustes.Measure(), [x]), ["a", "b"]) == "", "never closed"


def test_rows_of_trajectories_are_shuffled_by_whole_stimuli():
    found, _, prepared = beside(cka.Measure(), [normal(0, 2, 8, 3, 4)], nulls=29)
    test = permutation_test(prepared, draws=29)
    assert found["p"][0, 1] == test.p[0, 1]
    assert found["z"][0, 1] == ((test.value - test.moments.mean) / test.moments.sd)[0, 1]


def test_dynamics_do_not_see_which_stimulus_is_which_and_have_no_null():
    assert not beside(dsa.Measure(rank=2), [normal(0, 2, 8, 9, 4)], nulls=29)[0]


def test_members_that_a_measure_cannot_be_had_of_have_nothing_beside_them():
    groups = [RDMs(np.ones((2, 12, 12)) - np.eye(12)), normal(0, 3, 12, 1, 4)]
    found, _, _ = beside(cka.Measure(), groups, nulls=29, intervals=True)
    alone = jackknife(prepare(cka.Measure(), groups[1:]))
    for part in found.values():
        assert part.shape == (5, 5)
        assert np.isnan(part[:2]).all()
        assert np.isnan(part[:, :2]).all()
    np.testing.assert_array_equal(found["low"][2:, 2:], alone.low)
    np.testing.assert_array_equal(found["high"][2:, 2:], alone.high)
    assert not beside(cka.Measure(), groups[:1], nulls=29, intervals=True)[0]


def test_only_what_is_computed_again_and_again_is_timed_beforehand():
    x = [normal(0, 3, 10, 1, 4)]
    assert seconds_by_work(prepare(cka.Measure(), x), Beside(999, True)) == {}, "closed forms"
    works = seconds_by_work(prepare(procrustes.Measure(), x), Beside(999, True))
    name = procrustes.Measure().name
    assert list(works) == [
        f"{name}, z and p over orders of the stimuli",
        f"{name}, limits over stimuli left out one at a time",
    ]
    assert all(seconds > 0 for seconds in works.values())
    assert seconds_by_work(prepare(procrustes.Measure(), x), Beside()) == {}


def test_how_z_and_p_and_limits_were_had_is_told():
    x, rows = [normal(0, 3, 10, 1, 4)], [normal(0, 3, 10, 5, 4)]
    closed, shuffled, dynamics = (
        prepare(rsa.Measure(), x),
        prepare(cka.Measure(), rows),
        prepare(dsa.Measure(rank=2), rows),
    )
    asked = Beside(29, True)
    assert asked.nulls_of(closed) == "in closed form, over all orders of the stimuli"
    assert asked.nulls_of(shuffled) == "over 29 orders of the stimuli"
    assert asked.nulls_of(dynamics) == ""
    assert asked.limits_of(closed) == "of the value over all stimuli there are, by leaving out each of 10 stimuli"
    of_samples = "of the mean over samples of 10 stimuli, by leaving out each of 10 stimuli"
    assert asked.limits_of(prepare(procrustes.Measure(), x)) == of_samples
    assert asked.limits_of(prepare(procrustes.Measure(folds=2), x)) == ""
    assert (Beside().nulls_of(closed), Beside().limits_of(closed)) == ("", "")


def test_a_measure_without_limits_of_so_few_stimuli_stops_no_other():
    few = prepare(cka.Measure(), [normal(0, 3, 4, 1, 3)])
    assert Beside(0, True).limits_of(few) == ""
    assert annotated(few, similarities([few])[0].value, Beside(0, True)) == {}
