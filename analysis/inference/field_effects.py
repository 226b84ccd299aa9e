"""What a similarity matrix says about the fields that were varied: effect sizes, permutation tests, references."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.geometry.embedding import gower
from analysis.inference.factors import MOST_LEVELS, scaled
from analysis.inference.nearest_neighbours import hits, nearest
from analysis.inference.permutation_designs import GENERAL, SEED, Design, Grid, designs
from analysis.inference.resampling import arrangements, holm, relabellings
from analysis.inference.sums_of_squares import bases, deviations, f_ratio, partition, permute

__all__ = ["References", "explained", "holm", "pairs", "references", "within_between"]

MISSING = "(none)"

LEVEL = 0.05
"""A test of configurations that can reach no p of this size is made on members instead."""

VOTES = 199
"""Permutations that the chance level of nearest neighbours is the mean of."""

COLUMNS = [
    *("field", "share", "share_alone", "partial_r2", "omega2", "pseudo_f", "p", "p_holm", "dispersion_f"),
    *("dispersion_p", "knn", "knn_chance", "distinct", "smallest_p", "exact", "testable", "about", "tested_as"),
    *("levels", "configurations", "unit", "within"),
]


def explained(
    distance: np.ndarray,
    table: pd.DataFrame,
    fields: Sequence[str],
    *,
    only: Sequence[str] | None = None,
    not_held: Sequence[str] = (),
    numbers: Sequence[str] = (),
    interactions: bool | Sequence[str] = False,
    permutations: int = 9999,
    neighbours: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """The share of the population's geometry that each field explains, and whether it is more than chance.

    Distances are centred to inner products (Gower 1966) and averaged over the members of a configuration, which is a
    cell of the fields: seeds are no field. With H the projector on the dummy-coded fields, the marginal (type III) sum
    of squares of a field is `tr((H_full - H_without) G)` and pseudo-F is that of distance-based MANOVA (McArdle &
    Anderson 2001). The null permutes the field's labels over configurations *within strata of all other fields*: a
    free shuffle of crossed fields rejects in up to 44 % of null zoos at 5 %. All arrangements are tried where there
    are no more than `permutations`, else that many are drawn.

    - Too few configurations for any p of .05 or less: members are permuted instead, within strata of the other fields
      and within seeds, where levels share seeds. Chance is then what seeds do, and `about` says that the test is of
      these configurations only. A field of more than 24 levels is not tested so.
    - A number drawn at random for nearly every configuration (`numbers`) is one column of the model instead of dummies,
      log10 where it is positive and spans more than a decade: distance regression. Its values are permuted.
    - Where another field is such a number, no strata hold all else constant. There the residuals under the reduced
      model are exchanged (Freedman & Lane 1983): within strata of the fields with levels where these allow a p of
      .001, else freely. So are, freely, those of an interaction a:b, whose null is that the effects of a and b add:
      labels within strata have no null for it.
    - A field that only some members have (missing in the others) is tested within the members that have it; the members
      of a field common to all are averaged over the fields that only some have.
    - Beside the test of location stands one of dispersion (PERMDISP, Anderson 2006): by the same permutations, whether
      units of one level lie further from the centroid of their level than units of another. Where it is small too, the
      p of the field may be about spread.

    Args:
      distance: `(member, member)`, a true distance, such as `analysis.geometry.embedding.angular` of a similarity.
      table: one row per member. Its column `seed`, if any, is a block.
      fields: the columns that were varied, without the seed. Fields with one value are dropped.
      only: those of `fields` to give rows for; all where none are named.
      not_held: further columns that make a configuration, neither tested nor held constant.
      numbers: those of `fields` that are tested as numbers, such as `analysis.inference.factors.sampled` names.
      interactions: pairs "a:b" of fields to test, or True for all pairs.
      permutations: draws of the null at most; 0 for effect sizes and designs without any test.
      neighbours: how many vote in `knn`.
      seed: of the draws.

    Returns:
      One row per field and interaction. Of configurations: `share` of the total sum of squares given the others,
      `share_alone` without the others. Of what the test exchanges: `partial_r2`, `omega2`, `pseudo_f`, `p`, `p_holm`
      (over all that was tested), `dispersion_f` and `dispersion_p` (an ANOVA of distances to centroids; NaN for
      interactions), `distinct` (permutations that can change the statistic), `smallest_p` (that this design and number
      of draws allow), `exact` (all permutations), `testable`, `about` ("configurations in general" or "these
      configurations only"), `tested_as` ("levels", "value", "log10(value)", "interaction"), `levels`,
      `configurations`, `unit` (what is exchanged) and `within` (the members the test is about). `knn` is the accuracy
      of `analysis.inference.nearest_neighbours.knn_accuracy` for the field's label, `knn_chance` its mean over
      permutations of labels over configurations; both are NaN for numbers, interactions, and where nothing can be
      permuted.
    """
    distance = np.asarray(distance, np.float64)
    if len(table) != len(distance):
        raise ValueError(f"The table has {len(table)} rows and the distance matrix {len(distance)}; they must agree.")
    if unknown := [field for field in (*fields, *not_held) if field not in table]:
        raise ValueError(f"The table has no field {unknown[0]!r}; it has {', '.join(map(str, table.columns))}.")
    if SEED in fields:
        raise ValueError(f"The field {SEED!r} is a block and cannot be tested; leave it out of the fields.")
    if unknown := [field for field in numbers if field not in fields]:
        raise ValueError(f"The number {unknown[0]!r} is no tested field; the fields are {', '.join(fields)}.")
    texts = {field: _categories(table, field) for field in (*fields, *not_held)}
    seeds = np.unique(_categories(table, SEED), return_inverse=True)[1].reshape(-1) if SEED in table else None
    scales = {field: scaled(_numbers(table, field)) for field in numbers}
    inner: dict[bytes, np.ndarray] = {}
    rows = []
    for term in [*((field,) for field in (fields if only is None else only)), *pairs(interactions, fields)]:
        members = np.flatnonzero(np.all([texts[field] != MISSING for field in term], 0))
        if not all(_varies(texts[field][members]) for field in term):
            continue
        varying = [field for field in fields if field not in term and _varies(texts[field][members])]
        others = [field for field in varying if MISSING not in texts[field][members]]
        used = [*term, *others, *not_held]
        grid = Grid(
            {name: np.unique(texts[name][members], return_inverse=True)[1].reshape(-1) for name in used},
            {name: scales[name][0][members] for name in used if name in numbers},
            None if seeds is None else seeds[members],
        )
        levels = [int(grid.labels[field].max()) + 1 for field in term]
        ways = designs(grid, term, others, not_held)
        general = chosen = next(ways)
        few = permutations > 0 and general.smallest(permutations) > LEVEL
        if few and all(field in numbers or count <= MOST_LEVELS for field, count in zip(term, levels)):
            these = next(ways)
            chosen = these if these.smallest(permutations) < general.smallest(permutations) else general
        scope, near = members.tobytes(), distance[np.ix_(members, members)]
        if scope not in inner:
            inner[scope] = gower(near)
        tested_as = "log10(value)" if term[0] in numbers and scales[term[0]][1] else "value"
        tested_as = "interaction" if len(term) > 1 else tested_as if term[0] in numbers else "levels"
        votes = min(permutations, VOTES) if tested_as == "levels" else 0
        whole = len(members) == len(table)
        rows.append(
            dict(field=":".join(term))
            | _shares(inner[scope], general)
            | _test(inner[scope], chosen, permutations, seed)
            | _knn(near, general, grid.seeds, neighbours, votes, seed)
            | dict(
                tested_as=tested_as,
                levels=math.prod(levels),
                configurations=len(general.strata),
                unit=_unit(chosen, used, others, [field for field in varying if field not in others]),
                within="all members" if whole else f"{len(members)} members that have {' and '.join(term)}",
            )
        )
    result = pd.DataFrame(rows, columns=COLUMNS if not rows else None)
    result["p_holm"] = holm(result["p"].to_numpy(float), result["testable"].to_numpy(bool))
    return result[COLUMNS].set_index("field")


def pairs(interactions: bool | Sequence[str], fields: Sequence[str]) -> list[tuple[str, ...]]:
    """The interactions asked for, as pairs of fields."""
    if isinstance(interactions, bool):
        return list(combinations(fields, 2)) if interactions else []
    found: list[tuple[str, ...]] = []
    for name in interactions:
        pair = tuple(name.split(":"))
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(fields):
            raise ValueError(f"The interaction {name!r} is none of two tested fields 'a:b'; there are {list(fields)}.")
        found.append(pair)
    return found


def _categories(table: pd.DataFrame, field: str) -> np.ndarray:
    values = np.asarray(table[field], object)
    return np.array([MISSING if gone else str(value) for value, gone in zip(values, pd.isna(values))], object)


def _numbers(table: pd.DataFrame, field: str) -> np.ndarray:
    try:
        return np.asarray(pd.to_numeric(table[field]), np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"The field {field!r} has values that are no numbers; test it by its levels.") from None


def _varies(values: np.ndarray) -> bool:
    return len(set(values)) > 1


def _means(inner: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Inner products of units, each the mean of its members."""
    averaging = np.eye(which.max() + 1)[:, which] / np.bincount(which)[:, None]
    return averaging @ inner @ averaging.T


def _shares(inner: np.ndarray, general: Design) -> dict[str, object]:
    """What a term explains of configurations: given the others, and alone."""
    points = _means(inner, general.which)
    sums = partition(points, general.model)
    alone = partition(points, bases(general.model.columns, general.own))
    whole = max(sums.total, np.finfo(float).tiny)
    return dict(share=sums.effect / whole, share_alone=alone.effect / whole)


def _test(inner: np.ndarray, design: Design, draws: int, seed: int) -> dict[str, object]:
    """A term's effect sizes and permutation tests, over the units of a design."""
    points, model = _means(inner, design.which), design.model
    sums = partition(points, model)
    spread = deviations(points, model)
    spread = np.where(np.ptp(spread) > 1e-9 * spread.max(), spread - spread.mean(), 0)
    spreads = partition(np.outer(spread, spread), model)
    exact = design.arrangements <= draws
    p, dispersion_p = 1.0, math.nan
    if design.testable and draws:
        p, dispersion_p = permute(
            points,
            model,
            design.codes,
            design.strata,
            residuals=design.residuals,
            spread=not design.own,
            draws=draws,
            exact=exact,
            smallest=design.smallest(draws),
            seed=seed,
        )
    error = sums.residual / model.df_residual if model.df_residual > 0 else math.nan
    single = not design.own and design.testable and draws > 0
    return dict(
        partial_r2=sums.effect / max(sums.effect + sums.residual, np.finfo(float).tiny),
        omega2=(sums.effect - model.df * error) / (sums.total + error),
        pseudo_f=f_ratio(sums, model),
        p=p,
        dispersion_f=f_ratio(spreads, model) if single else math.nan,
        dispersion_p=dispersion_p if single else math.nan,
        distinct=design.distinct if design.distinct < 2**53 else float(min(design.distinct, 10**300)),
        smallest_p=design.smallest(draws),
        exact=exact or not design.testable,
        testable=design.testable,
        about=design.about,
    )


def _knn(
    distance: np.ndarray, general: Design, seeds: np.ndarray | None, neighbours: int, draws: int, seed: int
) -> dict[str, object]:
    """The accuracy of neighbours' labels, and its mean over labels permuted over configurations."""
    found, distinct = arrangements(general.codes, general.strata)
    if distinct < 2 or not draws:
        return dict(knn=math.nan, knn_chance=math.nan)
    near = nearest(distance, general.which, seeds, neighbours)
    width = near.shape[1] * int(general.codes.max() + 1) * len(distance) // len(general.codes)
    chance = [
        hits(near, labels[:, general.which])
        for labels in relabellings(general.codes, general.strata, draws, found <= draws, seed, width=width)
    ]
    observed = hits(near, general.codes[None, general.which])
    return dict(knn=float(observed[0]), knn_chance=float(np.concatenate(chance).mean()))


def _unit(design: Design, used: Sequence[str], others: Sequence[str], over: Sequence[str]) -> str:
    """What a test exchanges, in words."""
    general = design.about == GENERAL
    mean = ", ".join([*(["seeds"] if general else []), *over])
    words = f"{'configuration' if general else 'member'} ({' x '.join(used)})" + (f", mean over {mean}" if mean else "")
    if design.residuals:
        given = [*others, *(["seed"] if SEED in design.within else [])]
        words = f"residual of {words}" + (f", given {', '.join(given)}" if given else "")
    words += f", within strata of {' x '.join(design.within)}" if design.within else ""
    return words if general else f"{words}: {design.about}"


def within_between(similarity: np.ndarray, labels: Sequence[object]) -> pd.DataFrame:
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
    """Mean similarities that any other one is read against; NaN where there is no such pair.

    Attributes:
      same: same configuration, another seed, both trained: as alike as members can be expected to be.
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
    """The similarities of same configuration and other seed, and with untrained members, as references.

    Args:
      similarity: `(member, member)`; NaN pairs (other layers) do not count.
      table: one row per member.
      fields: the columns that make a configuration, without the seed.
      trained: the boolean column that tells trained from untrained; without such a column all count as trained.
    """
    columns = [_categories(table, field) for field in fields]
    cells = pd.factorize(np.array(["\x1f".join(row) for row in zip(*columns)] if columns else [""] * len(table)))[0]
    learned = table[trained].to_numpy(bool) if trained in table else np.ones(len(table), bool)
    first, second = np.triu_indices(len(table), 1)
    value = np.asarray(similarity, np.float64)[first, second]
    alike, both = cells[first] == cells[second], learned[first].astype(int) + learned[second]
    chosen = ((both == 2) & alike, (both == 2) & ~alike, both == 1, both == 0)
    (same, n_same), (other, n_other), (mixed, n_mixed), (none, n_none) = (_mean(value[which]) for which in chosen)
    return References(same, other, mixed, none, (n_same, n_other, n_mixed, n_none))


def _mean(values: np.ndarray) -> tuple[float, int]:
    values = values[~np.isnan(values)]
    return (float(values.mean()) if len(values) else math.nan, len(values))
