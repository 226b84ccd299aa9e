"""All pairs of members: one walk over blocks of stimuli, one matrix product per block.

A measure that is an inner product of one map per member needs every pair's sum over the map's entries. The walk makes
a block of all members' maps, `(member, entry)`, multiplies it with its own transpose and drops it: what is held is
one block and the `(member, member)` sums. Maps are symmetric, so only blocks on and above the diagonal are made.
"""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Values", "block_size", "inner_products", "similarities"]

ROWS = 128  # rows of a block: enough for the matrix products' speed, few enough to skip most of the lower half
BUDGET = 256 * 2**20


class Values(NamedTuple):
    """One measure over all pairs of members.

    Attributes:
      value: `(member, member)`, in the order of the groups.
      chance: the level of unrelated members, one number or `(member, member)`.
      chance_sd: its standard deviation over permutations of the stimuli, None where it is not known in closed form.
    """

    value: np.ndarray
    chance: float | np.ndarray
    chance_sd: float | None


def block_size(members: int, stimuli: int, times: int, itemsize: int = 4, budget: int = BUDGET) -> int:
    """Stimuli per block, at least one: the map's block of all members, and one copy, stay within `budget` bytes."""
    rows = min(ROWS, int((budget / (2 * members * itemsize)) ** 0.5))
    blocks = -(-stimuli // max(1, rows // times))
    return -(-stimuli // blocks)


@partial(jax.jit, static_argnames=("measures", "block"))
def _add_block(measures: tuple[Any, ...], block: int, sums: Any, states: Any, stimuli: Any, p: Any, q: Any) -> Any:
    """Adds block (p, q) of every measure to its sums; the last block is filled up with stimuli of weight 0."""
    i, j = p * block + jnp.arange(block), q * block + jnp.arange(block)
    weight = (i < stimuli)[:, None] & (j < stimuli)[None]
    i, j = jnp.minimum(i, stimuli - 1), jnp.minimum(j, stimuli - 1)
    added = []
    for measure, of_groups, (inner, total) in zip(measures, states, sums):
        scale = jnp.where(weight, jnp.where(p < q, 2.0, 1.0), 0.0).astype(inner.dtype) ** 0.5
        times = total.shape[1]
        maps = jnp.concatenate([measure.left(state, i, j) for state in of_groups])
        maps = maps * jnp.repeat(jnp.repeat(scale, times, 0), times, 1).reshape(1, -1)
        inner = inner + jnp.einsum("ae,be->ab", maps, maps, precision=jax.lax.Precision.HIGHEST)
        if measure.totals:
            both = maps.reshape(-1, block, times, block, times).sum((1, 3))
            both = (both + both.swapaxes(1, 2)) / 2  # the block and its mirror image
            total = total + jnp.where(p < q, 2.0, 1.0).astype(total.dtype) ** 0.5 * both
        added.append((inner, total))
    return tuple(added)


def inner_products(
    measures: Sequence[Any], groups: Sequence[Any], *, dtype: str = "float32", budget: int = BUDGET
) -> tuple[list[np.ndarray], list[list[dict[str, Any]]]]:
    """Frobenius inner products of all members' maps, all measures in one walk.

    Args:
      measures: Inner measures (see `analysis.measures`).
      groups: arrays `(member, stimulus, time, unit)` of equal stimulus counts; times and units may differ between
        groups, times only where every measure leaves one row per stimulus.
      dtype: "float32" or "float64" (on CPU).
      budget: bytes that a block of maps may take. It is exceeded only by the block of one stimulus with one other.

    Returns:
      One `(member, member)` array per measure, members in the order of the groups, and one list of the groups'
      states per measure. The engine adds to each the members' inner products with themselves, `self`, and, for a
      measure with `totals`, the sums of their maps over pairs of stimuli, `total` `(member, time, time)`.
    """
    measures = tuple(measures)
    with jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext():
        arrays = [np.asarray(group, dtype) for group in groups]
        states = [[measure.prepare(x) for x in arrays] for measure in measures]
        stimuli, members = arrays[0].shape[1], sum(map(len, arrays))
        times = [1 if measure.time != "samples" else arrays[0].shape[2] for measure in measures]
        block = block_size(members, stimuli, max(times), np.dtype(dtype).itemsize, budget)
        blocks = -(-stimuli // block)
        sums = tuple((jnp.zeros((members, members), dtype), jnp.zeros((members, t, t), dtype)) for t in times)
        for p in range(blocks):
            for q in range(p, blocks):
                sums = _add_block(measures, block, sums, states, stimuli, p, q)
        inner, totals = ([np.asarray(part) for part in parts] for parts in zip(*sums))
    edges = np.cumsum([len(x) for x in arrays])[:-1]
    for measure, products, total, of_groups in zip(measures, inner, totals, states):
        for state, own, part in zip(of_groups, np.split(products.diagonal(), edges), np.split(total, edges)):
            state |= dict(self=own) | (dict(total=part) if measure.totals else {})
    return inner, states


def similarities(
    measures: Sequence[Any], groups: Sequence[Any], *, dtype: str = "float32", budget: int = BUDGET
) -> list[Values]:
    """Every measure over all pairs of members; arguments as for `inner_products`."""
    inner, states = inner_products(measures, groups, dtype=dtype, budget=budget)
    sizes = [len(group) for group in groups]
    edges = np.cumsum(sizes)[:-1]
    stimuli, times = groups[0].shape[1:3]
    results = []
    for measure, products, of_groups in zip(measures, inner, states):
        tiles = [np.split(strip, edges, axis=1) for strip in np.split(products, edges)]
        value, chance = [], []
        for a, strip in zip(of_groups, tiles):
            value.append([measure.finish(tile, a, b) for tile, b in zip(strip, of_groups)])
            chance.append([measure.chance(a, b) for b in of_groups])
        flat = not any(np.ndim(level) for strip in chance for level in strip)
        results.append(
            Values(
                np.block(value).astype(dtype),
                float(chance[0][0]) if flat else np.block(chance).astype(dtype),
                measure.chance_sd(stimuli, 1 if measure.time != "samples" else times),
            )
        )
    return results
