"""Category structure: how much more alike the patterns of one class are than those of different classes."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Category", "category_index", "classes_of", "dissimilarities", "usable"]

MOST_CLASSES = 50


class Category(NamedTuple):
    """Mean dissimilarities, 1 - Pearson r across units, of the pairs of different stimuli.

    Attributes:
      within: of pairs within a class.
      between: of pairs of different classes.
      index: between - within; 0 where classes do not matter, at most 2.
    """

    within: float
    between: float
    index: float


def category_index(patterns: Any, labels: Any) -> Category:
    """How category-based a representation is.

        index = mean over pairs of different classes of (1 - r_ij) - mean over pairs within a class of (1 - r_ij),

    r_ij the Pearson correlation across units of the patterns of stimuli i != j: what the blocks of a dissimilarity
    matrix sorted by class show (Yang & Wang 2020, Artificial neural networks for neuroscientists: a primer, Neuron
    107:1048, Fig. 4B, layers 1 and 4 of a digit network). A pattern without variance over units is given correlation
    0 with every other, as in `rsa`.

    With z_i the centred pattern at length 1 and s_c its sum over class c, sums of r over pairs are differences of
    squared lengths, sum_c |s_c|^2 - sum_i |z_i|^2 within and |sum_i z_i|^2 - sum_c |s_c|^2 between: no matrix of all
    pairs is made.

    Args:
      patterns: `(stimulus, unit)`, or more axes of units.
      labels: one per stimulus.

    Raises:
      ValueError: fewer than 2 classes, or a class of fewer than 2 stimuli.
    """
    x = np.asarray(patterns, np.float64)
    if x.ndim < 2 or len(x) != len(labels):
        raise ValueError(f"Patterns of shape {x.shape} and {len(labels)} labels: one label per stimulus is needed.")
    within, between = dissimilarities(x.reshape(len(x), -1), classes_of(labels), np)
    return Category(float(within), float(between), float(between - within))


def classes_of(labels: Any) -> np.ndarray:
    """Which stimulus is of which class, `(class, stimulus)`, 0 or 1."""
    names, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"All {len(codes)} stimuli are of one class; a category index needs at least 2.")
    if counts.min() < 2:
        lone = names[counts.argmin()]
        raise ValueError(f"Class {lone} has 1 stimulus; a category index needs at least 2 in every class.")
    return (codes.reshape(-1) == np.arange(len(names))[:, None]).astype(np.float32)


def usable(conditions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The conditions that divide the stimuli into 2 to 50 classes of at least 2 each, as `classes_of` gives them."""
    found = {}
    for name, labels in conditions.items():
        counts = np.unique(labels, return_counts=True)[1]
        if 2 <= len(counts) <= MOST_CLASSES and counts.min() >= 2:
            found[name] = classes_of(labels)
    return found


def dissimilarities(x: Any, classes: np.ndarray, numpy: Any) -> tuple[Any, Any]:
    """Mean dissimilarities within and between classes of patterns `(stimulus, unit)`; `numpy` is jax.numpy or NumPy.

    NaN where the patterns are the same for all stimuli: such a layer has no geometry.
    """
    constant = (x.max(0) - x.min(0)).max() <= 8 * np.finfo(x.dtype).eps * abs(x).max()
    square = (x * x).sum(1)
    z = x - x.mean(1, keepdims=True)
    length = (z * z).sum(1)
    flat = length <= (8 * np.finfo(x.dtype).eps) ** 2 * square
    z = z * numpy.where(flat, 0, 1 / numpy.sqrt(numpy.where(flat, 1, length)))[:, None]
    sums = classes.astype(x.dtype) @ z
    own, of_classes, total = (z * z).sum(), (sums * sums).sum(), (z.sum(0) ** 2).sum()
    counts = classes.sum(1).astype(np.float64)
    pairs = float((counts**2).sum() - counts.sum())
    others = float(counts.sum() ** 2 - (counts**2).sum())
    within, between = 1 - (of_classes - own) / pairs, 1 - (total - of_classes) / others
    return numpy.where(constant, numpy.nan, within), numpy.where(constant, numpy.nan, between)
