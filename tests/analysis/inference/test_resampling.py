"""Permutations within strata are counted, enumerated and drawn; several tests at once are adjusted for."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.inference.resampling import arrangements, holm, relabellings


@pytest.mark.parametrize("strata", [[0] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]])
def test_arrangements_are_counted_and_enumerated_and_drawn_within_strata(strata):
    codes, strata = np.array([0, 1, 2, 0, 1, 1]), np.array(strata)
    labellings, distinct = arrangements(codes, strata)
    exact = np.concatenate(list(relabellings(codes, strata, 0, True, 0)))
    assert len(exact) == labellings == len(np.unique(exact, axis=0))
    partitions = {tuple(pd.factorize(row)[0].tolist()) for row in exact}
    assert len(partitions) == distinct
    drawn = np.concatenate(list(relabellings(codes, strata, 500, False, 0)))
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in exact.tolist()}
    assert len(drawn) == 500


def test_labels_that_can_be_renamed_into_each_other_make_one_partition():
    one = np.zeros(6, int)
    assert arrangements(np.array([0, 0, 1, 1, 2, 2]), one) == (90, 15)
    assert arrangements(np.array([0, 0, 0, 1, 1, 2]), one) == (60, 60)
    assert arrangements(np.arange(6), one) == (720, math.factorial(6) // 720)


def test_holm_multiplies_by_the_tests_that_are_left_and_leaves_out_what_could_not_be_tested():
    p, tested = np.array([0.01, 0.04, 0.03, 1.0, 0.005]), np.array([True, True, True, False, True])
    np.testing.assert_allclose(holm(p, tested), [0.03, 0.06, 0.06, 1, 0.02])
    np.testing.assert_array_equal(holm(np.array([0.6, 0.7]), np.array([True, True])), [1, 1])
