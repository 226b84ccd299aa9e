"""Where unstable modes lead: from every saddle along them, forward in time, to the fixed points that are reached.

The unstable manifold of a saddle leaves it along the eigenvectors of eigenvalues beyond the unit circle. Starts lie a
small distance from the saddle in their span: to both sides of each real one; at equal angles in the plane of a
conjugate pair, and of any two; in more dimensions at random directions, each with its opposite. A start has reached a
stable point when it is near it, and another point when it is near that one when the steps end.

Connections from saddle to saddle lie on the borders between what different points attract, where no start is. Between
neighbouring starts that reach unlike points the direction is halved again and again, always towards such a border,
until the network passes near a saddle on its way (Skufca, Yorke & Eckhardt 2006, Phys. Rev. Lett. 96:174101, on states
between two attractors). It leads to saddles of fewer unstable modes, in general of one.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from analysis.dynamics.packing import packed
from analysis.dynamics.states import flow_of, jacobian_of

__all__ = ["ELSEWHERE", "Connections", "Places", "Starting", "saddle_connections"]

NEAR_START = 1e-3
"""Distance of starts from their saddle, of the range of visited states."""
REACHED = 1e-3
"""Distance from a point at which it is reached."""
PASSED = 0.03
"""Distance from a saddle at which it is passed."""
STEPS_AT_ONCE = (64, 64, 128, 256, 512)
"""Steps after which starts that have come to their end are taken out; the last again and again."""
MOST_MODES = 8
"""Unstable modes of a saddle that are followed, those of the largest eigenvalues."""
HALVINGS = 40
"""Of the direction between two starts, at most."""
ON_WAY, ELSEWHERE = -2, -1
"""Of a start: still on its way; at no fixed point when the steps ended, as on a cycle."""


class Starting(NamedTuple):
    """How many starts, and how far they run.

    Attributes:
      directions: from a saddle with two or more unstable modes.
      steps: of time, at most.
      saddles: of a network and input at most, those of the fewest unstable modes.
    """

    directions: int
    steps: int
    saddles: int


class Places(NamedTuple):
    """The fixed points of one network under one input.

    Attributes:
      states: `(point, coordinate)`.
      unstable: unstable modes of each, `(point,)`.
      inputs: that it is under, `(unit,)`.
      scale: the range of the states that it visits.
    """

    states: np.ndarray
    unstable: np.ndarray
    inputs: np.ndarray
    scale: float


class Connections(NamedTuple):
    """Where one network's unstable modes lead under one input.

    Attributes:
      counts: `(saddle, point)`, starts at the first that reach the second, or pass it on a border.
      elsewhere: starts that reach none, `(saddle,)`.
      followed: whether starts were set at a point, `(point,)`; of the others with unstable modes nothing is known.
    """

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
    following = _Following(run, members, places, settings.steps)
    chosen = {pair: _chosen(here.unstable, settings.saddles) for pair, here in places.items()}
    spans = following.spans(chosen)
    starts = [
        _Start(pair, saddle, direction)
        for pair, saddles in chosen.items()
        for saddle in saddles
        for direction in _directions(spans[pair, saddle], settings.directions)
    ]
    ends = following.reached(starts)[0]
    found = {}
    for pair, here in places.items():
        count = len(here.states)
        followed_ones = np.isin(np.arange(count), chosen[pair])
        found[pair] = Connections(np.zeros((count, count), int), np.zeros(count, int), followed_ones)
    for start, end in zip(starts, ends):
        if end == ELSEWHERE:
            found[start.pair].elsewhere[start.saddle] += 1
        else:
            found[start.pair].counts[start.saddle, end] += 1
    for pair, saddle, passed in _on_borders(following, starts, ends, spans):
        found[pair].counts[saddle, passed] += 1
    return found


class _Start(NamedTuple):
    """A unit vector, `(coordinate,)`, in the span of a saddle's unstable modes."""

    pair: tuple[int, int]
    saddle: int
    direction: np.ndarray


