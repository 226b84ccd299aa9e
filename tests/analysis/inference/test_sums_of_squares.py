"""Dispersion against Anderson (2006), written with principal coordinates."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway

from analysis.geometry.embedding import gower
from analysis.inference.field_effects import explained
from analysis.inference.sums_of_squares import bases, deviations, indicators


def coordinates(distance):
    """Principal coordinates, and whether an axis is real (1) or imaginary (-1)."""
    sizes, vectors = np.linalg.eigh(gower(distance))
    return vectors * np.sqrt(np.abs(sizes)), np.sign(sizes)


def to_centroids(x, signs, labels):
    """Distances to the centroid of one's group, as unbiased as those of larger groups."""
    found = np.empty(len(x))
    for label in np.unique(labels):
        group = labels == label
        squares = (x[group] - x[group].mean(0)) ** 2 @ signs
        found[group] = np.sqrt(np.maximum(squares, 0) / (1 - 1 / group.sum()))
    return found


def f_of(distances, labels):
    return f_oneway(*(distances[labels == label] for label in np.unique(labels))).statistic


@pytest.fixture
def distance():
    """Not Euclidean: some eigenvalues are negative."""
    x = np.random.default_rng(2).standard_normal((7, 3)) * np.repeat([3.0, 1.0], [3, 4])[:, None]
    return np.abs(x[:, None] - x).sum(-1) ** 1.3


def test_deviations_are_distances_to_the_spatial_centroid_of_the_group(distance):
    labels = np.repeat([0, 1], [3, 4])
    assert np.linalg.eigvalsh(gower(distance))[0] < -1
    expected = to_centroids(*coordinates(distance), labels)
    np.testing.assert_allclose(deviations(gower(distance), bases(indicators(labels), [])), expected, atol=1e-10)


def test_dispersion_is_an_anova_of_distances_and_its_null_permutes_aligned_units(distance):
    labels = np.repeat([0, 1], [3, 4])
    table = pd.DataFrame({"model": labels, "run": range(7)})
    row = explained(distance, table, ["model"], not_held=["run"]).loc["model"]
    x, signs = coordinates(distance)
    observed = f_of(to_centroids(x, signs, labels), labels)
    assert row.dispersion_f == pytest.approx(observed, abs=1e-8)
    aligned = x - np.stack([x[labels == label].mean(0) for label in (0, 1)])[labels]
    found = []
    for ones in itertools.combinations(range(7), 4):
        moved = np.isin(np.arange(7), ones).astype(int)
        found.append(f_of(to_centroids(aligned, signs, moved), moved))
    assert row.distinct == len(found) == 35
    assert row.dispersion_p == pytest.approx(np.mean(np.array(found) >= observed - 1e-9))


def test_groups_of_two_have_equal_distances_and_show_no_dispersion():
    x = np.random.default_rng(0).standard_normal((12, 3))
    table = pd.DataFrame({"model": np.repeat(range(6), 2), "run": range(12)})
    row = explained(np.sqrt(((x[:, None] - x) ** 2).sum(-1)), table, ["model"], not_held=["run"]).loc["model"]
    assert math.isnan(row.dispersion_f)
    assert row.dispersion_p == 1
