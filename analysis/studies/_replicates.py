"""Intervals over configurations: a statistic of a population, and what it is without each of its configurations.

Seeds of one configuration say what else could have come of it; what could have come of other configurations is told by
leaving them out. With t_(-i) the statistic without configuration i of n, and t_. their mean (Tukey 1958; Efron & Stein
1981, Annals of Statistics 9:586),

    standard error^2 = (n - 1) / n  sum_i (t_(-i) - t_.)^2,      limits = t -+ t_(.975, n - 1) standard error.

Two statistics of the same configurations are subtracted replicate by replicate, so that what they share cancels.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.field_effects import FieldPlan, explained
from analysis.inference.permutation_designs import GENERAL

__all__ = [
    "LEAST_LIMITED",
    "Estimate",
    "Replicates",
    "between_less_within",
    "configurations_of",
    "even_rows",
    "field_p",
    "field_replicates",
    "replicates",
]

FIELD_PERMUTATIONS = 1999
"""Of a test of a field, at most."""

LEAST_LIMITED = 6
"""Configurations from which on there are limits."""
LEAST_UNIFORM = 32
"""Configurations from which on there are limits where no configuration, left out, changes a statistic."""


class Estimate(NamedTuple):
    """A statistic with its limits.

    Attributes:
      value: of the statistic.
      low, high: limits of 95 %; NaN where there are fewer than `LEAST_LIMITED` configurations, or `LEAST_UNIFORM` that
        are all alike.
      n: configurations, or what it is over.
    """

    value: float
    low: float
    high: float
    n: int


class Replicates(NamedTuple):
    """A statistic of a population, and of what is left without each configuration.

    Attributes:
      value: of all.
      without: configuration -> the value without it.
    """

    value: float
    without: dict[str, float]

    def less(self, other: "Replicates") -> "Replicates":
        """This less the other, where both leave the same configurations out."""
        shared = self.without.keys() & other.without.keys()
        without = {name: self.without[name] - other.without[name] for name in sorted(shared)}
        return Replicates(self.value - other.value, without)

    @property
    def estimate(self) -> Estimate:
        """With limits by the jackknife."""
        values = np.array([value for value in self.without.values() if math.isfinite(value)])
        n = len(values)
        few = LEAST_UNIFORM if n and np.ptp(values) == 0 else LEAST_LIMITED
        if n < few or n < len(self.without):
            return Estimate(self.value, math.nan, math.nan, n)
        error = math.sqrt((n - 1) / n * float(np.sum((values - values.mean()) ** 2)))
        reach = float(stats.t.ppf(0.975, n - 1)) * error
        return Estimate(self.value, self.value - reach, self.value + reach, n)


def replicates(statistic: Callable[[np.ndarray], float], configurations: Sequence[str]) -> Replicates:
    """A statistic of rows, and without those of each configuration.

    Args:
      statistic: from the rows that it is of, `(row,)` whole numbers.
      configurations: of every row.
    """
    names = np.asarray(configurations, str)
    rows = np.arange(len(names))
    without = {str(name): statistic(rows[names != name]) for name in np.unique(names)}
    return Replicates(statistic(rows), without)


def between_less_within(values: np.ndarray, groups: np.ndarray, configurations: Sequence[str]) -> Replicates:
    """How much further networks of two groups are apart than two of one group and other configurations: the mean
    difference of logarithms over the places that two share. NaN where there are no such pairs.

    Args:
      values: `(network, place)`, positive; others are missing.
      groups: of every network.
      configurations: of every network.
    """
    names, logs = np.asarray(configurations), np.log(np.where(values > 0, values, np.nan))
    apart = np.abs(logs[:, None] - logs[None])
    shared = np.isfinite(apart).sum(-1)
    apart = np.where(shared > 0, np.nansum(apart, -1) / np.maximum(shared, 1), np.nan)

    def difference(some: np.ndarray) -> float:
        first, second = (some[i] for i in np.triu_indices(len(some), 1))
        other = (names[first] != names[second]) & np.isfinite(apart[first, second])
        within = groups[first] == groups[second]
        if not (other & within).any() or not (other & ~within).any():
            return math.nan
        value = apart[first, second]
        return float(value[other & ~within].mean() - value[other & within].mean())

    return replicates(difference, names.tolist())


def field_replicates(
    distance: np.ndarray, table: pd.DataFrame, fields: Sequence[str], wanted: Sequence[str], limits: bool = True
) -> dict[str, Replicates]:
    """Omega squared of fields, of the geometry that distances are of; see `analysis.inference.field_effects`. Of the
    networks at `even_rows`.

    Args:
      distance: `(member, member)`, true distances.
      table: one row per member.
      fields: what makes a configuration.
      wanted: those of `fields` to give.
      limits: whether configurations are left out, one after the other.

    Raises:
      ValueError: a field does not vary among these members.
    """
    distance, table = _even(distance, table, fields)
    _check_varied(table, wanted)
    configurations = configurations_of(table, fields)
    plan = FieldPlan(list(fields), only=list(wanted))

    def effects(rows: np.ndarray) -> Any:
        if not distance[np.ix_(rows, rows)].any():  # all are alike: there is nothing for a field to explain
            return dict.fromkeys(wanted, 0.0)
        part = table.iloc[rows].reset_index(drop=True)
        found = explained(distance[np.ix_(rows, rows)], part, plan, permutations=0)
        return found["omega2"].reindex(list(wanted)).to_dict()

    names, rows = np.asarray(configurations), np.arange(len(table))
    whole: dict[str, float] = effects(rows)
    without: dict[str, dict[str, float]] = {
        str(name): effects(rows[names != name]) for name in np.unique(names) if limits
    }
    return {
        field: Replicates(whole[field], {name: values[field] for name, values in without.items()}) for field in wanted
    }


def field_p(distance: np.ndarray, table: pd.DataFrame, fields: Sequence[str], wanted: str) -> float:
    """p of the permutation test of a field, with the other `fields` held constant and no others, as the omega squared
    of `field_replicates` has it; 1 where all networks are alike, and NaN of too few configurations for a test.

    Args:
      distance, table, fields: as of `field_replicates`.
      wanted: the field.

    Raises:
      ValueError: the field does not vary among these members.
    """
    distance, table = _even(distance, table, fields)
    _check_varied(table, [wanted])
    if not distance.any():
        return 1.0
    plan = FieldPlan(list(fields), only=[wanted])
    found = explained(distance, table, plan, permutations=FIELD_PERMUTATIONS, neighbours=1).loc[wanted]
    if not bool(found["testable"]) or found["about"] != GENERAL:  # else seeds alone would make a p
        return math.nan
    return float(found["p"])


def even_rows(table: pd.DataFrame, fields: Sequence[str]) -> np.ndarray:
    """The rows of configurations that have as many networks as most, the median, or more.

    Omega squared is of means over as many networks of each configuration. One that has lost a network would halve the
    number of all, and, left out, double it again: no limits could be had from that.
    """
    _, of, counts = np.unique(configurations_of(table, fields), return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[of] >= np.median(counts))


def _even(distance: np.ndarray, table: pd.DataFrame, fields: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    rows = even_rows(table, fields)
    return distance[np.ix_(rows, rows)], table.iloc[rows].reset_index(drop=True)


def _check_varied(table: Any, wanted: Sequence[str]) -> None:
    for field in wanted:
        if field not in table or table[field].nunique(dropna=False) < 2:
            raise ValueError(f"{field} has one value among these networks.")


def configurations_of(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """A name for the configuration of every row; a field that is no column has one value, and tells none apart."""
    texts = table[[field for field in fields if field in table]].astype(str)
    return [" ".join(row) for row in texts.itertuples(index=False)]
