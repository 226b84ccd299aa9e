"""Sums of squares of a term in a matrix of inner products, its spread, and their permutation tests."""

import math
from typing import NamedTuple

import numpy as np

from analysis.inference.resampling import relabellings

__all__ = ["Bases", "Null", "Partition", "bases", "deviations", "f_ratio", "indicators", "partition", "permute"]

TINY = np.finfo(float).tiny


class Bases(NamedTuple):
    """A linear model of units: a term, and everything it is tested given.

    Attributes:
      reduced: `(unit, rank)`, orthonormal: the constant and all other terms.
      effect: `(unit, df)`, orthonormal: what the term adds to them.
      weights: `(column, df)`: `effect` is the term's columns, residualised on `reduced`, times these.
      columns: `(unit, column)`: the term's.
    """

    reduced: np.ndarray
    effect: np.ndarray
    weights: np.ndarray
    columns: np.ndarray

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


class Null(NamedTuple):
    """Two tests by the same permutations.

    Attributes:
      p: of the term's share of what the other terms leave.
      dispersion_p: of the term's share in the units' deviations; NaN where it is not asked for.
    """

    p: float
    dispersion_p: float


def indicators(codes: np.ndarray) -> np.ndarray:
    """Dummy columns `(unit, level)` of labels 0, 1, ..."""
    return np.eye(codes.max() + 1)[codes]


