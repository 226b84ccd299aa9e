"""Saddles between two basins: where neighbouring starts in the plane of two unstable modes end at different points.

Between two such starts lies one that ends at neither: on the boundary of their basins, which is the stable manifold of
a saddle of one unstable mode. The line between them is halved, with the half whose ends differ, until the network
passes that saddle on its way; where the middle ends at a third point, with both halves.

Where one mode grows much faster than the other, a start as near the boundary as double precision has it is driven off
long before it has gone the way of the slow mode. So two states that have been brought together run forward until they
have parted, and are brought together again, and so on: they stay with the boundary, and come to the saddle that
attracts along it (Battelino et al. 1988, Physica D 32:296; Skufca, Yorke & Eckhardt 2006, PRL 96:174101). Two that
stand still have come to one that is not known, or does not lead into both basins.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Straddle", "neighbours", "saddles_between"]

NEAR, PARTED = 1e-9, 1e-4
"""Distance of two states, of the range, that they are brought to, and from which on they have parted."""
ROUNDS = 16
"""Times that they part, at most."""
STILL, STILL_ROUNDS = 1e-5, 2
"""Distance, of the range, that the place on the boundary has gone at most in a round in which it stands still, and how
many such rounds in a row it is followed. In trained flip-flop networks, those that stand still are soon below 1e-8,
the others went 1e-4 and more: a slow mode leaves its saddle slowly."""
LOOK_EVERY, LOOKS = 8, 64
"""Time steps between two looks at how far they have parted, and looks of one round at most."""
MOST = 32
"""Pairs of states of one saddle, at most: where a boundary is a fractal, every middle may end at a third point."""


class Straddle(NamedTuple):
    """Two states to both sides of a boundary.

    Attributes:
      saddle: that they have left.
      low, high: they, `(coordinate,)`.
      ends: the points at which they end.
      scale: the range.
      was: their middle a round ago, None in the first.
      still: rounds, the last in a row, in which they have stood still.
    """

    saddle: Any
    low: np.ndarray
    high: np.ndarray
    ends: tuple[int, int]
    scale: float
    was: np.ndarray | None = None
    still: int = 0

    @property
    def apart(self) -> float:
        """Their distance, of the range."""
        return float(np.linalg.norm(self.high - self.low)) / self.scale

    @property
    def middle(self) -> np.ndarray:
        return (self.low + self.high) / 2

    def after_round(self) -> "Straddle":
        """The same, brought together once more."""
        is_still = self.was is not None and np.linalg.norm(self.middle - self.was) <= STILL * self.scale
        return self._replace(was=self.middle, still=self.still + 1 if is_still else 0)


def neighbours(directions: np.ndarray, ends: np.ndarray, nowhere: int) -> list[tuple[int, int]]:
    """The places of neighbours among directions, `(start, 2)`, that end at different points; not of those that end
    `nowhere`, whose way takes all steps."""
    order = np.argsort(np.arctan2(directions[:, 1], directions[:, 0]), kind="stable")
    pairs = zip(order.tolist(), np.roll(order, -1).tolist())
    return [(a, b) for a, b in pairs if ends[a] != ends[b] and nowhere not in (ends[a], ends[b])]


def saddles_between(
    straddles: Sequence[Straddle],
    reached: Callable[[np.ndarray, list[Any]], tuple[np.ndarray, np.ndarray]],
    advanced: Callable[[np.ndarray, list[Any], int], np.ndarray],
    passed: Callable[[Straddle, np.ndarray], int | None],
    nowhere: int,
) -> list[tuple[Any, int]]:
    """The saddles that boundaries lead to: (the one that is left, the one that is come to).

    Args:
      straddles: of all saddles.
      reached: states, `(state, coordinate)`, and the saddles left -> the point that each ends at, and how near it comes
        to every point.
      advanced: states, the saddles left and a number of time steps -> the states after these.
      passed: two states, and how near a network between them comes to every point -> the saddle between their ends
        that it passes.
      nowhere: the end of what comes to no point; such a boundary is given up.
    """
    found: list[tuple[Any, int]] = []
    left = list(straddles)
    for _ in range(ROUNDS):
        # Compared when together, on the boundary: parted they are to both sides of it, as far as their last look let.
        left = [one.after_round() for one in _together(left, found, reached, passed, nowhere)]
        left = [one for one in left if one.still < STILL_ROUNDS]
        if not left:
            break
        left = _parted(left, advanced)
    return found


def _together(
    straddles: list[Straddle], found: list[tuple[Any, int]], reached: Any, passed: Any, nowhere: int
) -> list[Straddle]:
    """Those that pass no saddle yet, their states brought together; what passes one is found."""
    near, wide = _split(straddles, NEAR)
    while wide:
        middles = np.stack([one.middle for one in wide])
        ends, nearest = reached(middles, [one.saddle for one in wide])
        halves: list[Straddle] = []
        for one, middle, end, way in zip(wide, middles, ends.tolist(), nearest):
            if (target := passed(one, way)) is not None:
                found.append((one.saddle, target))
            elif end != nowhere:
                if end != one.ends[0]:
                    halves.append(one._replace(high=middle, ends=(one.ends[0], end)))
                if end != one.ends[1]:
                    halves.append(one._replace(low=middle, ends=(end, one.ends[1])))
        brought, wide = _split(_fewer(halves, near), NEAR)
        near += brought
    return near


def _fewer(straddles: list[Straddle], others: list[Straddle]) -> list[Straddle]:
    """So many that no saddle has more than `MOST` of these and the others."""
    counts: dict[Any, int] = {}
    for one in others:
        counts[one.saddle] = counts.get(one.saddle, 0) + 1
    kept = []
    for one in straddles:
        counts[one.saddle] = counts.get(one.saddle, 0) + 1
        if counts[one.saddle] <= MOST:
            kept.append(one)
    return kept


def _split(straddles: list[Straddle], distance: float) -> tuple[list[Straddle], list[Straddle]]:
    """Those whose states are within a distance, and the others."""
    return [one for one in straddles if one.apart <= distance], [one for one in straddles if one.apart > distance]


def _parted(straddles: list[Straddle], advanced: Any) -> list[Straddle]:
    """The same after as many time steps as their states need to part."""
    parted: list[Straddle] = []
    close = straddles
    for _ in range(LOOKS):
        saddles = [one.saddle for one in close]
        low = advanced(np.stack([one.low for one in close]), saddles, LOOK_EVERY)
        high = advanced(np.stack([one.high for one in close]), saddles, LOOK_EVERY)
        close, further = _split([one._replace(low=a, high=b) for one, a, b in zip(close, low, high)], PARTED)
        parted += further
        if not close:
            break
    return parted + close
