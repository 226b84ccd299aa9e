"""How well the nearest members tell a member's label, with close relatives left out."""

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["hits", "knn_accuracy", "nearest_cases"]


def knn_accuracy(
    distance: np.ndarray,
    labels: Sequence[object] | np.ndarray,
    configuration: Sequence[object] | np.ndarray,
    seed: Sequence[object] | np.ndarray | None = None,
    k: int = 5,
) -> float:
    """Share of members whose k nearest neighbours vote for their label.

    Members of the same configuration, and those of the same seed, are no neighbours: they share more than the label,
    such as an initial state or the order of trials. A tie of m labels counts as 1/m, fewer candidates than k vote
    alone, and members without any are left out.

    Args:
      distance: `(member, member)`.
      labels: `(member,)`.
      configuration: `(member,)`.
      seed: `(member,)`; none where seeds are unknown.
      k: neighbours that vote.

    Returns:
      0 to 1; NaN where no member has a candidate.
    """
    near = nearest_cases(distance, _codes(configuration), None if seed is None else _codes(seed), k)
    return float(hits(near, _codes(labels)[None])[0])


def _codes(labels: Sequence[object] | np.ndarray) -> np.ndarray:
    place = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([place[label] for label in labels], int)


def nearest_cases(distance: np.ndarray, configuration: np.ndarray, seed: np.ndarray | None, k: int = 5) -> np.ndarray:
    """`(member, k)` indices of the nearest of another configuration and another seed; -1 where there are fewer."""
    if k < 1:
        raise ValueError(f"k = {k} neighbours cannot vote; k must be at least 1.")
    related = configuration[:, None] == configuration
    if seed is not None:
        related |= seed[:, None] == seed
    away = np.where(related, np.inf, np.asarray(distance, np.float64))
    order = np.argsort(away, axis=1, kind="stable")[:, :k]
    return np.where(np.isfinite(np.take_along_axis(away, order, 1)), order, -1)


def hits(near: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The share of right votes for each of several labellings `(labelling, member)`, 0, 1, ..., of the same members."""
    voting = near >= 0
    counted = np.flatnonzero(voting.any(1))
    if not len(counted):
        return np.full(len(labels), math.nan)
    near, voting = near[counted], voting[counted]
    cast = np.where(voting, labels[:, near], -1)  # (labelling, member, neighbour)
    votes = np.stack([(cast == label).sum(-1) for label in range(int(labels.max()) + 1)], -1)
    right = np.take_along_axis(votes, labels[:, counted, None], -1)[..., 0]
    most = votes.max(-1)
    return ((right == most) / (votes == most[..., None]).sum(-1)).mean(-1)
