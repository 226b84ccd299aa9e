"""All roots of the speed of many networks at once: from states that they visit, and from between the roots found.

Every (network, input) has starts of its own. They descend in single precision, in phases: between two, those that have
come to their end are taken out, and the others go on in arrays of one of a few sizes. What is slow is made exact, and
certified, in double precision on the CPU. From visited states alone saddles are found by luck; so starts between the
points found, midway of every two, follow, until a round finds nothing new; then starts a third of the way, and so on,
except where the indices of the points found, the signs of det(I - J), add up to 1, as those of all points do where a
ball of states is mapped into itself.
"""

import functools
import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from analysis.dynamics import descent, newton
from analysis.dynamics._visited import Range, visited, visiting
from analysis.dynamics.descent import ARRIVED, ESCAPED, MOVING, STUCK, Descent
from analysis.dynamics.packing import Places, at_places, by_pair, packed
from analysis.dynamics.states import flow_of
from analysis.dynamics.uniqueness import groups_of, of_each_group

__all__ = ["Ends", "Found", "Range", "Settings", "fixed_points", "slow_points", "visited", "visiting"]

ROWS = 64
"""Starts of a network that descend together; 256 took a third longer, of vanilla networks of 64 units."""
PHASES = (8, 8, 16, 32, 64)
"""Steps of descent; the first phase is of all starts."""
LATE, MOST_LATE = 3, 64
"""From this phase on, so many of a network's starts from visited states under one input go on at most; others that are
on their way end with it. Of untrained LSTMs with ReLU, whose cells grow, half and more came to no end in any phase."""
ARRIVING = 1e-6
"""Speed at which descent ends, of the range that a network visits: what single precision can tell from 0."""
SLOW = 1e-3
"""Speed from which on a place is not slow."""
SPEED, NEWTON_STEP = 1e-9, 1e-6
"""Speed and Newton step of a fixed point at most, in double precision."""
SAME = 1e-5
"""Points that are as near, in double precision, are one; places before it that are ten times as near are made exact
once."""
SLOW_STEPS = 32
"""Of descent to slow points at most."""
MOST_PAIRS = 2048
"""Pairs of points that starts are set between in one round."""
MIDWAY, THIRDS = (1 / 2,), (1 / 3, 2 / 3)
"""Where between two points."""
WIDE = 1.0
"""Noise, of the range, on further starts of a network of which no start has come to a fixed point that it must have."""


class Settings(NamedTuple):
    """How roots are looked for.

    Attributes:
      period: time steps after which a point is to be where it was.
      starts: of every network and input, from visited states.
      spread: standard deviation of the noise on them, of the range.
      reach: distance from the middle of the visited states, of their range, beyond which a start has escaped.
      rounds: of starts between points at most.
      bounded: whether a ball of states is known to be mapped into itself.
    """

    period: int
    starts: int
    spread: float
    reach: float
    rounds: int
    bounded: bool = False


class Ends(NamedTuple):
    """How many starts ended how: at a fixed point; at a slow place that is none; where no step led to a slower place,
    which is not slow; beyond the reach; or not before the steps did."""

    converged: int
    slow: int
    stuck: int
    escaped: int
    budget: int


class Found(NamedTuple):
    """The fixed points of one network under one input, and how the starts from visited states ended.

    Attributes:
      states: `(point, coordinate)`, float64, those with fewer unstable modes first, those on a kink last.
      speeds, steps: |F(x) - x| and the length of Newton's step there, `(point,)`.
      eigenvalues: by falling modulus, `(point, coordinate)`, complex; NaN on a kink.
      starts: how many starts came to each, those between points too, `(point,)`.
      distances: from the mean of visited states, of their range, `(point,)`; NaN where that is 0.
      outside: whether a point lies further from there than all visited states, `(point,)`.
      kinked: whether it lies on the kink of an activation, where the flow has no Jacobian, `(point,)`.
      ends: of the starts.
    """

    states: np.ndarray
    speeds: np.ndarray
    steps: np.ndarray
    eigenvalues: np.ndarray
    starts: np.ndarray
    distances: np.ndarray
    outside: np.ndarray
    kinked: np.ndarray
    ends: Ends


