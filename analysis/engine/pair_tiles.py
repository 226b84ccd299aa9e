"""Pair measures: all pairs of members in tiles, each computed at once, and kept as it is finished."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from analysis.arithmetic import BUDGET
from analysis.engine.inner_products import local_devices
from analysis.engine.journal import Journal, fingerprint, result_key
from analysis.measures import PairMeasure
from analysis.measures._family import State

__all__ = ["padded", "pair_values"]

LEAST_PADDED_UNITS = 16


def padded(groups: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Groups filled up with units of zeros to few widths, and those of one shape joined.

    Hundreds of architectures with as many widths would need a program for each pair of them.

    Returns:
      The joined groups, and for each the places of its members among all.
    """
    joined: dict[tuple[int, ...], list[tuple[np.ndarray, np.ndarray]]] = {}
    start = 0
    for x in groups:
        units = max(LEAST_PADDED_UNITS, 1 << (x.shape[-1] - 1).bit_length())
        wide = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, units - x.shape[-1])])
        joined.setdefault(wide.shape[1:], []).append((wide, np.arange(start, start + len(x))))
        start += len(x)
    parts = [tuple(map(np.concatenate, zip(*same))) for same in joined.values()]
    return [x for x, _ in parts], [places for _, places in parts]


class _Tile(NamedTuple):
    """Some members of one group with some of another.

    Attributes:
      group_a, group_b: the groups' places.
      rows, columns: which of their members.
      shape: of all tiles of these two groups; the last ones hold fewer members.
    """

    group_a: int
    group_b: int
    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]


@partial(jax.jit, static_argnums=0)
def _tile(measure: PairMeasure, a: Any, b: Any, rows: jax.Array, columns: jax.Array) -> Any:
    return measure.tile(*(jax.tree.map(lambda leaf, i=i: leaf[i], state) for state, i in ((a, rows), (b, columns))))


def pair_values(
    measure: PairMeasure,
    states: Sequence[State],
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
    key = result_key(words, map(np.asarray, leaves)) if journal.folder else ""
    before = journal.read(key)
    done = int(before.pop("done", 0))
    names = [f"values{k}" for k in range(1 + len(measure.extras))]
    kept = [before.get(name, np.full((members, members), np.nan, dtype)) for name in names]
    placed = _on_devices(measure, states, devices)
    tiles = list(_tiles(measure, list(map(len, places)), sides))
    pending: list[tuple[Any, Any, Any]] = []

    def collect(most: int) -> None:
        while len(pending) > most:
            rows, columns, values_of_tile = pending.pop(0)
            for values, part in zip(kept, values_of_tile if measure.extras else (values_of_tile,)):
                part = np.asarray(part)[: len(rows), : len(columns)]
                values[np.ix_(rows, columns)] = part
                if measure.symmetric:
                    values[np.ix_(columns, rows)] = part.T

    for step, tile in enumerate(tiles[done:]):
        values_of_tile = _values_of(measure, placed[step % len(placed)], tile)
        pending.append((places[tile.group_a][tile.rows], places[tile.group_b][tile.columns], values_of_tile))
        collect(len(placed))
        if journal.due:
            collect(0)
            journal.write(key, done=done + step + 1, **dict(zip(names, kept)))
    collect(0)
    if done < len(tiles):
        journal.write(key, done=len(tiles), **dict(zip(names, kept)))
    return kept[0], kept[1:]


def _on_devices(measure: PairMeasure, states: Sequence[State], devices: Sequence[Any]) -> list[list[State]]:
    """The states for every device that takes tiles, or, of a measure in NumPy, once on the host."""
    if measure.host:
        return [[jax.tree.map(np.asarray, state) for state in states]]
    held = {device: [jax.device_put(state, device) for state in states] for device in devices}
    return [held[device] for device in devices]


def _values_of(measure: PairMeasure, states: Sequence[State], tile: _Tile) -> Any:
    """The values of a tile, of one size for all tiles of two groups: another would be a program of its own."""
    a, b = states[tile.group_a], states[tile.group_b]
    if measure.host:
        chosen = ((a, tile.rows), (b, tile.columns))
        return measure.tile(*(jax.tree.map(lambda leaf, i=i: leaf[i], state) for state, i in chosen))
    spans = ((tile.rows, tile.shape[0]), (tile.columns, tile.shape[1]))
    return _tile(measure, a, b, *(np.pad(i, (0, most - len(i)), "edge") for i, most in spans))


def side_of(measure: PairMeasure, a: State, b: State, budget: int) -> int:
    """Members on a side of a tile of these two groups' states."""
    return max(1, int((budget / max(1, measure.cost(a, b))) ** 0.5))


def _tiles(measure: PairMeasure, sizes: Sequence[int], sides: Sequence[int]) -> Iterator[_Tile]:
    """All tiles of pairs; only those on and above the diagonal where that is enough."""
    for g, size_a in enumerate(sizes):
        for h, size_b in enumerate(sizes):
            if measure.symmetric and h < g:
                continue
            most = sides[g * len(sizes) + h]
            down, across = (-(-size // -(-size // most)) for size in (size_a, size_b))  # as equal as can be
            for i in range(0, size_a, down):
                for j in range(i if measure.symmetric and g == h else 0, size_b, across):
                    rows, columns = np.arange(i, min(i + down, size_a)), np.arange(j, min(j + across, size_b))
                    yield _Tile(g, h, rows, columns, (down, across))
