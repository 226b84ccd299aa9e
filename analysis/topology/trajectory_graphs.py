"""Trajectories as a graph: where those of different trials come together, and where they part.

After Turner, Dabholkar & Barak (2021, NeurIPS 34:25320), in a stated version. Two trials are together at a time where
their states are within a tolerance of each other, a share of the range of all states. A parting, then a meeting, of
fewer than `hold` looks is none, unless it goes on to the first or the last of them. Trials that are together, or
chained by others that are, are at one place; all are at the first, the state before the trial. The graph has a vertex
for the start, for every meeting and every parting, for every end, and between two of these one for the way: when
something happens is not in it. What meets and parts at one place is a meeting, then a parting. Other than theirs,
trials meet at equal times only, and what a network does after the trial is not asked.
"""

import numpy as np
from scipy.sparse.csgraph import connected_components

from analysis.topology.graphs import Graph

__all__ = ["graph_of", "groups_over_time", "meeting_distances"]

VERTEX_LABELS = {(0, 1): "start", (1, 0): "end", (2, 1): "meeting", (1, 2): "parting", (1, 1): "way"}
"""Labels of vertices, by how many edges lead to one and from one, 2 for more."""


def groups_over_time(states: np.ndarray, tolerance: float, hold: int) -> np.ndarray:
    """The place of every trial at every time.

    Args:
      states: `(time, trial, coordinate)`.
      tolerance: Euclidean distance.
      hold: times that a parting or a meeting lasts at least.

    Returns:
      `(time, trial)`, whole numbers, those of a time in order of appearance.
    """
    states = np.asarray(states, np.float64)
    square = np.einsum("tsu,tsu->ts", states, states)
    apart = square[:, :, None] + square[:, None] - 2 * states @ states.swapaxes(1, 2)
    near = apart <= tolerance**2
    near |= np.eye(near.shape[1], dtype=bool)[None]
    near = ~_lasting(~near, hold)
    near = _lasting(near, hold)
    return np.stack([connected_components(each, directed=False)[1] for each in near])


def graph_of(groups: np.ndarray) -> Graph:
    """The graph of groups of trials over time, `(time, trial)`."""
    before, edges, count = [1] * groups.shape[1], {(0, 1)}, 2  # from the start to where all are together
    for row in groups.tolist():
        arriving: dict[int, int] = {}  # of every place two vertices: where trials meet, and where they part
        for group in row:
            if group not in arriving:
                arriving[group] = count
                edges.add((count, count + 1))
                count += 2
        edges |= {(came, arriving[group]) for came, group in zip(before, row)}
        before = [arriving[group] + 1 for group in row]
    ends = {vertex: count + i for i, vertex in enumerate(dict.fromkeys(before))}
    return _drawn_together(count + len(ends), edges | set(ends.items()))


def meeting_distances(groups: np.ndarray) -> np.ndarray:
    """How unlike the meetings of networks on the same trials are: the share of pairs of trials and times of which one
    network has the two together and the other apart.

    Args:
      groups: `(network, time, trial)`.

    Returns:
      `(network, network)`, from 0 to 1, a metric on what meets when.
    """
    first, second = np.triu_indices(groups.shape[-1], 1)
    meets = (groups[..., first] == groups[..., second]).reshape(len(groups), -1).astype(np.float32)
    both, each = meets @ meets.T, meets.sum(1)
    return np.maximum(each[:, None] + each[None] - 2 * both, 0.0) / max(meets.shape[1], 1)


def _lasting(is_so: np.ndarray, hold: int) -> np.ndarray:
    """Without what is so, `(time, ...)`, for fewer than `hold` times, and neither at the first nor the last."""
    times = len(is_so)
    before, after = np.zeros(is_so.shape, int), np.zeros(is_so.shape, int)
    for t in range(times):
        before[t] = (before[t - 1] + 1 if t else 1) * is_so[t]
    for t in reversed(range(times)):
        after[t] = (after[t + 1] + 1 if t < times - 1 else 1) * is_so[t]
    place = np.arange(times).reshape(-1, *(1,) * (is_so.ndim - 1))
    return is_so & ((before + after - 1 >= hold) | (before == place + 1) | (after == times - place))


def _drawn_together(count: int, edges: set[tuple[int, int]]) -> Graph:
    """The graph with one vertex for every way between two vertices that are no part of a way."""
    ahead: list[list[int]] = [[] for _ in range(count)]
    into = np.zeros(count, int)
    for a, b in sorted(edges):
        ahead[a].append(b)
        into[b] += 1
    passing = [into[v] == 1 and len(ahead[v]) == 1 for v in range(count)]
    kept = {v: place for place, v in enumerate(v for v in range(count) if not passing[v])}
    labels = [VERTEX_LABELS[min(int(into[v]), 2), min(len(ahead[v]), 2)] for v in kept]
    drawn: set[tuple[int, int]] = set()
    for vertex, place in kept.items():
        for following in ahead[vertex]:
            while passing[following]:
                following = ahead[following][0]
            drawn |= {(place, len(labels)), (len(labels), kept[following])}
            labels.append(VERTEX_LABELS[1, 1])
    return Graph(tuple(labels), frozenset(drawn))
