"""Single linear modes of a Jacobian, and what takes one of them out of a deviation from a fixed point.

With J r = lambda r and l' J = lambda l', l' r = 1, the part of a deviation d that is along the mode is r l' d; of a
pair of complex modes it is 2 Re(r l') d. So d - r l' d is d without the mode. In a linear network it stays without it,
and all other modes are as they were. Right and left vectors are not the same where J is not normal.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

NULL_MODE = 1e-9
"""An eigenvalue of this share of the largest is none: any basis of a null space would do for its mode."""
INSEPARABLE = 1e-7
"""Cosine of right and left vector of a mode below which it cannot be told from another: J has too few eigenvectors."""


class Modes(NamedTuple):
    """The leading modes of one Jacobian, a complex pair as one, by falling modulus; NaN where there are fewer, or where
    one cannot be taken out alone.

    Attributes:
      eigenvalues: complex, that above the real axis of a pair, `(mode,)`.
      right, left: sum_i right_i left_i' is the projection onto the mode, `(mode, 2, coordinate)`.
      norms: its Frobenius norm, 1 of a single normal mode, `(mode,)`.
    """

    eigenvalues: np.ndarray
    right: np.ndarray
    left: np.ndarray
    norms: np.ndarray


def modes_of(jacobian: np.ndarray, count: int) -> Modes:
    """The modes of largest modulus.

    Args:
      jacobian: `(coordinate, coordinate)`; [i, j] is the derivative of the next coordinate i to coordinate j.
      count: how many.
    """
    width = len(jacobian)
    values, right, left = np.full(count, np.nan, complex), *(np.full((count, 2, width), np.nan) for _ in range(2))
    norms = np.full(count, np.nan)
    if np.isfinite(jacobian).all():
        found: Any = scipy.linalg.eig(jacobian, left=True, right=True)
        eigenvalues, of_left, of_right = found
        size = np.abs(eigenvalues)
        upper = np.flatnonzero((np.imag(eigenvalues) >= 0) & (size > NULL_MODE * size.max()))
        order = upper[np.lexsort((-np.real(eigenvalues[upper]), -np.abs(eigenvalues[upper]).round(12)))]
        for place, i in enumerate(order[:count]):
            r, row = of_right[:, i], of_left[:, i].conj()
            values[place], overlap = eigenvalues[i], row @ r
            if abs(overlap) <= INSEPARABLE:
                continue
            row = row / overlap
            if np.imag(eigenvalues[i]) == 0:
                right[place], left[place] = [np.real(r), 0 * np.real(r)], [np.real(row), 0 * np.real(row)]
            else:
                right[place], left[place] = [2 * np.real(r), -2 * np.imag(r)], [np.real(row), np.imag(row)]
            norms[place] = np.linalg.norm(right[place].T @ left[place])
    return Modes(values, right, left, norms)


def turned(modes: Modes, times: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Modes at random: each turned by random rotations of the space, which leave its norm, and that it is a projection.

    Returns:
      right and left, `(mode, time, 2, coordinate)`.
    """
    draw, width = np.random.default_rng(seed), modes.right.shape[-1]
    rotations = np.stack([scipy.linalg.qr(draw.normal(size=(width, width)))[0] for _ in range(times)])
    right, left = (np.einsum("mkc,tcd->mtkd", each, rotations) for each in (modes.right, modes.left))
    return right, left
