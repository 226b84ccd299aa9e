"""Rows of unequal counts per network as arrays of a few sizes: what is run over them is compiled once a size."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Packed", "packed"]


class Packed(NamedTuple):
    """Rows of some networks, side by side.

    Attributes:
      members: places of the networks that have rows, `(member,)`.
      rows: places of theirs, `(member, row)`; where one has fewer than others, its first again.
      real: which of them are no such padding, `(member, row)`.
    """

    members: np.ndarray
    rows: np.ndarray
    real: np.ndarray


def packed(whose: np.ndarray, sizes: Sequence[int]) -> list[Packed]:
    """Rows of networks as arrays `(member, row)` of one of the sizes, or of a multiple of the largest; none of none.

    Args:
      whose: the network of every row, `(row,)`.
      sizes: ascending.
    """
    members = np.unique(whose)
    rows = [np.flatnonzero(whose == m) for m in members]
    need = max(map(len, rows), default=0)
    size = next((size for size in sizes if size >= need), -(-need // sizes[-1]) * sizes[-1])
    if not len(members):
        return []
    padded = np.stack([np.concatenate([of, np.full(size - len(of), of[0])]) for of in rows])
    real = np.arange(size)[None] < np.array([len(of) for of in rows])[:, None]
    return [Packed(members, padded, real)]
