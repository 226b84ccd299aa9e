"""Ranks of RDM entries without holding them: a table of quantiles per member turns a block of values into ranks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from analysis.measures._family import State

KNOTS = 4096
"""Knots of a quantile table: interpolated ranks move a Spearman correlation by less than 1e-6."""


def rank_table(values: np.ndarray, knots: int, slack: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of `values` `(entry,)` and the average rank of each, scaled to -1/2 .. 1/2.

    Knots no further from each other than `slack` are one value: ties stay ties when a block's rounding differs.
    """
    ordered = np.sort(values)
    at = ordered[_spread(len(ordered), knots)]
    first = np.flatnonzero(np.diff(at, prepend=-np.inf) > slack)
    last = np.append(first[1:], len(at)) - 1
    around = np.where(last > first, slack, 0)
    ranks = np.searchsorted(ordered, at[first] - around, "left") + np.searchsorted(ordered, at[last] + around, "right")
    levels = (ranks / (2 * len(ordered)) - 0.5).astype(values.dtype)
    return (at[first] + at[last]) / 2, levels


@functools.cache
def _spread(entries: int, knots: int) -> np.ndarray:
    return np.unique(np.linspace(0, entries - 1, knots).round().astype(int))


def exact_ranks(values: np.ndarray, slack: float) -> np.ndarray:
    """The average rank of every one of `values` `(entry,)`, scaled to -1/2 .. 1/2; see `rank_table`."""
    order = np.argsort(values)
    first = np.flatnonzero(np.diff(values[order], prepend=-np.inf) > slack)
    end = np.append(first[1:], len(values))
    ranks = np.empty_like(values)
    ranks[order] = np.repeat((first + end) / (2 * len(values)) - 0.5, end - first)
    return ranks


def indexed(knots: np.ndarray, levels: np.ndarray, dtype: Any) -> State:
    """A member's table as arrays `(knot,)`, and where to look: a search over all knots takes 7 times as long.

    `start` `(cell,)` is the last knot below each of equal cells of the values' range, `most` the number of knots in the
    fullest cell: 1 or 2, or more where a few entries lie far out.
    """
    cells = 8 * KNOTS
    knots = knots.astype(dtype).astype(np.float64)  # slopes between knots as they are looked up: none overshoots
    gap, rise = np.diff(knots, append=knots[-1]), np.diff(levels, append=levels[-1])
    scale = (cells - 1) / ((knots[-1] - knots[0]) or 1)
    filled = np.bincount(((knots - knots[0]) * scale).astype(int), minlength=cells)
    start = np.maximum(np.cumsum(filled) - filled - 1, 0).astype(np.int16)
    slopes = np.where(gap > 0, rise / np.where(gap > 0, gap, 1), 0)
    parts = dict(knots=knots, levels=levels, slopes=slopes)
    table = {name: np.pad(part, (0, KNOTS - len(part)), "edge").astype(dtype) for name, part in parts.items()}
    return table | dict(scale=np.array(scale, dtype), start=start, most=np.array(filled.max(), np.int32))


def look_up(table: State, values: jax.Array) -> jax.Array:
    """Piecewise linear interpolation of `values` `(member, entry)` in every member's table; see `indexed`."""

    def take(name: str, index: jax.Array) -> jax.Array:  # one flat gather is faster than one along an axis
        leaf = table[name]
        offset = jnp.arange(len(leaf), dtype=jnp.int32)[:, None] * leaf.shape[1]
        return leaf.reshape(-1).at[index + offset].get(mode="promise_in_bounds")

    width = table["knots"].shape[1]
    cell = ((values - table["knots"][:, :1]) * table["scale"][:, None]).astype(jnp.int32)
    low = take("start", jnp.clip(cell, 0, table["start"].shape[1] - 1)).astype(jnp.int32)
    bits = 32 - jax.lax.clz(table["most"].max())

    def halve(i: jax.Array, low: jax.Array) -> jax.Array:
        ahead = jnp.minimum(low + (1 << (bits - 1 - i)), width - 1)
        return jnp.where(take("knots", ahead) <= values, ahead, low)

    low = jax.lax.fori_loop(0, bits, halve, low)
    return take("levels", low) + take("slopes", low) * jnp.maximum(values - take("knots", low), 0)
