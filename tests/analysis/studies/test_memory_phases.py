"""Phases follow their rules, and boundaries that are planted are found with their exponents."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.studies.memory_phases import (
    CYCLE,
    FAILED,
    SLOW_POINT,
    UNSTABLE,
    Study,
    boundary_slope,
    critical_delay,
    phase_of,
)


def curve(*parts: tuple[int, float]) -> pd.DataFrame:
    """Evaluations every 20 steps: so many at each score."""
    scores = np.concatenate([np.full(count, score) for count, score in parts])
    return pd.DataFrame({"step": 20 * (1 + np.arange(len(scores))), "score": scores})


@pytest.mark.parametrize(
    ("of", "cycling", "phase"),
    [
        (curve((40, 0.5), (10, 0.95)), 0.0, SLOW_POINT),
        (curve((40, 0.5), (10, 0.95)), 1.0, CYCLE),
        (curve((50, 0.5)), 0.0, FAILED),
        (curve((40, 0.95), (10, 0.65)), 0.0, FAILED),
        (curve((10, 0.95), (15, 0.5), (25, 0.95)), 0.0, UNSTABLE),
        (curve((10, 0.95), (14, 0.5), (26, 0.95)), 0.0, SLOW_POINT),
        (curve((15, 0.5), (35, 0.75)), 0.0, SLOW_POINT),
        (curve((40, 0.5), (10, 0.95)), math.nan, FAILED),
    ],
)
def test_a_network_is_in_the_phase_that_the_rules_say(of, cycling, phase):
    assert phase_of(of, cycling) == phase


def grid(exponent: float, phase: str, seeds: int = 100) -> pd.DataFrame:
    """Networks whose share of a phase begins, or is halved, at a delay that falls with the learning rate as a power."""
    rows = []
    for rate in np.logspace(-1, -2, 6):
        boundary = 100 * (rate / 0.1) ** (1 / exponent)
        for delay in np.arange(0, 401, 20.0):
            if phase == FAILED:
                share = 0.0 if delay < boundary else 1 - math.exp(-0.01 * (delay - boundary))
            else:
                share = 1 / (1 + math.exp((delay - boundary) / 10))
            other = SLOW_POINT if phase == FAILED else CYCLE
            for seed in range(seeds):
                rows.append((rate, delay, phase if seed < round(share * seeds) else other))
    return pd.DataFrame(rows, columns=["learning_rate", "delay", "phase"])


@pytest.mark.parametrize(("exponent", "phase"), [(-2.72, FAILED), (-4.05, SLOW_POINT), (-2.0, FAILED)])
def test_a_planted_boundary_is_found_with_its_exponent(exponent, phase):
    found = boundary_slope(grid(exponent, phase), phase).estimate
    assert found.value == pytest.approx(exponent, rel=0.05)
    assert found.n == 6


def test_a_boundary_that_is_nowhere_is_refused():
    nowhere = grid(-2.72, FAILED).assign(phase=SLOW_POINT)
    with pytest.raises(ValueError, match="0 learning rates have a boundary of failed; a slope needs 3"):
        boundary_slope(nowhere, FAILED)


def test_the_critical_delay_is_where_failures_begin():
    delay = np.arange(0, 401, 20.0)
    share = np.where(delay < 130, 0, 1 - np.exp(-0.02 * (delay - 130)))
    assert critical_delay(delay, share, FAILED) == pytest.approx(130, abs=2)


@pytest.mark.parametrize("rise", [0.01, 0.05, 0.2, 1.0])
def test_a_boundary_is_found_however_sharp_it_is_beside_the_grid(rise):
    delay = np.arange(0, 401, 20.0)
    rng = np.random.default_rng(0)
    for begin in (35.0, 130.0, 250.0):
        share = rng.binomial(100, np.where(delay < begin, 0, 1 - np.exp(-rise * np.maximum(delay - begin, 0)))) / 100
        assert critical_delay(delay, share, FAILED) == pytest.approx(begin, abs=20)


def test_a_boundary_before_the_shortest_delay_is_none():
    delay = np.arange(20, 401, 20.0)
    assert critical_delay(delay, 1 - np.exp(-0.2 * (delay - 3)), FAILED) == 0


def test_learning_rates_and_delays_of_one_trial_share_one_program():
    small = Study().zoo()
    assert len(small.members) == 240
    assert len(small.cohorts) == 1


def test_exponents_are_asked_in_the_full_size_alone():
    small, full = ([question.statistic for question in Study(size).questions()] for size in ("small", "full"))
    assert not any("slope" in statistic for statistic in small)
    assert sum("slope" in statistic for statistic in full) == 4
