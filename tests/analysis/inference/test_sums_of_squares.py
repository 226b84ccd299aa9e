"""Sums of squares against projections written out, deviations against principal coordinates."""

import math

import numpy as np
import pytest
from scipy.stats import f_oneway

from analysis.geometry.embedding import gower
from analysis.inference.sums_of_squares import bases, deviations, f_ratio, indicators, partition
from tests.analysis.inference.centroids import coordinates, seven_points, to_centroids
from tests.typecheck import assert_shapes


def test_deviations_are_distances_to_the_spatial_centroid_of_the_group():
    distance = seven_points()
    labels = np.repeat([0, 1], [3, 4])
    assert np.linalg.eigvalsh(gower(distance))[0] < -1
    expected = to_centroids(*coordinates(distance), labels)
    np.testing.assert_allclose(deviations(gower(distance), bases(indicators(labels), [])), expected, atol=1e-10)


def test_without_other_terms_the_ratio_is_that_of_an_anova():
    labels, values = np.repeat([0, 1, 2], [3, 4, 5]), np.random.default_rng(0).standard_normal(12)
    model = bases(indicators(labels), [])
    assert_shapes(model)
    sums = partition(np.outer(values, values), model)
    assert sums.total == pytest.approx(sums.effect + sums.residual)
    assert (model.df, model.df_residual) == (2, 9)
    expected = f_oneway(*(values[labels == label] for label in range(3))).statistic
    assert f_ratio(sums, model) == pytest.approx(expected)


def test_a_term_is_given_what_the_others_leave_of_it():
    draw = np.random.default_rng(1)
    x, term, other = draw.standard_normal((10, 3)), draw.standard_normal((10, 1)), draw.standard_normal((10, 2))

    def explained(*columns):
        basis = np.column_stack([np.ones(10), *columns])
        return np.trace(x.T @ basis @ np.linalg.pinv(basis) @ x)

    sums = partition(x @ x.T, bases(term, [other]))
    assert sums.effect == pytest.approx(explained(other, term) - explained(other))
    assert sums.residual == pytest.approx(np.sum(x**2) - explained(other, term))
    assert partition(x @ x.T, bases(other[:, :1], [other])).effect == pytest.approx(0, abs=1e-12), "nothing is left"


def test_without_a_residual_there_is_no_ratio():
    model = bases(indicators(np.arange(4)), [])
    assert math.isnan(f_ratio(partition(np.eye(4), model), model))
