"""Category structure: how much more alike the patterns of one class are than those of different classes."""

from typing import Any

import numpy as np

__all__ = ["classes_of", "dissimilarities", "usable"]

MOST_CLASSES = 50
"""Classes that a condition may have."""


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
    classes = {}
    for name, labels in conditions.items():
        counts = np.unique(labels, return_counts=True)[1]
        if 2 <= len(counts) <= MOST_CLASSES and counts.min() >= 2:
            classes[name] = classes_of(labels)
    return classes


def dissimilarities(x: Any, classes: np.ndarray, numpy: Any) -> tuple[Any, Any]:
    """Mean dissimilarities of different stimuli within a class, and between classes.

        within, between = means of (1 - r_ij) over the pairs of stimuli i != j of one class, and of two,

    r_ij the Pearson correlation across units of two patterns. The category index, between - within, is 0 where classes
    do not matter and at most 2: what the blocks of a dissimilarity matrix sorted by class show (Yang & Wang 2020,
    Artificial neural networks for neuroscientists: a primer, Neuron 107:1048, Fig. 4B, layers 1 and 4 of a digit
    network). A pattern without variance over units is given correlation 0 with every other, as in `rsa`.

    With z_i the centred pattern at length 1 and s_c its sum over class c, sums of r over pairs are differences of
    squared lengths, sum_c |s_c|^2 - sum_i |z_i|^2 within and |sum_i z_i|^2 - sum_c |s_c|^2 between: no matrix of all
    pairs is made.

    Args:
      x: `(stimulus, unit)`.
      classes: `(class, stimulus)`, see `classes_of`.
      numpy: jax.numpy or NumPy, whichever `x` is of.

    Returns:
      Both means, NaN where the patterns are the same for all stimuli: such a layer has no geometry.
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
