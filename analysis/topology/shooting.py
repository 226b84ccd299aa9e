"""Connections from saddle to saddle: the direction in which one is left so that another is come to.

A saddle q with k unstable modes is come to along its stable manifold alone, on which no start lies by chance. With L
the left eigenvectors of its unstable modes, and x_t(u) where the network is t steps after it left p in direction u,

    w(u) = L^T (x_t(u) - q) = 0,     t the time at which it is nearest to q,

is solved by Newton's method on the sphere of directions, the shortest step where k is less than the sphere has
dimensions, and a quarter of it where it leads less near (shooting; Beyn 1990, IMA J. Numerical Analysis 10:379). Each
step makes the network stay longer near q: it is come to where the network passes within a small distance.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from analysis.dynamics.packing import packed
from analysis.dynamics.states import flow_of

__all__ = ["Aim", "Shot", "hits", "shot"]

NEWTON_SHOTS = 20
"""Shots of one aim at most."""
LOOK_AFTER, MUST_FALL = 4, 0.97
"""After so many shots, again and again, an aim is given up whose distance has not fallen to this share. Of 650 that
came to their target, of trained flip-flop networks of four cells, one was slower."""
IN_FLIGHT = (16, 64)
"""Shots of a network that fly together: all go on until the last is at its end."""
LARGEST_TURN = 0.3
"""Of the direction in one step, radians."""
SMALLEST_SHARE = 0.02
"""Of a step, below which an aim is given up."""


class Aim(NamedTuple):
    """A saddle that is left, and another that is aimed at.

    Attributes:
      member: place of the network.
      input: place of the input.
      state: of the first, `(coordinate,)`.
      basis: what its unstable modes span, orthonormal times the distance of starts, `(coordinate, mode)`.
      direction: the unit vector to begin with, `(mode,)`.
      target: the state of the second, `(coordinate,)`.
      left: what the left eigenvectors of its unstable modes span, `(coordinate, left mode)`.
      inputs: that both are under, `(unit,)`.
      near: the distance at which the second is come to.
    """

    member: int
    input: int
    state: np.ndarray
    basis: np.ndarray
    direction: np.ndarray
    target: np.ndarray
    left: np.ndarray
    inputs: np.ndarray
    near: float


class Shot(NamedTuple):
    """Where networks are when they are nearest to their targets.

    Attributes:
      distance: to the target, `(row,)`.
      aside: w of the module's text, `(row, left mode)`.
      slope: its derivative with respect to the direction, `(row, left mode, mode)`.
    """

    distance: Any
    aside: Any
    slope: Any


def hits(
    run: Callable[..., Any], members: Sequence[str], aims: Sequence[Aim], targets: Sequence[Any], steps: int
) -> list[bool]:
    """Which aims come to their target, in double precision.

    Args:
      run: `Assayed.map`.
      members: ids.
      aims: of all networks.
      targets: what ends a shot, by network; see `shot`.
      steps: of time of one shot at most.
    """
    widest = max(max(aim.basis.shape[1], aim.left.shape[1]) for aim in aims)
    most = 1 << (widest - 1).bit_length()  # few widths: each is a program, and every mode a derivative to carry
    directions = [aim.direction for aim in aims]
    turns = [np.zeros_like(direction) for direction in directions]
    share, near = np.ones(len(aims)), np.array([aim.near for aim in aims])
    left, found = list(range(len(aims))), np.zeros(len(aims), bool)
    nearest, looked_at = np.full(len(aims), np.inf), np.full(len(aims), np.inf)
    for count in range(NEWTON_SHOTS):
        tried = [_unit(directions[i] + share[i] * turns[i]) for i in left]
        shots = _shots(run, members, [aims[i] for i in left], tried, targets, most, steps)
        for i, direction, now in zip(left, tried, shots):
            if now.distance < nearest[i]:
                nearest[i], directions[i], share[i] = now.distance, direction, 1.0
                turns[i] = _turn(now, aims[i], direction)
            else:  # not nearer, or not finite
                share[i] /= 4
        found = nearest <= near
        goes_on = ~found & (share >= SMALLEST_SHARE) & np.array([np.isfinite(turn).all() for turn in turns])
        if count % LOOK_AFTER == 0:
            goes_on &= nearest <= MUST_FALL * looked_at
            looked_at = nearest.copy()
        left = [i for i in left if goes_on[i]]
        if not left:
            break
    return found.tolist()


@np.errstate(over="ignore", invalid="ignore")  # of networks whose states pass all bounds
def _turn(now: Shot, aim: Aim, direction: np.ndarray) -> np.ndarray:
    """Newton's step of the direction, at right angles to it, no longer than is allowed; NaN where there is none."""
    slope = now.slope[: aim.left.shape[1], : len(direction)]
    slope = slope - np.outer(slope @ direction, direction)
    if not (np.isfinite(slope).all() and slope.any()):
        return np.full(len(direction), np.nan)
    turn = -np.linalg.pinv(slope) @ now.aside[: aim.left.shape[1]]
    return turn * min(1.0, LARGEST_TURN / max(float(np.linalg.norm(turn)), 1e-300))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _shots(
    run: Callable[..., Any],
    members: Sequence[str],
    aims: Sequence[Aim],
    directions: Sequence[np.ndarray],
    targets: Sequence[Any],
    most: int,
    steps: int,
) -> list[Shot]:
    """A shot of every aim."""
    found: list[Any] = [None] * len(aims)
    states = np.stack([aim.state + aim.basis @ direction for aim, direction in zip(aims, directions)])
    bases = np.stack([_widened(aim.basis, most) for aim in aims])
    lefts = np.stack([_widened(aim.left, most) for aim in aims])
    target, inputs = np.stack([aim.target for aim in aims]), np.stack([aim.inputs for aim in aims]).astype(np.float64)
    which = np.array([aim.input for aim in aims], np.int32)
    for part in packed(np.array([aim.member for aim in aims]), IN_FLIGHT):
        at = part.rows
        each = [states[at], bases[at], part.real, inputs[at], which[at], target[at], lefts[at]]
        each += [values[part.members] for values in targets]
        given = run(shot, [np.int32(steps)], each, members=[members[m] for m in part.members], dtype="float64")
        for row in zip(*np.nonzero(part.real)):
            found[at[row]] = Shot(*(values[row] for values in given))
    return found


