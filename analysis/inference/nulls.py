"""What unrelated representations would give: the moments of a measure over all orders of the stimuli.

The moments of an inner product of two maps, `T = sum_ij A[i, j] B[p(i), p(j)]` over orders p, are sums over the ways in
which its indices may coincide: small matrix products of a few numbers per member give those of all pairs.
"""

import math
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import permutations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.stats import pearson3

from analysis.arithmetic import in_precision
from analysis.engine.preparation import Prepared, members_of
from analysis.measures import InnerMeasure
from analysis.measures._family import State

__all__ = [
    "Dominated",
    "Invariants",
    "Moments",
    "dominated",
    "invariants",
    "permutation_moments",
    "permutation_null",
    "whole_map",
    "z_and_p",
]

MOST_SHARE = 0.1
"""Of the squares of a map, its means taken out: what one stimulus may take part in for three moments to tell p."""

MOST_TIMES_EVEN = 5
"""The same, where stimuli are few: times the share that each of them has where all are alike, 2 / n."""

FEWEST_ALIKE, ENOUGH_ALIKE = 8, 50
"""As many alike stimuli as a map has to rest on, and as many as are enough; between these, half of all."""

Graph = tuple[tuple[int, int], ...]
"""One edge per entry of the map that a product holds, from its row to its column; a diagonal entry is a loop."""


class Invariants(NamedTuple):
    """What the permutation moments need to know of each member's map.

    Attributes:
      stimuli: n, the maps' rows.
      means: `(member, 2)`, the mean of the map's diagonal and of its other entries.
      sums: `(member, graph)`, sums of products of two and of three entries of the map less these means, over distinct
        stimuli, in the order of `_graphs(2)`, `_graphs(3)`.
      squared: `(member,)`, the squared Frobenius norm of the map.
    """

    stimuli: int
    means: Float[np.ndarray, "member 2"]
    sums: Float[np.ndarray, "member graph"]
    squared: Float[np.ndarray, " member"]


class Moments(NamedTuple):
    """Of a value over all permutations of the stimuli of one of the two representations.

    Attributes:
      mean, sd, skew: `(a, b)` each; NaN where no permutation changes the value.
    """

    mean: Float[np.ndarray, "a b"]
    sd: Float[np.ndarray, "a b"]
    skew: Float[np.ndarray, "a b"]


class Dominated(NamedTuple):
    """A member whose map few stimuli make up: see `dominated`.

    Attributes:
      member: its place among all.
      stimulus: the number, from 0, of the one with the largest share.
      share: of the squared entries of the map, its means taken out, those in the stimulus' row or column.
      alike: how many alike stimuli the map rests on, `(sum s)^2 / sum s^2` of the shares s of all stimuli.
    """

    member: int
    stimulus: int
    share: float
    alike: float


_DOMINATED: weakref.WeakKeyDictionary[Prepared, list[Dominated]] = weakref.WeakKeyDictionary()


def dominated(prepared: Prepared) -> list[Dominated]:
    """The members whose map is mostly a few stimuli, such as some that are far from all others.

    Where these meet another map's far stimuli, one order in n or so, the value is out of reach of all other orders: a
    mixture of laws, of which three moments tell no tail. With one to six stimuli 20 to 100 standard deviations off,
    p <= .001 in .3 to 4 % of all orders under debiased CKA of 8 to 60 stimuli, and p <= .05 in 2 to 17 % under biased
    CKA and Pearson's RSA. Where none is found, p <= .05 was in 4.2 to 6.4 % of orders and p <= .001 in 0 to .25 % (10
    to 300 stimuli, even ones, up to six far ones, heavy tails). Two clusters, of 3 or 6 and of all others of up to 20
    stimuli, are not found, for such a map is even: 2 to 9 % and 0 to .5 %.

    Args:
      prepared: as in `permutation_null`; what is found is kept as long as it lives.
    """
    if prepared not in _DOMINATED:
        measure, n, found = prepared.inner, prepared.stimuli, []
        most, fewest = max(MOST_SHARE, MOST_TIMES_EVEN * 2 / n), max(FEWEST_ALIKE, min(n / 2, ENOUGH_ALIKE))
        with in_precision(prepared.dtype):
            for state, places in zip(prepared.taken_states, prepared.places):
                for side in ("left",) if measure.symmetric else ("left", "right"):
                    for member, full in zip(places.tolist(), _one_row_maps(measure, state, side, n)):
                        shares = _shares(np.asarray(full, np.float64))
                        alike = float(shares.sum() ** 2 / np.sum(shares**2)) if shares.any() else math.inf
                        if shares.max() > most or alike < fewest:
                            found.append(Dominated(member, int(shares.argmax()), float(shares.max()), alike))
        _DOMINATED[prepared] = found
    return _DOMINATED[prepared]


