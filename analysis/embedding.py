"""Members as points: multidimensional scaling and dendrograms of a distance matrix."""

from typing import NamedTuple

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.manifold import smacof

__all__ = ["Embedding", "angular", "classical_mds", "dendrogram_order", "gower", "metric_mds"]


class Embedding(NamedTuple):
    """Points whose distances imitate given ones.

    Attributes:
      coordinates: `(member, dimension)`, centred, along principal axes.
      explained: share of the positive eigenvalues of the centred distances on each dimension of classical scaling.
      eigenvalues: all of them, descending; negative ones say how far the distances are from Euclidean.
      stress: Kruskal's stress-1, `sqrt(sum (d - d')^2 / sum d^2)`, of these coordinates.
    """

    coordinates: np.ndarray
    explained: np.ndarray
    eigenvalues: np.ndarray
    stress: float


def angular(similarity: np.ndarray) -> np.ndarray:
    """`arccos` of a similarity that is the cosine of an angle: a true distance, 0 to pi, 0 on the diagonal.

    1 - similarity breaks the triangle inequality. The angle between two maps does not, debiased CKA (below 0 for some)
    and correlations of RDMs included (Williams et al. 2021). Rounding above 1 is cut off, nothing else.
    """
    angle = np.arccos(np.clip(np.asarray(similarity, np.float64), -1, 1))
    np.fill_diagonal(angle, np.where(np.isnan(angle.diagonal()), np.nan, 0))
    return (angle + angle.T) / 2


def gower(distance: np.ndarray) -> np.ndarray:
    """`-J D^2 J / 2`, `J = I - 1/n`: the inner products of centred points with distances D (Gower 1966)."""
    inner = -0.5 * _check(distance) ** 2
    return inner - inner.mean(0) - inner.mean(1, keepdims=True) + inner.mean()


def classical_mds(distance: np.ndarray, dimensions: int = 2) -> Embedding:
    """Torgerson's scaling: leading eigenvectors of the centred squared distances, exact for Euclidean distances."""
    eigenvalues, vectors = np.linalg.eigh(gower(distance))
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    lengths = np.sqrt(np.maximum(eigenvalues[:dimensions], 0))
    vectors = vectors[:, :dimensions]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])] < 0, -1, 1)
    coordinates = np.zeros((len(distance), dimensions))
    coordinates[:, : len(lengths)] = vectors * lengths  # fewer members than dimensions leave the last ones 0
    explained = np.zeros(dimensions)
    positive = np.maximum(eigenvalues, 0)
    explained[: len(lengths)] = positive[:dimensions] / max(positive.sum(), np.finfo(float).tiny)
    return Embedding(coordinates, explained, eigenvalues, _stress(distance, coordinates))


def metric_mds(distance: np.ndarray, dimensions: int = 2, *, steps: int = 300) -> Embedding:
    """Metric scaling by SMACOF (Borg & Groenen 2005), started from classical scaling: lower stress, no randomness."""
    start = classical_mds(distance, dimensions)
    result = smacof(
        np.asarray(distance, np.float64),
        n_components=dimensions,
        init=start.coordinates,
        n_init=1,
        max_iter=steps,
        random_state=0,
        normalized_stress="auto",  # raw stress: ours is computed below
    )
    coordinates = np.asarray(result[0])
    coordinates = coordinates - coordinates.mean(0)
    coordinates = coordinates @ np.linalg.svd(coordinates, full_matrices=False)[2].T
    coordinates *= np.where((coordinates * start.coordinates).sum(0) < 0, -1, 1)
    return Embedding(coordinates, start.explained, start.eigenvalues, _stress(distance, coordinates))


def dendrogram_order(distance: np.ndarray) -> np.ndarray:
    """The order of the leaves under average linkage, neighbours placed next to each other; `(member,)` indices."""
    distance = _check(distance)
    if len(distance) < 3:
        return np.arange(len(distance))
    condensed = squareform(distance, checks=False)
    return hierarchy.leaves_list(hierarchy.linkage(condensed, "average", optimal_ordering=True))


def _check(distance: np.ndarray) -> np.ndarray:
    distance = np.asarray(distance, np.float64)
    if distance.ndim != 2 or distance.shape[0] != distance.shape[1] or not len(distance):
        raise ValueError(f"A distance matrix is (member, member); this one has shape {distance.shape}.")
    if not np.isfinite(distance).all():
        gone = int((~np.isfinite(distance)).sum())
        raise ValueError(f"{gone} of {distance.size} distances are NaN or infinite; choose one layer or one family.")
    return distance


def _stress(distance: np.ndarray, coordinates: np.ndarray) -> float:
    distance = np.asarray(distance, np.float64)
    reached = np.sqrt(((coordinates[:, None] - coordinates[None]) ** 2).sum(-1))
    return float(np.sqrt(((distance - reached) ** 2).sum() / max((distance**2).sum(), np.finfo(float).tiny)))
