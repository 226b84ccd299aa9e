"""Do the measures agree about which members are alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["agreement"]


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
    return pd.DataFrame([rows[pair] for pair in index], index=index, columns=list(_AGREEMENT_COLUMNS))


_AGREEMENT_COLUMNS = ("rho", "low", "high", "se", "pairs", "left_out")


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
    return dict(zip(_AGREEMENT_COLUMNS, (rho[0], low, high, se, len(x), count)))
