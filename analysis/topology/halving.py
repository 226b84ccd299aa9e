"""Saddles between two basins: where neighbouring starts in the plane of two unstable modes end at different points.

Between two such directions lies one that ends at neither: on the boundary of their basins, which is the stable manifold
of a saddle of one unstable mode. It is found by halving the angle between them, each time with the half whose ends
differ, until the network passes a saddle on its way; where the middle ends at a third point, with both halves.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["HALVINGS", "Side", "sides_of", "split"]

HALVINGS = 48
"""Of an angle, at most: of a sixteenth of a circle to what double precision can tell apart."""


class Side(NamedTuple):
    """Two directions from a saddle that end at different points.

    Attributes:
      saddle: it.
      low, high: their angles, radians.
      ends: the points at which they end.
    """

    saddle: Any
    low: float
    high: float
    ends: tuple[int, int]


def sides_of(saddle: Any, directions: np.ndarray, ends: np.ndarray, nowhere: int) -> list[Side]:
    """The neighbours among directions, `(start, 2)`, that end at different points; not those that end `nowhere`, whose
    way takes all steps."""
    angles = np.arctan2(directions[:, 1], directions[:, 0])
    order = np.argsort(angles, kind="stable")
    sides = []
    for a, b in zip(order, np.roll(order, -1)):
        if ends[a] != ends[b] and nowhere not in (ends[a], ends[b]):
            turn = 2 * np.pi * (angles[b] < angles[a])
            sides.append(Side(saddle, float(angles[a]), float(angles[b] + turn), (int(ends[a]), int(ends[b]))))
    return sides


def split(
    sides: Sequence[Side],
    reached: Callable[[list[Side], np.ndarray], tuple[np.ndarray, np.ndarray]],
    passed: Callable[[Any, np.ndarray], int | None],
) -> list[tuple[Any, int]]:
    """The saddles that stand between ends: (the one that is left, the one that is passed).

    Args:
      sides: of all saddles.
      reached: sides, and a unit vector for each, `(side, 2)` -> the point that each ends at, and how near it comes to
        every point.
      passed: a saddle, and how near a network that left it comes to every point -> the saddle that it passes.
    """
    found, left = [], list(sides)
    for _ in range(HALVINGS):
        if not left:
            break
        middles = np.array([(side.low + side.high) / 2 for side in left])
        ends, nearest = reached(left, np.stack([np.cos(middles), np.sin(middles)], 1))
        further = []
        for side, middle, end, near in zip(left, middles.tolist(), ends.tolist(), nearest):
            if (target := passed(side.saddle, near)) is not None:
                found.append((side.saddle, target))
                continue
            if end != side.ends[0]:
                further.append(side._replace(high=middle, ends=(side.ends[0], end)))
            if end != side.ends[1]:
                further.append(side._replace(low=middle, ends=(end, side.ends[1])))
        left = further
    return found
