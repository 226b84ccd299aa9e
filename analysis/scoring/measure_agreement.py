"""Do the measures agree, and what is left of a similarity once a third representation is taken out of both."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.scoring.ceilings import Scores, compare_rdms, entries, scores

__all__ = ["agreement", "partial", "partial_score"]


def agreement(
    values: Mapping[str, np.ndarray],
    kinds: Mapping[str, str],
    groups: Sequence[Any] | None = None,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Spearman correlation of every two measures over pairs of members, with intervals over members.

    Pairs share members, so that their number is no sample size: the standard error is the jackknife over members, or
    over groups of them, with the ranks of all pairs kept. The values of a directed measure are averaged over its two
    directions; pairs that either measure lacks (NaN) do not count.

    Args:
      values: measure -> `(member, member)`.
      kinds: measure -> "similarity", "score" or "distance"; distances count with the opposite sign.
      groups: one label per member, such as its configuration: what is left out together.
      level: of the interval.

    Returns:
      One row per ordered pair of measures, indexed by `a`, `b`: `rho`, `low`, `high`, `se`, `pairs`, `left_out` (how
      many were left out in turn). `["rho"].unstack()` is the matrix. NaN where a measure does not vary.
    """
    shapes = {name: np.shape(value) for name, value in values.items()}
    count = max((shape[0] for shape in shapes.values()), default=0)
    for name, shape in shapes.items():
        if shape != (count, count):
            raise ValueError(f"Values of {name} have shape {shape}; all must be {(count, count)}, member by member.")
        if kinds.get(name) not in ("similarity", "score", "distance"):
            raise ValueError(f"Measure {name} is of kind {kinds.get(name)!r}; allowed: similarity, score, distance.")
    labels = np.arange(count) if groups is None else pd.factorize(np.array([str(group) for group in groups]))[0]
    if len(labels) != count:
        raise ValueError(f"There are {len(labels)} group labels for {count} members; each needs one.")
    oriented = {}
    for name, value in values.items():
        value = np.asarray(value, np.float64)
        oriented[name] = (value + value.T) / 2 * (-1 if kinds[name] == "distance" else 1)
    names = list(values)
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for i, a in enumerate(names):
        for b in names[i:]:
            rows[a, b] = rows[b, a] = _correlation(oriented[a], oriented[b], labels, level)
    index = pd.MultiIndex.from_product([names, names], names=["a", "b"])
    return pd.DataFrame([rows[pair] for pair in index], index=index, columns=list(_COLUMNS))


_COLUMNS = ("rho", "low", "high", "se", "pairs", "left_out")


def _correlation(a: np.ndarray, b: np.ndarray, labels: np.ndarray, level: float) -> dict[str, float]:
    """One pair of measures; leaving out a group takes its rows and columns off every sum."""
    first, second = np.triu_indices(len(a), 1)
    known = ~np.isnan(a[first, second] + b[first, second])
    first, second = first[known], second[known]
    ranks = [stats.rankdata(x[first, second]) - (len(first) + 1) / 2 for x in (a, b)]
    members = np.eye(labels.max(initial=-1) + 1)[labels]
    present = members[np.unique([first, second])].sum(0) > 0 if len(first) else np.zeros(0, bool)

    def left(of_pairs: np.ndarray) -> np.ndarray:
        """The sum over all pairs, then over those without each group."""
        full = np.zeros(a.shape)
        full[first, second] = of_pairs
        full += full.T
        gone = members.T @ full.sum(0) - np.einsum("ig,ij,jg->g", members, full, members, optimize=True) / 2
        return of_pairs.sum() - np.concatenate([[0], gone[present]])

    x, y = ranks
    number, sum_x, sum_y = left(np.ones(len(x))), left(x), left(y)
    per = np.where(number > 0, number, np.nan)
    xx, yy, xy = left(x * x) - sum_x**2 / per, left(y * y) - sum_y**2 / per, left(x * y) - sum_x * sum_y / per
    norm = np.sqrt(np.maximum(xx * yy, 0))
    rho = xy / np.where(norm > 1e-12 * (1 + norm[:1]), norm, np.nan)
    count = len(rho) - 1
    se = np.sqrt((count - 1) / count * ((rho[1:] - rho[1:].mean()) ** 2).sum()) if count > 2 else np.nan
    half = stats.t.ppf((1 + level) / 2, count - 1) * se if count > 2 else np.nan
    low, high = (rho[0] + side * half for side in (-1, 1))
    if abs(rho[0]) < 1 - 1e-9:  # on Fisher's scale, where errors near 1 are not skewed
        low, high = (np.tanh(np.arctanh(rho[0]) + side * half / (1 - rho[0] ** 2)) for side in (-1, 1))
    return dict(zip(_COLUMNS, (rho[0], low, high, se, len(x), count)))


