"""Saddles on the boundaries of planted basins, however thin a basin and however unequal the modes."""

from typing import Any

import numpy as np
import pytest

from analysis.topology.boundaries import MOST, ROUNDS, STILL_ROUNDS, Straddle, neighbours, saddles_between

NOWHERE = -1
STEPS = 4000


class Bits:
    """Two bits, x -> tanh(gain x) along each coordinate: stable corners 0 to 3, and four saddles between them, 4 to 7.
    The source at 0 is left."""

    def __init__(self, gain: tuple[float, float]):
        self.gain = np.array(gain)
        at = np.array([0.9])
        for _ in range(10000):
            at = np.tanh(self.gain * at)
        self.x, self.y = at.tolist()
        signs = [(1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)]
        self.points = np.array(signs) * at
        self.calls = 0

    def advanced(self, states: np.ndarray, saddles: list[Any], steps: int) -> np.ndarray:
        for _ in range(steps):
            states = np.tanh(self.gain * states)
        return states

    def reached(self, states: np.ndarray, saddles: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        nearest = np.full((len(states), len(self.points)), np.inf)
        for _ in range(STEPS):
            states = np.tanh(self.gain * states)
            nearest = np.minimum(nearest, np.linalg.norm(states[:, None] - self.points, axis=-1))
        return np.linalg.norm(states[:, None] - self.points[:4], axis=-1).argmin(1), nearest

    def passed(self, straddle: Straddle, near: np.ndarray) -> int | None:
        between = {frozenset((0, 1)): 4, frozenset((2, 3)): 5, frozenset((0, 2)): 6, frozenset((1, 3)): 7}
        target = between.get(frozenset(straddle.ends))
        return target if target is not None and near[target] <= 0.05 else None

    def straddles(self, angles: np.ndarray, distance: float = 1e-3) -> list[Straddle]:
        directions = np.stack([np.cos(angles), np.sin(angles)], 1)
        states = distance * directions
        ends, _ = self.reached(states, [])
        pairs = neighbours(directions, ends, NOWHERE)
        return [Straddle("source", states[a], states[b], (int(ends[a]), int(ends[b])), 1.0) for a, b in pairs]


ANGLES = 2 * np.pi * np.arange(16) / 16 + 0.01


@pytest.mark.parametrize(
    ("gain", "distance"), [((2.0, 2.0), 1e-3), ((2.0, 1.5), 1e-3), ((3.0, 1.05), 1e-3), ((1.1, 6.0), 1e-5)]
)
def test_the_saddle_between_every_two_basins_is_found_however_unequal_the_modes_grow(
    gain: tuple[float, float], distance: float
) -> None:
    bits = Bits(gain)
    straddles = bits.straddles(ANGLES, distance)
    assert len(straddles) == 4
    found = saddles_between(straddles, bits.reached, bits.advanced, bits.passed, NOWHERE)
    assert sorted(found) == [("source", target) for target in (4, 5, 6, 7)]


def test_a_basin_in_which_no_start_lies_is_found_where_a_middle_ends_in_it() -> None:
    bits = Bits((2.0, 2.0))
    straddles = bits.straddles(np.array([0.3, 2.9, 4.4]))  # none ends at (1, -1)
    assert 1 not in {end for one in straddles for end in one.ends}
    found = saddles_between(straddles, bits.reached, bits.advanced, bits.passed, NOWHERE)
    assert {target for _, target in found} == {4, 5, 6, 7}


def test_a_boundary_whose_saddle_is_not_known_is_given_up_where_it_stands_still() -> None:
    bits, rounds = Bits((2.0, 2.0)), []

    def advanced(states: np.ndarray, saddles: list[Any], steps: int) -> np.ndarray:
        rounds.append(bits.calls)
        return bits.advanced(states, saddles, steps)

    found = saddles_between(bits.straddles(ANGLES), bits.reached, advanced, lambda one, near: None, NOWHERE)
    assert found == []
    assert STILL_ROUNDS < len(set(rounds)) < ROUNDS


def test_where_every_middle_ends_elsewhere_there_is_an_end_to_it() -> None:
    """As on a fractal: each middle at a point of its own, so that all pairs become two."""
    rows: list[int] = []

    def reached(states: np.ndarray, saddles: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        rows.append(len(states))
        return np.arange(len(states)) + 10 * len(rows), np.full((len(states), 1), np.inf)

    one = Straddle("source", np.zeros(2), np.ones(2), (0, 1), 1.0)
    saddles_between([one], reached, lambda states, saddles, steps: states, lambda one, near: None, NOWHERE)
    assert max(rows) <= MOST


def test_directions_that_end_nowhere_have_no_neighbours() -> None:
    directions = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert neighbours(directions, np.array([0, NOWHERE, 1]), NOWHERE) == [(2, 0)]


def test_neighbours_are_those_around_the_circle() -> None:
    directions = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert sorted(neighbours(directions, np.array([0, 1, 0, 1]), NOWHERE)) == [(2, 1), (3, 0)]
