"""Matrices of dissimilarities: what is one, with the slack that its making leaves, and what has to be asked."""

import numpy as np

__all__ = ["closest_form", "is_square", "side", "squared"]

ROUNDED = 1e-5
"""Of the largest entry: what single precision, or a correlation rounded twice, leaves of symmetry and of zeros."""


def side(pairs: int) -> int:
    """n for which there are so many pairs, 0 where there is none."""
    n = (1 + int(np.sqrt(1 + 8 * pairs))) // 2
    return n if n > 1 and n * (n - 1) // 2 == pairs else 0


def is_square(x: np.ndarray) -> bool:
    """Whether the last two axes are equally long, and the numbers real."""
    return x.dtype.kind in "fiub" and x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1


def closest_form(x: np.ndarray) -> str:
    """What a square matrix, or a stack of them, may be besides patterns.

    Returns:
      "rdm": symmetric, its diagonal zero or NaN; "triangle": the same of one triangle, zero or NaN below it or above;
      "similarity": symmetric, its diagonal constant and nowhere exceeded; "crooked": a diagonal of zeros and not
      symmetric; "symmetric": symmetric, and none of these; "" for anything else.
    """
    if not is_square(x):
        return ""
    x = x.reshape(-1, *x.shape[-2:]).astype(np.float64)
    off = ~np.eye(x.shape[-1], dtype=bool)
    scale = np.nanmax(np.abs(x[:, off]), initial=0)
    diagonal = np.diagonal(x, 0, 1, 2)
    empty = bool((np.isnan(diagonal) | (np.abs(diagonal) <= ROUNDED * scale)).all())
    if scale and _is_symmetric(x, scale):
        if empty:
            return "rdm"
        largest = float(np.nanmax(x))
        flat = np.ptp(diagonal) <= ROUNDED * largest if largest > 0 else False
        return "similarity" if flat and diagonal.flat[0] >= largest * (1 - ROUNDED) else "symmetric"
    if not empty or not scale:
        return ""
    upper, lower = (np.abs(np.nan_to_num(part(x))).max(initial=0) for part in (_upper, _lower))
    return "triangle" if min(upper, lower) == 0 else "crooked"


def squared(x: np.ndarray) -> np.ndarray:
    """`(..., n, n)` from upper triangles `(..., pair)` row by row, from one triangle of a matrix, or from a matrix;
    symmetric, with zeros on the diagonal."""
    x = np.asarray(x, np.float64)
    if is_square(x) and closest_form(x) == "triangle":
        x = np.nan_to_num(x)
        x = x + x.swapaxes(-2, -1)
    elif not is_square(x):
        n = side(x.shape[-1])
        full = np.zeros((*x.shape[:-1], n, n))
        full[(..., *np.triu_indices(n, 1))] = x
        x = full + full.swapaxes(-2, -1)
    x = (x + x.swapaxes(-2, -1)) / 2
    x[..., np.arange(x.shape[-1]), np.arange(x.shape[-1])] = 0
    return x


def _is_symmetric(x: np.ndarray, scale: float) -> bool:
    return bool(np.allclose(x, x.swapaxes(-2, -1), rtol=0, atol=ROUNDED * scale, equal_nan=True))


def _upper(x: np.ndarray) -> np.ndarray:
    return x[:, *np.triu_indices(x.shape[-1], 1)]


def _lower(x: np.ndarray) -> np.ndarray:
    return x[:, *np.tril_indices(x.shape[-1], -1)]
