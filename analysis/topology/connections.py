"""Where unstable modes lead: from every saddle along them, forward in time, to the fixed points that are reached.

The unstable manifold of a saddle leaves it along the eigenvectors of eigenvalues beyond the unit circle. Starts lie a
small distance from the saddle in their span: to both sides of each real one; at equal angles in the plane of a
conjugate pair, and of any two; in more dimensions at random directions, each with its opposite. Along a mode that grows
sooner they lie nearer, log |eigenvalue| times as many decades, so that all modes have grown at one time: at equal
distances, slow modes would hardly be seen. A start has reached a stable point when it is near it, and another point
when it is near that one when the steps end.

No start lies on the way to a saddle of fewer unstable modes. From one of two modes, all of whose starts end at points,
it is found along the boundary of the basins that neighbouring starts end in (`analysis/topology/boundaries.py`): of
1,782 aims at the saddles that boundaries had not come to, in 104 trained flip-flop networks, none hit. All others are
found from the starts that pass them most nearly, by shooting (`analysis/topology/shooting.py`). And where one point
leads to a second, and that one to a third, the first leads to the third (the inclination lemma; Palis 1969, Topology
8:385).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist, pdist

from analysis.dynamics.packing import packed
from analysis.topology._following import ELSEWHERE, Following, Places
from analysis.topology.boundaries import Straddle, neighbours, saddles_between
from analysis.topology.shooting import Aim, hits
from analysis.topology.unstable_modes import Span, left_modes, modes, span_of

__all__ = ["ELSEWHERE", "Connections", "Places", "Starting", "saddle_connections"]

LEFT = 0.1
"""Distance from a stable point at which a shot has left all saddles behind, at most: it comes near it slowly."""
PASSED = 0.03
"""Distance from a saddle at which it is passed, a quarter of that to the nearest other point at most."""
MOST_DIRECTIONS = 256
"""In which a saddle is left."""
AIMED = 0.6
"""Distance from a saddle, of the range, at which a start passes it that shooting at it begins with, at most. Of the
connections found between saddles of trained flip-flop networks, 99 % had a start within .45, and the last within .8."""
SHOTS = 2
"""Starts from which shooting at a saddle begins, those that pass it most nearly; the second where the first fails."""
SHOOTING_STEPS = 1000
"""Of time of one shot at most."""


class Starting(NamedTuple):
    """How many starts, and how far they run.

    Attributes:
      directions: from a saddle with two unstable modes, twice as many for each further one.
      steps: of time, at most.
      saddles: of a network and input at most, those of the fewest unstable modes.
    """

    directions: int
    steps: int
    saddles: int


class Connections(NamedTuple):
    """Where one network's unstable modes lead under one input.

    Attributes:
      leads: `(saddle, point)`, whether the first leads to the second, at once or by way of others.
      counts: `(saddle, point)`, starts at the first that reach the second, and shots that come to it.
      elsewhere: starts that reach none, `(saddle,)`.
      followed: whether starts were set at a point, `(point,)`; of the others with unstable modes nothing is known.
    """

    leads: np.ndarray
    counts: np.ndarray
    elsewhere: np.ndarray
    followed: np.ndarray


def saddle_connections(
    run: Callable[..., Any], members: Sequence[str], places: dict[tuple[int, int], Places], settings: Starting
) -> dict[tuple[int, int], Connections]:
    """The connections between the fixed points of many networks and inputs, in double precision.

    Args:
      run: `Assayed.map`.
      members: ids.
      places: (place of the member, place of the input) -> the fixed points.
      settings: see `Starting`.
    """
    following = _Connecting(run, members, places, settings.steps)
    chosen = {pair: _chosen(here.unstable, settings.saddles) for pair, here in places.items()}
    spans = following.starting = following.spans(chosen)
    starts = [
        _Start(pair, saddle, direction)
        for pair, saddles in chosen.items()
        for saddle in saddles
        for direction in _directions(spans[pair, saddle], settings.directions)
    ]
    ends, nearest = following.reached(starts)
    found = {}
    for pair, here in places.items():
        count = len(here.states)
        is_followed = np.isin(np.arange(count), chosen[pair])
        none = np.zeros((count, count), int)
        found[pair] = Connections(none > 0, none, np.zeros(count, int), is_followed)
    for start, end in zip(starts, ends):
        if end == ELSEWHERE:
            found[start.pair].elsewhere[start.saddle] += 1
        else:
            found[start.pair].counts[start.saddle, end] += 1
    between = following.between(starts, ends)
    for pair, saddle, target in (*between, *following.shot(starts, ends, nearest, between)):
        found[pair].counts[saddle, target] += 1
    return {pair: one._replace(leads=_closed(one.counts > 0)) for pair, one in found.items()}


def _closed(leads: np.ndarray) -> np.ndarray:
    """What leads to what at once or by way of others, and not to itself."""
    leads = leads.copy()
    for middle in range(len(leads)):
        leads |= leads[:, middle, None] & leads[None, middle]
    np.fill_diagonal(leads, False)
    return leads


def _passing(here: Places) -> np.ndarray:
    """The distance at which every point is passed, `(point,)`."""
    apart = cdist(here.states, here.states)
    np.fill_diagonal(apart, np.inf)
    return np.minimum(PASSED * here.scale, apart.min(1, initial=np.inf) / 4)


_Saddle = tuple[tuple[int, int], int]
"""(place of the member, place of the input), place of the point."""
_Led = tuple[tuple[int, int], int, int]
"""A saddle, and the place of the point that it leads to."""


class _Start(NamedTuple):
    """A unit vector, `(mode,)`, that a saddle's basis turns into where a start lies from it."""

    pair: tuple[int, int]
    saddle: int
    direction: np.ndarray