def partial(similarity: np.ndarray, confounds: Sequence[int]) -> np.ndarray:
    """Similarities with those of one or more members taken out, such as the input's own (Cui et al. 2022).

    For a measure that is the cosine of one map per member (CKA, correlations of RDMs), g, the cosine of what is left of
    two maps once their projection on the confounds' maps C is subtracted:

        G_ij = (g_ij - g_iC g_CC^-1 g_Cj) / sqrt(the same of ii and of jj),

    a partial correlation. Two untrained networks, alike because they see the same pictures, come out near 0.

    Args:
      similarity: `(member, member)`, 1 on the diagonal; members of another kind may be NaN.
      confounds: the places of the members to take out.

    Returns:
      `(member, member)`; NaN for the confounds themselves and for maps of which they leave nothing.
    """
    g = np.asarray(similarity, np.float64)
    own = g.diagonal()
    if g.ndim != 2 or g.shape[0] != g.shape[1] or np.nanmax(np.abs(own - 1), initial=0) > 1e-3:
        raise ValueError("Taking out a member needs a similarity with 1 on the diagonal, the cosine of two maps.")
    taken = np.unique(np.asarray(confounds, int) % len(g))
    if len(taken) == 0 or np.isnan(g[np.ix_(taken, taken)]).any():
        raise ValueError(f"The confounds {list(confounds)} have no similarity with each other; name members that have.")
    cross = g[:, taken]
    left = g - cross @ _inverse(g[np.ix_(taken, taken)]) @ cross.T
    norm = np.sqrt(np.where(left.diagonal() > _SPENT * own, left.diagonal(), np.nan))
    return left / (norm[:, None] * norm)


_SPENT = 1e-5
"""Of a map's squared norm; with less left, what is left is the rounding of similarities in single precision."""


def partial_score(
    models: Any, rdms: Any, confounds: Any, compare: str = "spearman", subjects: Sequence[Any] | None = None
) -> Scores:
    """Models' scores on subjects' RDMs given other RDMs: the partial correlation, per subject.

    The formula is that of `partial`, with a subject's RDM as one side and a model's as the other. For "pearson" it is
    the partial correlation, for "spearman" that of ranks.

    Args:
      models: `(model, stimulus, stimulus)` or `(model, entry)`.
      rdms: the subjects', of the same shapes.
      confounds: `(confound, ...)`, such as the silhouette's RDM.
      compare, subjects: as for `analysis.scoring.ceilings.noise_ceiling`; mean and error are by the same estimator.
    """
    models, rdms, confounds = entries(models), entries(rdms), entries(confounds)
    inverse = _inverse(compare_rdms(confounds, confounds, compare))
    of_models, of_rdms = (compare_rdms(x, confounds, compare) for x in (models, rdms))

    def norm(vectors: np.ndarray, cross: np.ndarray) -> np.ndarray:
        own = np.array([compare_rdms(one[None], one[None], compare)[0, 0] for one in vectors])
        left = own - np.einsum("ic,cd,id->i", cross, inverse, cross)
        return np.sqrt(np.where(left > 1e-10 * own, left, np.nan))

    left = compare_rdms(models, rdms, compare) - of_models @ inverse @ of_rdms.T
    return scores(left / (norm(models, of_models)[:, None] * norm(rdms, of_rdms)), subjects)


def _inverse(g: np.ndarray) -> np.ndarray:
    """Of the confounds' similarities; confounds that say the same count once."""
    return np.linalg.pinv(g, rcond=1e-6, hermitian=True)