def fixed_points(
    run: Callable[..., Any], members: Sequence[str], where: Range, inputs: np.ndarray, settings: Settings
) -> list[list[Found]]:
    """The fixed points of networks of one cohort, each under each input.

    Args:
      run: `Assayed.map`.
      members: their ids.
      where: they are.
      inputs: `(input, unit)`.
      settings: how they are looked for.

    Returns:
      For every member, for every input.
    """
    search = _Search(run, list(members), where, np.asarray(inputs), settings)
    draw = [np.random.default_rng(zlib.crc32(member.encode())) for member in members]
    shape = (len(members), len(inputs))
    kept = {pair: _Points.none(where.centre.shape[1]) for pair in np.ndindex(shape)}
    starts = {(m, i): _noisy(where.of(m), settings.spread, draw[m]) for m, i in np.ndindex(shape)}
    ends: dict[tuple[int, int], Ends] = {}
    tried = dict.fromkeys(itertools.product(kept, (MIDWAY, THIRDS)), 0)
    for round_ in range(settings.rounds + 1):
        found, how = search.from_starts(starts, kept, MOST_LATE if round_ == 0 else None)
        ends = ends or how
        starts = {}
        for pair, points in found.items():
            before = len(kept[pair].states)
            kept[pair] = now = kept[pair].joined(points, float(SAME * where.scale[pair[0]]))
            shares = MIDWAY if len(now.states) > before else THIRDS
            if shares is THIRDS and settings.bounded and now.indices.sum() == 1:
                continue
            between = _between(now.states, tried[pair, shares], shares, draw[pair[0]])
            # Where only some pairs are taken, and find something, the next round may take any.
            is_all = shares is THIRDS or len(between) <= MOST_PAIRS
            tried[pair, shares] = len(now.states) if is_all else 0
            if round_ == 0 and settings.bounded and not len(now.states):
                between = _noisy(where.of(pair[0]), WIDE, draw[pair[0]])
            if len(between):
                starts[pair] = between
        if not starts or round_ == settings.rounds:
            break
    spectra = search.spectra({pair: points.states for pair, points in kept.items()})
    return [
        [_ordered(kept[m, i], spectra[m, i], where.of(m), ends[m, i]) for i in range(len(inputs))]
        for m in range(len(members))
    ]


def slow_points(
    run: Callable[..., Any], members: Sequence[str], where: Range, inputs: np.ndarray, slow: float, reach: float
) -> list[list[np.ndarray]]:
    """Slow points of networks of one cohort, each under each input: where visited states come to as their speed
    descends, as soon as it is slow. On a line attractor they stay spread along it, whether or not it has fixed points
    (Sussillo & Barak 2013).

    Args:
      run, members, where, inputs: as of `fixed_points`.
      slow: speed of a slow point at most, of the range of visited states, per time step.
      reach: distance from their mean, of their range, beyond which no point counts.

    Returns:
      For every member, for every input, `(point, coordinate)`.
    """
    count, starts, _ = where.starts.shape
    states = np.tile(where.starts, (1, len(inputs), 1)).astype(np.float32)
    rows = states.shape[:2]
    still = (
        np.zeros(rows, np.float32),
        np.full(rows, descent.FIRST_DAMPING, np.float32),
        np.full(rows, MOVING, np.int32),
    )
    held = np.broadcast_to(np.repeat(inputs, starts, axis=0)[None], (*rows, inputs.shape[1])).astype(np.float32)
    radius, end = (np.asarray(x * where.scale, np.float32) for x in (reach, slow))
    each = [Descent(states, *still), held, where.centre, radius, end]
    came = run(_functions(1)[0], [np.int32(SLOW_STEPS)], each, members=list(members))
    found, status = (part.reshape(count, len(inputs), starts, *part.shape[2:]) for part in (came.states, came.status))
    return [[found[m, i][status[m, i] == ARRIVED] for i in range(len(inputs))] for m in range(count)]


class _Points(NamedTuple):
    states: np.ndarray
    speeds: np.ndarray
    steps: np.ndarray
    indices: np.ndarray
    starts: np.ndarray

    @classmethod
    def none(cls, width: int) -> "_Points":
        return cls(np.zeros((0, width)), *(np.zeros(0) for _ in range(4)))

    def joined(self, other: "_Points", tolerance: float) -> "_Points":
        """The points of both, each once, one's own first."""
        both = _Points(*(np.concatenate(parts) for parts in zip(self, other)))
        groups = groups_of(both.states, tolerance)
        rows = of_each_group(groups, both.speeds)
        return _Points(*(part[rows] for part in both))._replace(starts=np.bincount(groups, both.starts))


