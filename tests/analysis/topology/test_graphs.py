"""Graphs: distances from closed form, isomorphism as all orders of the vertices say it, and nothing by their order."""

import itertools
from collections import Counter

import numpy as np
import pytest

from analysis.topology.graphs import (
    Graph,
    classes_of,
    colour_counts,
    colour_hash,
    isomorphic,
    jaccard_distances,
    together,
)


def ring(count: int, start: int = 0) -> set[tuple[int, int]]:
    return {(start + i, start + (i + 1) % count) for i in range(count)}


def graph(labels: str, *edges: tuple[int, int]) -> Graph:
    return Graph(tuple(labels), frozenset(edges))


def ordered(one: Graph, order: np.ndarray) -> Graph:
    """The same graph with its vertices in another order."""
    place = np.argsort(order)
    edges = frozenset((int(place[a]), int(place[b])) for a, b in one.edges)
    return Graph(tuple(one.labels[i] for i in order), edges)


def drawn(draw: np.random.Generator, count: int) -> Graph:
    edges = np.argwhere(draw.random((count, count)) < 0.35)
    labels = tuple(draw.choice(["a", "b"], count).tolist())
    return Graph(labels, frozenset((int(a), int(b)) for a, b in edges))


def by_all_orders(one: Graph, other: Graph) -> bool:
    orders = itertools.permutations(range(len(one.labels)))
    return any(ordered(one, np.array(order)) == other for order in orders)


CHAIN, FORK = graph("sss", (0, 1), (1, 2)), graph("sss", (0, 1), (0, 2))


def test_at_height_0_the_distance_is_that_of_the_counts_of_labels() -> None:
    counts = [colour_counts(each, 0) for each in (graph("aab"), graph("abb"), graph("aabb"))]
    expected = [[0, 1 - 2 / 4, 1 - 3 / 4], [1 - 2 / 4, 0, 1 - 3 / 4], [1 - 3 / 4, 1 - 3 / 4, 0]]
    np.testing.assert_allclose(jaccard_distances(counts), expected)


def test_graphs_of_equal_labels_are_apart_where_their_edges_are() -> None:
    assert jaccard_distances([colour_counts(each, 0) for each in (CHAIN, FORK)])[0, 1] == 0
    # At height 1 the chain has three kinds of vertices, the fork two: its source and its leaves, one of the chain's.
    assert jaccard_distances([colour_counts(each, 1) for each in (CHAIN, FORK)])[0, 1] == 1 - 4 / 8
    assert not isomorphic(CHAIN, FORK)
    assert not isomorphic(CHAIN, graph("sst", *CHAIN.edges))


def test_edges_have_a_direction() -> None:
    back = Graph(FORK.labels, frozenset((b, a) for a, b in FORK.edges))
    assert not isomorphic(FORK, back)
    assert jaccard_distances([colour_counts(each, 1) for each in (FORK, back)])[0, 1] > 0


def test_the_distance_is_a_metric_on_counts_and_does_not_ask_for_an_order() -> None:
    draw = np.random.default_rng(0)
    graphs = [drawn(draw, int(count)) for count in draw.integers(1, 7, 12)]
    distance = jaccard_distances([colour_counts(each, 2) for each in graphs])
    assert (np.diagonal(distance) == 0).all()
    np.testing.assert_array_equal(distance, distance.T)
    assert (distance[:, None] <= distance[:, :, None] + distance[None] + 1e-12).all()
    others = [ordered(each, draw.permutation(len(each.labels))) for each in graphs]
    np.testing.assert_allclose(jaccard_distances([colour_counts(each, 2) for each in others]), distance)


def test_of_networks_without_any_vertex_the_distance_is_0_and_to_others_1() -> None:
    np.testing.assert_array_equal(
        jaccard_distances([Counter(), Counter(), Counter("a")]), [[0, 0, 1]] * 2 + [[1, 1, 0]]
    )


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_isomorphism_is_what_all_orders_say(count: int) -> None:
    draw = np.random.default_rng(count)
    found = []
    for _ in range(30):
        one, other = drawn(draw, count), drawn(draw, count)
        other = other._replace(labels=one.labels) if draw.random() < 0.5 else other
        again = ordered(one, draw.permutation(count))
        assert isomorphic(one, again)
        assert colour_hash(one) == colour_hash(again)
        assert isomorphic(one, other) == by_all_orders(one, other)
        found.append(isomorphic(one, other))
    assert count > 1 or any(found)
    assert not all(found)


def test_what_colours_cannot_tell_apart_the_search_does() -> None:
    two, one = Graph(("s",) * 6, frozenset(ring(3) | ring(3, 3))), Graph(("s",) * 6, frozenset(ring(6)))
    assert colour_hash(two) == colour_hash(one)
    assert jaccard_distances([colour_counts(each, 5) for each in (two, one)])[0, 1] == 0
    assert not isomorphic(two, one)
    assert classes_of([two, one, two, ordered(one, np.arange(6)[::-1]), graph("")]) == [0, 1, 0, 1, 2]


def test_many_vertices_that_nothing_tells_apart_are_one_class_at_once() -> None:
    lone = Graph(("stable",) * 60, frozenset())
    assert isomorphic(lone, lone)
    assert colour_hash(lone) != colour_hash(Graph(("stable",) * 59, frozenset()))


def test_graphs_under_several_inputs_are_one_with_the_input_in_their_labels() -> None:
    whole = together({"left": CHAIN, "right": FORK})
    assert whole.labels == ("left: s",) * 3 + ("right: s",) * 3
    assert whole.edges == {(0, 1), (1, 2), (3, 4), (3, 5)}
    assert not isomorphic(whole, together({"left": FORK, "right": CHAIN}))


def test_a_hash_is_a_whole_number_that_double_precision_holds() -> None:
    draw = np.random.default_rng(3)
    hashes = [colour_hash(drawn(draw, 6)) for _ in range(50)]
    assert len(set(hashes)) > 40
    assert all(int(np.float64(value)) == value for value in hashes)
