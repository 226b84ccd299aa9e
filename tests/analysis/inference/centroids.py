"""Distances to centroids after Anderson (2006), written with principal coordinates."""

import numpy as np

from analysis.geometry.embedding import gower


def coordinates(distance):
    """Principal coordinates, and whether an axis is real (1) or imaginary (-1)."""
    sizes, vectors = np.linalg.eigh(gower(distance))
    return vectors * np.sqrt(np.abs(sizes)), np.sign(sizes)


def to_centroids(x, signs, labels):
    """Distances to the centroid of one's group, as unbiased as those of larger groups."""
    distances = np.empty(len(x))
    for label in np.unique(labels):
        group = labels == label
        squares = (x[group] - x[group].mean(0)) ** 2 @ signs
        distances[group] = np.sqrt(np.maximum(squares, 0) / (1 - 1 / group.sum()))
    return distances


def seven_points():
    """Distances of three and of four points, further spread; not Euclidean: some eigenvalues are negative."""
    x = np.random.default_rng(2).standard_normal((7, 3)) * np.repeat([3.0, 1.0], [3, 4])[:, None]
    return np.abs(x[:, None] - x).sum(-1) ** 1.3
