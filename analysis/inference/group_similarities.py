"""Mean similarities within and between groups of members, their limits over networks, and those that any other one is
read against. Limits are by the jackknife: configurations are left out one at a time, with their seeds and copies."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.factors import SEED, texts_of

__all__ = [
    "LEAST_CONFIGURATIONS",
    "MEAN_COLUMNS",
    "References",
    "block_means",
    "configurations",
    "group_of",
    "jackknife_errors",
    "jackknife_means",
    "left_out_together",
    "of_other_seeds",
    "references",
    "within_between",
]

LEAST_CONFIGURATIONS = 3
"""In each group, for limits over configurations: two say next to nothing of how far others would be."""

OVER_ALL = ("within", "between")
"""The rows of `within_between` that are over all groups."""

MEAN_COLUMNS = ["mean", "low", "high", "se", "pairs", "configurations"]
"""Of `jackknife_means`."""


def within_between(similarity: np.ndarray, labels: Iterable[object]) -> pd.DataFrame:
    """Mean similarity within and between groups of members; a member's pair with itself and NaN pairs do not count.

    Returns:
      Rows `within` and `between` over all groups, then one row per pair of groups (`a / b`, or `a` alone for pairs
      within it): `mean`, `pairs`. A group that has the name of such a row stands in quotes, as it does in Python.
    """
    names = [str(label) for label in labels]
    groups = list(dict.fromkeys(names))
    place = {name: i for i, name in enumerate(groups)}
    codes = np.array([place[name] for name in names], int)
    first, second = np.triu_indices(len(names), 1)
    value = np.asarray(similarity, np.float64)[first, second]
    first, second, value = (part[~np.isnan(value)] for part in (codes[first], codes[second], value))
    # One pass over the pairs, whatever the number of groups.
    cells = np.minimum(first, second) * len(groups) + np.maximum(first, second)
    counts = np.bincount(cells, minlength=len(groups) ** 2)
    sums = np.bincount(cells, value, minlength=len(groups) ** 2)
    rows, named = [_mean(value[first == second]), _mean(value[first != second])], [*OVER_ALL]
    shown = [repr(name) if name in OVER_ALL or " / " in name or name[:1] in ("'", '"') else name for name in groups]
    for i, one in enumerate(shown):
        for j, other in enumerate(shown[i:], i):
            count = int(counts[i * len(groups) + j])
            rows.append((float(sums[i * len(groups) + j]) / count if count else math.nan, count))
            named.append(one if i == j else f"{one} / {other}")
    return pd.DataFrame(rows, index=named, columns=["mean", "pairs"]).astype({"pairs": int})


def of_other_seeds(similarity: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Similarities of members of other seeds, NaN else: those of one seed start alike, may see the same trials, and are
    near copies. Without a column `seed` every pair counts but that of a member with itself."""
    seeds = table[SEED].to_numpy() if SEED in table else np.arange(len(table))
    return np.where(seeds[:, None] == seeds, np.nan, np.asarray(similarity, np.float64))


class References(NamedTuple):
    """Mean similarities that any other one is read against, of `of_other_seeds`; NaN where there is none.

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
    value = of_other_seeds(similarity, table)[first, second]
    alike, both = cells[first] == cells[second], learned[first].astype(int) + learned[second]
    chosen = ((both == 2) & alike, (both == 2) & ~alike, both == 1, both == 0)
    (same, n_same), (other, n_other), (mixed, n_mixed), (none, n_none) = (_mean(value[which]) for which in chosen)
    return References(same, other, mixed, none, (n_same, n_other, n_mixed, n_none))


def _mean(values: np.ndarray) -> tuple[float, int]:
    values = values[~np.isnan(values)]
    return (float(values.mean()) if len(values) else math.nan, len(values))


def configurations(table: pd.DataFrame, fields: Sequence[str]) -> np.ndarray:
    """The configuration of every member, numbered in order of appearance; a missing value is a level of its own."""
    if unknown := [field for field in fields if field not in table]:
        raise ValueError(f"The table has no field {unknown[0]!r}; it has {', '.join(map(str, table.columns))}.")
    if not fields:
        return np.zeros(len(table), int)
    return table.groupby(list(fields), dropna=False, sort=False).ngroup().to_numpy(int)


def jackknife_means(
    similarity: np.ndarray,
    labels: Iterable[Any],
    table: pd.DataFrame,
    fields: Sequence[str],
    copied: Sequence[str] = (),
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean similarity within and between groups, as `within_between`, over pairs of other seeds, with limits.

    Configurations are left out one at a time, with all their seeds and all their near copies: these are no independent
    networks. With v_(-i) a mean without configuration i, and n_g configurations with networks in the same groups g,

        se^2 = sum_g (n_g - 1) / n_g sum_(i in g) (v_(-i) - mean of these over g)^2

    (Efron & Stein 1981); the limits are the mean plus or minus se times the quantile of Student's t, with
    Satterthwaite's degrees of freedom. The means over all groups are those of pairs of groups, weighted by how many
    pairs of members these have with all configurations. How often limits cover stands in docs/comparing.md.

    Args:
      similarity: `(member, member)`; NaN pairs do not count.
      labels: the group of every member, made of the fields.
      table: one row per member; without a column `seed`, every pair counts.
      fields: the columns that make a configuration, without the seed.
      copied: those of them in which near copies differ, see `analysis.inference.field_tests.near_copies`.
      level: of the interval.

    Returns:
      The rows of `within_between` with `mean`, `low`, `high`, `se`, `pairs`, and `configurations`, how many take part.
      There are no limits, NaN, where fewer than `LEAST_CONFIGURATIONS` of one kind do, or where they do not differ.

    Raises:
      ValueError: the table has no such field, or a configuration is of two groups.
    """
    labels, similarity = list(labels), of_other_seeds(similarity, table)
    means: Any = within_between(similarity, labels)
    if not len(table):
        return means.assign(low=np.nan, high=np.nan, se=np.nan, configurations=0)[MEAN_COLUMNS]
    cells = configurations(table, fields)
    group = group_of(cells, labels, fields)
    unit, stratum = left_out_together(cells, group, table, [field for field in fields if field not in copied])
    statistic, first, second = block_means(similarity, cells, group)
    pairs = means["pairs"].to_numpy(float)[2:]
    kinds = np.stack([first == second, first != second]) * pairs  # within and between, over all groups
    weights = np.concatenate([kinds / np.maximum(kinds.sum(1, keepdims=True), 1), np.eye(len(pairs))])
    of_group = np.eye(group.max() + 1, dtype=bool)
    takes_part = (weights > 0) @ (of_group[:, first] | of_group[:, second]).T  # (row, group)
    there = np.zeros((len(stratum), len(of_group)), bool)
    there[unit, group] = True
    taking_part = takes_part @ there.T  # (row, unit)
    without = statistic((unit != np.arange(len(stratum))[:, None]).astype(float))
    unknown = (weights > 0) @ np.isnan(without).any(0)
    rows = np.nan_to_num(without) @ weights.T
    few = (taking_part & (np.bincount(stratum)[stratum] < LEAST_CONFIGURATIONS)).any(1)
    se, freedom = jackknife_errors(rows, stratum)
    se = np.where(few | unknown, np.nan, se)
    reach = se * stats.t.ppf((1 + level) / 2, freedom)
    limits = dict(low=means["mean"] - reach, high=means["mean"] + reach, se=se, configurations=taking_part.sum(1))
    return means.assign(**limits)[MEAN_COLUMNS]


