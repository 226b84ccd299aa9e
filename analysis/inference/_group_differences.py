"""How far two mean similarities are apart: of members within and between groups, and of trained and untrained ones."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.factors import texts_of
from analysis.inference.group_similarities import (
    LEAST_CONFIGURATIONS,
    configurations,
    group_of,
    jackknife_errors,
    left_out_together,
    of_other_seeds,
)
from analysis.inference.permutation_designs import combined_labels

__all__ = ["Difference", "trained_less_untrained", "within_less_between"]


class Difference(NamedTuple):
    """How far two mean similarities are apart.

    Attributes:
      mean: the first less the second; NaN where there are no pairs of both.
      low, high: its limits of 95 %; NaN where there are none.
      p: of no difference, on both sides; NaN where there is none.
      pairs: of members, in both.
      configurations: that are left out one at a time, each with its near copies.
    """

    mean: float
    low: float
    high: float
    p: float
    pairs: int
    configurations: int


class _Pairs(NamedTuple):
    """Pairs of members of other seeds, by the two configurations that they are of, `(pair,)` each.

    Attributes:
      first, second: the configurations.
      sums: of the similarities.
      counts: how many.
    """

    first: np.ndarray
    second: np.ndarray
    sums: np.ndarray
    counts: np.ndarray


_NO_DIFFERENCE = Difference(math.nan, math.nan, math.nan, math.nan, 0, 0)


def within_less_between(
    similarity: np.ndarray,
    labels: Iterable[Any],
    table: pd.DataFrame,
    fields: Sequence[str],
    others: Sequence[str],
    copied: Sequence[str] = (),
) -> Difference:
    """How much higher the similarity of members of one group is than of two, where the other fields are the same.

    Pairs are of other seeds and of other configurations: pairs of one are all within a group, whatever it is. Those
    within and between groups are compared where both have the same two levels of every other field, with weights
    n m / (n + m) for n and m pairs. That they agree in it, or do not, is not enough: where one level is diverse and one
    model has more of it, the diversity of the level would seem to be one of the model.

    Limits are those of `analysis.inference.group_similarities.jackknife_means`, a configuration left out of both terms
    at once; docs/comparing.md has what they cover. There is no p: that of the field test,
    `analysis.inference.field_effects.explained`, holds its level.

    Args:
      similarity: `(member, member)`; NaN pairs do not count.
      labels: the group of every member, made of the fields.
      table: one row per member; without a column `seed`, every pair counts.
      fields: the columns that make a configuration, without the seed.
      others: those of them whose levels are to be the same, besides the groups.
      copied: those of them in which near copies differ.
    """
    labels = list(labels)
    if len(set(labels)) < 2:
        return _NO_DIFFERENCE
    cells = configurations(table, fields)
    group = group_of(cells, labels, fields)
    unit, kind = left_out_together(cells, group, table, [field for field in fields if field not in copied])
    rows = np.unique(cells, return_index=True)[1]
    level = combined_labels([pd.factorize(texts_of(table, name)[rows])[0] for name in others], len(rows))
    pairs = _pairs(similarity, cells, len(rows), table)
    pairs = _Pairs(*(part[pairs.first != pairs.second] for part in pairs))
    stratum, block = (_both(of[pairs.first], of[pairs.second]) for of in (level, group))
    side = (group[pairs.first] != group[pairs.second]).astype(int)
    return _difference(pairs, stratum, side, block, unit, kind)._replace(p=math.nan)


def trained_less_untrained(
    trained: np.ndarray,
    untrained: np.ndarray,
    labels: tuple[Iterable[Any], Iterable[Any]],
    tables: tuple[pd.DataFrame, pd.DataFrame],
    fields: Sequence[str],
    copied: Sequence[str] = (),
) -> tuple[Difference, Difference]:
    """How much higher the similarity of trained members is than of untrained ones: of one group, and of two.

    Pairs are of other seeds. Configurations that only one of the two has do not count; each of the others is left out
    of both terms at once, so that what a configuration does to both cancels. Limits are those of
    `analysis.inference.group_similarities.jackknife_means`, p that of Student's t; how well
    they hold stands in docs/comparing.md.

    Args:
      trained, untrained: `(member, member)` each; NaN pairs do not count.
      labels: the group of every member, of both, made of the fields.
      tables: one row per member, of both; without a column `seed`, every pair counts.
      fields: the columns that make a configuration, without the seed, that untrained members have too.
      copied: those of them in which near copies differ.
    """
    names = [np.array(["\x1f".join(row) for row in zip(*(texts_of(t, f) for f in fields))], object) for t in tables]
    both = sorted({*names[0]} & {*names[1]})
    if not both:
        return _NO_DIFFERENCE, _NO_DIFFERENCE
    code = {name: i for i, name in enumerate(both)}
    rows = [np.flatnonzero(np.isin(of_table, both)) for of_table in names]
    cells = [np.array([code[name] for name in of_table[kept]]) for of_table, kept in zip(names, rows)]
    parts = [table.iloc[kept] for table, kept in zip(tables, rows)]
    group = group_of(cells[0], np.array([str(label) for label in labels[0]], object)[rows[0]], fields)
    unit, kind = left_out_together(cells[0], group, parts[0], [field for field in fields if field not in copied])
    states = [
        _pairs(similarity[np.ix_(kept, kept)], of_state, len(both), part)
        for similarity, kept, of_state, part in zip((trained, untrained), rows, cells, parts)
    ]
    pairs = _Pairs(*map(np.concatenate, zip(*states)))
    side = np.repeat([0, 1], [len(of_state.counts) for of_state in states])
    block, alike = _both(group[pairs.first], group[pairs.second]), group[pairs.first] == group[pairs.second]
    within, between = (
        _difference(_Pairs(*(part[which] for part in pairs)), block[which], side[which], block[which], unit, kind)
        for which in (alike, ~alike)
    )
    return within, between


def _pairs(similarity: np.ndarray, cells: np.ndarray, count: int, table: pd.DataFrame) -> _Pairs:
    """Pairs of other seeds, by the configurations of their members."""
    similarity = of_other_seeds(similarity, table)
    members = np.eye(count)[cells]
    sums, counts = (members.T @ part @ members for part in (np.nan_to_num(similarity), ~np.isnan(similarity)))
    first, second = np.nonzero(np.triu(counts > 0.5))
    once = np.where(first == second, 0.5, 1.0)  # pairs of one configuration stand in both orders
    return _Pairs(first, second, sums[first, second] * once, counts[first, second] * once)


def _both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One label 0, 1, ... for every two labels, in either order."""
    return combined_labels([np.minimum(first, second), np.maximum(first, second)], len(first))


