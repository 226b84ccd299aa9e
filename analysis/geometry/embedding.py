"""Members as points: multidimensional scaling, with confidence."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist, squareform
from scipy.special import fdtri
from sklearn.manifold import smacof

__all__ = [
    "FEWEST_UNITS",
    "Draws",
    "Embedding",
    "aligned",
    "angular",
    "checked_distance",
    "classical_mds",
    "complete",
    "gower",
    "mean_region",
    "metric_mds",
    "resampled",
    "stress",
    "true_distance",
]

FEWEST_UNITS = 6
"""Resampled units with which a mean has a region: with fewer, the one that covers it is larger than most maps."""


class Draws(NamedTuple):
    """A map made again from resampled units, each time laid onto the first.

    Attributes:
      weights: `(draw, item)`, how often an item's unit was drawn.
      coordinates: `(draw, item, 2)`, of all items, drawn or not.
    """

    weights: Float[np.ndarray, "draw item"]
    coordinates: Float[np.ndarray, "draw item 2"]


class Embedding(NamedTuple):
    """Points whose distances imitate given ones.

    Attributes:
      coordinates: `(member, dimension)`, centred, along principal axes.
      explained: share of the positive eigenvalues of the centred distances on each dimension of classical scaling.
      eigenvalues: all of them, descending; negative ones say how far the distances are from Euclidean.
      stress: Kruskal's stress-1, `sqrt(sum (d - d')^2 / sum d^2)`, of these coordinates.
    """

    coordinates: Float[np.ndarray, "member dimension"]
    explained: Float[np.ndarray, " dimension"]
    eigenvalues: Float[np.ndarray, " member"]
    stress: float


def angular(similarity: np.ndarray) -> np.ndarray:
    """`arccos` of a similarity that is the cosine of an angle: a true distance, 0 to pi, 0 on the diagonal.

    1 - similarity breaks the triangle inequality. The angle between two maps does not, debiased CKA (below 0 for some)
    and correlations of RDMs included (Williams et al. 2021). Rounding above 1 is cut off, nothing else.
    """
    angle = np.arccos(np.clip(np.asarray(similarity, np.float64), -1, 1))
    np.fill_diagonal(angle, np.where(np.isnan(angle.diagonal()), np.nan, 0))
    return (angle + angle.T) / 2


def true_distance(value: np.ndarray, kind: str) -> np.ndarray:
    """The distance that a matrix of values stands for: the angle of a similarity, a distance itself.

    Raises:
      ValueError: for a score, which is not symmetric and has no distance.
    """
    if kind == "similarity":
        return angular(value)
    if kind == "distance":
        value = np.asarray(value, np.float64)
        distance = (value + value.T) / 2
        np.fill_diagonal(distance, np.where(np.isnan(distance.diagonal()), np.nan, 0))
        return distance
    raise ValueError(f"A {kind} has no distance; similarities and distances have one.")


def complete(distance: np.ndarray) -> np.ndarray:
    """Indices of items of which all distances to each other are known; those with the most gaps go first."""
    gone = ~np.isfinite(distance)
    kept = np.arange(len(distance))
    while (gaps := gone[np.ix_(kept, kept)].sum(1)).any():
        kept = kept[gaps < gaps.max()]
    return kept


def gower(distance: np.ndarray) -> np.ndarray:
    """`-J D^2 J / 2`, `J = I - 1/n`: the inner products of centred points with distances D (Gower 1966)."""
    inner = -0.5 * checked_distance(distance) ** 2
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
    return Embedding(coordinates, explained, eigenvalues, stress(distance, coordinates))


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
    return Embedding(coordinates, start.explained, start.eigenvalues, stress(distance, coordinates))


def resampled(
    distance: np.ndarray, onto: np.ndarray, units: Any, *, axes: Any = None, draws: int = 100, seed: int = 0
) -> Draws:
    """The map of a population made again from units drawn with replacement (after Jacoby & Armstrong 2014).

    An item that was drawn k times has weight k. Every draw minimises the same loss as the map, in closed form where
    that is classical scaling, started from the map where it is metric scaling; rotated, reflected and shifted onto it,
    not stretched. Items that were not drawn are placed among those that were, so that all are laid upon all.

    Args:
      distance: `(item, item)`.
      onto: `(item, 2)`, the map.
      units: what each item is drawn with, `(item,)`, such as its configuration; -1 is in every draw once.
      axes: `(item, axis)`, leading axes of classical scaling, 32 are plenty, where the map is the first two of them;
        without them it is one of metric scaling.
      draws: how many.
      seed: of the draws.
    """
    distance = checked_distance(distance)
    codes = np.asarray(units)
    values = np.unique(codes[codes >= 0])
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), draws)
    weights = np.ones((draws, len(distance)))
    weights[:, codes >= 0] = counts[:, np.searchsorted(values, codes[codes >= 0])]
    placed = _metric_draws(distance, weights, onto) if axes is None else _classical_draws(axes, weights)
    return Draws(weights, np.stack([aligned(points, onto) for points in placed]))


def _classical_draws(axes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted classical scaling: the principal axes of the weighted items among the leading axes of all."""
    placed = []
    for weight in weights:
        centred = axes - weight @ axes / weight.sum()
        placed.append(centred @ np.linalg.eigh((centred.T * weight) @ centred)[1][:, :-3:-1])
    return np.stack(placed)


def _metric_draws(distance: np.ndarray, weights: np.ndarray, start: np.ndarray, steps: int = 40) -> np.ndarray:
    """Weighted metric scaling by SMACOF from one start, with the relaxed update of de Leeuw & Heiser (1980).

    With weights `w_i w_j` a step is `x_i - m <- sum_j w_j (d_ij / |x_i - x_j|) (x_i - x_j) / sum_j w_j`, m the weighted
    mean. It places items of weight 0 too.
    """
    size = len(distance)
    block = max(1, 400_000 // size**2)  # draws whose matrices stay in the cache
    goal, placed = distance.astype(np.float32), []
    for first in range(0, len(weights), block):
        weight = weights[first : first + block].astype(np.float32)
        weight /= weight.sum(1, keepdims=True)
        x = np.broadcast_to(start.astype(np.float32), (len(weight), *start.shape))
        for step in range(steps):
            x = x - (weight[:, None] @ x)
            across, up = (x[:, :, None, axis] - x[:, None, :, axis] for axis in (0, 1))
            across *= across
            up *= up
            across += up
            np.sqrt(across, out=across)
            pull = np.divide(goal, across, out=np.zeros_like(across), where=across > 0)
            pull *= weight[:, None]
            moved = pull.sum(2, keepdims=True) * x - pull @ x
            x = 2 * moved - x if step < steps - 1 else moved  # the last one undoes the relaxation's stretch
        placed.append(x.astype(np.float64))
    return np.concatenate(placed)


def aligned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Points rotated, reflected and shifted onto others, with the least sum of squares (orthogonal Procrustes)."""
    centred, goal = points - points.mean(0), onto - onto.mean(0)
    left, _, right = np.linalg.svd(centred.T @ goal)
    return centred @ left @ right + onto.mean(0)


def mean_region(draws: Draws, which: np.ndarray, units: Any, share: float = 0.9) -> np.ndarray | None:
    """The ellipse that holds the mean of some items with a given confidence: `{x : x' R^-1 x <= 1}` about their mean.

    `R` is the covariance of the weighted mean over draws, times `n / (n - 1)` (a bootstrap's variance is that much too
    small) and Hotelling's `2 (n - 1) / (n - 2) F(2, n - 2)`, as the covariance itself is estimated from n units.

    Args:
      draws: of `resampled`.
      which: the items, `(item,)` booleans.
      units: as there.
      share: of confidence.

    Returns:
      `R`, (2, 2); None with fewer than `FEWEST_UNITS` units.
    """
    count = len(np.unique(np.asarray(units)[which]))
    if count < FEWEST_UNITS:
        return None
    weights = draws.weights * which
    weights = weights[weights.sum(1) > 0]
    means = np.einsum("di,dik->dk", weights, draws.coordinates[(draws.weights * which).sum(1) > 0])
    means /= weights.sum(1, keepdims=True)
    wider = count / (count - 1) * 2 * (count - 1) / (count - 2) * fdtri(2, count - 2, share)
    return np.cov(means.T) * wider


def checked_distance(distance: np.ndarray) -> np.ndarray:
    """A matrix of distances as float64; a ValueError where it is none, or has a NaN."""
    distance = np.asarray(distance, np.float64)
    if distance.ndim != 2 or distance.shape[0] != distance.shape[1] or not len(distance):
        raise ValueError(f"A distance matrix is (member, member); this one has shape {distance.shape}.")
    if not np.isfinite(distance).all():
        gone = int((~np.isfinite(distance)).sum())
        raise ValueError(f"{gone} of {distance.size} distances are NaN or infinite; choose one layer or one family.")
    return distance


def stress(distance: np.ndarray, coordinates: np.ndarray) -> float:
    """Kruskal's stress-1 of points, see `Embedding`."""
    wanted = squareform(np.asarray(distance, np.float64), checks=False)
    if not len(wanted):
        return 0.0
    return float(np.sqrt(((wanted - pdist(coordinates)) ** 2).sum() / max((wanted**2).sum(), np.finfo(float).tiny)))
