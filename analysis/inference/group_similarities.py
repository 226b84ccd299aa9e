"""Mean similarities within and between groups of members, and those that any other one is read against."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.inference.factors import SEED, texts_of

__all__ = ["References", "references", "within_between"]


def within_between(similarity: np.ndarray, labels: Iterable[object]) -> pd.DataFrame:
    """Mean similarity within and between groups of members; a member's pair with itself and NaN pairs do not count.

    Returns:
      Rows `within` and `between` over all groups, then one row per pair of groups (`a / b`, or `a` alone for pairs
      within it): `mean`, `pairs`.
    """
    names = [str(label) for label in labels]
    groups = list(dict.fromkeys(names))
    place = {name: i for i, name in enumerate(groups)}
    codes = np.array([place[name] for name in names], int)
    first, second = np.triu_indices(len(names), 1)
    value = np.asarray(similarity, np.float64)[first, second]
    first, second, value = (part[~np.isnan(value)] for part in (codes[first], codes[second], value))
    rows = {"within": _mean(value[first == second]), "between": _mean(value[first != second])}
    # One pass over the pairs, whatever the number of groups.
    cells = np.minimum(first, second) * len(groups) + np.maximum(first, second)
    counts = np.bincount(cells, minlength=len(groups) ** 2)
    sums = np.bincount(cells, value, minlength=len(groups) ** 2)
    for i, one in enumerate(groups):
        for j, other in enumerate(groups[i:], i):
            count = int(counts[i * len(groups) + j])
            mean = float(sums[i * len(groups) + j]) / count if count else math.nan
            rows[one if one == other else f"{one} / {other}"] = (mean, count)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "pairs"]).astype({"pairs": int})


class References(NamedTuple):
    """Mean similarities that any other one is read against, over pairs of other seeds; NaN where there is none.

    Networks of one seed start alike and may see the same trials: such pairs are near copies.

    Attributes:
      same: same configuration, both trained: as alike as members can be expected to be.
      other: another configuration, both trained.
      untrained: a trained with an untrained member: what architecture, size and input alone bring about.
      both_untrained: two untrained members.
      pairs: the number of pairs behind each, in this order.
    """

    same: float
    other: float
    untrained: float
    both_untrained: float
    pairs: tuple[int, int, int, int]


def references(
    similarity: np.ndarray, table: pd.DataFrame, fields: Sequence[str], *, trained: str = "trained"
) -> References:
    """The similarities of the same and of other configurations, and with untrained members, as references.

    Args:
      similarity: `(member, member)`; NaN pairs (other layers) do not count.
      table: one row per member; without a column `seed`, every pair counts.
      fields: the columns that make a configuration, without the seed.
      trained: the boolean column that tells trained from untrained; without such a column all count as trained.
    """
    columns = [texts_of(table, field) for field in fields]
    cells = pd.factorize(np.array(["\x1f".join(row) for row in zip(*columns)] if columns else [""] * len(table)))[0]
    learned = table[trained].to_numpy(bool) if trained in table else np.ones(len(table), bool)
    first, second = np.triu_indices(len(table), 1)
    value = np.asarray(similarity, np.float64)[first, second]
    if SEED in table:
        seeds = table[SEED].to_numpy()
        value[seeds[first] == seeds[second]] = np.nan
    alike, both = cells[first] == cells[second], learned[first].astype(int) + learned[second]
    chosen = ((both == 2) & alike, (both == 2) & ~alike, both == 1, both == 0)
    (same, n_same), (other, n_other), (mixed, n_mixed), (none, n_none) = (_mean(value[which]) for which in chosen)
    return References(same, other, mixed, none, (n_same, n_other, n_mixed, n_none))


def _mean(values: np.ndarray) -> tuple[float, int]:
    values = values[~np.isnan(values)]
    return (float(values.mean()) if len(values) else math.nan, len(values))