def _noisy(where: Range, spread: float, draw: np.random.Generator) -> np.ndarray:
    """A network's starts from visited states, with noise on them, of its range."""
    noise = draw.normal(size=where.starts.shape) * spread * where.scale
    return where.starts + noise / np.sqrt(where.starts.shape[1])


def _between(points: np.ndarray, tried: int, shares: Sequence[float], draw: np.random.Generator) -> np.ndarray:
    """Starts between every two points, or some of very many, at these shares of the way, and at the mean of all; not
    between two of the first, `tried`, which have had theirs."""
    first, second = np.triu_indices(len(points), 1)
    first, second = first[second >= tried], second[second >= tried]
    if not len(first):
        return points[:0]
    some = draw.permutation(len(first))[:MOST_PAIRS]
    from_, to = points[first[some]], points[second[some]]
    return np.concatenate([*((1 - share) * from_ + share * to for share in shares), points.mean(0, keepdims=True)])


def _ordered(points: _Points, spectra: Any, where: Range, ends: Ends) -> Found:
    eigenvalues, kinked = spectra
    eigenvalues = np.where(kinked[:, None], complex(np.nan, np.nan), eigenvalues)
    unstable = (np.abs(eigenvalues) > 1).sum(1)
    order = np.lexsort((np.abs(eigenvalues[:, 0]) if len(unstable) else unstable, unstable, kinked))
    away = cdist(points.states, where.centre[None])[:, 0]
    return Found(
        points.states[order],
        points.speeds[order],
        points.steps[order],
        eigenvalues[order],
        points.starts[order],
        away[order] / where.scale if where.scale > 0 else np.full(len(order), np.nan),
        away[order] > where.farthest * (1 + 1e-6),
        kinked[order],
        ends,
    )


