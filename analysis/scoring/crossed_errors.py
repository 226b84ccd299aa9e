"""Standard errors of scores over stimuli and subjects together: both are samples, and each pair of them is one too.

A score is a mean over S subjects of values that hang on n stimuli. With v_s the value of subject s, v_(-k)s the same
without stimulus k, and pseudo-values p_ks = n v_s - (n - 1) v_(-k)s,

    V_subjects = var_s(v) / S,    V_stimuli = (n - 1) / n sum_k (mean_s v_(-k)s - its mean)^2,
    V_both = sum_ks e_ks^2 / ((n - 1) (S - 1) n S),    e what is left of p without the means of its rows and columns;

each of the first two holds the third once, and so Var = V_subjects + V_stimuli - V_both, at least the larger of the two
(as the corrected bootstrap of Schutt et al. 2023, eLife 12:e82566, without its draws). Student's t has the degrees of
freedom of Welch and Satterthwaite.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.inference.permutation_designs import holm

__all__ = ["Scored", "holm_pairs", "ranks"]


class Scored(NamedTuple):
    """Values of several things, each with every subject.

    Attributes:
      value: `(thing, subject)`.
      without: without each stimulus, `(stimulus, thing, subject)`.
    """

    value: np.ndarray
    without: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Over subjects, `(thing,)`."""
        return self.value.mean(1)

    def variances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`(thing, thing)` each: of the difference of every two, over subjects, stimuli and both; on the diagonal of
        each thing itself."""
        n, things, subjects = self.without.shape
        by_stimulus = self.without.mean(2)
        over_stimuli = _of_differences((by_stimulus - by_stimulus.mean(0)).T * np.sqrt((n - 1) / n))
        if subjects == 1:
            none = np.zeros((things, things))
            return none, over_stimuli, none
        over_subjects = _of_differences(
            (self.value - self.value.mean(1, keepdims=True)) / np.sqrt((subjects - 1) * subjects)
        )
        pseudo = n * self.value[None] - (n - 1) * self.without
        left = pseudo - pseudo.mean(0) - pseudo.mean(2, keepdims=True) + pseudo.mean((0, 2))[None, :, None]
        scale = np.sqrt((n - 1) * (subjects - 1) * n * subjects)
        both = _of_differences(left.swapaxes(0, 1).reshape(things, -1) / scale)
        return over_subjects, over_stimuli, both

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Standard errors and degrees of freedom, `(thing, thing)` each, as `variances`."""
        over_subjects, over_stimuli, both = self.variances()
        total = np.maximum(over_subjects + over_stimuli - both, np.maximum(over_subjects, over_stimuli))
        n, _, subjects = self.without.shape
        parts = over_stimuli**2 / (n - 1) + (over_subjects**2 / (subjects - 1) if subjects > 1 else 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = np.where(parts > 0, (over_subjects + over_stimuli) ** 2 / parts, n - 1)
        return np.sqrt(total), freedom

    def limits(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper, `(thing,)`."""
        se, freedom = (np.diagonal(x) for x in self.errors())
        half = stats.t.ppf((1 + level) / 2, freedom) * se
        return self.mean - half, self.mean + half

    def p_values(self) -> np.ndarray:
        """Of the difference of every two, two-sided, `(thing, thing)`; on the diagonal that of each thing against 0."""
        se, freedom = self.errors()
        difference = self.mean[:, None] - self.mean[None]
        np.fill_diagonal(difference, self.mean)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.where(se > 0, np.abs(difference) / se, np.where(difference == 0, 0, np.inf))
        return 2 * stats.t.sf(t, freedom)


def _of_differences(x: np.ndarray) -> np.ndarray:
    """Sums of squares of the difference of every two rows, and on the diagonal those of each row."""
    gram = x @ x.T
    own = gram.diagonal()
    squares = np.maximum(own[:, None] + own[None] - 2 * gram, 0)
    np.fill_diagonal(squares, own)
    return squares


def holm_pairs(p: np.ndarray) -> np.ndarray:
    """p-values of all pairs `(thing, thing)`, symmetric, by Holm's adjustment; 1 on the diagonal."""
    first, second = np.triu_indices(len(p), 1)
    adjusted, values = np.ones_like(p), p[first, second]
    adjusted[first, second] = adjusted[second, first] = holm(values, np.isfinite(values))
    return adjusted


def ranks(mean: np.ndarray, p_of_pairs: np.ndarray, level: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rank of everything, 1 the highest, and between which it lies: what is significantly better stands above,
    what is significantly worse below.

    Args:
      mean: `(thing,)`.
      p_of_pairs: adjusted, `(thing, thing)`.
      level: of significance.
    """
    differs = p_of_pairs < level
    above = differs & (mean[None] > mean[:, None])
    below = differs & (mean[None] < mean[:, None])
    rank = (mean[None] > mean[:, None]).sum(1) + 1
    return rank, above.sum(1) + 1, len(mean) - below.sum(1)