def _by_saddle(starts: Sequence[_Start]) -> dict[_Saddle, list[int]]:
    """The rows of every saddle's starts."""
    by_saddle: dict[_Saddle, list[int]] = {}
    for row, start in enumerate(starts):
        by_saddle.setdefault((start.pair, start.saddle), []).append(row)
    return by_saddle


def _chosen(unstable: np.ndarray, most: int) -> np.ndarray:
    """The points whose unstable modes are followed."""
    saddles = np.flatnonzero(unstable > 0)
    return np.sort(saddles[np.argsort(unstable[saddles], kind="stable")][:most])


def _directions(span: Span, count: int) -> np.ndarray:
    """Unit vectors in which starts are set from a saddle, `(start, mode)`."""
    modes = span.basis.shape[1]
    alone = np.eye(modes)[span.is_real]
    alone = np.concatenate([alone, -alone])
    if modes == 1:
        return alone
    if modes == 2:
        angles = 2 * np.pi * np.arange(count) / count
        within = np.stack([np.cos(angles), np.sin(angles)], 1)
    else:
        half = min(count * 2 ** (modes - 1), MOST_DIRECTIONS) // 2
        drawn = np.random.default_rng(0).normal(size=(half, modes))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        within = np.concatenate([drawn, -drawn])
    return np.concatenate([alone, within])


