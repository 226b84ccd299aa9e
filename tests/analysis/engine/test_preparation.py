"""States are made once for values, nulls and intervals, of groups as their measure takes them."""

from collections import Counter

import numpy as np
import pytest

from analysis.activations.types import RDMs, Repeats
from analysis.comparison import compare
from analysis.engine.preparation import as_taken, prepare, stimuli_in_order, taken
from analysis.measures import cca, cka, dsa, neighbors, procrustes, rsa
from tests.analysis.engine.product import normal


@pytest.fixture
def prepared_groups(monkeypatch):
    """How often each measure prepared members of each number of units."""
    count = Counter()
    for family in (cka, rsa, procrustes):
        of_family = family.Measure.prepare

        def counted(self, x, of_family=of_family):
            count[self.name, x.shape[-1]] += 1
            return of_family(self, x)

        monkeypatch.setattr(family.Measure, "prepare", counted)
    return count


def test_a_comparison_prepares_each_measure_once_per_group_for_values_nulls_and_intervals(prepared_groups):
    members = {f"{units} {i}": normal(i, 12, units).astype("float32") for units in (5, 8) for i in range(2)}
    chosen = [cka.Measure(), cka.Measure(debiased=False), rsa.Measure(), rsa.Measure(compare="cosine")]
    result = compare(members, chosen, nulls=True, intervals=True)
    assert all(f"{measure.name}_{beside}" in result for measure in chosen for beside in ("z", "p", "low", "high"))
    assert prepared_groups == {(measure.name, units): 1 for measure in chosen for units in (5, 8)}


def test_shuffled_stimuli_of_trajectories_come_from_the_states_of_the_values(prepared_groups):
    members = {str(i): normal(i, 8, 3, 5).astype("float32") for i in range(3)}
    assert "cka_z" in compare(members, ["cka", "rsa"], nulls=True, intervals=True)
    assert set(prepared_groups.values()) == {1}


def test_a_pair_measure_is_prepared_once_per_group(prepared_groups):
    compare({"a": normal(0, 12, 5), "b": normal(1, 12, 8)}, procrustes.Measure())
    assert list(prepared_groups.values()) == [1, 1]


def test_null_and_limits_leave_the_states_as_they_were():
    from analysis.inference.limits_over_stimuli import jackknife
    from analysis.inference.nulls import permutation_null
    from analysis.inference.permutation_tests import permutation_test

    for measure in (cka.Measure(), rsa.Measure()):
        prepared = prepare(measure, [normal(0, 3, 10, 1, 4)])
        names = [set(state) for state in prepared.taken_states]
        permutation_null(prepared), permutation_test(prepared, draws=1), jackknife(prepared)
        assert [set(state) for state in prepared.taken_states] == names


def test_a_measure_takes_part_with_the_groups_that_it_can_be_had_of():
    groups = [normal(0, 2, 8, 1, 4), RDMs(np.zeros((3, 8, 8))), Repeats(normal(1, 1, 5, 8, 1, 4))]
    takes = {measure.name: [taken(measure, group) for group in groups] for measure in (cka.Measure(), rsa.Measure())}
    assert list(takes.values()) == [[True, False, True], [True, True, True]]
    assert not taken(rsa.Measure(rdm="crossnobis"), groups[0])
    prepared = prepare(cka.Measure(), groups)
    assert prepared.members.tolist() == [0, 1, 5]
    assert (prepared.count, prepared.stimuli, prepared.rows) == (6, 8, 1)
    assert prepared.states[1] is None
    assert len(prepared.taken_groups) == len(prepared.taken_states) == len(prepared.places) == 2


def test_repeats_are_averaged_for_a_measure_that_does_not_take_them_and_kept_for_one_that_does():
    repeats = Repeats(normal(0, 2, 5, 8, 1, 4))
    averaged = as_taken(cka.Measure(), repeats, "float32")
    np.testing.assert_array_equal(averaged, repeats.array.mean(1).astype("float32"))
    kept = as_taken(rsa.Measure(rdm="crossnobis"), repeats, "float32")
    assert isinstance(kept, Repeats)
    assert (kept.array.shape, kept.array.dtype) == (repeats.array.shape, np.float32)


def test_stimuli_in_another_order_are_those_of_every_kind_of_group():
    order = np.array([2, 0, 3])
    x, repeats = normal(0, 2, 5, 1, 4), normal(1, 2, 3, 5, 1, 4)
    distances = normal(2, 2, 5, 5)
    np.testing.assert_array_equal(stimuli_in_order(x, order), x[:, order])
    np.testing.assert_array_equal(stimuli_in_order(Repeats(repeats), order).array, repeats[:, :, order])
    np.testing.assert_array_equal(stimuli_in_order(RDMs(distances), order).array, distances[:, order][:, :, order])


def test_rows_of_a_map_are_the_times_that_a_measure_keeps_apart():
    x = normal(0, 2, 12, 7, 4)
    assert prepare(cka.Measure(), [x]).rows == 7
    assert prepare(cka.Measure(time="mean"), [x]).rows == 1
    assert prepare(neighbors.Measure(k=3), [x]).rows == 1
    assert prepare(rsa.Measure(), [RDMs(np.zeros((1, 12, 12)))]).rows == 1


@pytest.mark.parametrize("measure", [cca.Measure(), dsa.Measure(rank=2), procrustes.Measure()], ids=lambda m: m.family)
def test_states_of_a_pair_measure_are_left_to_its_tiles(measure):
    assert prepare(measure, [normal(0, 2, 12, 7, 4)]).states == (None,)
