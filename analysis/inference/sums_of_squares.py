"""Sums of squares of a term in a matrix of inner products, and the spread of its groups.

A *case* is what is compared: a configuration, or a member, by the mean of its networks.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = [
    "TINY",
    "Bases",
    "Partition",
    "aligned_cases",
    "bases",
    "centroid_distances",
    "deviations",
    "f_ratio",
    "indicators",
    "partition",
]

TINY = np.finfo(float).tiny
"""Added to what is divided by and may be 0."""


class Bases(NamedTuple):
    """A linear model of cases: a term, and everything it is tested given.

    Attributes:
      reduced: `(case, rank)`, orthonormal: the constant and all other terms.
      effect: `(case, df)`, orthonormal: what the term adds to them.
      weights: `(column, df)`: `effect` is the term's columns, residualised on `reduced`, times these.
      columns: `(case, column)`: the term's.
    """

    reduced: Float[np.ndarray, "case rank"]
    effect: Float[np.ndarray, "case df"]
    weights: Float[np.ndarray, "column df"]
    columns: Float[np.ndarray, "case column"]

    @property
    def df(self) -> int:
        """Degrees of freedom of the term."""
        return self.effect.shape[1]

    @property
    def df_residual(self) -> int:
        """Degrees of freedom that the full model leaves."""
        return len(self.reduced) - self.reduced.shape[1] - self.effect.shape[1]


class Partition(NamedTuple):
    """Sums of squares around the mean: `total`, `effect` of a term given the others, `residual` of the full model."""

    total: float
    effect: float
    residual: float


def indicators(codes: np.ndarray) -> np.ndarray:
    """Dummy columns `(case, level)` of labels 0, 1, ..."""
    return np.eye(codes.max() + 1)[codes]


def _orthonormal(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of the columns' span, and the weights that make it of them."""
    vectors, sizes, rows = np.linalg.svd(columns, full_matrices=False)
    kept = sizes > 1e-10 * max(sizes.max(initial=0), 1)
    return vectors[:, kept], rows[kept].T / sizes[kept]


def bases(columns: np.ndarray, others: list[np.ndarray]) -> Bases:
    """Bases of a term's columns `(case, column)`, given a constant and the columns of other terms."""
    reduced, _ = _orthonormal(np.concatenate([np.ones((len(columns), 1)), *others], 1))
    effect, weights = _orthonormal(columns - reduced @ (reduced.T @ columns))
    return Bases(reduced, effect, weights, columns)


def _trace(basis: np.ndarray, inner: np.ndarray) -> float:
    return float(np.sum(basis * (inner @ basis)))


def partition(inner: np.ndarray, model: Bases) -> Partition:
    """Type III sums of squares, `tr(Q^T G Q)`, of inner products `(case, case)` (McArdle & Anderson 2001)."""
    total = float(np.trace(inner) - inner.mean() * len(inner))
    effect = _trace(model.effect, inner)
    return Partition(total, effect, float(np.trace(inner)) - _trace(model.reduced, inner) - effect)


def f_ratio(sums: Partition, model: Bases) -> float:
    """The (pseudo-)F of a term; NaN without a residual."""
    if not model.df or model.df_residual <= 0 or sums.residual <= 1e-12 * abs(sums.total) + TINY:
        return math.nan
    return sums.effect / model.df / (sums.residual / model.df_residual)


def deviations(inner: np.ndarray, model: Bases) -> np.ndarray:
    """Distances of cases to the spatial centroid of their group, `(case,)` (Anderson 2006).

    A group's centroid is fitted together with the other terms, so that groups which meet other levels of these are
    compared at the same ones; without other terms it is the group's mean. Squared distances take in the axes of
    negative eigenvalue with their sign, and count as 0 below 0. Each is divided by what the fit leaves of noise of
    variance 1, which is 1 - 1/n for a group of n (O'Neill & Mathews 2000): small groups would seem compact without.
    """
    aligned, fitted = aligned_cases(inner, model)
    return centroid_distances(aligned, model.effect[:, None], fitted[:, None])[:, 0]


def aligned_cases(inner: np.ndarray, model: Bases) -> tuple[np.ndarray, np.ndarray]:
    """Inner products of cases without the term's part of the fit, `C Q^T`, and C `(case, df)`; Q is `model.effect`."""
    fitted = model.columns @ model.weights
    fitted = fitted - fitted.mean(0)
    left = np.eye(len(inner)) - 1 / len(inner) - fitted @ model.effect.T
    return left @ inner @ left.T, fitted


def centroid_distances(aligned: np.ndarray, effect: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Deviations `(case, draw)` of aligned cases from centroids fitted anew; bases are `(case, draw, df)`.

    The diagonal of `L A L^T`, `L = I - 1/n - C Q^T`, over that of `L L^T`.
    """
    half = (aligned @ effect.reshape(len(aligned), -1)).reshape(effect.shape)
    core = np.matmul(effect.transpose(1, 2, 0), half.transpose(1, 0, 2))
    square = np.matmul(fitted.transpose(1, 0, 2), core).transpose(1, 0, 2)
    squares = aligned.diagonal()[:, None] + np.sum((square - 2 * half) * fitted, -1)
    noise = 1 - 1 / len(aligned) + np.sum((fitted - 2 * effect) * fitted, -1)
    return np.sqrt(np.where(noise > 1e-9, np.maximum(squares, 0) / np.maximum(noise, 1e-9), 0))
