"""Verdicts follow their rules, and are wrong as seldom as these say where nothing is there to be found."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.inference.field_effects import FieldPlan, explained
from analysis.studies._answers import (
    AGREES,
    DISAGREES,
    NEGLIGIBLE,
    UNDECIDED,
    absent,
    at_least,
    equal,
    equivalent,
    present,
    signed,
    unanswered,
)
from analysis.studies._replicates import Estimate, field_replicates

WIDE = Estimate(0.2, 0.0, 0.4, 12)
TINY = Estimate(0.01, -0.02, 0.04, 12)
NO_LIMITS = Estimate(0.2, math.nan, math.nan, 3)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (present(WIDE, 0.01), AGREES),
        (present(WIDE, 0.2), UNDECIDED),
        (present(TINY, 0.2), DISAGREES),
        (present(NO_LIMITS, 0.2), UNDECIDED),
        (present(NO_LIMITS, math.nan), UNDECIDED),
        (absent(TINY, 0.01), AGREES),
        (absent(WIDE, 0.01), DISAGREES),
        (absent(WIDE, 0.3), UNDECIDED),
        (absent(WIDE), UNDECIDED),
        (absent(Estimate(0.5, 0.2, 0.8, 9)), DISAGREES),
        (absent(NO_LIMITS, 0.3), UNDECIDED),
        (signed(Estimate(1.0, 0.1, 2.0, 9), 1), AGREES),
        (signed(Estimate(1.0, 0.1, 2.0, 9), -1), DISAGREES),
        (signed(Estimate(-1.0, -2.0, -0.1, 9), -1), AGREES),
        (signed(TINY, 1), UNDECIDED),
        (signed(NO_LIMITS, 1), UNDECIDED),
        (equal(Estimate(0.2, 0.1, 0.4, 12), 0.15), AGREES),
        (equal(Estimate(0.2, 0.1, 0.4, 12), 0.5, error=0.15), AGREES),
        (equal(WIDE, 0.5), DISAGREES),
        (equal(WIDE, 0.1), UNDECIDED),
        (equal(Estimate(-1.0, -9.0, 7.0, 12), -2.7), UNDECIDED),
        (equivalent(TINY._replace(n=32), 0.1), AGREES),
        (equivalent(TINY, 0.1), UNDECIDED),
        (equivalent(Estimate(-0.9, -0.95, -0.85, 32), 0.1), DISAGREES),
        (equivalent(Estimate(0.9, 0.85, 0.95, 32), 0.1), DISAGREES),
        (equivalent(WIDE._replace(n=32), 0.1), UNDECIDED),
        (equivalent(NO_LIMITS, 0.5), UNDECIDED),
        (equal(NO_LIMITS, 0.2), UNDECIDED),
        (at_least(Estimate(0.9, 0.8, 0.95, 40), 0.5), AGREES),
        (at_least(WIDE, 0.5), DISAGREES),
        (at_least(Estimate(0.5, 0.3, 0.7, 40), 0.5), UNDECIDED),
        (unanswered("nothing"), UNDECIDED),
    ],
)
def test_each_rule_gives_its_verdict_and_says_why(answer, verdict):
    assert answer.verdict == verdict
    assert answer.because
    assert (answer.verdict == UNDECIDED) or math.isfinite(answer.value)


def test_limits_that_are_missing_are_said_to_be_for_want_of_configurations():
    for answer in (present(NO_LIMITS, 0.2), absent(NO_LIMITS, 0.2), signed(NO_LIMITS, 1), at_least(NO_LIMITS, 0.5)):
        assert answer.because.endswith("too few configurations for an interval")


def population(draw, effect, sizes=(4, 2, 2), seeds=2, dimensions=5, unbalanced=False):
    """Distances of networks whose `model` moves them by `effect`, in units of what configurations differ by."""
    cells = [(a, b, c) for a in range(sizes[0]) for b in range(sizes[1]) for c in range(sizes[2])]
    if unbalanced:
        cells = [cell for i, cell in enumerate(cells) if i % 7 != 3]
    centres = draw.normal(size=(sizes[0], dimensions)) * effect
    rows, table = [], []
    for cell in cells:
        place = centres[cell[0]] + draw.normal(size=dimensions)
        for seed in range(seeds):
            rows.append(place + draw.normal(size=dimensions) / 2)
            table.append((*map(str, cell), seed))
    x = np.array(rows)
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    return distance, pd.DataFrame(table, columns=["model", "activation", "hidden", "seed"])


def verdicts(effect, rule, populations, **more):
    draw, counts = np.random.default_rng(0), {AGREES: 0, DISAGREES: 0, UNDECIDED: 0}
    fields = ["model", "activation", "hidden"]
    for _ in range(populations):
        distance, table = population(draw, effect, **more)
        estimate = field_replicates(distance, table, fields, ["model"])["model"].estimate
        p = explained(distance, table, FieldPlan(fields, only=["model"]), permutations=99)["p"].iloc[0]
        counts[rule(estimate, p).verdict] += 1
    return {verdict: count / populations for verdict, count in counts.items()}


def test_a_planted_effect_is_found_present_and_never_absent():
    assert verdicts(1.5, present, 8)[AGREES] == 1
    assert verdicts(1.5, absent, 8)[DISAGREES] == 1


@pytest.mark.long
@pytest.mark.parametrize("unbalanced", [False, True])
def test_where_there_is_no_effect_a_claim_of_one_agrees_in_no_more_than_its_share(unbalanced):
    found = verdicts(0.0, present, 150, unbalanced=unbalanced)
    assert found[AGREES] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)


@pytest.mark.long
@pytest.mark.parametrize("unbalanced", [False, True])
def test_where_the_effect_is_not_small_a_claim_of_none_agrees_in_no_more_than_its_share(unbalanced):
    # Omega squared of an effect e on configurations of unit variance, means of two seeds of variance 1/4 each.
    effect = math.sqrt(NEGLIGIBLE / (1 - NEGLIGIBLE) * (1 + 1 / 8))
    found = verdicts(effect, absent, 150, unbalanced=unbalanced)
    assert found[AGREES] <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 150)
