"""Tiles of pairs: one program for groups of many widths."""

import numpy as np
import pytest

from analysis.engine import pair_tiles
from analysis.engine.all_pairs import similarities
from analysis.engine.pair_tiles import PairStates, padded, pair_values
from analysis.engine.preparation import prepare
from analysis.measures import procrustes
from tests.analysis.engine.product import Product, normal, traced


def test_groups_of_many_widths_share_one_program_of_a_pair_measure(monkeypatch):
    groups = [normal(units, 1, 20, 1, units) for units in range(3, 15)]
    traces = traced(pair_tiles, "_tile", monkeypatch)
    value = similarities([prepare(Product(), [np.pad(x, [(0, 0)] * 3 + [(0, 1)]) for x in groups], "float64")])[0].value
    assert len(traces) == 1
    expected = (groups[0] * groups[7][..., :3]).sum()
    assert value[0, 7] == pytest.approx(expected, abs=1e-10)
    apart = similarities([prepare(procrustes.Measure(), [groups[0], groups[7]], "float64")])[0].value[0, 1]
    assert similarities([prepare(procrustes.Measure(), groups, "float64")])[0].value[0, 7] == pytest.approx(
        apart, abs=1e-10
    )


def test_padded_groups_of_one_width_are_joined_and_their_members_found_again():
    groups = [normal(0, 2, 6, 1, 3), normal(1, 1, 6, 1, 20), normal(2, 3, 6, 1, 5)]
    joined, places = padded(groups)
    assert [x.shape for x in joined] == [(5, 6, 1, 16), (1, 6, 1, 32)]
    assert [place.tolist() for place in places] == [[0, 1, 3, 4, 5], [2]]
    np.testing.assert_array_equal(joined[0][2:, ..., :5], groups[2])
    assert not joined[0][:, ..., 5:].any()


@pytest.mark.parametrize("budget", [1, 2**12, 2**30])
def test_values_of_tiles_of_any_size_stand_at_the_places_of_their_members(budget):
    x = normal(0, 7, 5, 1, 4)
    places = [np.array([4, 0, 6]), np.array([1, 2, 3, 5])]
    states = [Product().prepare(x[place].astype("float32")) for place in places]
    value, extras = pair_values(Product(), PairStates(states, places), budget=budget)
    np.testing.assert_allclose(value, np.einsum("aitp,bitp->ab", x, x), atol=1e-5)
    assert extras == []


@pytest.mark.parametrize("budget", [1, 2**30])
def test_members_are_compared_with_others_of_other_groups(budget):
    x, y = normal(0, 5, 5, 1, 4), normal(1, 3, 5, 1, 4)
    a = PairStates([Product().prepare(x[:2]), Product().prepare(x[2:])], [np.array([1, 0]), np.array([2, 3, 4])])
    b = PairStates([Product().prepare(y)], [np.array([2, 0, 1])])
    value, _ = pair_values(Product(), a, b, dtype="float64", budget=budget)
    wanted = np.einsum("aitp,bitp->ab", x[[1, 0, 2, 3, 4]], y[[1, 2, 0]])
    np.testing.assert_allclose(value, wanted, atol=1e-4)