def _orthonormal(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of the columns' span, and the weights that make it of them."""
    vectors, sizes, rows = np.linalg.svd(columns, full_matrices=False)
    kept = sizes > 1e-10 * max(sizes.max(initial=0), 1)
    return vectors[:, kept], rows[kept].T / sizes[kept]


def bases(columns: np.ndarray, others: list[np.ndarray]) -> Bases:
    """Bases of a term's columns `(unit, column)`, given a constant and the columns of other terms."""
    reduced, _ = _orthonormal(np.concatenate([np.ones((len(columns), 1)), *others], 1))
    effect, weights = _orthonormal(columns - reduced @ (reduced.T @ columns))
    return Bases(reduced, effect, weights, columns)


def _trace(basis: np.ndarray, inner: np.ndarray) -> float:
    return float(np.sum(basis * (inner @ basis)))


def partition(inner: np.ndarray, model: Bases) -> Partition:
    """Type III sums of squares, `tr(Q^T G Q)`, of inner products `(unit, unit)` (McArdle & Anderson 2001)."""
    total = float(np.trace(inner) - inner.mean() * len(inner))
    effect = _trace(model.effect, inner)
    return Partition(total, effect, float(np.trace(inner)) - _trace(model.reduced, inner) - effect)


def f_ratio(sums: Partition, model: Bases) -> float:
    """The (pseudo-)F of a term; NaN without a residual."""
    if not model.df or model.df_residual <= 0 or sums.residual <= 1e-12 * abs(sums.total) + TINY:
        return math.nan
    return sums.effect / model.df / (sums.residual / model.df_residual)


def deviations(inner: np.ndarray, model: Bases) -> np.ndarray:
    """Distances of units to the spatial centroid of their group, `(unit,)` (Anderson 2006).

    A group's centroid is fitted together with the other terms, so that groups which meet other levels of these are
    compared at the same ones; without other terms it is the group's mean. Squared distances take in the axes of
    negative eigenvalue with their sign, and count as 0 below 0. Each is divided by what the fit leaves of unit noise,
    which is 1 - 1/n for a group of n (O'Neill & Mathews 2000): small groups would seem compact without.
    """
    aligned, fitted = _aligned(inner, model)
    return _distances(aligned, model.effect[:, None], fitted[:, None])[:, 0]


def _aligned(inner: np.ndarray, model: Bases) -> tuple[np.ndarray, np.ndarray]:
    """Inner products of units without the term's part of the fit, `C Q^T`, and C `(unit, df)`; Q is `model.effect`."""
    fitted = model.columns @ model.weights
    fitted = fitted - fitted.mean(0)
    left = np.eye(len(inner)) - 1 / len(inner) - fitted @ model.effect.T
    return left @ inner @ left.T, fitted


def _distances(aligned: np.ndarray, effect: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Deviations `(unit, draw)` of aligned units from centroids fitted anew; bases are `(unit, draw, df)`.

    The diagonal of `L A L^T`, `L = I - 1/n - C Q^T`, over that of `L L^T`.
    """
    half = (aligned @ effect.reshape(len(aligned), -1)).reshape(effect.shape)
    core = np.matmul(effect.transpose(1, 2, 0), half.transpose(1, 0, 2))
    square = np.matmul(fitted.transpose(1, 0, 2), core).transpose(1, 0, 2)
    squares = aligned.diagonal()[:, None] + np.sum((square - 2 * half) * fitted, -1)
    noise = 1 - 1 / len(aligned) + np.sum((fitted - 2 * effect) * fitted, -1)
    return np.sqrt(np.where(noise > 1e-9, np.maximum(squares, 0) / np.maximum(noise, 1e-9), 0))


def permute(
    inner: np.ndarray,
    model: Bases,
    codes: np.ndarray,
    strata: np.ndarray,
    *,
    residuals: bool,
    spread: bool,
    draws: int,
    exact: bool,
    smallest: float,
    seed: int,
) -> Null:
    """Permutation tests of a term within strata, given the other terms.

    Location: residuals under the reduced model are exchanged within strata and fitted anew (Freedman & Lane 1983; on
    distances, Anderson & Legendre 1999). With R the residual maker of the reduced model, E = R G R and Q an orthonormal
    basis, the sum of squares of a permutation is `tr(Q_perm^T E Q_perm)`, Q's rows permuted; the statistic is the
    effect's over what the reduced model leaves, which orders permutations as pseudo-F does. Where the other terms are
    constant within strata they fit none of the permuted residuals, and this is the permutation of labels within strata.

    Dispersion: units, their groups aligned on one centroid, are exchanged in the same way; centroids are fitted anew.
    Exchanging only their distances to centroids instead finds a difference between groups of few in far more than 5 %:
    distances in one group are alike (of two units, equal), for the centroid is made of them.

    Args:
      inner: `(unit, unit)` inner products.
      model: the term and the others.
      codes: `(unit,)` 0, 1, ...: equal for units that have equal rows in the term's columns.
      strata: `(unit,)`: what is exchanged stays in these.
      residuals: whether some other term varies within strata.
      spread: test dispersion too.
      draws: permutations at random, or at most.
      exact: whether these are all, each once.
      smallest: p that the design allows.
      seed: of the draws.
    """
    df, count = model.df, len(inner)
    half = inner - model.reduced @ (model.reduced.T @ inner)
    left = half - (half @ model.reduced) @ model.reduced.T
    whole, floor = np.trace(left), 1e-12 * abs(np.trace(inner)) + TINY
    aligned, fitted = _aligned(inner, model)
    if residuals:
        codes, rows = np.arange(count), np.concatenate([model.effect, fitted, model.reduced], 1)
    else:
        rows = fitted[np.unique(codes, return_index=True)[1]]
    held = fitted - model.effect  # what other terms explain of a label's columns: the same in its whole stratum

    def shares(relabelled: np.ndarray) -> np.ndarray:
        moved = rows[relabelled.T]  # (unit, draw, column)
        effect = moved[..., :df] if residuals else moved - held[:, None]
        flat = effect.reshape(count, -1)
        found = np.einsum("uc,uc->c", left @ flat, flat).reshape(-1, df).sum(1)
        others = moved[..., 2 * df :].reshape(count, -1)
        taken = np.einsum("uc,uc->c", left @ others, others).reshape(len(found), -1).sum(1) if residuals else 0.0
        location = found / np.maximum(whole - taken, floor)
        if not spread:
            return location[None]
        distance = _distances(aligned, effect, moved[..., df : 2 * df] if residuals else moved)
        by = np.einsum("ud,udr->dr", distance, moved[..., 2 * df :]) if residuals else distance.T @ model.reduced
        squares = np.sum(distance**2, 0)
        rest = np.maximum(squares - np.sum(by**2, 1), 1e-12 * squares + TINY)  # equal distances differ by rounding
        return np.stack([location, np.sum(np.einsum("ud,udc->dc", distance, effect) ** 2, 1) / rest])

    observed = shares(np.arange(count)[None] if residuals else codes[None])
    least, tried = np.zeros(len(observed), int), 0
    for relabelled in relabellings(codes, strata, draws, exact, seed, width=3 * rows.shape[1]):
        least += (shares(relabelled) >= observed - 1e-9).sum(1)
        tried += len(relabelled)
    # Draws meet the observed partition as often as chance has it: they must not make p less than the design allows.
    p = np.maximum(least / tried if exact else (least + 1) / (tried + 1), smallest)
    return Null(float(p[0]), float(p[1]) if spread else math.nan)