def _difference(
    pairs: _Pairs, stratum: np.ndarray, side: np.ndarray, block: np.ndarray, unit: np.ndarray, kind: np.ndarray
) -> Difference:
    """The mean of pairs of side 0 less that of side 1, over strata, with its limits and the p of Student's t.

    Args:
      pairs: as of `_pairs`.
      stratum, side, block: of every pair; a side's mean in a stratum is over its blocks, pairs of groups, weighted by
        how many pairs these have with all configurations.
      unit, kind: see `analysis.inference.group_similarities.left_out_together`.
    """
    sides = np.zeros((stratum.max(initial=0) + 1, 2))
    np.add.at(sides, (stratum, side), pairs.counts)
    used = sides.min(1)[stratum] > 0
    if not used.any():
        return _NO_DIFFERENCE
    pairs = _Pairs(*(part[used] for part in pairs))
    cells = np.unique(np.stack([stratum, side, block], 1)[used], axis=0, return_inverse=True)
    of_pair, place = cells[1].reshape(-1), cells[0][:, 0] * 2 + cells[0][:, 1]
    counts, sums = (np.bincount(of_pair, part) for part in (pairs.counts, pairs.sums))
    weight = sides.prod(1) / np.maximum(sides.sum(1), 1)

    def value(gone: np.ndarray) -> float:
        n, total = (
            whole - np.bincount(of_pair[gone], part[gone], len(whole))
            for whole, part in ((counts, pairs.counts), (sums, pairs.sums))
        )
        left = counts * (n > 0.5)
        number, summed = (
            np.bincount(place, part, sides.size).reshape(-1, 2)
            for part in (left, left * total / np.where(n > 0.5, n, 1))
        )
        apart = np.where(number > 0, summed / np.where(number > 0, number, 1), np.nan) @ [1, -1]
        there = ~np.isnan(apart)
        return float(apart[there] @ weight[there] / weight[there].sum()) if weight[there].any() else math.nan

    first, second = unit[pairs.first], unit[pairs.second]
    units = np.unique([first, second])
    kinds = np.unique(kind[units], return_inverse=True)[1].reshape(-1)
    nothing = np.zeros(len(first), bool)
    found = Difference(value(nothing), math.nan, math.nan, math.nan, round(pairs.counts.sum()), len(units))
    if np.bincount(kinds).min() < LEAST_CONFIGURATIONS:
        return found
    without = np.array([value((first == each) | (second == each)) for each in units])
    se, freedom = (float(part[0]) for part in jackknife_errors(without[:, None], kinds))
    if not se > 1e-9:  # equal networks, whose difference is rounding, or none left without one of them
        return found
    reach, p = se * float(stats.t.ppf(0.975, freedom)), 2 * float(stats.t.sf(abs(found.mean) / se, freedom))
    return found._replace(low=found.mean - reach, high=found.mean + reach, p=p)
