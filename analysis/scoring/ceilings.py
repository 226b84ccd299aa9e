"""Noise ceilings: how well the best possible model could do on several subjects, and models on the same scale.

A ceiling is a mean over subjects of a similarity with a *mean representation*, which is named at each function. A
model's score is the mean over the same subjects of its similarity with each, never its similarity with their mean: that
is another, larger number. Nothing is clipped, and a score above its ceiling is shown as it is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import kendalltau, rankdata

from analysis.measures.rsa import COMPARE, RANKED, WHITENED
from zoo.lookup import nearest

__all__ = [
    "Ceiling",
    "Reliability",
    "Scores",
    "compare_rdms",
    "entries",
    "map_ceiling",
    "noise_ceiling",
    "scores",
    "spearman_brown",
    "split_half",
]


class Ceiling(NamedTuple):
    """Between which two values the best possible model lies.

    Attributes:
      lower: the mean over subjects of the similarity with the mean representation of the others; of a distance, the
        larger one.
      upper: the mean over subjects of the similarity with the mean representation of all, themselves included.
      each: `(subject, 2)`, both for every subject.
    """

    lower: float
    upper: float
    each: np.ndarray


class Scores(NamedTuple):
    """Of models on subjects.

    Attributes:
      mean: `(model,)`, over subjects.
      se: `(model,)`, its standard error, `sd / sqrt(subjects)`; NaN for one subject.
      each: `(model, subject)`.
    """

    mean: np.ndarray
    se: np.ndarray
    each: np.ndarray


class Reliability(NamedTuple):
    """Of units measured repeatedly.

    Attributes:
      units: `(unit,)`, the correlation over stimuli that the mean of all repeats would have with that of as many new
        ones. The best correlation that a model can reach is its square root, the best R2 is the reliability itself.
      median: over units.
    """

    units: np.ndarray
    median: float


def noise_ceiling(rdms: Any, compare: str = "spearman", subjects: Sequence[Any] | None = None) -> Ceiling:
    """The ceiling of RDMs (Nili et al. 2014), as rsatoolbox's `boot_noise_ceiling`.

    The mean representation is the mean of the RDMs after each was divided by its root mean square (cosines), z-scored
    (pearson) or ranked (the others). For cosine, pearson and rho-a no RDM does better on the subjects than the mean of
    all, for spearman none without ties; for tau-a and the whitened comparisons the mean is near the best one, and the
    upper value no strict bound.

    Args:
      rdms: `(subject, stimulus, stimulus)` or `(subject, entry)`.
      compare: a comparison of `rsa`.
      subjects: one label per RDM where a subject has several; a subject's own are left out together.
    """
    vectors = entries(rdms)
    folds = _folds(len(vectors), subjects)
    if len(folds) < 2:
        raise ValueError(f"{len(folds)} subject has no noise ceiling; it needs at least 2.")
    level = _levelled(vectors, compare)
    upper = compare_rdms(level.mean(0, keepdims=True), vectors, compare)[0]
    each = []
    for rows in folds:
        others = np.delete(level, rows, 0).mean(0, keepdims=True)
        each.append((compare_rdms(others, vectors[rows], compare).mean(), upper[rows].mean()))
    return _ceiling(np.array(each))


def scores(values: np.ndarray, subjects: Sequence[Any] | None = None) -> Scores:
    """Mean and standard error over subjects of similarities `(model, column)`; `subjects` labels the columns."""
    values = np.asarray(values, np.float64)
    each = np.stack([values[:, columns].mean(1) for columns in _folds(values.shape[1], subjects)], 1)
    count = each.shape[1]
    se = each.std(1, ddof=1) / count**0.5 if count > 1 else np.full(len(each), np.nan)
    return Scores(each.mean(1), se, each)


def map_ceiling(similarity: np.ndarray) -> Ceiling:
    """The ceiling of subjects whose units do not correspond, from their similarities with each other.

    The mean representation is the mean *map*: for a measure that is the cosine of one map per member (CKA, RSA), maps
    scaled to norm 1 and averaged. With G the similarities, `<A_i, mean_j A_j> / |mean_j A_j|` is

        upper_i = sum_j G_ij / sqrt(sum_jk G_jk),    lower_i the same over j, k != i without the i-th row,

    so that nothing need be computed again. A model's score is the mean of its similarities with the subjects
    (`scores`). Ranked RDMs are averaged as ranks, without ranking the mean anew.

    Args:
      similarity: `(subject, subject)`, 1 on the diagonal.
    """
    g = np.asarray(similarity, np.float64)
    if g.ndim != 2 or g.shape[0] != g.shape[1] or len(g) < 2:
        raise ValueError(
            f"Similarities of shape {g.shape} have no ceiling; they must be subject x subject, at least 2."
        )
    if np.abs(g.diagonal() - 1).max() > 1e-3 or not np.allclose(g, g.T, atol=1e-3):
        raise ValueError(
            "A ceiling of maps needs a symmetric similarity with 1 on the diagonal, the cosine of two maps."
        )
    rows, total = g.sum(1), g.sum()
    upper = rows / np.sqrt(total)
    lower = (rows - g.diagonal()) / np.sqrt(total - 2 * rows + g.diagonal())
    return _ceiling(np.stack([lower, upper], 1))


def spearman_brown(correlation: Any, times: float = 2.0) -> Any:
    """The reliability of `times` as many measurements, `k r / (1 + (k - 1) r)` (Spearman 1910; Brown 1910)."""
    return times * correlation / (1 + (times - 1) * correlation)


def split_half(repeats: np.ndarray, *, splits: int = 100, seed: int = 0) -> Reliability:
    """The reliability of every unit over repeats, the ceiling of predictivity.

    The correlation over stimuli (and times) of the means of two halves of the repeats, averaged over random splits and
    corrected to the full number; of an odd number of repeats one is left out at random. A unit that is constant in a
    half is NaN, and no part of the median.

    Args:
      repeats: `(repeat, stimulus, unit)` or `(repeat, stimulus, time, unit)`.
      splits: how many.
      seed: of the splits.
    """
    repeats = np.asarray(repeats, np.float64)
    if repeats.ndim not in (3, 4) or len(repeats) < 2:
        raise ValueError(
            f"Repeats of shape {repeats.shape} have no halves; they must be repeat x stimulus (x time) x unit, "
            "at least 2 repeats."
        )
    flat = repeats.reshape(len(repeats), -1, repeats.shape[-1])
    draw, half, total = np.random.default_rng(seed), len(flat) // 2, np.zeros(flat.shape[2])
    for _ in range(splits):
        order = draw.permutation(len(flat))
        a, b = (flat[part].mean(0) for part in (order[:half], order[half : 2 * half]))
        a, b = a - a.mean(0), b - b.mean(0)
        norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
        total += (a * b).sum(0) / np.where(norm > 0, norm, np.nan)
    units = spearman_brown(total / splits, len(flat) / half)
    known = units[~np.isnan(units)]
    return Reliability(units, float(np.median(known)) if len(known) else float("nan"))


# --- RDMs as vectors -------------------------------------------------------------------------------------------------


def entries(rdms: Any) -> np.ndarray:
    """RDMs `(rdm, stimulus, stimulus)`, or already `(rdm, entry)`, as their entries above the diagonal, in float64."""
    vectors = np.asarray(rdms, np.float64)
    if vectors.ndim == 3 and vectors.shape[1] == vectors.shape[2]:
        vectors = vectors[(slice(None), *np.triu_indices(vectors.shape[1], 1))]
    n = _stimuli(vectors.shape[-1])
    if vectors.ndim != 2 or n < 3 or n * (n - 1) // 2 != vectors.shape[1]:
        raise ValueError(
            f"{np.shape(rdms)} is no shape of RDMs; give (rdm, stimulus, stimulus) or (rdm, entry) with the "
            "n (n - 1) / 2 entries above the diagonal, n at least 3."
        )
    if np.isnan(vectors).any():
        bad = int(np.isnan(vectors).any(1).argmax())
        raise ValueError(
            f"RDM {bad} has {np.isnan(vectors[bad]).sum()} NaN entries; leave out the stimuli that were not measured."
        )
    return vectors


def compare_rdms(a: Any, b: Any, compare: str = "spearman") -> np.ndarray:
    """All RDMs of `a` with all of `b`, `(a, b)`, without their diagonals; comparisons as in `rsa`, in float64.

    NaN where an RDM's entries are all the same (zero, for cosines).
    """
    a, b = entries(a), entries(b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"RDMs of {_stimuli(a.shape[1])} and of {_stimuli(b.shape[1])} stimuli cannot be compared.")
    if compare == "tau-a":
        return np.array([[_tau_a(rdm, other) for other in b] for rdm in a])
    a, b = _directions(a, compare), _directions(b, compare)
    return a @ b.T


def _folds(count: int, subjects: Sequence[Any] | None) -> list[np.ndarray]:
    """The rows of each subject."""
    labels = np.array([str(subject) for subject in subjects]) if subjects is not None else np.arange(count)
    if len(labels) != count:
        raise ValueError(f"There are {len(labels)} subject labels for {count} RDMs; each needs one.")
    return [np.flatnonzero(labels == label) for label in dict.fromkeys(labels.tolist())]


def _ceiling(each: np.ndarray) -> Ceiling:
    lower, upper = each.mean(0)
    return Ceiling(float(lower), float(upper), each)


def _stimuli(count: int) -> int:
    return round((1 + (1 + 8 * count) ** 0.5) / 2)


def _levelled(vectors: np.ndarray, compare: str) -> np.ndarray:
    """RDMs on a common scale, before their mean is taken."""
    _check(compare)
    if compare in ("cosine", "whitened-cosine"):
        scale = np.sqrt((vectors**2).mean(1, keepdims=True))
    elif compare in ("pearson", "whitened-pearson"):
        vectors, scale = vectors - vectors.mean(1, keepdims=True), vectors.std(1, keepdims=True)
    else:
        return rankdata(vectors, axis=1)
    return vectors / np.where(scale > 0, scale, np.nan)


def _directions(vectors: np.ndarray, compare: str) -> np.ndarray:
    """Vectors whose inner products are the comparison."""
    _check(compare)
    if compare in RANKED:
        vectors = rankdata(vectors, axis=1)
    size = np.sqrt((vectors**2).sum(1, keepdims=True))
    if "cosine" not in compare:
        vectors = vectors - vectors.mean(1, keepdims=True)
    if compare == "rho-a":
        count = vectors.shape[1]
        return vectors * (12 / (count**3 - count)) ** 0.5
    if compare in WHITENED:
        vectors = _second_moments(vectors)
    norm = np.sqrt((vectors**2).sum(1, keepdims=True))
    return vectors / np.where(norm > 1e-12 * size, norm, np.nan)


def _second_moments(vectors: np.ndarray) -> np.ndarray:
    """`-1/2 H D H` of every RDM D with 0 on its diagonal, flat: whitened entries (Diedrichsen et al. 2021)."""
    n = _stimuli(vectors.shape[1])
    full = np.zeros((len(vectors), n, n))
    upper = np.triu_indices(n, 1)
    full[(slice(None), *upper)] = vectors
    full += full.swapaxes(1, 2)
    means = full.mean(1)
    full -= means[:, :, None] + means[:, None] - means.mean(1)[:, None, None]
    return -full.reshape(len(vectors), -1) / 2


def _tau_a(a: np.ndarray, b: np.ndarray) -> float:
    """Concordant less discordant pairs of entries over all pairs; tau-b is over those without ties."""
    pairs = len(a) * (len(a) - 1) / 2
    untied = [1 - sum(k * (k - 1) / 2 for k in np.unique(x, return_counts=True)[1]) / pairs for x in (a, b)]
    if not all(untied):
        return 0.0
    tau_b: Any = kendalltau(a, b, method="asymptotic")
    return float(tau_b.statistic) * (untied[0] * untied[1]) ** 0.5


def _check(compare: str) -> None:
    if compare not in COMPARE:
        raise ValueError(f"RDMs cannot be compared by {compare!r}; {nearest(compare, COMPARE)}.")
