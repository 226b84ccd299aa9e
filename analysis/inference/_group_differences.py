"""How far two mean similarities are apart: of members within and between groups, and of trained and untrained ones."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import PERMUTATIONS
from analysis.inference.factors import SEED, texts_of
from analysis.inference.group_similarities import LEAST_CONFIGURATIONS, configurations, group_of, jackknife_errors
from analysis.inference.permutation_designs import arrangements, combined_labels, relabellings

__all__ = ["Difference", "trained_less_untrained", "within_less_between"]


class Difference(NamedTuple):
    """How far two mean similarities are apart.

    Attributes:
      mean: the first less the second; NaN where there are no pairs of both.
      low, high: its limits of 95 %; NaN where there are none.
      p: of no difference, on both sides; NaN where there are no limits.
      pairs: of members, in both.
      configurations: that are left out one at a time.
    """

    mean: float
    low: float
    high: float
    p: float
    pairs: int
    configurations: int


class _Pairs(NamedTuple):
    """Pairs of members of other seeds, by their configurations; of each pair both orders.

    Attributes:
      sums: `(configuration, configuration)`, of their similarities.
      counts: `(configuration, configuration)`, how many.
    """

    sums: np.ndarray
    counts: np.ndarray


class _Side(NamedTuple):
    """Means of some kind of pairs in each block, the pairs of members of two groups.

    Attributes:
      mean: `(block,)`, NaN where there are no pairs.
      without: `(configuration, block)`, without each configuration.
      pairs: `(block,)`, how many pairs.
    """

    mean: np.ndarray
    without: np.ndarray
    pairs: np.ndarray


def within_less_between(
    similarity: np.ndarray,
    labels: Iterable[Any],
    table: pd.DataFrame,
    fields: Sequence[str],
    others: Sequence[str],
    *,
    draws: int = PERMUTATIONS,
    seed: int = 0,
) -> Difference:
    """How much more alike members of one group are than members of two, all else equal.

    Pairs are of other seeds, for those of one are near copies, and of other configurations: pairs of one are all within
    a group, whatever it is. Those within and between groups are compared where they agree in the same other fields,
    with weights n m / (n + m) for n and m pairs: in a crossed design no two configurations of a group agree in all
    else, while some of two groups do, and an effect of another field would seem to be one of the groups.

    Limits are those of `analysis.inference.group_similarities.jackknife_means`; a configuration is left out of both
    terms at once. p is that of permuted groups, configurations staying in their strata of the other fields. The
    jackknife has none here: without an effect the difference is one of products of chance, which vary less than it
    says. In simulated zoos of 3 to 10 configurations a group, equally many or not, limits cover 92 to 99 % with an
    effect and 96 to 99.9 % without one, and p <= .05 in 3.9 to 5.2 % of zoos without; two groups of 3 have ten
    partitions and no such p. Where other fields have strong effects limits are too wide.

    Args:
      similarity: `(member, member)`; NaN pairs do not count.
      labels: the group of every member, made of the fields.
      table: one row per member; without a column `seed`, every pair counts.
      fields: the columns that make a configuration, without the seed.
      others: those of them that pairs may agree in and strata are made of, besides the groups.
      draws: of permutations, or all where there are no more.
      seed: of the draws.
    """
    labels = list(labels)
    if len(set(labels)) < 2:
        return _NO_DIFFERENCE
    cells = configurations(table, fields)
    group = group_of(cells, labels, fields)
    first = np.unique(cells, return_index=True)[1]
    levels = [pd.factorize(texts_of(table, name)[first])[0] for name in others]
    alike = [level[:, None] == level for level in levels]
    agreement = combined_labels([part.reshape(-1) for part in alike], len(group) ** 2).reshape(len(group), -1)
    agreement[np.diag_indices(len(group))] = -1
    pairs = _pairs(similarity, cells, len(group), table)
    kinds = [agreement == kind for kind in range(agreement.max() + 1)]
    parts = [_Pairs(pairs.sums * kind, pairs.counts * kind) for kind in kinds if (pairs.counts * kind).any()]
    same = _is_within(group)
    found = _difference([(side, same, side, ~same) for side in (_side(part, group) for part in parts)], group)
    if math.isnan(found.low):
        return found
    strata = combined_labels(levels, len(group))
    labellings, partitions = arrangements(group, strata)
    if partitions < 2:  # each alone in its stratum
        return found._replace(p=math.nan)
    exact = labellings <= draws
    observed, reached, tried = abs(_regrouped(parts, group[None])[0]), 0, 0
    for relabelled in relabellings(group, strata, draws, exact, seed, width=3 * int(group.max() + 1)):
        reached += int((np.abs(_regrouped(parts, relabelled)) >= observed - 1e-9).sum())
        tried += len(relabelled)
    return found._replace(p=reached / tried if exact else (reached + 1) / (tried + 1))


def trained_less_untrained(
    trained: np.ndarray,
    untrained: np.ndarray,
    labels: tuple[Iterable[Any], Iterable[Any]],
    tables: tuple[pd.DataFrame, pd.DataFrame],
    fields: Sequence[str],
) -> tuple[Difference, Difference]:
    """How much more alike trained members are than untrained ones: those of one group, and those of two.

    Pairs are of other seeds, see `analysis.inference.group_similarities.References`. Configurations that only one of
    the two has do not count; each of the others is left out of both terms at once, so that what a configuration does to
    both cancels. Limits are those of `analysis.inference.group_similarities.jackknife_means`, p that of Student's t. In
    simulated zoos of 3 to 10 configurations a group, equally many or not, limits cover 94 to 99 %, and p <= .05 in 0.9
    to 5.9 % of zoos that training did not change, with 3 or 4 a group in 0.9 to 3.2 %.

    Args:
      trained, untrained: `(member, member)` each; NaN pairs do not count.
      labels: the group of every member, of both, made of the fields.
      tables: one row per member, of both; without a column `seed`, every pair counts.
      fields: the columns that make a configuration, without the seed, that untrained members have too.
    """
    names = [np.array(["\x1f".join(row) for row in zip(*(texts_of(t, f) for f in fields))], object) for t in tables]
    both = sorted({*names[0]} & {*names[1]})
    if not both:
        return _NO_DIFFERENCE, _NO_DIFFERENCE
    code = {name: i for i, name in enumerate(both)}
    groups, sides = np.zeros(len(both), int), []
    of_label: dict[str, int] = {}
    shared = []
    for similarity, of_members, of_table, table in zip((trained, untrained), labels, names, tables):
        rows = np.flatnonzero(np.isin(of_table, both))
        cells = np.array([code[name] for name in of_table[rows]])
        texts = [str(label) for label in of_members]
        groups[cells] = [of_label.setdefault(texts[row], len(of_label)) for row in rows]
        shared.append(_pairs(similarity[np.ix_(rows, rows)], cells, len(both), table.iloc[rows]))
    sides = [_side(pairs, groups) for pairs in shared]
    same = _is_within(groups)
    blocks = np.eye(len(same), dtype=bool)
    within, between = (
        _difference([(sides[0], block, sides[1], block) for block in blocks[which]], groups) for which in (same, ~same)
    )
    return within, between


_NO_DIFFERENCE = Difference(math.nan, math.nan, math.nan, math.nan, 0, 0)


def _pairs(similarity: np.ndarray, cells: np.ndarray, count: int, table: pd.DataFrame) -> _Pairs:
    """Pairs of other seeds, by the configurations of their members."""
    seeds = table[SEED].to_numpy() if SEED in table else np.arange(len(table))
    similarity = np.where(seeds[:, None] == seeds, np.nan, np.asarray(similarity, np.float64))
    members = np.eye(count)[cells]
    return _Pairs(members.T @ np.nan_to_num(similarity) @ members, members.T @ ~np.isnan(similarity) @ members)


def _is_within(group: np.ndarray) -> np.ndarray:
    """Which blocks are of one group."""
    first, second = np.triu_indices(group.max() + 1)
    return first == second


def _side(pairs: _Pairs, group: np.ndarray) -> _Side:
    of_group = np.eye(group.max() + 1)[group]
    blocks = np.triu_indices(of_group.shape[1])

    def summed(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = part @ of_group
        whole, of_one = of_group.T @ rows, of_group[:, :, None] * rows[:, None]
        twice = part.diagonal()[:, None, None] * of_group[:, :, None] * of_group[:, None]
        return whole[blocks], (whole - of_one - of_one.swapaxes(1, 2) + twice)[:, *blocks]

    (sums, sums_without), (counts, counts_without) = summed(pairs.sums), summed(pairs.counts)
    means, without = (
        of / np.where(number > 0.5, number, np.nan) for of, number in ((sums, counts), (sums_without, counts_without))
    )
    return _Side(means, without, np.where(blocks[0] == blocks[1], counts / 2, counts))


def _difference(parts: Sequence[tuple[_Side, np.ndarray, _Side, np.ndarray]], group: np.ndarray) -> Difference:
    """The difference of two kinds of pairs, over some strata of them, with its limits and the p of Student's t.

    Args:
      parts: for each stratum the one kind and the blocks that count of it, and the other.
      group: of every configuration.
    """
    total, rows, weight_sum, weights_without = 0.0, np.zeros(len(group)), 0.0, np.zeros(len(group))
    pairs, taking_part = 0, np.zeros(group.max() + 1, bool)
    first, second = np.triu_indices(group.max() + 1)
    for one, blocks, other, other_blocks in parts:
        counts = one.pairs * blocks, other.pairs * other_blocks
        n, m = counts[0].sum(), counts[1].sum()
        if not n or not m:
            continue
        values, without = zip(*(_weighted(side, count) for side, count in zip((one, other), counts)))
        weight, apart = n * m / (n + m), without[0] - without[1]
        total, weight_sum = total + weight * (values[0] - values[1]), weight_sum + weight
        rows += np.nan_to_num(weight * apart)
        weights_without += weight * ~np.isnan(apart)
        pairs += int(n + m)
        used = counts[0] + counts[1] > 0
        taking_part[first[used]] = taking_part[second[used]] = True
    if not weight_sum:
        return _NO_DIFFERENCE
    mean, sizes, inside = total / weight_sum, np.bincount(group), taking_part[group]
    found = Difference(mean, math.nan, math.nan, math.nan, pairs, int(sizes[taking_part].sum()))
    if (weights_without[inside] == 0).any() or (sizes[taking_part] < LEAST_CONFIGURATIONS).any():
        return found
    rows = np.where(inside, rows / np.where(inside, weights_without, 1), mean)
    se, freedom = (float(part[0]) for part in jackknife_errors(rows[:, None], group))
    if not se > 1e-9:  # equal networks: their difference is rounding
        return found
    reach = se * float(stats.t.ppf(0.975, freedom))
    return found._replace(low=mean - reach, high=mean + reach, p=2 * float(stats.t.sf(abs(mean) / se, freedom)))


def _weighted(side: _Side, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over blocks with these weights, and without each configuration, NaN where nothing is left of any."""
    used = counts > 0
    weights, without = counts[used], side.without[:, used]
    left = ~np.isnan(without) @ weights
    rows = np.nan_to_num(without) @ weights / np.where(left > 0, left, np.nan)
    return float(side.mean[used] @ weights / weights.sum()), rows


def _regrouped(parts: Sequence[_Pairs], relabelled: np.ndarray) -> np.ndarray:
    """The difference of `within_less_between` for other groups of the configurations, `(draw, configuration)`."""
    of_group = np.eye(relabelled.max() + 1)[relabelled]  # (draw, configuration, group)
    total, weight_sum = np.zeros(len(relabelled)), np.zeros(len(relabelled))
    for part in parts:
        (sums, n), (all_sums, all_counts) = (
            [np.einsum("dcg,dcg->d", np.matmul(of, of_group), of_group) for of in part],
            [of.sum() for of in part],
        )
        m = all_counts - n
        there = (n > 0.5) & (m > 0.5)
        n, m = np.where(there, n, 1), np.where(there, m, 1)
        weight = there * n * m / (n + m)
        total += weight * (sums / n - (all_sums - sums) / m)
        weight_sum += weight
    return total / np.where(weight_sum > 0, weight_sum, 1)
