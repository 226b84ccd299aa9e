"""Inner measures over all pairs of members: one walk over blocks of stimuli, one matrix product per block and measure.

A measure that is an inner product of one map per member needs every pair's sum over the map's entries. The walk makes
a block of all members' maps, `(member, entry)`, multiplies it with its own transpose and drops it: what is held is
one block and the `(member, member)` sums. Maps are symmetric, so only blocks on and above the diagonal are made.
Several devices take blocks in turn, each with sums of its own.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import BUDGET, HIGHEST, in_precision
from analysis.engine.journal import NO_JOURNAL, Journal, fingerprint, result_key
from analysis.engine.progress import SILENT, Progress
from analysis.measures import InnerMeasure
from analysis.measures._family import Span, State, index

__all__ = ["all_inner_products", "block_size", "gram_products", "local_devices"]

BLOCK_ROWS = 128  # rows of a block: enough for the matrix products' speed, few enough to skip most of the lower half
MULTIPLE = 16


def block_size(members: int, stimuli: int, times: int, itemsize: int = 4, budget: int = BUDGET) -> int:
    """Stimuli per block, at least one: the map's block of all members, and one copy, stay within `budget` bytes."""
    rows = min(BLOCK_ROWS, int((budget / (2 * members * itemsize)) ** 0.5))
    most = max(1, rows // times)
    even = -(-stimuli // -(-stimuli // most))
    whole = -(-even // MULTIPLE) * MULTIPLE  # the last block may overlap: that costs less than a product of odd size
    return min(whole, stimuli) if whole <= most else even


class Walk(NamedTuple):
    """What is fixed while blocks are added; the static argument of the compiled program.

    Attributes:
      measures: in the order of the request.
      block: stimuli of a block.
      times: rows per stimulus of each measure's map.
      tree: where each leaf of a state, group by group and measure by measure, is found among the distinct arrays.
      stimuli: how many there are.
      single: members one by one (a CPU's caches hold one member's block) instead of all at once.
    """

    measures: tuple[InnerMeasure, ...]
    block: int
    times: tuple[int, ...]
    tree: Any
    stimuli: int
    single: bool


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _add_block(walk: Walk, sums: Any, arrays: list[jax.Array], p: Any, q: Any) -> Any:
    """Adds block (p, q) of every measure to its sums; the last block starts with stimuli of the one before, at 0."""
    spans = [Span(jnp.minimum(k * walk.block, walk.stimuli - walk.block), walk.block) for k in (p, q)]
    counted = (index(spans[0]) >= p * walk.block)[:, None] & (index(spans[1]) >= q * walk.block)[None]
    weight = jnp.where(counted, jnp.where(p < q, 2.0, 1.0), 0.0).astype(arrays[0].dtype)
    weights = [jnp.repeat(jnp.repeat(weight, times, 0), times, 1).reshape(1, -1) for times in walk.times]

    def of_members(states: Any) -> list[Any]:
        maps: list[Any] = []
        for measure, weight, state in zip(walk.measures, weights, states):
            if state is None:
                maps.append(None)
            elif measure.symmetric:
                maps.append(measure.left(state, *spans) * weight**0.5)
            else:
                maps.append((measure.left(state, *spans) * weight, measure.right(state, *spans)))
        return maps

    def of_group(states: Any) -> list[Any]:
        if not walk.single or all(state is None for state in states):
            return of_members(states)
        by_member = jax.lax.map(lambda member: of_members(jax.tree.map(lambda leaf: leaf[None], member)), states)
        return jax.tree.map(lambda maps: maps.reshape(-1, maps.shape[-1]), by_member)

    groups = [of_group(states) for states in _restored(walk.tree, arrays)]
    added = []
    for k, (measure, times, (inner, total)) in enumerate(zip(walk.measures, walk.times, sums)):
        maps = [of_measures[k] for of_measures in groups if of_measures[k] is not None]
        if measure.symmetric:
            left = right = jnp.concatenate(maps)
        else:
            left, right = (jnp.concatenate(side) for side in zip(*maps))
        inner = inner + jnp.einsum("ae,be->ab", left, right, precision=HIGHEST)
        if measure.totals:
            both = left.reshape(-1, walk.block, times, walk.block, times).sum((1, 3))
            both = (both + both.swapaxes(1, 2)) / 2  # the block and its mirror image
            total = total + jnp.where(p < q, 2.0, 1.0).astype(total.dtype) ** 0.5 * both
        added.append((inner, total))
    return tuple(added)


class _Tree(NamedTuple):
    """The structure of states whose equal leaves are one array; hashable."""

    structure: Any
    index: tuple[int, ...]


def _restored(tree: _Tree, arrays: Sequence[Any]) -> Any:
    return jax.tree.unflatten(tree.structure, [arrays[i] for i in tree.index])


def distinct(states: Any) -> tuple[_Tree, list[Any]]:
    """States as their distinct arrays: what several measures share, such as centred patterns, is held once.

    A Gram block of one array is then also made once: the compiler sees that it is the same product.
    """
    leaves, structure = jax.tree.flatten(states)
    arrays: list[Any] = []
    index = []
    for leaf in leaves:
        for i, other in enumerate(arrays):
            if leaf is other or _equal(leaf, other):
                index.append(i)
                break
        else:
            index.append(len(arrays))
            arrays.append(leaf)
    return _Tree(structure, tuple(index)), arrays


def _equal(a: Any, b: Any) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype or not a.size:
        return False
    a, b = np.asarray(a).reshape(-1), np.asarray(b).reshape(-1)
    sparse = slice(None, None, max(1, a.size // 512))
    return bool(np.array_equal(a[sparse], b[sparse]) and np.array_equal(a, b))


def all_inner_products(
    measures: Sequence[InnerMeasure],
    states: Sequence[Sequence[State | None]],
    stimuli: int,
    times: Sequence[int],
    *,
    budget: int = BUDGET,
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
    devices: Sequence[Any] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frobenius inner products of all members' maps, all measures in one walk.

    Args:
      measures: Inner measures (see `analysis.measures`).
      states: what each measure's `prepare` made of each group, `[group][measure]`; None where it takes no part.
      stimuli: how many there are.
      times: rows per stimulus in each measure's map.
      budget: bytes that a block of one measure's maps may take. It is exceeded only by one stimulus with one other.
      journal: where sums are kept for a run that is killed.
      progress: told how many blocks are done.
      devices: which take blocks in turn; `local_devices` by default.

    Returns:
      Per measure `(left maps, right maps)`, members in the order of the groups, and `(member, time, time)`: the sums of
      its map over pairs of stimuli for a measure with `totals`, zeros for others.
    """
    devices = list(devices or local_devices())
    tree, arrays = distinct(list(map(list, states)))
    dtype = next(array.dtype for array in arrays if np.issubdtype(array.dtype, np.floating))
    shapes = [_maps(measure, [of_group[k] for of_group in states]) for k, measure in enumerate(measures)]
    block = block_size(max(map(max, shapes)), stimuli, max(times), dtype.itemsize, budget)
    walk = Walk(tuple(measures), block, tuple(times), tree, stimuli, devices[0].platform == "cpu")
    count = -(-stimuli // block)
    todo = [(p, q) for p in range(count) for q in range(p, count)]
    words = [*map(fingerprint, measures), walk.block, times, stimuli, tree, len(devices), devices[0].platform]
    key = result_key(words, map(np.asarray, arrays)) if journal.folder else ""
    before = journal.read(key)
    done = int(before.pop("done", 0))
    # The sums of each device: put together only in the end, a resumed run has the same bits.
    by_device = [_begun(walk, shapes, dtype, before, lane, device) for lane, device in enumerate(devices)]
    held = {device: jax.device_put(arrays, device) for device in devices}

    def advance(lane: int, block: tuple[int, int]) -> Any:
        with in_precision(dtype.name):  # which belongs to a thread
            return jax.block_until_ready(_add_block(walk, by_device[lane], held[devices[lane]], *block))

    with ThreadPoolExecutor(len(devices)) as pool:
        what = ", ".join(measure.name for measure in measures)
        begins, laps = (
            range(done, len(todo), len(devices)),
            (-(-blocks // len(devices)) for blocks in (len(todo), done)),
        )
        for begin in progress.over(begins, what, *laps):
            at_once = todo[begin : begin + len(devices)]
            by_device[: len(at_once)] = pool.map(advance, range(len(at_once)), at_once)
            if journal.due:
                journal.write(key, done=begin + len(at_once), **_named(by_device))
    if done < len(todo):
        journal.write(key, done=len(todo), **_named(by_device))
    parts = [jax.tree.map(np.asarray, sums) for sums in by_device]
    inner, totals = ([sum(lane[k][part] for lane in parts) for k in range(len(measures))] for part in (0, 1))
    return list(map(np.asarray, inner)), list(map(np.asarray, totals))


def _begun(
    walk: Walk, shapes: Sequence[tuple[int, int]], dtype: Any, before: dict[str, np.ndarray], lane: int, device: Any
) -> Any:
    """The sums of a device that a killed run left; else zeros, `(left maps, right maps)` and those of totals."""
    sums = []
    for k, (measure, (a, b), times) in enumerate(zip(walk.measures, shapes, walk.times)):
        total = (b, times, times) if measure.totals else (1, 1, 1)
        zeros = np.zeros((a, b), dtype), np.zeros(total, dtype)
        sums.append(tuple(before.get(f"{k} {part} {lane}", of) for part, of in enumerate(zeros)))
    return jax.device_put(tuple(sums), device)


def _named(by_device: Sequence[Any]) -> dict[str, np.ndarray]:
    """The sums of every device, by measure, part and device."""
    return {
        f"{k} {part} {lane}": np.asarray(leaf)
        for lane, sums in enumerate(by_device)
        for k, pair in enumerate(sums)
        for part, leaf in enumerate(pair)
    }


def local_devices() -> list[Any]:
    """All accelerators; or one CPU device, whose products use all cores, twice where there are two.

    What is not a product uses one core: while one block is multiplied, the next one's maps are made.
    """
    devices = jax.local_devices()
    return devices[:1] * min(2, os.cpu_count() or 1) if devices[0].platform == "cpu" else devices


def _maps(measure: InnerMeasure, states: Sequence[State | None]) -> tuple[int, int]:
    """How many left and right maps there are in all."""
    stimulus = np.zeros(1, np.int32)
    sizes = []
    for state in states:
        if state is not None:
            sides = (measure.left, measure.left if measure.symmetric else measure.right)
            sizes.append([jax.eval_shape(side, state, stimulus, stimulus).shape[0] for side in sides])
    left, right = (sum(side) for side in zip(*sizes))
    return left, right


def gram_products(
    factors_a: Any, factors_b: Any, budget: int = BUDGET, devices: Sequence[Any] | None = None
) -> np.ndarray:
    """`|F_a' F_b|^2` of all pairs of two groups' factors `(member, row, unit)`: `(a, b)`.

    Two products of rows by units for every pair, instead of one of rows by rows: less where there are more rows than
    units squared.
    """
    device = next(iter(devices or local_devices()))
    a, b = (jax.device_put(factors, device) for factors in (factors_a, factors_b))
    most = max(1, int((budget / (2 * a.dtype.itemsize * a.shape[2] * b.shape[2])) ** 0.5))
    rows = [np.minimum(np.arange(s, s + min(most, len(a))), len(a) - 1) for s in range(0, len(a), most)]
    columns = [np.minimum(np.arange(s, s + min(most, len(b))), len(b) - 1) for s in range(0, len(b), most)]
    strips = [np.concatenate([np.asarray(_cross(a, b, r, c)) for c in columns], 1)[:, : len(b)] for r in rows]
    return np.concatenate(strips)[: len(a)]


@jax.jit
def _cross(a: jax.Array, b: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    a, b = a[rows], b[columns]
    members, _, units = a.shape
    products = jnp.einsum("aru,brv->aubv", a, b, precision=HIGHEST)
    return jnp.square(products).reshape(members, units, len(b), -1).sum((1, 3))
