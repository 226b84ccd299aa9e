"""Targeted dimensionality reduction: the directions of activity along which task variables are represented.

Mante, Sussillo, Shenoy & Newsome 2013 (Nature 503:78), supplement 6.5 to 6.7.
"""

from typing import NamedTuple

import numpy as np


class RegressionAxes(NamedTuple):
    """Axes of one network.

    Attributes:
      axes: orthonormal, in the space of z-scored units, `(variable, unit)`; NaN of a variable whose coefficients are
        made of those of the variables before it.
      norms: of the regression coefficients over units, `(variable, time)`.
      peaks: the place of the largest norm, `(variable,)`.
    """

    axes: np.ndarray
    norms: np.ndarray
    peaks: np.ndarray


def regression_axes(activity: np.ndarray, variables: np.ndarray, denoised: int) -> RegressionAxes:
    """The axes of z-scored activity.

    At every time step each unit is regressed on all variables and a constant. The coefficients of a variable are a
    vector over units, which is projected onto the leading principal components, over all stimuli and times, and taken
    at the time at which it is longest. The vectors are made orthogonal in the order of the variables (QR).

    Args:
      activity: `(stimulus, time, unit)`, z-scored; finite.
      variables: `(stimulus, variable)`; they are put to mean 0 and standard deviation 1.
      denoised: components that coefficients are projected onto; 0 for none.
    """
    stimuli, times, units = activity.shape
    design = np.concatenate([z_scored(variables), np.ones((stimuli, 1))], axis=1)
    coefficients = np.linalg.pinv(design) @ activity.reshape(stimuli, -1)
    coefficients = coefficients[:-1].reshape(-1, times, units)
    if 0 < denoised < units:
        rows = activity.reshape(-1, units)
        leading = np.linalg.eigh(rows.T @ rows)[1][:, -denoised:]
        coefficients = coefficients @ leading @ leading.T
    norms = np.linalg.norm(coefficients, axis=-1)
    peaks = norms.argmax(1)
    longest = np.take_along_axis(coefficients, peaks[:, None, None], axis=1)[:, 0]
    axes = np.full_like(longest, np.nan)
    q, r = np.linalg.qr(longest.T)
    for place in range(q.shape[1]):
        if abs(r[place, place]) > 1e-6 * np.linalg.norm(longest[place]):
            axes[place] = q[:, place] * np.sign(r[place, place])
    return RegressionAxes(axes, norms, peaks)


def z_scored(values: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 over all axes but the last; zeros of what is constant."""
    over = tuple(range(values.ndim - 1))
    centred = values - values.mean(over, keepdims=True)
    deviation = centred.std(over, keepdims=True)
    flat = deviation <= 1e-6 * np.sqrt((values**2).mean(over, keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, deviation))
