"""Rows of some networks as arrays: what comes back is of the rows that went in, whatever was padded."""

from typing import Any

import numpy as np

from analysis.dynamics.packing import at_places, by_pair, packed
from tests.analysis.dynamics.planted import Planted, runner


def test_every_row_is_there_once_and_padding_is_marked() -> None:
    (part,) = packed(np.array([2, 0, 2, 2]), [2, 4])
    assert part.members.tolist() == [0, 2]
    assert part.rows.shape == (2, 4)
    assert sorted(part.rows[part.real].tolist()) == [0, 1, 2, 3]
    assert part.rows[1][part.real[1]].tolist() == [0, 2, 3]


def test_networks_of_more_rows_are_in_several_parts_of_few_shapes() -> None:
    whose = np.array([0] * 9 + [1] * 2 + [2] * 5)
    parts = packed(whose, [2, 4])
    assert [part.rows.shape for part in parts] == [(4, 4), (2, 4), (1, 2)]
    assert [part.members.tolist() for part in parts] == [[0, 1, 2, 2], [0, 2], [0]]
    there = np.concatenate([part.rows[part.real] for part in parts])
    assert sorted(there.tolist()) == list(range(16))
    for part in parts:
        assert (whose[part.rows] == part.members[:, None]).all(), "padding is a row of the same network"
    assert packed(np.zeros(0, int), [2, 4]) == []


def test_rows_go_back_to_their_places() -> None:
    places = {(0, 0): np.zeros((2, 1)), (0, 1): np.zeros((0, 1)), (1, 0): np.zeros((1, 1))}
    back = by_pair(places, np.arange(3))
    assert [back[pair].tolist() for pair in places] == [[0, 1], [], [2]]


def shifted(bound: Any, variables: Any, key: Any, states: Any, inputs: Any, by: Any) -> Any:
    return {"sum": states + inputs + variables["own"] + by}


def test_a_function_gets_the_states_inputs_and_numbers_of_each_network() -> None:
    run = runner(Planted(lambda *_: None, 1), {"a": {"own": 100.0}, "b": {"own": 200.0}})
    places = {(0, 0): np.array([[1.0], [2.0]]), (0, 1): np.zeros((0, 1)), (1, 0): np.zeros((0, 1))}
    places[1, 1] = np.array([[3.0]])
    inputs, by = np.array([[10.0], [20.0]]), np.array([1000.0, 2000.0])
    given = at_places(run, ["a", "b"], shifted, places, inputs, [by])
    assert {pair: values["sum"].ravel().tolist() for pair, values in given.items()} == {
        (0, 0): [1111.0, 1112.0],
        (0, 1): [],
        (1, 0): [],
        (1, 1): [2223.0],
    }
    assert given[1, 1]["sum"].dtype == np.float64
    assert at_places(run, ["a", "b"], shifted, {(0, 0): np.zeros((0, 1))}, inputs, [by]) == {}
