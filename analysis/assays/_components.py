"""Principal components of activity, of one network and of several at once, and how many dimensions a spectrum has."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FLAT = 1e-12
"""A layer whose variance is at most this share of its mean square is constant but for rounding."""


def participation_ratio(shares: np.ndarray) -> np.ndarray:
    """(sum of eigenvalues)^2 / sum of their squares, of shares that sum up to 1, `(..., component)` -> `(...,)`."""
    return 1 / np.maximum((shares**2).sum(-1), 1e-300)


class Components(NamedTuple):
    """Principal components of one network.

    Attributes:
      mean: of every unit, `(unit,)`.
      axes: unit vectors by falling variance, the largest entry of each positive, `(component, unit)`.
      shares: of the variance, `(component,)`; NaN where the layer is constant or not finite.
    """

    mean: np.ndarray
    axes: np.ndarray
    shares: np.ndarray


def components_of(rows: np.ndarray) -> Components:
    """Those of samples `(row, unit)`, in double precision: the eigenvectors of the covariance."""
    rows = np.asarray(rows, np.float64)
    units = rows.shape[1]
    if not np.isfinite(rows).all():
        return Components(np.full(units, np.nan), np.full((units, units), np.nan), np.full(units, np.nan))
    mean = rows.mean(0)
    covariance = (rows - mean[None]).T @ (rows - mean[None]) / len(rows)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    eigenvalues, axes = eigenvalues[::-1].clip(0), vectors.T[::-1]
    axes = axes * signs(axes)[:, None]
    if eigenvalues.sum() <= FLAT * (rows**2).sum(1).mean():
        return Components(mean, axes, np.full(units, np.nan))
    return Components(mean, axes, eigenvalues / eigenvalues.sum())


def signs(axes: np.ndarray) -> np.ndarray:
    """Of every axis `(component, entry)`, the sign of its largest entry, `(component,)`."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], axis=1)[:, 0]
    return np.where(largest < 0, -1.0, 1.0)


class Joint(NamedTuple):
    """Principal components of several networks side by side.

    Attributes:
      shares: of each network's variance that is along the shared patterns, `(network, component)`; their mean over
        networks is the share of all. NaN of one that is constant or not finite.
      projections: of each network's activity onto its part of the components, `(network, row, component)`: their sum
        over networks is the projection of all.
    """

    shares: np.ndarray
    projections: np.ndarray


def joint_components(patterns: Sequence[np.ndarray], count: int) -> Joint:
    """The components of all units of several networks put side by side, every network with the same total variance.

    The patterns over rows that they share are the eigenvectors of the sum of all networks' Gram matrices.

    Args:
      patterns: of every network, `(row, unit)`, of the same rows.
      count: components.
    """
    networks, rows = len(patterns), len(patterns[0])
    shares, projections = np.full((networks, count), np.nan), np.full((networks, rows, count), np.nan)
    own = {}
    for m, given in enumerate(patterns):
        centred = np.asarray(given, np.float64) - np.asarray(given, np.float64).mean(0)[None]
        total = (centred**2).sum()
        if np.isfinite(total) and total > FLAT * (np.asarray(given, np.float64) ** 2).sum():
            own[m] = centred / np.sqrt(total)
    if not own:
        return Joint(shares, projections)
    gram = np.zeros((rows, rows))
    for centred in own.values():
        gram += centred @ centred.T
    eigenvalues, vectors = np.linalg.eigh(gram)
    leading = vectors[:, ::-1][:, :count]
    leading = leading * signs(leading.T)[None]
    kept, root = leading.shape[1], np.sqrt(eigenvalues[::-1][:count].clip(1e-300))
    for m, centred in own.items():
        along = centred.T @ leading
        shares[m, :kept] = (along**2).sum(0)
        projections[m, :, :kept] = centred @ along / root[None]
    return Joint(shares, projections)
