"""Graphs with labelled vertices and directed edges: how far two are apart, and which are one graph.

Weisfeiler and Leman's colours (1968; Shervashidze et al. 2011, JMLR 12:2539): at height 0 a vertex has its label for a
colour, and at every further height

    colour(v) <- hash(colour(v), colours of what v leads to, colours of what leads to v), each sorted.

With n(c) the number of vertices of colour c at heights 0 to H, the distance of two graphs is that of these multisets
(Jaccard's; Kosub 2019, Pattern Recognition Letters 120:36):

    d = 1 - sum_c min(n_1(c), n_2(c)) / sum_c max(n_1(c), n_2(c)),

from 0, no difference up to height H, to 1, no label in common. It keeps the triangle inequality. Graphs at 0 need not
be isomorphic: that is decided by a search.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

__all__ = ["Graph", "classes_of", "colour_counts", "colour_hash", "isomorphic", "jaccard_distances", "together"]

MOST_TRIALS = 100_000
"""Vertices that the search for an isomorphism sets against each other, at most; then equal colours decide."""


class Graph(NamedTuple):
    """A directed graph.

    Attributes:
      labels: of its vertices.
      edges: pairs of places of vertices, from the first to the second, each once.
    """

    labels: tuple[str, ...]
    edges: frozenset[tuple[int, int]]


def together(graphs: dict[str, Graph]) -> Graph:
    """Graphs side by side as one, their names in front of the labels."""
    labels: list[str] = []
    edges: set[tuple[int, int]] = set()
    for name, graph in graphs.items():
        start = len(labels)
        labels += [f"{name}: {label}" for label in graph.labels]
        edges |= {(start + a, start + b) for a, b in graph.edges}
    return Graph(tuple(labels), frozenset(edges))


def colour_counts(graph: Graph, height: int) -> Counter[str]:
    """How many vertices have each colour, at heights 0 to `height`."""
    counts: Counter[str] = Counter()
    for level, colours in enumerate(_colours(graph, height)):
        counts.update(f"{level}:{colour}" for colour in colours)
    return counts


def jaccard_distances(counts: Sequence[Counter[str]]) -> np.ndarray:
    """The distance of the module's text of every two multisets, `(graph, graph)`; 0 of two that are empty."""
    unlike = list({tuple(sorted(each.items())): each for each in counts}.values())
    place = {tuple(sorted(each.items())): i for i, each in enumerate(unlike)}
    colours = {colour: i for i, colour in enumerate(dict.fromkeys(c for each in unlike for c in each))}
    table = np.zeros((len(unlike), len(colours)))
    for row, each in enumerate(unlike):
        table[row, [colours[colour] for colour in each]] = list(each.values())
    apart, total = cdist(table, table, "cityblock"), table.sum(1)
    larger = (total[:, None] + total[None] + apart) / 2
    distance = np.divide(apart, larger, out=np.zeros_like(apart), where=larger > 0)
    rows = [place[tuple(sorted(each.items()))] for each in counts]
    return distance[np.ix_(rows, rows)]


def colour_hash(graph: Graph) -> int:
    """A number below 2^52 that isomorphic graphs share: of the colours from which on none is parted further."""
    return int(_hash(sorted(_stable(graph)))[:13], 16)


def isomorphic(one: Graph, other: Graph) -> bool:
    """Whether some order of the vertices makes two graphs the same, labels included.

    Vertices of equal colour are set against each other, with a step back where edges do not fit. Where that takes more
    than `MOST_TRIALS` steps, which needs large graphs of very regular structure, equal colours count as isomorphic.
    """
    colours, others = _stable(one), _stable(other)
    if len(one.edges) != len(other.edges) or sorted(colours) != sorted(others):
        return False
    order = _search_order(one, colours)
    ahead, fits, trials = _edge_table(one), _edge_table(other), 0
    taken: list[int] = []  # what each of the first vertices in the order stands for
    choices = [iter(_of_colour(others, colours[order[0]]))] if order else []
    while choices:
        trials += 1
        if len(taken) == len(order) or trials > MOST_TRIALS:
            return True
        for candidate in choices[-1]:
            vertex, before = order[len(taken)], order[: len(taken)]
            same = candidate not in taken and ahead[vertex, vertex] == fits[candidate, candidate]
            same = same and bool((ahead[vertex, before] == fits[candidate, taken]).all())
            if same and (ahead[before, vertex] == fits[taken, candidate]).all():
                taken.append(candidate)
                following = order[len(taken)] if len(taken) < len(order) else None
                choices.append(iter([] if following is None else _of_colour(others, colours[following])))
                break
        else:
            choices.pop()
            if taken:
                taken.pop()
    return not order


def classes_of(graphs: Sequence[Graph]) -> list[int]:
    """The class of every graph, isomorphic ones in one, numbered in order of appearance."""
    kinds: list[Graph] = []
    by_hash: dict[int, list[int]] = {}
    classes = []
    for graph in graphs:
        alike = by_hash.setdefault(colour_hash(graph), [])
        known = next((kind for kind in alike if graph == kinds[kind] or isomorphic(graph, kinds[kind])), None)
        if known is None:
            known = len(kinds)
            kinds.append(graph)
            alike.append(known)
        classes.append(known)
    return classes


def _colours(graph: Graph, height: int) -> list[list[str]]:
    """The colours of the vertices at heights 0 to `height`."""
    levels = [list(graph.labels)]
    for _ in range(height):
        levels.append(_parted(graph, levels[-1]))
    return levels


def _stable(graph: Graph) -> list[str]:
    """The colours at the height from which on no further vertices are told apart."""
    colours = _parted(graph, list(graph.labels))
    while True:
        further = _parted(graph, colours)
        if len(set(further)) == len(set(colours)):
            return further
        colours = further


def _parted(graph: Graph, colours: Sequence[str]) -> list[str]:
    """The colours one height further."""
    ahead: list[list[str]] = [[] for _ in colours]
    behind: list[list[str]] = [[] for _ in colours]
    for a, b in graph.edges:
        ahead[a].append(colours[b])
        behind[b].append(colours[a])
    return [_hash([colour, *sorted(out), "|", *sorted(into)]) for colour, out, into in zip(colours, ahead, behind)]


def _hash(words: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).hexdigest()


def _edge_table(graph: Graph) -> np.ndarray:
    table = np.zeros((len(graph.labels), len(graph.labels)), bool)
    for a, b in graph.edges:
        table[a, b] = True
    return table


def _of_colour(colours: Sequence[str], colour: str) -> list[int]:
    return [vertex for vertex, own in enumerate(colours) if own == colour]


def _search_order(graph: Graph, colours: Sequence[str]) -> list[int]:
    """Vertices of rare colours first, and what touches one of those before as soon as can be."""
    rarity, left = Counter(colours), set(range(len(colours)))
    touching: dict[int, set[int]] = {vertex: set() for vertex in left}
    for a, b in graph.edges:
        touching[a].add(b)
        touching[b].add(a)
    order: list[int] = []
    near: set[int] = set()
    while left:
        following = min(near & left or left, key=lambda vertex: (rarity[colours[vertex]], vertex))
        order.append(following)
        left.remove(following)
        near |= touching[following]
    return order