def _shares(full: np.ndarray) -> np.ndarray:
    """The share of the squares of a map, less its two means, that each stimulus takes part in; 0 of a constant map."""
    squares = np.square(_without_means(full)[0])
    total = squares.sum()
    scale = np.vdot(full, full)
    return (2 * squares.sum(0) - squares.diagonal()) / total if total > 1e-20 * scale else np.zeros(len(full))


def _without_means(full: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """A map less the mean of its diagonal, there, and of its other entries, elsewhere; and both."""
    n, diagonal = len(full), full.diagonal()
    means = float(diagonal.mean()), float((full.sum() - diagonal.sum()) / (n * (n - 1)))
    left = full - means[1]
    np.fill_diagonal(left, diagonal - means[0])
    return left, means


def invariants(maps: Iterable[np.ndarray]) -> Invariants:
    """Invariants of symmetric maps, `(stimulus, stimulus)` each, at least four stimuli; one map is held at a time.

    O(n^3) per map, by one matrix product. The maps need not be centred and may have a diagonal.
    """
    means, sums, squared, n = [], [], [], 0
    for full in maps:
        full = np.asarray(full, np.float64)
        n = len(full)
        if full.shape != (n, n) or n < 4:
            raise ValueError(f"A map of shape {full.shape} has no permutation moments; it must be n x n, n at least 4.")
        # A constant on the diagonal and one elsewhere only add a constant to T: without them T has mean 0, and its
        # moments are the central ones, with nothing large to cancel.
        hollow, mean = _without_means(full)
        weights = hollow.diagonal().copy()
        np.fill_diagonal(hollow, 0)
        walks = {part: _contract(part, hollow, weights) for part in _components()}
        means.append(mean)
        sums.append([_distinct_sum(graph, walks) for size in (2, 3) for graph in _graphs(size)])
        squared.append(np.vdot(full, full))
    return Invariants(n, np.array(means).reshape(-1, 2), np.array(sums), np.array(squared))


def permutation_moments(a: Invariants, b: Invariants) -> Moments:
    """Moments of `<A, P B P'>` over all permutation matrices P, for all members of `a` with all of `b`, `(a, b)` each.

    `E[T^k] = sum over set partitions of the 2k indices of S_A S_B / (n (n-1) ... (n-m+1))`, with S the sum over m
    distinct stimuli of the product of k entries whose indices coincide as the partition says. For k = 2 and centred
    maps these are the moments of the RV coefficient (Kazi-Aoual et al. 1995; Josse, Pages & Husson 2008).
    """
    n = a.stimuli
    if b.stimuli != n:
        raise ValueError(f"Maps of {n} and of {b.stimuli} stimuli cannot be permuted against each other.")
    mean = (a.means * [n, n * (n - 1)]) @ b.means.T
    weights = [
        count / math.perm(n, vertices) if (vertices := 1 + max(map(max, graph))) <= n else 0.0
        for size in (2, 3)
        for graph, count in _graphs(size).items()
    ]
    edge, pairs = len(_graphs(2)), a.sums * weights
    variance = pairs[:, :edge] @ b.sums[:, :edge].T
    third = pairs[:, edge:] @ b.sums[:, edge:].T
    rounding = 1e-24 * a.squared[:, None] * b.squared
    variance = np.where(variance > rounding, variance, np.nan)
    return Moments(mean, np.sqrt(variance), third / variance**1.5)


def permutation_null(prepared: Prepared) -> Moments:
    """Moments of an Inner measure for every pair of the members that it can be had of, `(member, member)`, float64.

    Args:
      prepared: a similarity or score that is linear in its inner product, with one map per member and one row per
        stimulus, and its states; for the others there is `permutation_test`.
    """
    measure, n = prepared.inner, prepared.stimuli
    if measure.form != "inner" or measure.kind == "distance" or measure.extras:
        raise ValueError(f"{measure.name} has no closed-form permutation moments; use a permutation test.")
    with in_precision(prepared.dtype):
        states, sides_of_states = [], []
        for state in prepared.taken_states:
            sides = ("left",) if measure.symmetric else ("left", "right")
            of_sides = [invariants(_one_row_maps(measure, state, side, n)) for side in sides]
            if measure.symmetric:  # what the engine adds
                sums = of_sides[0].means @ [n, n * (n - 1)]
                state = state | dict(self=of_sides[0].squared)
                state = state | (dict(total=sums[:, None, None]) if measure.totals else {})
            states.append(state)
            sides_of_states.append(of_sides)
        strips = []
        for a, of_a in zip(states, sides_of_states):
            tiles = []
            for b, of_b in zip(states, sides_of_states):
                mean, sd, skew = permutation_moments(of_a[0], of_b[-1])
                value = measure.finish(mean, a, b)
                slope = measure.finish(mean + sd, a, b) - value
                tiles.append((value, np.abs(slope), np.sign(slope) * skew))
            strips.append(tiles)
    return Moments(*(np.block([[tile[part] for tile in strip] for strip in strips]) for part in range(3)))


def z_and_p(value: Any, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """`(value - mean) / sd`, and the chance of at least this value under a Pearson type III law of these moments."""
    z = (np.asarray(value, np.float64) - moments.mean) / moments.sd
    return z, np.asarray(pearson3.sf(z, moments.skew))


# --- the ways in which indices may coincide --------------------------------------------------------------------------


def _partitions(count: int) -> Iterator[list[int]]:
    """Set partitions of `count` elements, each as the block of every element, blocks in order of first use."""
    if not count:
        yield []
        return
    for rest in _partitions(count - 1):
        for block in range(max(rest, default=-1) + 2):
            yield [*rest, block]


def _canonical(graph: Iterable[tuple[int, int]]) -> Graph:
    """The same name for graphs that differ only in the names of their vertices."""
    edges = list(graph)
    names = sorted({vertex for edge in edges for vertex in edge})
    orders = (dict(zip(names, order)) for order in permutations(range(len(names))))
    return min(tuple(sorted((min(to[u], to[v]), max(to[u], to[v])) for u, v in edges)) for to in orders)


@cache
def _graphs(edges: int) -> Counter[Graph]:
    """The distinct graphs of products of `edges` entries, and how many set partitions of the indices give each."""
    return Counter(_canonical(zip(blocks[::2], blocks[1::2])) for blocks in _partitions(2 * edges))


@cache
def _quotients(graph: Graph) -> tuple[tuple[int, tuple[Graph, ...]], ...]:
    """Unrestricted sums, each a product over connected parts, whose combination is the sum over distinct vertices.

    Moebius inversion over the partitions of the vertices, `prod over blocks of (-1)^(s-1) (s-1)!`, s its size. Merging
    two ends of an edge gives 0: the matrix on the edges is hollow.
    """
    terms: Counter[tuple[Graph, ...]] = Counter()
    for blocks in _partitions(1 + max(map(max, graph))):
        merged = [(blocks[u], blocks[v]) for u, v in graph]
        if any(u == v for (u, v), (s, t) in zip(merged, graph) if s != t):
            continue
        sign = math.prod((-1) ** (size - 1) * math.factorial(size - 1) for size in Counter(blocks).values())
        terms[tuple(sorted(map(_canonical, _connected(merged))))] += sign
    return tuple((sign, parts) for parts, sign in terms.items())


def _connected(edges: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    parts: list[list[tuple[int, int]]] = []
    for edge in edges:
        touched = [part for part in parts if {*edge} & {vertex for other in part for vertex in other}]
        parts = [part for part in parts if part not in touched] + [[edge, *(e for part in touched for e in part)]]
    return parts


@cache
def _components() -> tuple[Graph, ...]:
    graphs = [graph for edges in (2, 3) for graph in _graphs(edges)]
    return tuple({part for graph in graphs for _, parts in _quotients(graph) for part in parts})


def _contract(graph: Graph, hollow: np.ndarray, weights: np.ndarray) -> float:
    """The sum over all vertices of the product of `hollow` on the edges and `weights` on the loops."""
    terms = ["".join(chr(97 + v) for v in dict.fromkeys(edge)) for edge in graph]
    operands = [hollow if u != v else weights for u, v in graph]
    return float(np.einsum(",".join(terms) + "->", *operands, optimize="optimal"))


def _distinct_sum(graph: Graph, walks: dict[Graph, float]) -> float:
    return math.fsum(sign * math.prod(walks[part] for part in parts) for sign, parts in _quotients(graph))


# --- maps of a measure -----------------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("measure", "side", "stimuli"))
def whole_map(measure: InnerMeasure, side: str, state: State, member: Any, stimuli: int) -> jax.Array:
    """The map of one member, `(maps, entry)`."""
    of_member = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, member, 1), state)
    every = jnp.arange(stimuli)
    return getattr(measure, side)(of_member, every, every)


def _one_row_maps(measure: InnerMeasure, state: State, side: str, stimuli: int) -> Iterator[np.ndarray]:
    for member in range(members_of(state)):
        full = np.asarray(whole_map(measure, side, state, member, stimuli))
        if full.shape != (1, stimuli**2):
            raise ValueError(
                f"{measure.name} has several rows per stimulus or several maps per member, and no closed-form "
                "permutation moments; take time=features, mean or last, or use a permutation test."
            )
        yield full.reshape(stimuli, stimuli)
