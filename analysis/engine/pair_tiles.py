"""Pair measures: all pairs of members in tiles, each computed at once, and kept as it is finished."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from analysis.engine.inner_products import local_devices
from analysis.engine.journal import Journal, digest, fingerprint

__all__ = ["padded", "pair_values"]

BUDGET = 256 * 2**20
LEAST_UNITS = 16


def padded(groups: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Groups filled up with units of zeros to few widths, and those of one shape joined.

    Hundreds of architectures with as many widths would need a program for each pair of them.

    Returns:
      The joined groups, and for each the places of its members among all.
    """
    joined: dict[tuple[int, ...], list[tuple[np.ndarray, np.ndarray]]] = {}
    start = 0
    for x in groups:
        units = max(LEAST_UNITS, 1 << (x.shape[-1] - 1).bit_length())
        wide = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, units - x.shape[-1])])
        joined.setdefault(wide.shape[1:], []).append((wide, np.arange(start, start + len(x))))
        start += len(x)
    parts = [tuple(map(np.concatenate, zip(*same))) for same in joined.values()]
    return [x for x, _ in parts], [places for _, places in parts]


@partial(jax.jit, static_argnums=0)
def _tile(measure: Any, a: Any, b: Any, rows: jax.Array, columns: jax.Array) -> Any:
    return measure.tile(*(jax.tree.map(lambda leaf, i=i: leaf[i], state) for state, i in ((a, rows), (b, columns))))


def pair_values(
    measure: Any,
    states: Sequence[Any],
    places: Sequence[np.ndarray],
    *,
    dtype: str = "float32",
    budget: int = BUDGET,
    journal: Journal | None = None,
    devices: Sequence[Any] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A Pair measure's values of all pairs, and its extras, each `(member, member)`.

    Args:
      measure: see `analysis.measures`.
      states: what its `prepare` made of each group.
      places: for each group, where its members stand in the result.
      dtype: of the result.
      budget: bytes that a tile may need.
      journal: where finished tiles are kept for a run that is killed.
      devices: which take tiles in turn; all local ones by default.
    """
    devices = list(devices or local_devices())
    members = sum(map(len, places))
    journal = journal or Journal(None)
    sides = [side_of(measure, a, b, budget) for a in states for b in states]
    leaves = jax.tree.leaves(list(states))
    words = [fingerprint(measure), sides, dtype, *map(list, places)]
    key = digest(words, map(np.asarray, leaves)) if journal.folder else ""
    before = journal.read(key)
    done = int(before.pop("done", 0))
    names = [f"values{k}" for k in range(1 + len(measure.extras))]
    kept = [before.get(name, np.full((members, members), np.nan, dtype)) for name in names]
    if measure.host:
        placed = [[jax.tree.map(np.asarray, state) for state in states]]
    else:
        held = {device: [jax.device_put(state, device) for state in states] for device in devices}
        placed = [held[device] for device in devices]
    tiles = list(_tiles(measure, [len(own) for own in places], sides))
    pending: list[tuple[Any, Any, Any]] = []

    def collect(most: int) -> None:
        while len(pending) > most:
            rows, columns, found = pending.pop(0)
            for values, part in zip(kept, found if measure.extras else (found,)):
                part = np.asarray(part)[: len(rows), : len(columns)]
                values[np.ix_(rows, columns)] = part
                if measure.symmetric:
                    values[np.ix_(columns, rows)] = part.T

    for step, (g, h, rows, columns, side) in enumerate(tiles[done:]):
        own = placed[step % len(placed)]
        if measure.host:
            a, b = (jax.tree.map(lambda leaf, i=i: leaf[i], state) for state, i in ((own[g], rows), (own[h], columns)))
            found = measure.tile(a, b)
        else:  # all tiles of two groups have one size: another would be a program of its own
            full = (np.pad(i, (0, most - len(i)), "edge") for i, most in ((rows, side[0]), (columns, side[1])))
            found = _tile(measure, own[g], own[h], *full)
        pending.append((places[g][rows], places[h][columns], found))
        collect(len(placed))
        if journal.due:
            collect(0)
            journal.write(key, done=done + step + 1, **dict(zip(names, kept)))
    collect(0)
    if done < len(tiles):
        journal.write(key, done=len(tiles), **dict(zip(names, kept)))
    return kept[0], kept[1:]


def side_of(measure: Any, a: Any, b: Any, budget: int) -> int:
    """Members on a side of a tile of these two groups' states."""
    return max(1, int((budget / max(1, measure.cost(a, b))) ** 0.5))


def _tiles(measure: Any, sizes: Sequence[int], sides: Sequence[int]) -> Any:
    """Group, group, members of each, and the sides of a tile; on and above the diagonal where that is enough."""
    for g, size_a in enumerate(sizes):
        for h, size_b in enumerate(sizes):
            if measure.symmetric and h < g:
                continue
            most = sides[g * len(sizes) + h]
            down, across = (-(-size // -(-size // most)) for size in (size_a, size_b))  # as equal as can be
            for i in range(0, size_a, down):
                for j in range(i if measure.symmetric and g == h else 0, size_b, across):
                    rows, columns = np.arange(i, min(i + down, size_a)), np.arange(j, min(j + across, size_b))
                    yield g, h, rows, columns, (down, across)
