"""Pair measures: all pairs of members in tiles, each computed at once, and kept as it is finished."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from analysis.arithmetic import BUDGET
from analysis.engine.inner_products import local_devices
from analysis.engine.journal import NO_JOURNAL, Journal, fingerprint, result_key
from analysis.engine.progress import SILENT, Progress
from analysis.measures import PairMeasure
from analysis.measures._family import State

__all__ = ["PairStates", "padded", "pair_values"]

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


class PairStates(NamedTuple):
    """What a Pair measure made of the members of a request.

    Attributes:
      states: one per group.
      places: for each group, where its members stand in the result.
    """

    states: Sequence[State]
    places: Sequence[np.ndarray]


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
    a: PairStates,
    b: PairStates | None = None,
    *,
    mirrored: bool = False,
    dtype: str = "float32",
    budget: int = BUDGET,
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
    devices: Sequence[Any] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A Pair measure's values of all pairs, and its extras, each `(a, b)`.

    Args:
      measure: see `analysis.measures`.
      a: the members that are compared.
      b: those that they are compared with; the same ones where none are given.
      mirrored: of a symmetric measure, fill in the value of each pair at [b, a] too, from one of its two tiles; `b`
        has the members of `a` then, in the same groups. So it is where no `b` is given.
      dtype: of the result.
      budget: bytes that a tile may need.
      journal: where finished tiles are kept for a run that is killed.
      progress: told how many tiles are done.
      devices: which take tiles in turn; all local ones by default.
    """
    devices = list(devices or local_devices())
    mirrored, other = measure.symmetric and (mirrored or b is None), b or a
    sides = [side_of(measure, of_a, of_b, budget) for of_a in a.states for of_b in other.states]
    tiles = list(_tiles(mirrored, list(map(len, a.places)), list(map(len, other.places)), sides))
    leaves = jax.tree.leaves([list(a.states), [] if b is None else list(b.states)])
    words = [fingerprint(measure), sides, dtype, mirrored, *map(list, [*a.places, *other.places])]
    key = result_key(words, map(np.asarray, leaves)) if journal.folder else ""
    before = journal.read(key)
    done = int(before.pop("done", 0))
    names = [f"values{k}" for k in range(1 + len(measure.extras))]
    shape = tuple(sum(map(len, each.places)) for each in (a, other))
    kept = [before.get(name, np.full(shape, np.nan, dtype)) for name in names]
    on_a = _on_devices(measure, a.states, devices)
    on_b = on_a if b is None else _on_devices(measure, b.states, devices)
    pending: list[tuple[Any, Any, Any]] = []

    def collect(most: int) -> None:
        while len(pending) > most:
            rows, columns, values_of_tile = pending.pop(0)
            for values, part in zip(kept, values_of_tile if measure.extras else (values_of_tile,)):
                part = np.asarray(part)[: len(rows), : len(columns)]
                values[np.ix_(rows, columns)] = part
                if mirrored:
                    values[np.ix_(columns, rows)] = part.T

    for step, tile in enumerate(progress.over(tiles[done:], measure.name, len(tiles), done)):
        lane = step % len(on_a)
        values_of_tile = _values_of(measure, on_a[lane][tile.group_a], on_b[lane][tile.group_b], tile)
        pending.append((a.places[tile.group_a][tile.rows], other.places[tile.group_b][tile.columns], values_of_tile))
        collect(len(on_a))
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


def _values_of(measure: PairMeasure, a: State, b: State, tile: _Tile) -> Any:
    """The values of a tile, of one size for all tiles of two groups: another would be a program of its own."""
    if measure.host:
        chosen = ((a, tile.rows), (b, tile.columns))
        return measure.tile(*(jax.tree.map(lambda leaf, i=i: leaf[i], state) for state, i in chosen))
    spans = ((tile.rows, tile.shape[0]), (tile.columns, tile.shape[1]))
    return _tile(measure, a, b, *(np.pad(i, (0, most - len(i)), "edge") for i, most in spans))


def side_of(measure: PairMeasure, a: State, b: State, budget: int) -> int:
    """Members on a side of a tile of these two groups' states."""
    return max(1, int((budget / max(1, measure.cost(a, b))) ** 0.5))


def _tiles(mirrored: bool, sizes_a: Sequence[int], sizes_b: Sequence[int], sides: Sequence[int]) -> Iterator[_Tile]:
    """All tiles of pairs; only those on and above the diagonal where that is enough."""
    for g, size_a in enumerate(sizes_a):
        for h, size_b in enumerate(sizes_b):
            if mirrored and h < g:
                continue
            most = sides[g * len(sizes_b) + h]
            down, across = (-(-size // -(-size // most)) for size in (size_a, size_b))  # as equal as can be
            for i in range(0, size_a, down):
                for j in range(i if mirrored and g == h else 0, size_b, across):
                    rows, columns = np.arange(i, min(i + down, size_a)), np.arange(j, min(j + across, size_b))
                    yield _Tile(g, h, rows, columns, (down, across))