def left_out_together(
    cells: np.ndarray, group: np.ndarray, table: pd.DataFrame, fields: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """What the jackknife leaves out at once, and which of it is of a kind.

    Args:
      cells: the configuration of every member.
      group: the group of every configuration.
      table: one row per member.
      fields: in which near copies do not differ.

    Returns:
      The unit of every configuration, 0, 1, ...; and the stratum of every unit: those with networks in the same groups.
    """
    unit = configurations(table, fields)[np.unique(cells, return_index=True)[1]]
    there = np.zeros((unit.max() + 1, group.max() + 1), int)
    there[unit, group] = 1
    return unit, np.unique(there, axis=0, return_inverse=True)[1].reshape(-1)


def jackknife_errors(without: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of some values, and their degrees of freedom, see `jackknife_means`; NaN where nothing differs.

    Args:
      without: `(unit, value)`, without each of what is left out at once.
      group: the stratum of every unit, 0, 1, ...
    """
    counts = np.bincount(group)
    variances = np.stack([(n - 1) * without[group == g].var(0) for g, n in enumerate(counts)])
    variance = variances.sum(0)
    variance = np.where(variance == 0, np.nan, variance)
    return np.sqrt(variance), variance**2 / (variances**2 / np.maximum(counts - 1, 1)[:, None]).sum(0)


def group_of(cells: np.ndarray, labels: Iterable[Any], fields: Sequence[str]) -> np.ndarray:
    """The group of every configuration, numbered as by `within_between`."""
    codes = pd.factorize(np.array([str(label) for label in labels]))[0]
    group = np.zeros(cells.max() + 1, int)
    group[cells] = codes
    if (group[cells] != codes).any():
        raise ValueError(
            f"Groups differ within a configuration of {', '.join(fields)}; they must be made of its fields."
        )
    return group


def block_means(
    similarity: np.ndarray, cells: np.ndarray, group: np.ndarray
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray]:
    """Means over the pairs of members of two groups, however often each configuration counts.

    Args:
      similarity: `(member, member)`; NaN pairs do not count, nor does a member with itself.
      cells: the configuration of every member.
      group: the group of every configuration.

    Returns:
      From counts `(draw, configuration)` to means `(draw, pair of groups)`, NaN where there are no pairs; and the first
      and the second group of every pair of groups, in the order of `within_between`.
    """
    similarity = np.array(similarity, np.float64)
    np.fill_diagonal(similarity, np.nan)
    members, real = np.eye(len(group))[cells], ~np.isnan(similarity)
    sums = members.T @ np.where(real, similarity, 0) @ members
    pairs = members.T @ real @ members
    groups = np.eye(group.max() + 1)[group]
    first, second = np.triu_indices(groups.shape[1])
    same = first == second

    def summed(counts: np.ndarray, of_pairs: np.ndarray) -> np.ndarray:
        inside = of_pairs.diagonal()
        others = of_pairs - np.diag(inside)
        blocks = np.stack([(counts * (counts * of_one @ others)) @ groups for of_one in groups.T], 1)[:, first, second]
        blocks[:, same] += (counts * inside) @ groups
        return blocks

    def means(counts: np.ndarray) -> np.ndarray:
        number = summed(counts, pairs)
        return summed(counts, sums) / np.where(number > 0, number, np.nan)

    return means, first, second
