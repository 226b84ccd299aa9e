"""Trajectory graphs of planted trajectories: what meets, what parts, and nothing by the order of trials or units."""

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from analysis.topology.graphs import Graph, isomorphic
from analysis.topology.trajectory_graphs import graph_of, groups_over_time, meeting_distances


def of(*lines: str) -> np.ndarray:
    """Trials as lines of letters, one per time: those with the same letter are at one place, `(time, trial, 1)`."""
    return np.array([[float(ord(letter)) for letter in line] for line in lines]).T[..., None]


def graph(*lines: str, hold: int = 1) -> Graph:
    return graph_of(groups_over_time(of(*lines), 0.5, hold))


def test_trials_that_part_and_meet_are_a_graph_with_a_way_for_each() -> None:
    found = graph("aabbb", "aaccb", "aaddd")
    assert sorted(found.labels) == sorted(["start", "parting", "meeting", "end", "end", *["way"] * 5])
    follows = {(found.labels[a], found.labels[b]) for a, b in found.edges}
    ways = {("start", "way"), ("way", "parting"), ("parting", "way"), ("way", "meeting"), ("meeting", "way")}
    assert follows == ways | {("way", "end")}
    assert len(found.edges) == 10


def test_when_trials_meet_is_not_in_the_graph_but_in_the_meetings() -> None:
    early, late, never = (("abbb", "acbb"), ("aabb", "aacb"), ("abbb", "accc"))
    assert isomorphic(graph(*early), graph("aabbb", "aaccb"))
    assert not isomorphic(graph(*early), graph(*never))
    groups = np.stack([groups_over_time(of(*lines), 0.5, 1) for lines in (early, late, never)])
    np.testing.assert_allclose(meeting_distances(groups), [[0, 2 / 4, 2 / 4], [2 / 4, 0, 2 / 4], [2 / 4, 2 / 4, 0]])


def test_meetings_are_of_named_trials() -> None:
    groups = np.stack([groups_over_time(of(*lines), 0.5, 1) for lines in (("ab", "ab", "ac"), ("ab", "ac", "ab"))])
    assert isomorphic(*map(graph_of, groups))
    np.testing.assert_allclose(meeting_distances(groups), [[0, 2 / 6], [2 / 6, 0]])


@pytest.mark.parametrize(("hold", "parts", "meets"), [(1, True, True), (2, False, False)])
def test_partings_and_meetings_that_do_not_last_are_none(hold: int, parts: bool, meets: bool) -> None:
    assert isomorphic(graph("aaaaa", "aabaa", hold=hold), graph("aaaaa", "aaaaa")) != parts
    assert isomorphic(graph("aaaaa", "bbabb", hold=hold), graph("aaaaa", "bbbbb")) != meets
    assert not isomorphic(graph("aaaaa", "aaaab", hold=9), graph("aaaaa", "aaaaa")), "what goes on to the end lasts"


def test_trials_chained_by_others_are_together() -> None:
    states = np.array([[0.0, 0.4, 0.8, 3.0]])[..., None]
    assert groups_over_time(states, 0.5, 1).tolist() == [[0, 0, 0, 1]]
    assert groups_over_time(states, 0.3, 1).tolist() == [[0, 1, 2, 3]]


def test_the_order_of_trials_and_of_units_and_a_turn_change_nothing() -> None:
    draw = np.random.default_rng(0)
    states = np.cumsum(draw.normal(size=(12, 6, 3)), 0)
    groups = groups_over_time(states, 2.0, 2)
    assert len(graph_of(groups).labels) > 6
    order = draw.permutation(6)
    assert isomorphic(graph_of(groups), graph_of(groups_over_time(states[:, order], 2.0, 2)))
    turned = groups_over_time(states @ special_ortho_group.rvs(3, random_state=1), 2.0, 2)
    np.testing.assert_allclose(meeting_distances(np.stack([groups, turned])), 0)


def test_the_distance_of_meetings_is_a_metric() -> None:
    draw = np.random.default_rng(1)
    groups = draw.integers(0, 3, (8, 5, 6))
    distance = meeting_distances(groups)
    first, second = ([a[:, i] == a[:, j] for i in range(6) for j in range(i)] for a in groups[:2])
    expected = np.mean(np.array(first) != np.array(second))
    assert distance[0, 1] == pytest.approx(expected)
    assert (distance[:, None] <= distance[:, :, None] + distance[None] + 1e-6).all()
