"""How the context decides what is integrated: selection vectors, and three ways in which they and inputs differ.

On a line attractor of direction r, of unit norm, an input of direction i moves the state along the line by s i: s, the
selection vector, is the left eigenvector of the leading mode, with s r = 1 (Mante, Sussillo, Shenoy & Newsome 2013,
Nature 503:78). With D the difference between two contexts, and m(.) the mean of the two, what makes an input count in
one of them and not in the other is

    D(s i) = (m(s) r) (r Di)  +  m(s) (Di - r (r Di))  +  Ds m(i)
             direct input        indirect input           selection vector

(Pagan et al. 2025, Nature 639:421; Zhang, Feng & Min 2025, eLife 14:RP103636, where the first two together are input
modulation). Direct input moves the state along the line at once, indirect input off the line, from where it relaxes to
another place on it. The three over their sum are coordinates of a network in a triangle; it is outside of it where one
of the three works against the others.

The papers take one slow point per context. Here it is the mean over all pairs of points, one per context, so that the
result depends on no choice among them; only points whose leading mode is a real, positive eigenvalue count.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

MECHANISMS = ("direct input", "indirect input", "selection vector")
SELECTIVE = 0.1
"""Of what an input moves the state by, in all contexts: what must differ between them, else there is no selection to
explain."""


class Modes(NamedTuple):
    """The leading modes at points of one network under one static input, those of real, positive eigenvalues.

    Attributes:
      right: r, of unit norm, `(point, coordinate)`.
      left: s, the selection vector, with s r = 1, `(point, coordinate)`.
      inputs: the directions i of all input channels, dF/du, `(point, coordinate, channel)`.
    """

    right: np.ndarray
    left: np.ndarray
    inputs: np.ndarray


class Selection(NamedTuple):
    """How the contexts of one network differ; NaN where it has points in fewer than two of them.

    Attributes:
      coordinates: of the whole network, `(mechanism,)`, their sum 1; NaN of one that selects nothing.
      by_channel: D(s i) in its three parts, in units of the state per unit of input, positive where they make what is
        selected move the state more, `(channel, mechanism)`.
      selectivity: |D(s i)| over the sum of |s i|, `(channel,)`: 0 where contexts are alike, 1 where only one counts.
      parallel: |cosine| between the line attractors of contexts, the mean over pairs; the formula takes it to be 1.
    """

    coordinates: np.ndarray
    by_channel: np.ndarray
    selectivity: np.ndarray
    parallel: float


def selection_of(contexts: Sequence[Modes], channels: np.ndarray) -> Selection:
    """How the contexts of one network differ, over all pairs of contexts.

    Args:
      contexts: the modes under each static input.
      channels: which input channels are evidence; static inputs do not differ in them.
    """
    there = [modes for modes in contexts if len(modes.right)]
    if len(there) < 2 or not len(channels):
        nothing = np.full(len(MECHANISMS), np.nan)
        return Selection(
            nothing, np.full((len(channels), len(nothing)), np.nan), np.full(len(channels), np.nan), np.nan
        )
    there = _turned(there)
    parts, sizes, cosines = [], [], []
    for one, other in combinations(there, 2):
        first, second = (_moved(modes, channels) for modes in (one, other))
        three = _three_parts(one, other, channels)
        sign = np.where(first >= second, 1, -1)
        parts.append(three * sign[:, None])
        sizes.append(np.abs(first) + np.abs(second))
        cosines.append(np.abs(one.right @ other.right.T).mean())
    by_channel, size = np.mean(parts, axis=0), np.mean(sizes, axis=0)
    total = by_channel.sum()
    selects = total > SELECTIVE * size.sum()
    coordinates = by_channel.sum(0) / (total if selects else np.nan)
    with np.errstate(invalid="ignore"):  # an input that moves nothing
        return Selection(coordinates, by_channel, by_channel.sum(1) / size, float(np.mean(cosines)))


def alignments(left: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """|cosine| between selection vectors and input channels, the mean over points, `(channel,)`; NaN where an input has
    no direction, or there is no point.

    Args:
      left: `(point, coordinate)`, real or complex.
      inputs: `(point, coordinate, channel)`.
    """
    if not len(left):
        return np.full(inputs.shape[-1], np.nan)
    size = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(inputs, axis=1)
    with np.errstate(invalid="ignore"):
        return (np.abs(np.einsum("pc,pcu->pu", left, inputs)) / size).mean(0)


def _turned(contexts: Sequence[Modes]) -> list[Modes]:
    """The same modes with the signs of their eigenvectors chosen: along the axis that most of them share."""
    rows = np.concatenate([modes.right for modes in contexts])
    axis = np.linalg.eigh(rows.T @ rows)[1][:, -1]
    turned = []
    for right, left, inputs in contexts:
        sign = np.where(right @ axis < 0, -1.0, 1.0)[:, None]
        turned.append(Modes(right * sign, left * sign, inputs))
    return turned


def _moved(modes: Modes, channels: np.ndarray) -> np.ndarray:
    """How far each channel moves the state along the line, s i, `(channel,)`."""
    return np.einsum("pc,pcu->pu", modes.left, modes.inputs[..., channels]).mean(0)


def _three_parts(one: Modes, other: Modes, channels: np.ndarray) -> np.ndarray:
    """D(s i), the first context less the second, in three parts, the mean over pairs of points,
    `(channel, mechanism)`."""
    mean_left = (one.left[:, None] + other.left[None]) / 2
    line = one.right[:, None] + other.right[None]
    line = line / np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-12)  # of two that are opposite, 0
    first, second = one.inputs[:, None][..., channels], other.inputs[None][..., channels]
    modulated = np.einsum("pqc,pqcu->pqu", mean_left, first - second)
    along = np.einsum("pqc,pqcu->pqu", line, first - second)
    direct = along * np.einsum("pqc,pqc->pq", mean_left, line)[..., None]
    turned = np.einsum("pqc,pqcu->pqu", one.left[:, None] - other.left[None], (first + second) / 2)
    return np.stack([direct, modulated - direct, turned], axis=-1).mean((0, 1))
