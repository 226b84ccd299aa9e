"""Permutations within strata: how many there are, all of them or some at random, and Holm's adjustment."""

import math
from collections.abc import Iterator
from itertools import permutations as orderings
from itertools import product

import numpy as np

__all__ = ["arrangements", "holm", "relabellings"]

NUMBERS_AT_ONCE = 2**19
"""Numbers held at a time."""


def arrangements(codes: np.ndarray, strata: np.ndarray) -> tuple[int, int]:
    """How many labellings the strata allow, and how many partitions those are.

    Labels that occur equally often in every stratum can be renamed into each other everywhere at once, which moves
    all cases and changes no partition: with one such pair, no p below 2 / labellings can occur.

    Args:
      codes: `(case,)`, labels as 0, 1, ...
      strata: `(case,)`, the strata that labels stay in, as 0, 1, ...
    """
    counts = np.zeros((strata.max() + 1, codes.max() + 1), int)
    np.add.at(counts, (strata, codes), 1)
    labellings = 1
    for row in counts:
        labellings *= math.factorial(int(row.sum())) // math.prod(math.factorial(int(k)) for k in row)
    alike = np.unique(counts, axis=1, return_counts=True)[1]
    return labellings, labellings // math.prod(math.factorial(int(k)) for k in alike)


def relabellings(
    codes: np.ndarray, strata: np.ndarray, draws: int, exact: bool, seed: int, *, width: int = 1
) -> Iterator[np.ndarray]:
    """Labels permuted within strata, `(draw, case)` at a time: all of them once, or `draws` at random.

    Args:
      codes: `(case,)`, labels as 0, 1, ...
      strata: `(case,)`, the strata that labels stay in, as 0, 1, ...
      draws: how many at random.
      exact: all labellings, each once.
      seed: of the draws.
      width: numbers that the caller holds per draw and case.
    """
    batch = max(1, NUMBERS_AT_ONCE // (len(codes) * max(width, 1)))
    base = np.argsort(strata, kind="stable")
    if exact:
        each = [sorted(_orders(codes[strata == stratum])) for stratum in range(strata.max() + 1)]
        labellings = np.empty((math.prod(map(len, each)), len(codes)), int)
        for row, parts in enumerate(product(*each)):
            labellings[row, base] = np.concatenate(parts)
        yield from (labellings[start : start + batch] for start in range(0, len(labellings), batch))
        return
    draw = np.random.default_rng(seed)
    for start in range(0, draws, batch):
        size = min(batch, draws - start)
        order = np.argsort(strata + draw.random((size, len(codes))), axis=1)
        labellings = np.empty(order.shape, int)
        labellings[:, base] = codes[order]
        yield labellings


def _orders(labels: np.ndarray) -> set[tuple[int, ...]]:
    """The distinct orders of a few labels, repeats allowed."""
    if len(labels) <= 6:
        return set(orderings(labels.tolist()))
    orders: set[tuple[int, ...]] = set()
    for label in np.unique(labels):
        rest = np.delete(labels, np.flatnonzero(labels == label)[0])
        orders |= {(int(label), *order) for order in _orders(rest)}
    return orders


def holm(p: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment over the tests that could be made; the others keep 1."""
    adjusted = np.ones(len(p))
    order = np.flatnonzero(tested)[np.argsort(p[tested], kind="stable")]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted
