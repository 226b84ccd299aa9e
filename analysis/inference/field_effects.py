"""What a similarity matrix says about the fields that were varied: effect sizes and permutation tests.

Distances are centred to inner products (Gower 1966) and averaged over the members of a configuration, which is a
cell of the fields: seeds are no field. With H the projector on the dummy-coded fields, the marginal (type III) sum
of squares of a field is `tr((H_full - H_without) G)` and pseudo-F is that of distance-based MANOVA (McArdle &
Anderson 2001). The null permutes the field's labels over configurations *within strata of all other fields*: a
free shuffle of crossed fields rejects in up to 44 % of null zoos at 5 %. All arrangements are tried where there
are no more than `permutations`, else that many are drawn.

- What the permutations do not exchange is not left over: the residual of `omega2`, `partial_r2` and `pseudo_f` is that
  within strata, without the interactions of the other fields, as the restricted permutation has it (Anderson & ter
  Braak 2003). With these in it omega2 would be negative beside a p of .001. `share` is of all that separates
  configurations, so that a small share may well be beyond chance.
- Too few configurations for any p of .05 or less: members are permuted instead, within strata of the other fields
  and within seeds, where levels share seeds. Chance is then what seeds do, and `about` says that the test is of
  these configurations only. A field of more than 24 levels is not tested so.
- A number drawn at random for nearly every configuration (`numbers`) is one column of the model instead of dummies,
  log10 where it is positive and spans more than a decade: distance regression. Its values are permuted.
- Where another field is such a number, no strata hold all else constant. It is held as a curve, a natural cubic
  spline of two to four columns, one for six configurations at most, and the residuals under the reduced model are
  exchanged (Freedman & Lane 1983): within strata of the fields with levels where these allow a p of .001, else freely.
  So are, freely, those of an interaction a:b, whose null is that the effects of a and b add: labels within strata have
  no null for it. Fewer than twelve configurations for every such number hold no curve: there is no test then. As a
  straight line, 8 to 10 of them gave other fields 16 to 70 % false positives.
- A field that only some members have (missing in the others) is tested within the members that have it; the members
  of a field common to all are averaged over the fields that only some have.
- Every configuration is the mean of as many members: of those that have more, some. With unequal numbers the test of
  dispersion finds the noise of small configurations, in up to half of simulated zoos of noise, and that of location
  rejects in up to a fifth.
- Beside the test of location stands one of dispersion (PERMDISP, Anderson 2006): by the same permutations, whether
  cases of one level lie further from the centroid of their level than cases of another. Where it is small too, the
  p of the field may be about spread. Beside numbers of fewer than 24 configurations there is none: without an
  effect of the field, p <= .05 in 6 to 30 % of zoos with 10 to 18.
"""

import dataclasses
import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from analysis.arithmetic import SIGNIFICANT
from analysis.geometry.embedding import gower
from analysis.inference.factors import MISSING, MOST_LEVELS, SEED, scaled, texts_of
from analysis.inference.field_p_values import permutation_p
from analysis.inference.nearest_neighbours import hits, nearest_cases
from analysis.inference.permutation_designs import (
    GENERAL,
    Design,
    MemberLabels,
    arrangements,
    designs,
    holm,
    relabellings,
)
from analysis.inference.sums_of_squares import TINY, bases, deviations, f_ratio, partition

__all__ = ["COLUMNS", "FieldPlan", "explained", "pairs"]

LEAST_BESIDE_NUMBERS = 24
"""Cases, for a test of dispersion where numbers are held constant."""

VOTES = 199
"""Permutations that the chance level of nearest neighbours is the mean of."""

COLUMNS = [
    *("field", "share", "share_alone", "partial_r2", "omega2", "pseudo_f", "p", "p_holm", "dispersion_f"),
    *("dispersion_p", "knn", "knn_chance", "distinct", "smallest_p", "exact", "testable", "about", "tested_as"),
    *("levels", "configurations", "exchanged", "within"),
]
"""What `explained` says of each field and interaction.

Of configurations: `share` of the total sum of squares given the others, `share_alone` without the others; NaN where no
two configurations differ, or where nothing but the field tells them apart: it is all by construction. Of what the test
exchanges: `partial_r2`, `omega2`, `pseudo_f`, `p`, `p_holm` (over all that was tested), `dispersion_f` and
`dispersion_p` (an ANOVA of distances to centroids; NaN for interactions, and for few configurations beside numbers),
`distinct` (permutations that can change the statistic), `smallest_p` (that this design and number of draws allow),
`exact` (all permutations), `testable`, `about` ("configurations in general" or "these configurations only"),
`tested_as` ("levels", "value", "log10(value)", "interaction"), `levels`, `configurations`, `exchanged` (what is
permuted) and `within` (the members the test is about).
`knn` is the accuracy of `analysis.inference.nearest_neighbours.knn_accuracy` for the field's label, `knn_chance` its
mean over permutations of labels over configurations; both are NaN for numbers, interactions, and where nothing can be
permuted.
"""


