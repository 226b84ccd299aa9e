"""Intervals over configurations: those of a mean are Student's, and of omega squared cover what was planted."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.field_effects import FieldPlan, explained
from analysis.studies._replicates import (
    LEAST_LIMITED,
    Replicates,
    configurations_of,
    field_replicates,
    replicates,
)
from tests.analysis.studies.test_answers import population


def test_limits_of_a_mean_are_those_of_students_t():
    values = np.random.default_rng(0).normal(size=20)
    found = replicates(lambda rows: float(values[rows].mean()), [str(i) for i in range(20)]).estimate
    limits = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), *limits))
    assert found.n == 20


def test_configurations_are_left_out_with_all_their_seeds():
    values = np.repeat(np.random.default_rng(1).normal(size=10), 3)
    found = replicates(lambda rows: float(values[rows].mean()), [str(i // 3) for i in range(30)])
    assert len(found.without) == 10
    limits = stats.t.interval(0.95, 9, values.mean(), stats.sem(values[::3]))
    assert (found.estimate.low, found.estimate.high) == pytest.approx(limits)


def test_what_two_statistics_share_cancels_in_their_difference():
    draw = np.random.default_rng(2)
    shared, own = 100 * draw.normal(size=12), draw.normal(size=12)
    names = [str(i) for i in range(12)]
    first = replicates(lambda rows: float((shared + own)[rows].mean()), names)
    second = replicates(lambda rows: float(shared[rows].mean()), names)
    limits = stats.t.interval(0.95, 11, own.mean(), stats.sem(own))
    assert first.less(second).estimate[:3] == pytest.approx((own.mean(), *limits))


def test_fewer_configurations_than_least_have_no_limits():
    values = np.arange(LEAST_LIMITED - 1.0)
    found = replicates(lambda rows: float(values[rows].mean()), [str(i) for i in range(LEAST_LIMITED - 1)]).estimate
    assert found.value == values.mean()
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_statistic_that_some_configuration_is_needed_for_has_no_limits():
    found = Replicates(0.5, {str(i): 0.5 if i else math.nan for i in range(12)}).estimate
    assert math.isnan(found.low)


def test_omega_squared_is_that_of_the_field_tests():
    distance, table = population(np.random.default_rng(3), 0.7)
    fields = ["model", "activation", "hidden"]
    found = field_replicates(distance, table, fields, fields)
    tested = explained(distance, table, FieldPlan(fields), permutations=0)
    for field in fields:
        assert found[field].value == pytest.approx(tested.loc[field, "omega2"])
        assert set(found[field].without) == set(configurations_of(table, fields))


def test_a_field_of_one_value_is_refused():
    distance, table = population(np.random.default_rng(3), 0.7, sizes=(4, 1, 2))
    with pytest.raises(ValueError, match="activation has one value among these networks"):
        field_replicates(distance, table, ["model", "activation", "hidden"], ["activation"])


@pytest.mark.long
@pytest.mark.parametrize("effect", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("unbalanced", [False, True])
def test_limits_of_omega_squared_cover_the_planted_value(effect, unbalanced):
    draw, covered, trials = np.random.default_rng(5), 0, 100
    for _ in range(trials):
        # The planted centres differ from draw to draw: the value that is covered is theirs.
        state = draw.bit_generator.state
        centres = draw.normal(size=(4, 5)) * effect
        draw.bit_generator.state = state
        distance, table = population(draw, effect, unbalanced=unbalanced)
        spread = ((centres - centres.mean(0)) ** 2).sum() / 4 / 5
        truth = spread / (spread + 1 + 1 / 8)
        estimate = field_replicates(distance, table, ["model", "activation", "hidden"], ["model"])["model"].estimate
        covered += estimate.low <= truth <= estimate.high
    assert covered / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


def test_a_configuration_that_lost_a_network_is_left_out_and_changes_no_scale():
    rows = [(cell, width, seed) for cell in "abcd" for width in range(8) for seed in range(2)]
    table = pd.DataFrame(rows, columns=["model", "hidden", "seed"])
    rng = np.random.default_rng(0)
    places = rng.normal(size=(4, 6)).repeat(16, 0) + rng.normal(size=(32, 6)).repeat(2, 0) + rng.normal(size=(64, 6))
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    whole = field_replicates(distance, table, ["model", "hidden"], ["model"])["model"].estimate
    kept = np.arange(1, 64)
    lost = field_replicates(distance[np.ix_(kept, kept)], table.iloc[kept], ["model", "hidden"], ["model"])["model"]
    assert lost.estimate.n == 31
    assert lost.value == pytest.approx(whole.value, abs=0.05)
    assert lost.estimate.high - lost.estimate.low < 1.3 * (whole.high - whole.low)
