"""What unrelated representations would give, by shuffling: values over some orders of the stimuli of one side."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from analysis import PERMUTATIONS
from analysis.activations.inputs import kind_of
from analysis.activations.types import array_of
from analysis.arithmetic import BUDGET, HIGHEST, in_precision
from analysis.engine.all_pairs import pair_states
from analysis.engine.inner_products import block_size
from analysis.engine.journal import NO_JOURNAL, Journal, fingerprint
from analysis.engine.pair_tiles import pair_values
from analysis.engine.preparation import Prepared, members_of, stimuli_in_order
from analysis.engine.progress import SILENT, Progress
from analysis.engine.repetitions import Repetitions, summed
from analysis.inference.nulls import Moments, whole_map
from analysis.measures import InnerMeasure
from analysis.measures._family import State

__all__ = ["PermutationTest", "permutation_test", "shuffles"]

HELD_LEFT = 4
"""Budgets that the maps of the unshuffled side may take, to be made once for all draws."""

Shuffled = Callable[[np.ndarray], np.ndarray]
"""From an order of the stimuli of the second representations to the values, `(a, b)`."""


class PermutationTest(NamedTuple):
    """Values and their Monte Carlo null.

    Attributes:
      value: `(a, b)`.
      moments: of the drawn values.
      p: `(a, b)`, the share of draws at or above the value (a distance: at or below), the value itself counted.
      draws: how many; p is at least 1 / (draws + 1).
    """

    value: Float[np.ndarray, "a b"]
    moments: Moments
    p: Float[np.ndarray, "a b"]
    draws: int


def permutation_test(
    prepared: Prepared,
    others: Prepared | None = None,
    *,
    draws: int = PERMUTATIONS,
    seed: int = 0,
    budget: int = BUDGET,
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
) -> PermutationTest:
    """Shuffles whole stimuli of one of each two representations; one permutation per draw serves all pairs.

    Args:
      prepared, others, draws, seed, budget: see `shuffles`.
      journal, progress: see `analysis.engine.repetitions.summed`.
    """
    value, repetitions = shuffles(prepared, others, draws=draws, seed=seed, budget=budget)
    sums, reached = summed(repetitions, journal, progress)
    first, second, third = sums / draws
    variance = second - first**2
    sd = np.sqrt(np.where(variance > _slack(prepared.dtype) ** 2, variance, np.nan))
    skew = (third - 3 * first * second + 2 * first**3) / sd**3
    p = np.where(np.isnan(value), np.nan, reached / (draws + 1))
    return PermutationTest(value, Moments(value + first, sd, skew), p, draws)


def shuffles(
    prepared: Prepared,
    others: Prepared | None = None,
    *,
    draws: int = PERMUTATIONS,
    seed: int = 0,
    budget: int = BUDGET,
) -> tuple[np.ndarray, Repetitions]:
    """The values `(a, b)` and, for their null, those of `draws` orders of the stimuli of one side.

    Args:
      prepared: any measure and its states, of the members that take part; a Pair measure is computed anew for each
        draw, from new states of the shuffled side.
      others: the representations, under the same measure, that `prepared` is compared with and that are shuffled; the
        same ones where none are given, and a symmetric measure then has a symmetric p.
      draws: of permutations.
      seed: of the draws.
      budget: as in `analysis.engine.all_pairs.similarities`.
    """
    if draws < 1:
        raise ValueError(f"A permutation test of {draws} draws has no result; take at least 1.")
    measure, dtype = prepared.measure, prepared.dtype
    mirrored = others is None and measure.symmetric
    with in_precision(dtype):
        of_order = (_shuffled_inner if measure.form == "inner" else _shuffled_pairs)(prepared, others, budget)
        value = np.asarray(of_order(np.arange(prepared.stimuli)), np.float64)
    sign, slack = -1 if measure.kind == "distance" else 1, _slack(dtype)

    def once(k: int) -> np.ndarray:
        with in_precision(dtype):
            moved = np.asarray(of_order(np.random.default_rng([seed, k]).permutation(prepared.stimuli)), np.float64)
        return np.triu(moved) + np.triu(moved, 1).T if mirrored else moved

    def add(sums: tuple[np.ndarray, ...], moved: np.ndarray) -> tuple[np.ndarray, ...]:
        more = [(moved - value) ** power for power in (1, 2, 3)]
        return sums[0] + more, sums[1] + (sign * (moved - value) >= -slack)

    begin = np.zeros((3, *value.shape)), np.ones(value.shape, int)
    what = f"{measure.name}, z and p over orders of the stimuli"
    groups = [*prepared.taken_groups, *(others.taken_groups if others else [])]
    words = [fingerprint(measure), dtype, seed, others is None, *map(kind_of, groups)]
    return value, Repetitions(what, draws, once, begin, add, words, list(map(array_of, groups)))


def _slack(dtype: str) -> float:
    """By how much a draw that only renames stimuli may differ from the value, by rounding."""
    return 64 * float(np.finfo(dtype).eps)


def _summed(measure: InnerMeasure, state: State, n: int) -> State:
    """A state of n stimuli with what the engine adds to it: `self` and, where the measure has `totals`, `total`."""
    if not measure.symmetric:
        return state
    squares, total = [], []
    for member in range(members_of(state)):
        full = np.asarray(whole_map(measure, "left", state, member, n), np.float64)
        rows = math.isqrt(full.size) // n
        squares.append(np.vdot(full, full))
        total.append(full.reshape(n, rows, n, rows).sum((0, 2)))
    return state | dict(self=np.stack(squares)) | (dict(total=np.stack(total)) if measure.totals else {})


@partial(jax.jit, static_argnames=("measure", "block", "n"))
def _left_block(measure: InnerMeasure, block: int, n: int, a: Any, p: Any, q: Any) -> jax.Array:
    """Block (p, q) of the maps of `a`, `(maps, entry)`; what stands beyond the last stimulus is 0, and blocks above the
    diagonal count for those below."""
    i, j = p * block + jnp.arange(block), q * block + jnp.arange(block)
    weight = jnp.where((i < n)[:, None] & (j < n)[None], jnp.where(p < q, 2.0, 1.0), 0.0)
    i, j = jnp.minimum(i, n - 1), jnp.minimum(j, n - 1)
    left = jnp.concatenate([measure.left(state, i, j) for state in a])
    rows = math.isqrt(left.shape[1] // block**2)
    return left * jnp.repeat(jnp.repeat(weight, rows, 0), rows, 1).reshape(1, -1).astype(left.dtype)


@partial(jax.jit, static_argnames=("measure", "block"))
def _add_block(
    measure: InnerMeasure, block: int, inner: Any, left: Any, b: Any, order: Any, p: Any, q: Any
) -> jax.Array:
    """Adds a block of left maps by block (p, q) of the maps of `b` in another order of its stimuli."""
    n = len(order)
    i, j = (order[jnp.minimum(k * block + jnp.arange(block), n - 1)] for k in (p, q))
    right = jnp.concatenate([measure.right(state, i, j) for state in b])
    return inner + jnp.einsum("ae,be->ab", left, right, precision=HIGHEST)


def _shuffled_inner(prepared: Prepared, others: Prepared | None, budget: int) -> Shuffled:
    measure, n, dtype = prepared.inner, prepared.stimuli, prepared.dtype
    a = [_summed(measure, state, n) for state in prepared.taken_states]
    b = a if others is None else [_summed(measure, state, n) for state in others.taken_states]
    row = np.zeros(1, int)
    shapes = [jax.eval_shape(measure.left, state, row, row).shape for state in a]
    sizes = [[maps for maps, _ in shapes], list(map(members_of, b))]
    counts, edges = list(map(sum, sizes)), [np.cumsum(of)[:-1] for of in sizes]
    times = math.isqrt(max(entries for _, entries in shapes))
    itemsize = np.dtype(dtype).itemsize
    block = block_size(max(counts), n, times, itemsize, budget)
    blocks = -(-n // block)
    keeps = counts[0] * (n * times) ** 2 * itemsize <= HELD_LEFT * budget
    kept: dict[tuple[int, int], Any] = {}

    def left(p: int, q: int) -> Any:
        found = kept.get((p, q))
        if found is None:
            found = _left_block(measure, block, n, a, p, q)
            if keeps:
                kept[p, q] = found
        return found

    def finished(tile: np.ndarray, of_a: State, of_b: State) -> np.ndarray:
        values = measure.finish(tile, of_a, of_b)
        return values[0] if measure.extras else values

    def values(order: np.ndarray) -> np.ndarray:
        inner = jnp.zeros(counts, dtype)
        for p in range(blocks):
            for q in range(p, blocks):
                inner = _add_block(measure, block, inner, left(p, q), b, order, p, q)
        tiles = [np.split(strip, edges[1], axis=1) for strip in np.split(np.asarray(inner), edges[0])]
        return np.block([[finished(tile, of_a, of_b) for tile, of_b in zip(row, b)] for row, of_a in zip(tiles, a)])

    return values


def _shuffled_pairs(prepared: Prepared, others: Prepared | None, budget: int) -> Shuffled:
    measure, shuffled = prepared.pair, others or prepared
    kept = pair_states(prepared)

    def values(order: np.ndarray) -> np.ndarray:
        groups = [stimuli_in_order(group, order) for group in shuffled.taken_groups]
        moved = pair_states(dataclasses.replace(shuffled, groups=tuple(groups), takes=(True,) * len(groups)))
        return pair_values(measure, kept, moved, mirrored=others is None, dtype=prepared.dtype, budget=budget)[0]

    return values
