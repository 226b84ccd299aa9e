"""How far the weights of two networks are apart when the units of one may be put into any order."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

CLIMBING_STEPS = 30
"""Of Frank and Wolfe at most, from every start."""
KEY_OF_STARTS = 0x9E31
"""Seed of the random starts: the same for every pair."""


def permuted_distance(a: np.ndarray, b: np.ndarray, starts: int) -> tuple[float, np.ndarray]:
    """An upper bound of min over permutations P of |a - P' b P|, Frobenius' norm over all gates, and its permutation.

    A quadratic assignment problem, of which no exact solution is to be had beyond some thirty units. From every start
    the fast approximate algorithm FAQ (Vogelstein et al. 2015, PLOS ONE 10:e0121002) climbs the relaxed problem, and
    pairs of units are then exchanged while that brings the networks nearer (2-opt). The best of all starts counts: the
    units matched by their sorted weights, the barycentre, and then in turn random doubly stochastic matrices halfway to
    it and random orders.

    Args:
      a, b: `(gate, unit, unit)`, of one shape.
      starts: number of starts.

    Returns:
      The distance, and p `(unit,)` with b's unit p[i] in the place of a's unit i.
    """
    a, b = (np.asarray(each, np.float64) for each in (a, b))
    best: tuple[float, np.ndarray] | None = None
    for start in _starts(a, b, starts):
        order = _exchanged(a, b, _climbed(a, b, start))
        distance = float(np.linalg.norm(a - b[:, order][:, :, order]))
        if best is None or distance < best[0]:
            best = distance, order
    assert best is not None
    return best


def _starts(a: np.ndarray, b: np.ndarray, count: int) -> list[np.ndarray]:
    """Doubly stochastic matrices `(unit of b, unit of a)`."""
    units = a.shape[-1]
    profiles = [np.concatenate([np.sort(each, 2), np.sort(each, 1).swapaxes(1, 2)], 2) for each in (b, a)]
    rows = [profile.swapaxes(0, 1).reshape(units, -1) for profile in profiles]
    squares = [(row**2).sum(1) for row in rows]
    unlike = squares[0][:, None] + squares[1][None] - 2 * rows[0] @ rows[1].T
    middle = np.full((units, units), 1 / units)
    random = np.random.default_rng(KEY_OF_STARTS)
    drawn = [random.random((units, units)) for _ in range(count - 2)]
    others = [_assigned(x) if i % 2 else (middle + _doubly_stochastic(x)) / 2 for i, x in enumerate(drawn)]
    return [_assigned(-unlike), middle, *others][:count]


def _doubly_stochastic(positive: np.ndarray) -> np.ndarray:
    for _ in range(20):
        positive = positive / positive.sum(0, keepdims=True)
        positive = positive / positive.sum(1, keepdims=True)
    return positive


def _assigned(gain: np.ndarray) -> np.ndarray:
    """The permutation matrix of the largest total gain."""
    matrix = np.zeros_like(gain)
    matrix[linear_sum_assignment(gain, maximize=True)] = 1.0
    return matrix


def _climbed(a: np.ndarray, b: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The order of units where Frank and Wolfe's steps from D end, of the sum over gates of tr(a' D' b D)."""
    turned = [np.swapaxes(each, 1, 2) for each in (a, b)]

    def slope(d: np.ndarray) -> np.ndarray:
        return np.sum(b @ d @ turned[0] + turned[1] @ d @ a, axis=0)

    for _ in range(CLIMBING_STEPS):
        gradient = slope(d)
        ahead = _assigned(gradient) - d
        rise, bend = float(np.sum(gradient * ahead)), float(np.sum(slope(ahead) * ahead)) / 2
        if rise <= 1e-9 * max(1.0, abs(bend)):
            break
        share = min(1.0, -rise / (2 * bend)) if bend < 0 else 1.0
        d = d + share * ahead
    return _order(d)


def _order(d: np.ndarray) -> np.ndarray:
    """Of `(unit of b, unit of a)`, the unit of b for each of a."""
    rows, columns = linear_sum_assignment(d, maximize=True)
    order = np.empty(len(d), int)
    order[columns] = rows
    return order


def _exchanged(a: np.ndarray, b: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The order after exchanging the best pair of units for as long as that helps."""
    order = order.copy()
    while True:
        gains = exchange_gains(a, b[:, order][:, :, order])
        r, s = np.unravel_index(np.argmax(gains), gains.shape)
        if gains[r, s] <= 1e-9 * np.abs(gains).max(initial=0.0) or gains[r, s] <= 1e-12:
            return order
        order[[r, s]] = order[[s, r]]


def exchange_gains(a: np.ndarray, c: np.ndarray) -> np.ndarray:
    """How much the sum of a c, over all gates and entries, grows when units r and s of c change places, `(r, s)`."""
    gains: Any = 0.0
    for x, y in zip(a, c):
        for u, v in ((x, y), (x.T, y.T)):
            inner = u.T @ v
            own, own_v = np.diagonal(u), np.diagonal(v)
            gains = gains + inner + inner.T - np.diagonal(inner)[:, None] - np.diagonal(inner)[None]
            # What the sum over all units has of r and s themselves does not count.
            gains = gains - (own[:, None] - u) * (v - own_v[:, None]) - (u.T - own[None]) * (own_v[None] - v.T)
        own, own_c = np.diagonal(x), np.diagonal(y)
        gains = gains + (own[:, None] - own[None]) * (own_c[None] - own_c[:, None]) + (x - x.T) * (y.T - y)
    return gains