class _Connecting(Following):
    """What the connections of networks of some places are found by."""

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.passing = {pair: _passing(here) for pair, here in self.places.items()}
        self.starting: dict[_Saddle, Span] = {}

    def spans(self, chosen: dict[tuple[int, int], np.ndarray], left: bool = False) -> dict[_Saddle, Span]:
        """What the unstable modes of saddles span, or the left eigenvectors of these."""
        rows = [(pair, int(saddle)) for pair, saddles in chosen.items() for saddle in saddles]
        found: dict[_Saddle, Span] = {}
        for part in packed(np.array([pair[0] for pair, _ in rows], int), [4, 16, 64]):
            states = np.stack([self.places[pair].states[saddle] for pair, saddle in rows])[part.rows]
            inputs = np.stack([self.places[pair].inputs for pair, _ in rows])[part.rows]
            values, real, imaginary = self.map(left_modes if left else modes, part.members, [states, inputs])
            for at in zip(*np.nonzero(part.real)):
                pair, saddle = rows[part.rows[at]]
                count = min(int(self.places[pair].unstable[saddle]), values.shape[-1])
                parts = values[at][:count], real[at][:, :count], imaginary[at][:, :count]
                found[pair, saddle] = span_of(*parts, decades=0.0 if left else 1.0)
        return found

    def between(self, starts: Sequence[_Start], ends: np.ndarray) -> list[_Led]:
        """The saddles that saddles of two unstable modes lead to, along the boundaries of basins."""
        of_saddle = {leaving: ends[rows] for leaving, rows in _by_saddle(starts).items()}
        straddles = []
        for (pair, saddle), rows in _by_saddle(starts).items():
            here = self.places[pair]
            if here.unstable[saddle] != 2:
                continue
            stable = [row for row in rows if ends[row] == ELSEWHERE or here.unstable[ends[row]] == 0]
            directions, states = np.stack([starts[row].direction for row in stable]), self.states(starts, stable)
            for a, b in neighbours(directions, ends[stable], ELSEWHERE):
                of = int(ends[stable[a]]), int(ends[stable[b]])
                straddles.append(Straddle((pair, saddle), states[a], states[b], of, here.scale))

        def passed(straddle: Straddle, near: np.ndarray) -> int | None:
            """A saddle on the boundary of two basins leads into both; one that does not may be passed on the way."""
            pair, between = straddle.saddle[0], {}
            for target in np.flatnonzero(self.places[pair].unstable == 1).tolist():
                away = near[target] / self.passing[pair][target]
                if away <= 1 and set(of_saddle.get((pair, target), straddle.ends)) == set(straddle.ends):
                    between[target] = away
            return min(between, key=lambda target: between[target], default=None)

        def reached(states: np.ndarray, left: Sequence[_Saddle]) -> tuple[np.ndarray, np.ndarray]:
            return self.ends_of(states, [pair for pair, _ in left])

        def advanced(states: np.ndarray, left: Sequence[_Saddle], steps: int) -> np.ndarray:
            return self.advanced(states, [pair for pair, _ in left], steps)

        found = saddles_between(straddles, reached, advanced, passed, ELSEWHERE)
        return [(*leaving, target) for leaving, target in dict.fromkeys(found)]

    def shot(
        self, starts: Sequence[_Start], ends: np.ndarray, nearest: np.ndarray, known: Sequence[_Led]
    ) -> list[_Led]:
        """The saddles that are led to by those of more unstable modes, but those that are known, found by shooting."""
        by_saddle = _by_saddle(starts)
        lefts = self.spans({pair: np.flatnonzero(here.unstable > 0) for pair, here in self.places.items()}, left=True)
        stops = [*self.targets[:-1], self._left_behind()]
        led: list[_Led] = []
        left: list[_Led] = []
        for (pair, saddle), of_saddle in by_saddle.items():
            count = self.places[pair].unstable
            if count[saddle] == 2 and (ends[of_saddle] != ELSEWHERE).all():
                continue  # `between` has followed every boundary that it can leave along
            fewer = np.flatnonzero((count > 0) & (count < count[saddle])).tolist()
            left += [one for target in fewer if (one := (pair, saddle, target)) not in known]
        for begin in range(SHOTS):
            aims, whose = [], []
            for pair, saddle, target in left:
                here, rows = self.places[pair], np.array(by_saddle[pair, saddle])
                row = rows[np.argsort(nearest[rows, target], kind="stable")][begin]
                if nearest[row, target] <= AIMED * here.scale:
                    aim = Aim(
                        *pair,
                        state=here.states[saddle],
                        basis=here.scale * self.starting[pair, saddle].basis,
                        direction=starts[row].direction,
                        target=here.states[target],
                        left=lefts[pair, target].basis,
                        inputs=np.asarray(here.inputs, np.float64),
                        near=float(self.passing[pair][target]),
                    )
                    aims.append(aim)
                    whose.append((pair, saddle, target))
            found = hits(self.run, self.members, aims, stops, min(self.steps, SHOOTING_STEPS)) if aims else []
            led += [one for one, is_hit in zip(whose, found) if is_hit]
            left = [one for one, is_hit in zip(whose, found) if not is_hit]
        return led

    def _left_behind(self) -> np.ndarray:
        """The distance from a stable point at which a shot ends, `(member,)`: no other lies within four times it."""
        radius = np.zeros(len(self.members))
        for (m, _), here in self.places.items():
            apart = min(LEFT * here.scale, pdist(here.states).min(initial=np.inf) / 4)
            radius[m] = min(radius[m] or apart, apart)
        return radius

    def reached(self, starts: Sequence[_Start]) -> tuple[np.ndarray, np.ndarray]:
        """The point that every start reaches, or ELSEWHERE; and how near it comes to each, `(start, point)`."""
        states = self.states(starts, range(len(starts)))
        return self.ends_of(states, [start.pair for start in starts], [start.saddle for start in starts])

    def states(self, starts: Sequence[_Start], rows: Sequence[int]) -> np.ndarray:
        """Where some of the starts are, `(row, coordinate)`."""
        states = np.zeros((len(rows), self.width))
        for state, start in zip(states, [starts[row] for row in rows]):
            here, span = self.places[start.pair], self.starting[start.pair, start.saddle]
            state[:] = here.states[start.saddle] + here.scale * span.basis @ start.direction
        return states
