"""Saddles between two basins are found by halving, however thin the wedge from which they are come to."""

import numpy as np

from analysis.topology.halving import sides_of, split

NOWHERE = -1


def planted(edges: list[float]):
    """Sectors of a circle that begin at these angles and end at points 0, 1, ...; between two of them stands a saddle,
    10, 11, ..., that is passed the nearer the nearer the angle is to the boundary."""

    def sector(angles: np.ndarray) -> np.ndarray:
        return (np.searchsorted(edges, angles % (2 * np.pi), side="right") - 1) % len(edges)

    def near(angles: np.ndarray) -> np.ndarray:
        away = np.abs((angles[:, None] - np.array(edges)[None] + np.pi) % (2 * np.pi) - np.pi)
        return np.minimum(away**0.2, 1.0)  # slowly, as where a saddle is strong

    def reached(sides, directions):
        angles = np.arctan2(directions[:, 1], directions[:, 0])
        return sector(angles), near(angles)

    def passed(saddle, near):
        return 10 + int(near.argmin()) if near.min() < 0.03 else None

    angles = 2 * np.pi * np.arange(16) / 16 + 0.01
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    sides = sides_of("p", directions, sector(angles), NOWHERE)
    return sides, split(sides, reached, passed)


def test_the_saddle_between_every_two_basins_is_found() -> None:
    sides, found = planted([0.3, 1.7, 2.9, 5.0])
    assert len(sides) == 4
    assert sorted(target for _, target in found) == [10, 11, 12, 13]


def test_a_basin_that_no_start_lay_in_is_found_where_a_middle_ends_in_it() -> None:
    sides, found = planted([0.3, 1.7, 1.73, 5.0])  # the third begins and ends between two starts
    assert len(sides) == 3
    assert {target for _, target in found} >= {10, 13}
    _, found = planted([0.3, 1.6, 1.85, 5.0])
    assert {target for _, target in found} == {10, 11, 12, 13}


def test_directions_that_end_nowhere_have_no_sides() -> None:
    directions = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert [side.ends for side in sides_of("p", directions, np.array([0, NOWHERE, 1]), NOWHERE)] == [(1, 0)]


def test_neighbours_are_those_around_the_circle() -> None:
    directions = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    sides = sides_of("p", directions, np.array([0, 1, 0, 1]), NOWHERE)
    assert sorted(side.ends for side in sides) == [(0, 1), (1, 0)]
    assert all(0 < side.high - side.low < 2 for side in sides)