class _Span(NamedTuple):
    """An orthonormal basis of the unstable modes of a saddle, `(coordinate, mode)`, and the modes that stand alone."""

    basis: np.ndarray
    real: np.ndarray


class _Border(NamedTuple):
    """Two directions from one saddle that lead to unlike points."""

    pair: tuple[int, int]
    saddle: int
    left: np.ndarray
    right: np.ndarray
    left_end: int


def _chosen(unstable: np.ndarray, most: int) -> np.ndarray:
    """The points whose unstable modes are followed."""
    saddles = np.flatnonzero(unstable > 0)
    return np.sort(saddles[np.argsort(unstable[saddles], kind="stable")][:most])


def _directions(span: _Span, count: int) -> np.ndarray:
    """Unit vectors in which starts are set from a saddle, `(start, coordinate)`."""
    modes = span.basis.shape[1]
    alone = np.concatenate([span.real.T, -span.real.T])
    if modes == 1:
        return alone
    if modes == 2:
        angles = 2 * np.pi * np.arange(count) / count
        within = np.stack([np.cos(angles), np.sin(angles)], 1)
    else:
        drawn = np.random.default_rng(0).normal(size=(-(-count // 2), modes))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        within = np.concatenate([drawn, -drawn])
    return np.concatenate([alone, within @ span.basis.T])


def _on_borders(
    following: "_Following", starts: Sequence[_Start], ends: np.ndarray, spans: dict[Any, _Span]
) -> list[tuple[tuple[int, int], int, int]]:
    """The saddles that are passed on the borders between what starts reach: (pair, saddle, the one passed)."""
    borders = _borders(following, starts, ends, spans)
    found: list[tuple[tuple[int, int], int, int]] = []
    for _ in range(HALVINGS):
        if not borders:
            break
        middles = [_unit(border.left + border.right) for border in borders]
        on_way = [_Start(border.pair, border.saddle, middle) for border, middle in zip(borders, middles)]
        reached, passed = following.reached(on_way)
        left = []
        for border, middle, end, by in zip(borders, middles, reached, passed):
            if by >= 0:
                found.append((border.pair, border.saddle, int(by)))
            elif end == border.left_end:
                left.append(border._replace(left=middle))
            else:
                left.append(border._replace(right=middle))
        borders = left
    return found


def _borders(
    following: "_Following", starts: Sequence[_Start], ends: np.ndarray, spans: dict[Any, _Span]
) -> list[_Border]:
    """For every start of a saddle, the nearest that reaches another point, if both reach a stable point or none."""
    by_saddle: dict[tuple[tuple[int, int], int], list[int]] = {}
    for row, start in enumerate(starts):
        unstable = following.places[start.pair].unstable
        if ends[row] == ELSEWHERE or unstable[ends[row]] == 0:
            by_saddle.setdefault((start.pair, start.saddle), []).append(row)
    borders = []
    for (pair, saddle), rows in by_saddle.items():
        if spans[pair, saddle].basis.shape[1] < 2:
            continue
        directions, reached = np.stack([starts[row].direction for row in rows]), ends[rows]
        near = directions @ directions.T
        near[reached[:, None] == reached[None]] = -np.inf
        near[near < -0.99] = -np.inf  # halfway of two opposites is nowhere
        pairs = {tuple(sorted((i, int(j)))) for i, j in enumerate(near.argmax(1)) if np.isfinite(near[i, j])}
        borders += [_Border(pair, saddle, directions[i], directions[j], int(reached[i])) for i, j in sorted(pairs)]
    return borders


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


class _Following:
    """Runs networks of some places forward."""

    def __init__(
        self,
        run: Callable[..., Any],
        members: Sequence[str],
        places: dict[tuple[int, int], Places],
        steps: int,
    ):
        self.run, self.members, self.places, self.steps = run, members, places, steps
        self.most = max([1, *(len(here.states) for here in places.values())])
        self.targets = self._targets()

    def spans(self, chosen: dict[tuple[int, int], np.ndarray]) -> dict[tuple[tuple[int, int], int], _Span]:
        """(place, saddle) -> what its unstable modes span."""
        rows = [(pair, int(saddle)) for pair, saddles in chosen.items() for saddle in saddles]
        found: dict[tuple[tuple[int, int], int], _Span] = {}
        for part in packed(np.array([pair[0] for pair, _ in rows], int), [4, 16, 64]):
            states = np.stack([self.places[pair].states[saddle] for pair, saddle in rows])[part.rows]
            inputs = np.stack([self.places[pair].inputs for pair, _ in rows])[part.rows]
            values, real, imaginary = self._map(modes, part.members, [states, inputs])
            for at in zip(*np.nonzero(part.real)):
                pair, saddle = rows[part.rows[at]]
                count = min(int(self.places[pair].unstable[saddle]), values.shape[-1])
                found[pair, saddle] = _span(values[at][:count], real[at][:, :count], imaginary[at][:, :count])
        return found

    def reached(self, starts: Sequence[_Start]) -> tuple[np.ndarray, np.ndarray]:
        """The point that every start reaches, or ELSEWHERE; and the saddle of fewer unstable modes that it passes most
        nearly on its way, -1 of none."""
        count = len(starts)
        ends, passed = np.full(count, ON_WAY), np.full(count, -1)
        if not count:
            return ends, passed
        places = [self.places[start.pair] for start in starts]
        whose, which = np.array([start.pair for start in starts]).T
        away = [NEAR_START * here.scale * start.direction for start, here in zip(starts, places)]
        states = np.stack([here.states[start.saddle] for start, here in zip(starts, places)]) + np.stack(away)
        inputs = np.stack([here.inputs for here in places]).astype(np.float64)
        nearest, done = np.full((count, self.most), np.inf), 0
        for phase in range(self.steps):
            left = np.flatnonzero(ends == ON_WAY)
            steps = min(STEPS_AT_ONCE[min(phase, len(STEPS_AT_ONCE) - 1)], self.steps - done)
            if not len(left) or steps < 1:
                break
            done += steps
            for part in packed(whose[left], [16, 64, 256]):
                at = left[part.rows]
                standing = np.where(part.real, ON_WAY, ELSEWHERE).astype(np.int32)
                now = [states[at], standing, nearest[at], inputs[at], which[at].astype(np.int32)]
                targets = [values[part.members] for values in self.targets]
                given = self._map(followed, part.members, [*now, *targets], [np.int32(steps)])
                for target, values in zip((states, ends, nearest), given):
                    target[at[part.real]] = values[part.real]
        for row, (start, here) in enumerate(zip(starts, places)):
            if ends[row] == ON_WAY:
                far = np.linalg.norm(here.states - states[row], axis=1)
                far[start.saddle] = np.inf
                ends[row] = int(far.argmin()) if far.min() <= REACHED * here.scale else ELSEWHERE
            fewer = (here.unstable > 0) & (here.unstable < here.unstable[start.saddle])
            far = np.where(fewer, nearest[row, : len(fewer)], np.inf)
            if far.min() <= PASSED * here.scale:
                passed[row] = int(far.argmin())
        return ends, passed

    def _targets(self) -> list[np.ndarray]:
        """All fixed points of every network, one input after the other, as `followed` takes them."""
        width = next(iter(self.places.values())).states.shape[1]
        inputs = 1 + max(i for _, i in self.places)
        shape = (len(self.members), inputs, self.most)
        points, stable, of_input = np.zeros((*shape, width)), np.zeros(shape, bool), np.full(shape, -1, np.int32)
        radius = np.zeros(len(self.members))
        for (m, i), here in self.places.items():
            count = len(here.states)
            points[m, i, :count], stable[m, i, :count], of_input[m, i, :count] = here.states, here.unstable == 0, i
            radius[m] = REACHED * here.scale
        flat = [
            values.reshape(shape[0], inputs * self.most, *values.shape[3:]) for values in (points, stable, of_input)
        ]
        return [*flat, radius]

    def _map(self, function: Any, members: np.ndarray, each: Sequence[Any], shared: Sequence[Any] = ()) -> Any:
        ids = [self.members[m] for m in members]
        return self.run(function, shared, each, members=ids, dtype="float64")


def _span(values: np.ndarray, real: np.ndarray, imaginary: np.ndarray) -> _Span:
    alone = np.imag(values) == 0
    basis, _ = np.linalg.qr(np.concatenate([real[:, alone], real[:, ~alone], imaginary[:, ~alone]], 1))
    return _Span(basis[:, : len(values)], real[:, alone] / np.linalg.norm(real[:, alone], axis=0, keepdims=True))


def modes(bound: Any, variables: Any, key: Any, states: Any, inputs: Any) -> tuple[Any, Any, Any]:
    """The eigenvalues of the largest moduli, `(row, mode)`, and the real and imaginary parts of their eigenvectors,
    `(row, coordinate, mode)`; on the CPU alone. A function for `Assayed.map`."""
    eigenvalues, vectors = jnp.linalg.eig(jacobian_of(flow_of(bound.model, variables))(states, inputs))
    order = jnp.argsort(-jnp.abs(eigenvalues), axis=-1)[:, :MOST_MODES]
    vectors = jnp.take_along_axis(vectors, order[:, None, :], axis=-1)
    return jnp.take_along_axis(eigenvalues, order, axis=-1), jnp.real(vectors), jnp.imag(vectors)


def followed(
    bound: Any,
    variables: Any,
    key: Any,
    steps: Any,
    states: Any,
    ends: Any,
    nearest: Any,
    inputs: Any,
    which: Any,
    points: Any,
    stable: Any,
    of_input: Any,
    radius: Any,
) -> tuple[Any, Any, Any]:
    """Up to `steps` steps further, fewer where all rows are at their end. A function for `Assayed.map`.

    Args:
      states: `(row, coordinate)`.
      ends: the stable point that each has reached, its place among those of its input, or ON_WAY, `(row,)`.
      nearest: how near each has come to every point of its input, `(row, point)`.
      inputs: that each is under, `(row, unit)`.
      which: the place of that input, `(row,)`.
      points: the fixed points under all inputs, `(target, coordinate)`, as many for each.
      stable: which of them are stable, `(target,)`.
      of_input: whose they are, `(target,)`, -1 where there is none.
      radius: distance at which one is reached.
    """
    flow, most = flow_of(bound.model, variables), nearest.shape[1]
    square = jnp.sum(points**2, axis=-1)
    own = of_input[None] == which[:, None]
    columns = which[:, None] * most + jnp.arange(most, dtype=which.dtype)[None]

    def further(carry: Any) -> Any:
        count, x, ends, nearest = carry
        moving = ends == ON_WAY
        x = jnp.where(moving[:, None], flow(x, inputs), x)
        far = jnp.sum(x**2, axis=-1)[:, None] - 2 * x @ points.T + square[None]
        far = jnp.where(own, jnp.sqrt(jnp.maximum(far, 0)), jnp.inf)
        here = jnp.take_along_axis(far, columns, axis=1)
        nearest = jnp.where(moving[:, None], jnp.minimum(nearest, here), nearest)
        to_stable = jnp.take_along_axis(jnp.where(stable[None], far, jnp.inf), columns, axis=1)
        there = moving & (to_stable.min(1) <= radius)
        return count + 1, x, jnp.where(there, to_stable.argmin(1).astype(ends.dtype), ends), nearest

    def unfinished(carry: Any) -> Any:
        return (carry[0] < steps) & (carry[2] == ON_WAY).any()

    return lax.while_loop(unfinished, further, (jnp.int32(0), states, ends, nearest))[1:]