@dataclasses.dataclass(frozen=True)
class FieldPlan:
    """What is tested of a table's columns, and what is held constant meanwhile.

    Attributes:
      fields: the columns that were varied, without the seed. Fields with one value are dropped.
      only: those of `fields` to give rows for; all where this is None.
      not_held: further columns that make a configuration, neither tested nor held constant.
      numbers: those of `fields` that are tested as numbers, such as `analysis.inference.factors.sampled` names.
      interactions: pairs "a:b" of fields to test, or True for all pairs.
    """

    fields: Sequence[str]
    only: Sequence[str] | None = None
    not_held: Sequence[str] = ()
    numbers: Sequence[str] = ()
    interactions: bool | Sequence[str] = False

    @property
    def terms(self) -> list[tuple[str, ...]]:
        """Fields, and then pairs of them, in the order of the result."""
        fields = self.fields if self.only is None else self.only
        return [*((field,) for field in fields), *pairs(self.interactions, self.fields)]


def explained(
    distance: np.ndarray,
    table: pd.DataFrame,
    plan: FieldPlan,
    *,
    permutations: int = 9999,
    neighbours: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """The share of the population's geometry that each field explains, and whether it is more than chance.

    How it is tested stands in the text of this module.

    Args:
      distance: `(member, member)`, a true distance, such as `analysis.geometry.embedding.angular` of a similarity.
      table: one row per member. Its column `seed`, if any, is a block.
      plan: the columns that are tested.
      permutations: draws of the null at most; 0 for effect sizes and designs without any test.
      neighbours: how many vote in `knn`.
      seed: of the draws.

    Returns:
      One row per field and interaction, with the columns `COLUMNS`.
    """
    distance = np.asarray(distance, np.float64)
    columns = _encoded(table, plan, len(distance))
    inner: dict[bytes, np.ndarray] = {}
    rows = []
    for names in plan.terms:
        if (term := _term(names, columns, plan)) is None:
            continue
        scope, near = term.members.tobytes(), distance[np.ix_(term.members, term.members)]
        if scope not in inner:
            inner[scope] = gower(near)
        general, chosen = _designs(term, plan, permutations)
        votes = min(permutations, VOTES) if term.tested_as == "levels" else 0
        rows.append(
            dict(field=":".join(names))
            | _shares(inner[scope], general)
            | _test(inner[scope], chosen, permutations, seed)
            | _knn(near, general, term.labels.seeds, neighbours, votes, seed)
            | dict(
                tested_as=term.tested_as,
                levels=math.prod(term.levels),
                configurations=len(general.strata),
                exchanged=_exchanged(chosen, term),
                within=term.within,
            )
        )
    result = pd.DataFrame(rows, columns=COLUMNS if not rows else None)
    result["p_holm"] = holm(result["p"].to_numpy(float), result["testable"].to_numpy(bool))
    return result[COLUMNS].set_index("field")


class _Columns(NamedTuple):
    """The columns of a table as arrays.

    Attributes:
      texts: field -> `(member,)`, values as text, `MISSING` where there is none.
      numbers: field -> `(member,)`, of those tested as numbers, as a regression takes them.
      logarithmic: which of these are on a scale of log10.
      seeds: `(member,)` 0, 1, ...; None where there is no such column.
    """

    texts: dict[str, np.ndarray]
    numbers: dict[str, Float[np.ndarray, " member"]]
    logarithmic: set[str]
    seeds: Int[np.ndarray, " member"] | None


class _Term(NamedTuple):
    """A field, or an interaction of several, among the members that have it.

    Attributes:
      names: of the fields.
      members: `(member,)`, the rows of the table that have them.
      labels: of these members.
      others: the fields that are held constant.
      averaged: the fields that only some of these members have: cases are the mean over them.
      tested_as: "levels", "value", "log10(value)" or "interaction".
      within: the members in words.
    """

    names: tuple[str, ...]
    members: Int[np.ndarray, " member"]
    labels: MemberLabels
    others: list[str]
    averaged: list[str]
    tested_as: str
    within: str

    @property
    def levels(self) -> list[int]:
        """The number of levels of each field."""
        return [int(self.labels.labels[field].max()) + 1 for field in self.names]


def _encoded(table: pd.DataFrame, plan: FieldPlan, members: int) -> _Columns:
    """The columns that a test needs; or why it cannot be made."""
    fields, numbers = plan.fields, plan.numbers
    if len(table) != members:
        raise ValueError(f"The table has {len(table)} rows and the distance matrix {members}; they must agree.")
    if unknown := [field for field in (*fields, *plan.not_held) if field not in table]:
        raise ValueError(f"The table has no field {unknown[0]!r}; it has {', '.join(map(str, table.columns))}.")
    if SEED in fields:
        raise ValueError(f"The field {SEED!r} is a block and cannot be tested; leave it out of the fields.")
    if unknown := [field for field in numbers if field not in fields]:
        raise ValueError(f"The number {unknown[0]!r} is no tested field; the fields are {', '.join(fields)}.")
    texts = {field: texts_of(table, field) for field in (*fields, *plan.not_held)}
    seeds = _codes(texts_of(table, SEED)) if SEED in table else None
    scales = {field: scaled(_numbers(table, field)) for field in numbers}
    values = {field: value for field, (value, _) in scales.items()}
    return _Columns(texts, values, {field for field, (_, logarithm) in scales.items() if logarithm}, seeds)


def _codes(texts: np.ndarray) -> np.ndarray:
    """Labels 0, 1, ... of texts."""
    return np.unique(texts, return_inverse=True)[1].reshape(-1)


def _term(names: Sequence[str], columns: _Columns, plan: FieldPlan) -> _Term | None:
    """A term among the members that have its fields; None where one of these does not vary."""
    texts, first = columns.texts, names[0]
    members = np.flatnonzero(np.all([texts[field] != MISSING for field in names], 0))
    if not all(_varies(texts[field][members]) for field in names):
        return None
    varying = [field for field in plan.fields if field not in names and _varies(texts[field][members])]
    others = [field for field in varying if MISSING not in texts[field][members]]
    used = [*names, *others, *plan.not_held]
    labels = MemberLabels(
        {field: _codes(texts[field][members]) for field in used},
        {field: columns.numbers[field][members] for field in used if field in columns.numbers},
        None if columns.seeds is None else columns.seeds[members],
    )
    as_number = "log10(value)" if first in columns.logarithmic else "value"
    tested_as = "interaction" if len(names) > 1 else as_number if first in columns.numbers else "levels"
    whole = len(members) == len(texts[first])
    within = "all members" if whole else f"{len(members)} members that have {' and '.join(names)}"
    averaged = [field for field in varying if field not in others]
    return _Term(tuple(names), members, labels, others, averaged, tested_as, within)


def _designs(term: _Term, plan: FieldPlan, permutations: int) -> tuple[Design, Design]:
    """The design over configurations, and the one that is tested: over members, where these allow a smaller p."""
    ways = designs(term.labels, term.names, term.others, plan.not_held)
    general = next(ways)
    few = permutations > 0 and general.smallest(permutations) > SIGNIFICANT
    if not few or any(
        field not in plan.numbers and count > MOST_LEVELS for field, count in zip(term.names, term.levels)
    ):
        return general, general
    these = next(ways)
    return general, these if these.smallest(permutations) < general.smallest(permutations) else general


def pairs(interactions: bool | Sequence[str], fields: Sequence[str]) -> list[tuple[str, ...]]:
    """The interactions asked for, as pairs of fields."""
    if isinstance(interactions, bool):
        return list(combinations(fields, 2)) if interactions else []
    terms: list[tuple[str, ...]] = []
    for name in interactions:
        pair = tuple(name.split(":"))
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(fields):
            raise ValueError(f"The interaction {name!r} is none of two tested fields 'a:b'; there are {list(fields)}.")
        terms.append(pair)
    return terms


def _numbers(table: pd.DataFrame, field: str) -> np.ndarray:
    try:
        return np.asarray(pd.to_numeric(table[field]), np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"The field {field!r} has values that are no numbers; test it by its levels.") from None


def _varies(values: np.ndarray) -> bool:
    return len(set(values)) > 1


def _means(inner: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Inner products of cases, each the mean of the members `(case, count)` that are chosen of it."""
    averaging = np.zeros((len(chosen), len(inner)))
    np.put_along_axis(averaging, chosen, 1 / chosen.shape[1], 1)
    return averaging @ inner @ averaging.T


def _shares(inner: np.ndarray, general: Design) -> dict[str, object]:
    """What a term explains of configurations, given the others and alone; NaN where that is nothing or by construction
    all: where no two configurations differ, or each is a level of its own."""
    points = _means(inner, general.chosen)
    sums = partition(points, general.model)
    if sums.total <= TINY or general.model.df == len(points) - 1:
        return dict(share=math.nan, share_alone=math.nan)
    alone = partition(points, bases(general.model.columns, general.main_effects))
    return dict(share=sums.effect / sums.total, share_alone=alone.effect / sums.total)


def _test(inner: np.ndarray, design: Design, draws: int, seed: int) -> dict[str, object]:
    """A term's effect sizes and permutation tests, over the cases of a design."""
    points, model = _means(inner, design.chosen), design.model
    sums = partition(points, model)
    testable = design.testable and sums.total > TINY  # equal networks have nothing to explain
    spread = deviations(points, model)
    spread = np.where(np.ptp(spread) > 1e-9 * spread.max(), spread - spread.mean(), 0)
    spreads = partition(np.outer(spread, spread), model)
    p, dispersion_p = 1.0, math.nan
    if testable and draws:
        p, dispersion_p = permutation_p(points, design, draws, seed)
    error = sums.residual / model.df_residual if model.df_residual > 0 else math.nan
    few = design.residuals and len(points) < LEAST_BESIDE_NUMBERS
    single = not design.main_effects and testable and draws > 0 and not few
    whole = sums.total + error if sums.total > TINY else math.nan
    return dict(
        partial_r2=sums.effect / max(sums.effect + sums.residual, TINY) if sums.total > TINY else math.nan,
        omega2=(sums.effect - model.df * error) / whole,
        pseudo_f=f_ratio(sums, model),
        p=p,
        dispersion_f=f_ratio(spreads, model) if single else math.nan,
        dispersion_p=dispersion_p if single else math.nan,
        distinct=design.distinct if design.distinct < 2**53 else float(min(design.distinct, 10**300)),
        smallest_p=design.smallest(draws),
        exact=design.arrangements <= draws or not testable,
        testable=testable,
        about=design.about,
    )


def _knn(
    distance: np.ndarray, general: Design, seeds: np.ndarray | None, neighbours: int, draws: int, seed: int
) -> dict[str, object]:
    """The accuracy of neighbours' labels, and its mean over labels permuted over configurations."""
    labellings, distinct = arrangements(general.codes, general.strata)
    if distinct < 2 or not draws:
        return dict(knn=math.nan, knn_chance=math.nan)
    near = nearest_cases(distance, general.case_of, seeds, neighbours)
    width = near.shape[1] * int(general.codes.max() + 1) * len(distance) // len(general.codes)
    chance = [
        hits(near, labels[:, general.case_of])
        for labels in relabellings(general.codes, general.strata, draws, labellings <= draws, seed, width=width)
    ]
    observed = hits(near, general.codes[None, general.case_of])
    return dict(knn=float(observed[0]), knn_chance=float(np.concatenate(chance).mean()))


def _exchanged(design: Design, term: _Term) -> str:
    """What a test exchanges, in words."""
    general = design.about == GENERAL
    mean = ", ".join([*(["seeds"] if general else []), *term.averaged])
    words = f"{'configuration' if general else 'member'} ({' x '.join(term.labels.labels)})"
    words += f", mean over {mean}" if mean else ""
    if (fewest := design.chosen.shape[1]) < (most := int(np.bincount(design.case_of).max())):
        words += f", {fewest} of up to {most} members each"
    if design.residuals:
        terms = [*term.others, *([SEED] if SEED in design.within else [])]
        words = f"residual of {words}" + (f", given {', '.join(terms)}" if terms else "")
    words += f", within strata of {' x '.join(design.within)}" if design.within else ""
    words += f"; too few to hold {', '.join(design.unheld)} constant" if design.unheld else ""
    return words if general else f"{words}: {design.about}"
