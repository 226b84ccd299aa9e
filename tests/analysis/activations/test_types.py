"""Groups of every kind hold one array."""

import numpy as np
import pandas as pd
import pytest

from analysis.activations.types import RDM, Group, Outside, RDMs, Repeats, Representations, array_of


@pytest.mark.parametrize("kind", [np.asarray, Repeats, RDMs])
def test_the_array_of_a_group_is_the_one_it_was_made_of_whatever_its_kind(kind):
    array = np.arange(24.0).reshape(2, 3, 4)
    assert array_of(kind(array)) is array


def test_a_part_of_the_probe_is_a_probe_of_its_own_and_the_whole_is_the_same() -> None:
    draw = np.random.default_rng(0)
    flat, timed = draw.normal(size=(2, 6, 3)), draw.normal(size=(1, 6, 5, 4))
    groups = (Group(("a", "b"), pd.DataFrame(), flat), Group(("c",), pd.DataFrame(), timed))
    shown = Representations(groups, "probe", {"kind": np.arange(6)})
    stimuli, steps = np.array([0, 2, 5]), np.array([1, 2])
    part = shown.at(stimuli, steps)
    np.testing.assert_array_equal(part.groups[0].array, flat[:, stimuli])
    np.testing.assert_array_equal(part.groups[1].array, timed[:, stimuli][:, :, steps])
    np.testing.assert_array_equal(part.conditions["kind"], stimuli)
    assert part.probe != shown.probe
    assert part.probe != shown.at(stimuli, np.arange(5)).probe
    assert shown.at(np.arange(6), np.arange(5)) is shown


def test_what_came_from_elsewhere_is_taken_at_the_same_part() -> None:
    draw = np.random.default_rng(1)
    stimuli, steps = np.array([4, 1]), np.array([0, 3])
    for x, expected in (
        (flat := draw.normal(size=(5, 3)), flat[stimuli]),
        (timed := draw.normal(size=(5, 4, 3)), timed[stimuli][:, steps]),
        (RDM(square := draw.normal(size=(5, 5))), square[np.ix_(stimuli, stimuli)]),
        (Repeats(again := draw.normal(size=(2, 5, 4, 3))), again[:, stimuli][:, :, steps]),
    ):
        found = Outside("x", x, {}).at(stimuli, steps).array
        np.testing.assert_array_equal(array_of(found), expected)
