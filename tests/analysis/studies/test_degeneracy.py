"""Directions of degeneracy: slopes that are planted are found, and a small study goes from training to its claims."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from analysis.studies import degeneracy
from analysis.studies._answers import AGREES, DISAGREES, UNDECIDED, signed
from analysis.studies.degeneracy import SIGNS, Condition, Study, conditions, pooled_slope
from analysis.zoo_study import run_study
from models import vanilla
from zoo import Training, Zoo
from zoo.tasks import flipflop


def test_the_slope_is_the_mean_over_tasks_of_those_over_levels():
    values = {("a", level): 2.0 * level + 1 for level in range(3)} | {("b", level): -1.0 * level for level in range(3)}
    found = pooled_slope(values)
    assert found.value == pytest.approx(0.5)
    assert found.n == 2
    assert math.isnan(found.low), "two tasks have no limits"


def test_limits_are_students_over_the_slopes_of_tasks():
    slopes = [0.3, 0.5, 1.0, 0.2]
    found = pooled_slope({(task, level): slope * level for task, slope in zip("abcd", slopes) for level in range(3)})
    limits = stats.t.interval(0.95, 3, np.mean(slopes), stats.sem(slopes))
    assert found == pytest.approx((np.mean(slopes), *limits, 4))


def test_two_penalties_of_one_task_are_one_slope():
    lines = {"a, l1": 1.0, "a, nuclear": 3.0, "b, l1": 0.0, "b, nuclear": 0.5}
    found = pooled_slope({(line, level): slope * level for line, slope in lines.items() for level in range(3)})
    assert (found.value, found.n) == (pytest.approx((2 + 0.25) / 2), 2)


def test_tasks_that_agree_in_a_direction_decide_it_and_tasks_that_do_not_leave_it_open():
    steady = {(task, level): slope * level for task, slope in zip("abcd", (1.0, 1.1, 0.9, 1.0)) for level in range(3)}
    assert signed(pooled_slope(steady), 1).verdict == AGREES
    assert signed(pooled_slope(steady), -1).verdict == DISAGREES
    mixed = {(task, level): slope * level for task, slope in zip("abcd", (2.0, -2.0, 1.5, -1.0)) for level in range(3)}
    assert signed(pooled_slope(mixed), 1).verdict == UNDECIDED


def test_a_task_of_one_level_has_no_slope():
    assert pooled_slope({("a", 0): 1.0, ("b", 0): 0.0, ("b", 1): 3.0}).value == pytest.approx(3)
    with pytest.raises(ValueError, match="No task has two levels"):
        pooled_slope({("a", 0): 1.0, ("b", 1): 2.0})


def test_a_level_that_two_factors_share_is_trained_once():
    members = Study().zoo().members
    assert len({member.id for member in members}) == len(members) == 42 * 12
    assert {condition.factor for condition in conditions("small")} == set(SIGNS)


def test_networks_that_copies_stand_for_are_pairs_too_and_are_measured_once(monkeypatch):
    """Before training, networks of several conditions are the same."""
    calls = []

    def compared(arrays, measures):
        calls.append(tuple(arrays))
        n = len(arrays)
        values = xr.DataArray(np.arange(n * n, dtype=float).reshape(n, n))
        names = ("dsa(compare=angular)", "dsa(compare=wasserstein)")
        return xr.Dataset({name: values.assign_attrs(name=name, kind="distance") for name in names})

    monkeypatch.setattr(degeneracy, "compare", compared)
    monkeypatch.setattr(degeneracy, "DSA_SCORES", {"angular": "dsa(compare=angular)"})
    members = [SimpleNamespace(id=f"{part}{seed}", parts=part) for part in "ab" for seed in range(3)]
    firsts = {member.id: f"a{member.id[1]}" for member in members}
    arrays = {f"a{seed}": np.zeros((2, 2)) for seed in range(3)}
    parts = list(degeneracy._of_cohort(SimpleNamespace(members=members), arrays, firsts, {}))
    assert calls == [("a0", "a1", "a2")]
    assert [part["first"].tolist() for part in parts] == [["a0", "a0", "a1"], ["b0", "b0", "b1"]]
    assert [part["angular"].tolist() for part in parts] == [[1.0, 2.0, 5.0]] * 2


@pytest.mark.long
def test_a_small_study_goes_from_training_to_its_claims(tmp_path, monkeypatch):
    def networks(bits: int, hidden: int) -> Zoo:
        task = flipflop.Task(bits=bits, steps=40, eval_trials=8, probe_trials=12)
        model = vanilla.Model(hidden=hidden)
        return Zoo("small", task=task, model=model, training=Training(steps=3, batch=4), seeds=4)

    few = [Condition("complexity", "flipflop", level, networks(bits, 6)) for level, bits in enumerate((1, 2))]
    few += [Condition("width", "flipflop", level, networks(1, hidden)) for level, hidden in enumerate((6, 8))]
    monkeypatch.setattr(degeneracy, "conditions", lambda size: few)
    claims = run_study(Study(), tmp_path / "zoo")
    of_all = claims[claims["members"] == "all"].set_index("claim")
    there = of_all[of_all["value"].notna()]
    assert len(there) == 2 * (2 + 1 + 1)
    assert of_all["because"][of_all["value"].isna()].str.contains("No task has two levels").all()
    assert (tmp_path / "zoo" / "figures" / "study-degeneracy.png").exists()