class _Search:
    """What one search does again and again, on (network, input) pairs: `(m, i)` -> rows."""

    def __init__(
        self, run: Callable[..., Any], members: list[str], where: Range, inputs: np.ndarray, settings: Settings
    ):
        self.run, self.members, self.where, self.inputs, self.settings = run, members, where, inputs, settings
        self._descend, self._polish, self._spectra, self._sides = _functions(settings.period)

    def from_starts(
        self, starts: Places, known: dict[tuple[int, int], _Points], most_late: int | None
    ) -> tuple[dict[tuple[int, int], _Points], dict[tuple[int, int], Ends]]:
        """The fixed points that starts lead to, and those that are known, with how many starts came to each now; and
        how these ended, where none is known."""
        places, speeds, status = self._descended(starts, most_late)
        groups, candidates = {}, {}
        for pair, states in places.items():
            scale = float(self.where.scale[pair[0]])
            is_slow = (speeds[pair] <= SLOW * scale) & (status[pair] != ESCAPED)
            near = cdist(states, known[pair].states)
            is_known = near.min(1, initial=np.inf) <= SAME * 10 * scale
            again = np.zeros(near.shape[1])
            if len(again):
                again += np.bincount(near[is_slow & is_known].argmin(1), minlength=len(again))
            slow = np.flatnonzero(is_slow & ~is_known)
            of = groups_of(states[slow], SAME * 10 * scale)
            chosen = of_each_group(of, speeds[pair][slow])
            groups[pair] = slow, of, chosen, known[pair]._replace(starts=again)
            candidates[pair] = states[slow[chosen]].astype(np.float64)
        exact = self._polished(candidates)
        found, ends = {}, {}
        for pair, points in exact.items():
            scale, centre = float(self.where.scale[pair[0]]), self.where.centre[pair[0]]
            far = cdist(points.states, centre[None])[:, 0] > self.settings.reach * scale
            certified = (points.speeds <= SPEED * scale) & (points.steps <= NEWTON_STEP * scale)
            slow, of, chosen, again = groups[pair]
            came = np.bincount(of, minlength=len(chosen))[of[chosen]]
            good = _Points(*(part[certified & ~far] for part in points._replace(starts=came)))
            found[pair] = again.joined(good, SAME * scale)
            converged, gone = int(good.starts.sum()), int(came[certified & far].sum())
            fast = np.delete(status[pair], slow)
            stuck, escaped = (int((fast == how).sum()) for how in (STUCK, ESCAPED))
            left = len(slow) - converged - gone, stuck, escaped + gone, len(fast) - stuck - escaped
            ends[pair] = Ends(converged, *left)
        return found, ends

    def _descended(self, starts: Places, most_late: int | None) -> tuple[Any, Any, Any]:
        """Where starts have come to, at which speed, and how; of a pair, at most so many go on in the late phases."""
        rows = [(m, i, k) for (m, i), states in starts.items() for k in range(len(states))]
        whose, which, _ = np.array(rows).T
        states = np.concatenate([*starts.values()]).astype(np.float32)
        speeds, damping = np.zeros(len(rows), np.float32), np.full(len(rows), descent.FIRST_DAMPING, np.float32)
        status, goes_on = np.full(len(rows), MOVING, np.int32), np.ones(len(rows), bool)
        for phase, steps in enumerate(PHASES):
            left = np.flatnonzero((status == MOVING) & goes_on)
            if phase == LATE:
                ends = np.flatnonzero(np.diff(whose[left]) | np.diff(which[left])) + 1
                left = np.concatenate([of_pair[:most_late] for of_pair in np.split(left, ends)])
                goes_on = np.isin(np.arange(len(rows)), left)
            if not len(left):
                break
            for part in packed(whose[left], [ROWS]):
                at = left[part.rows]
                standing = np.where(part.real, MOVING, STUCK).astype(np.int32)
                now = Descent(states[at], speeds[at], damping[at], standing)
                ranges = [
                    self.where.centre[part.members],
                    (self.settings.reach * self.where.scale[part.members]).astype(np.float32),
                    (ARRIVING * self.where.scale[part.members]).astype(np.float32),
                ]
                each = [now, self.inputs[which[at]].astype(np.float32), *ranges]
                given = self.run(
                    self._descend, [np.int32(steps)], each, members=[self.members[m] for m in part.members]
                )
                into = at[part.real]
                for target, values in zip((states, speeds, damping, status), given):
                    target[into] = values[part.real]
        return by_pair(starts, states), by_pair(starts, speeds), by_pair(starts, status)

    def _polished(self, candidates: Places) -> dict[tuple[int, int], _Points]:
        """Without how many starts came to them."""
        given = at_places(self.run, self.members, self._polish, candidates, self.inputs)
        none = _Points.none(self.where.centre.shape[1])
        return {pair: none._replace(**given[pair]._asdict()) if given else none for pair in candidates}

    def spectra(self, points: Places) -> dict[tuple[int, int], Any]:
        """Of the Jacobians at points, `newton.Spectra`; on a kink that matters to them."""
        given = at_places(self.run, self.members, self._spectra, points, self.inputs)
        none = np.zeros((0, self.where.centre.shape[1]), complex), np.zeros(0, bool)
        on_kinks = {pair: points[pair][kinked] for pair, (_, kinked) in given.items()}
        sides = at_places(self.run, self.members, self._sides, on_kinks, self.inputs) if given else {}
        for pair, beside in sides.items():
            eigenvalues, kinked = given[pair]
            kinked[kinked] = newton.matters(eigenvalues[kinked], beside)
        return given or dict.fromkeys(points, none)


@functools.cache
def _functions(period: int) -> tuple[Any, Any, Any, Any]:
    """Descent, Newton's method and spectra of a flow of so many steps, and those beside kinks: the same functions each
    time, traced once."""

    def descend(
        bound: Any, variables: Any, key: Any, steps: Any, now: Descent, inputs: Any, centre: Any, radius: Any, end: Any
    ) -> Any:
        flow = flow_of(bound.model, variables, period)
        return descent.descended(flow, now, inputs, centre, radius, end, steps)

    def polish(bound: Any, variables: Any, key: Any, states: Any, inputs: Any) -> Any:
        return newton.polished(flow_of(bound.model, variables, period), states, inputs)

    def spectra(bound: Any, variables: Any, key: Any, states: Any, inputs: Any) -> Any:
        return newton.spectra(flow_of(bound.model, variables, period), states, inputs)

    def sides(bound: Any, variables: Any, key: Any, states: Any, inputs: Any) -> Any:
        return newton.side_spectra(flow_of(bound.model, variables, period), states, inputs)

    return descend, polish, spectra, sides