def _widened(columns: np.ndarray, most: int) -> np.ndarray:
    return np.pad(columns, ((0, 0), (0, most - columns.shape[1])))


def shot(
    bound: Any,
    variables: Any,
    key: Any,
    steps: Any,
    states: Any,
    bases: Any,
    moving: Any,
    inputs: Any,
    which: Any,
    target: Any,
    left: Any,
    points: Any,
    stable: Any,
    of_input: Any,
    radius: Any,
) -> Shot:
    """Networks and the derivative of their state, until they are near a stable point. A function for `Assayed.map`.

    Args:
      steps: at most.
      states: `(row, coordinate)`.
      bases: the derivative of these with respect to the direction, `(row, coordinate, mode)`.
      moving: which rows are no padding, `(row,)`.
      inputs, which: that each is under, and its place, `(row, unit)`, `(row,)`.
      target, left: see `Aim`, `(row, coordinate)` and `(row, coordinate, left mode)`.
      points, stable, of_input, radius: see `analysis.topology.connections.followed`; a shot ends at this distance.
    """
    flow = flow_of(bound.model, variables)
    ends = (of_input[None] == which[:, None]) & stable[None]
    square = jnp.sum(points**2, axis=-1)

    def pushed(x: Any, u: Any, along: Any) -> tuple[Any, Any]:
        def one(direction: Any) -> tuple[Any, Any]:
            return jax.jvp(lambda x: flow(x[None], u[None])[0], (x,), (direction,))

        return jax.vmap(one, in_axes=1, out_axes=(None, 1))(along)

    def further(carry: Any) -> Any:
        count, x, along, moving, best = carry
        x, along = jax.vmap(pushed)(x, inputs, along)
        away = x - target
        distance = jnp.linalg.norm(away, axis=-1)
        nearer = moving & (distance < best.distance)
        now = Shot(distance, jnp.einsum("rck,rc->rk", left, away), jnp.einsum("rck,rcm->rkm", left, along))
        best = Shot(*(jnp.where(nearer.reshape(-1, *(1,) * (n.ndim - 1)), n, b) for n, b in zip(now, best)))
        far = jnp.sum(x**2, axis=-1)[:, None] - 2 * x @ points.T + square[None]
        there = jnp.where(ends, far, jnp.inf).min(1) <= radius**2
        return count + 1, x, along, moving & ~there, best

    def unfinished(carry: Any) -> Any:
        return (carry[0] < steps) & carry[3].any()

    rows, modes = len(states), bases.shape[-1]
    none = Shot(
        jnp.full((rows,), jnp.inf, states.dtype),
        jnp.zeros((rows, left.shape[-1]), states.dtype),
        jnp.zeros((rows, left.shape[-1], modes), states.dtype),
    )
    return lax.while_loop(unfinished, further, (jnp.int32(0), states, bases, moving, none))[4]
