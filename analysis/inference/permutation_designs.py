"""What a test of a field exchanges: configurations, or the members of too few of them, and within which strata."""

import math
from collections.abc import Iterator, Sequence
from itertools import permutations as orderings
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from analysis.inference.factors import SEED
from analysis.inference.sums_of_squares import Bases, bases, indicators

__all__ = [
    "GENERAL",
    "THESE",
    "Design",
    "MemberLabels",
    "arrangements",
    "combined_labels",
    "designs",
    "equal_counts",
    "holm",
    "relabellings",
]

GENERAL = "configurations in general"
"""What a test is about that exchanges configurations: their differences count as chance."""

THESE = "these configurations only"
"""What a test is about that exchanges members of configurations: only differences between seeds count as chance."""

ENOUGH = 1e-3
"""Strata are given up for free permutations of residuals where they allow no smaller p."""

WITHOUT_LIMIT = 10**9
"""Draws that set no limit."""

MOST_COLUMNS, CASES_A_COLUMN = 4, 6
"""Of the curves that numbers are held constant by: columns of each, and the fewest cases for every column of all."""

LEAST_COLUMNS = 2
"""Of such a curve: one is a straight line."""

NUMBERS_AT_ONCE = 2**19
"""Numbers held at a time."""


class MemberLabels(NamedTuple):
    """The fields of the members that a test is about.

    Attributes:
      labels: field -> `(member,)` labels 0, 1, ..., of every field that makes a configuration.
      values: field -> `(member,)` numbers, of those fields that are tested as numbers.
      seeds: `(member,)` 0, 1, ...; none where they are unknown.
    """

    labels: dict[str, Int[np.ndarray, " member"]]
    values: dict[str, Float[np.ndarray, " member"]]
    seeds: Int[np.ndarray, " member"] | None


class Design(NamedTuple):
    """One way to test a term.

    Attributes:
      case_of: `(member,)`, the case that each member belongs to: what is exchanged, a configuration or a member.
      chosen: `(case, count)`, the members whose mean a case is: as many of each, see `equal_counts`.
      model: the term and what it is tested given, over cases: the strata, and the fields that these do not hold.
      main_effects: columns of the effects that an interaction is tested given, besides those of the others.
      codes: `(case,)` labels of the term.
      strata: `(case,)`, what is exchanged stays in these.
      residuals: whether residuals are exchanged, for some other term varies within strata; else labels.
      about: `GENERAL` or `THESE`.
      within: the names of what strata are made of.
      arrangements: how many permutations there are.
      distinct: how many of them can change the statistic.
      unheld: the numbers that are too many for the configurations to be held constant as curves; then there is no test.
    """

    case_of: Int[np.ndarray, " member"]
    chosen: Int[np.ndarray, "case count"]
    model: Bases
    main_effects: list[Float[np.ndarray, "case level"]]
    codes: Int[np.ndarray, " case"]
    strata: Int[np.ndarray, " case"]
    residuals: bool
    about: str
    within: tuple[str, ...]
    arrangements: int
    distinct: int
    unheld: tuple[str, ...] = ()

    @property
    def testable(self) -> bool:
        """Whether anything can be exchanged, all else is held, and the model leaves something to compare with."""
        return not self.unheld and self.distinct > 1 and self.model.df > 0 and self.model.df_residual > 0

    def smallest(self, draws: int) -> float:
        """The smallest p that the design and a number of draws allow."""
        if not self.testable:
            return 1.0
        return 1 / self.distinct if self.arrangements <= draws else max(1 / self.distinct, 1 / (draws + 1))


def combined_labels(columns: Sequence[np.ndarray], count: int) -> np.ndarray:
    """One label 0, 1, ... for every combination of several; all 0 for none."""
    if not columns:
        return np.zeros(count, int)
    return np.unique(np.stack(columns, 1), axis=0, return_inverse=True)[1].reshape(-1)


def equal_counts(case_of: np.ndarray, seeds: np.ndarray | None) -> np.ndarray:
    """The members that stand for each case, `(case, count)`: as many of each, for only then they can be exchanged.

    A mean over fewer members is further from its centroid, as if its group were spread out. Where all cases have
    members of some seed, members of these seeds alone: of others, one case would share more with its neighbours than
    another. Else those are taken first whose seeds most cases have, and among these at random, the same each time.

    Args:
      case_of: `(member,)` labels 0, 1, ...
      seeds: `(member,)` labels 0, 1, ...; None where they are unknown.
    """
    everyone, cases = np.arange(len(case_of)), case_of.max() + 1
    if seeds is not None:
        there = np.zeros((cases, seeds.max() + 1), bool)
        there[case_of, seeds] = True
        having = there.sum(0)
        if (having == cases).any():
            everyone = everyone[having[seeds] == cases]
    counts = np.bincount(case_of[everyone])
    if counts.min() == counts.max():
        return everyone[np.argsort(case_of[everyone], kind="stable")].reshape(cases, -1)
    chance = np.random.default_rng(0).random(len(everyone))
    rarity = np.zeros(len(everyone)) if seeds is None else -having[seeds[everyone]]
    order = everyone[np.lexsort((chance, rarity, case_of[everyone]))]
    starts = np.cumsum(counts) - counts
    return order[starts[:, None] + np.arange(counts.min())]


def _columns(encoded: MemberLabels, field: str, first: np.ndarray) -> np.ndarray:
    """The columns of a field over cases: its standardised number, or a dummy for each level."""
    if field not in encoded.values:
        return indicators(np.unique(encoded.labels[field][first], return_inverse=True)[1].reshape(-1))
    value = encoded.values[field][first]
    return ((value - value.mean()) / (value.std() or 1))[:, None]


def _held_columns(encoded: MemberLabels, fields: Sequence[str], first: np.ndarray) -> list[np.ndarray]:
    """The columns by which fields are held constant over cases: those that they are tested by, and of a number a curve.

    A natural cubic spline with knots at quantiles, the straight line among its columns: held as a line alone, a number
    with a curved effect would lend it to every field that goes with its square. Smooth curves are held, no steps.
    """
    allowed = _columns_allowed(encoded, fields, first)
    return [
        _curve(columns[:, 0], allowed) if field in encoded.values else columns
        for field, columns in ((field, _columns(encoded, field, first)) for field in fields)
    ]


def _columns_allowed(encoded: MemberLabels, fields: Sequence[str], first: np.ndarray) -> int:
    """The columns of the curve of each number, of which members of one configuration say no more than one of them."""
    numbers = [encoded.values[field][first] for field in fields if field in encoded.values]
    different = len(np.unique(np.stack(numbers, 1), axis=0)) if numbers else 0
    return min(MOST_COLUMNS, different // (CASES_A_COLUMN * max(len(numbers), 1)))


def _curve(values: np.ndarray, columns: int) -> np.ndarray:
    """A natural cubic spline of some values, `(case, column)`: the line, and one column per inner knot."""
    if columns < LEAST_COLUMNS:
        return values[:, None]
    levels = np.unique(values)
    knots = np.quantile(levels, np.linspace(0, 1, min(columns + 1, len(levels))))
    cubes = np.maximum(values[:, None] - knots, 0) ** 3
    slopes = (cubes[:, :-1] - cubes[:, -1:]) / (knots[-1] - knots[:-1])
    return np.concatenate([values[:, None], slopes[:, :-1] - slopes[:, -1:]], 1)


def designs(
    encoded: MemberLabels, term: Sequence[str], others: Sequence[str], not_held: Sequence[str]
) -> Iterator[Design]:
    """The ways to test a term: by configurations and, made when asked for, by members.

    A case is a configuration, a cell of all fields, or the members of a cell that have one seed, each by its mean.

    Args:
      encoded: the fields of the members.
      term: one field, or several whose interaction is tested given their own effects.
      others: fields that are held constant.
      not_held: fields that make configurations and are not held constant.
    """
    names = [*term, *others, *not_held]
    cells = combined_labels([encoded.labels[name] for name in names], len(encoded.labels[term[0]]))
    residuals = len(term) > 1 or any(other in encoded.values for other in others)
    held = [other for other in others if other not in encoded.values and len(term) == 1]
    general = _design(encoded, term, others, cells, held, residuals=residuals)
    if residuals and held and general.smallest(WITHOUT_LIMIT) > ENOUGH:
        free = _design(encoded, term, others, cells, [], residuals=residuals)
        general = free if free.smallest(WITHOUT_LIMIT) < general.smallest(WITHOUT_LIMIT) else general
    yield general
    members = np.arange(len(cells)) if encoded.seeds is None else combined_labels([cells, encoded.seeds], len(cells))
    held = [] if residuals else held
    these = _design(encoded, term, others, members, held, residuals=residuals, about=THESE)
    if encoded.seeds is not None:
        blocked = _design(encoded, term, others, members, [*held, SEED], residuals=residuals, about=THESE)
        these = blocked if blocked.testable else these  # seeds of their own for every level leave nothing to block
    yield these


def _design(
    encoded: MemberLabels,
    term: Sequence[str],
    others: Sequence[str],
    case_of: np.ndarray,
    within: Sequence[str],
    *,
    residuals: bool,
    about: str = GENERAL,
) -> Design:
    first = np.unique(case_of, return_index=True)[1]
    columns = np.ones((len(first), 1))
    for field in term:  # of an interaction, all products
        columns = (columns[:, :, None] * _columns(encoded, field, first)[:, None]).reshape(len(first), -1)
    main_effects = [_columns(encoded, field, first) for field in term] if len(term) > 1 else []
    seeds_of = {} if encoded.seeds is None else {SEED: encoded.seeds}
    blocks = {name: (encoded.labels | seeds_of)[name] for name in within}
    codes = combined_labels([encoded.labels[field][first] for field in term], len(first))
    strata = combined_labels([block[first] for block in blocks.values()], len(first))
    free = _held_columns(encoded, [other for other in others if other not in blocks], first)
    # What is not exchanged is not left over: a stratum is a cell of all that it is made of, with their interactions.
    model = bases(columns, [*main_effects, *free, indicators(strata)])
    if not model.df:  # alone in every stratum, which nothing can be tested of: then what it adds to the others' effects
        model = bases(columns, [*main_effects, *_held_columns(encoded, others, first)])
    count, partitions = arrangements(np.arange(len(first)) if residuals else codes, strata)
    renamed = not residuals and term[0] not in encoded.values  # numbers and residuals have no names to be exchanged
    distinct = partitions if renamed else count
    numbers = tuple(other for other in others if other in encoded.values)
    unheld = numbers if numbers and _columns_allowed(encoded, others, first) < LEAST_COLUMNS else ()
    chosen, held = equal_counts(case_of, encoded.seeds), (about, tuple(within))
    return Design(case_of, chosen, model, main_effects, codes, strata, residuals, *held, count, distinct, unheld)


# --- permutations within strata ---------------------------------------------------------------------------------------


def arrangements(codes: np.ndarray, strata: np.ndarray) -> tuple[int, int]:
    """How many labellings the strata allow, and how many partitions those are.

    Labels that occur equally often in every stratum can be renamed into each other everywhere at once, which moves
    all cases and changes no partition: with one such pair, no p below 2 / labellings can occur.

    Args:
      codes: `(case,)`, labels as 0, 1, ...
      strata: `(case,)`, the strata that labels stay in, as 0, 1, ...
    """
    counts = np.zeros((strata.max() + 1, codes.max() + 1), int)
    np.add.at(counts, (strata, codes), 1)
    labellings = 1
    for row in counts:
        labellings *= math.factorial(int(row.sum())) // math.prod(math.factorial(int(k)) for k in row)
    alike = np.unique(counts, axis=1, return_counts=True)[1]
    return labellings, labellings // math.prod(math.factorial(int(k)) for k in alike)


def relabellings(
    codes: np.ndarray, strata: np.ndarray, draws: int, exact: bool, seed: int, *, width: int = 1
) -> Iterator[np.ndarray]:
    """Labels permuted within strata, `(draw, case)` at a time: all of them once, or `draws` at random.

    Args:
      codes: `(case,)`, labels as 0, 1, ...
      strata: `(case,)`, the strata that labels stay in, as 0, 1, ...
      draws: how many at random.
      exact: all labellings, each once.
      seed: of the draws.
      width: numbers that the caller holds per draw and case.
    """
    batch = max(1, NUMBERS_AT_ONCE // (len(codes) * max(width, 1)))
    base = np.argsort(strata, kind="stable")
    if exact:
        each = [sorted(_orders(codes[strata == stratum])) for stratum in range(strata.max() + 1)]
        labellings = np.empty((math.prod(map(len, each)), len(codes)), int)
        for row, parts in enumerate(product(*each)):
            labellings[row, base] = np.concatenate(parts)
        yield from (labellings[start : start + batch] for start in range(0, len(labellings), batch))
        return
    draw = np.random.default_rng(seed)
    for start in range(0, draws, batch):
        size = min(batch, draws - start)
        order = np.argsort(strata + draw.random((size, len(codes))), axis=1)
        labellings = np.empty(order.shape, int)
        labellings[:, base] = codes[order]
        yield labellings


def _orders(labels: np.ndarray) -> set[tuple[int, ...]]:
    """The distinct orders of a few labels, repeats allowed."""
    if len(labels) <= 6:
        return set(orderings(labels.tolist()))
    orders: set[tuple[int, ...]] = set()
    for label in np.unique(labels):
        rest = np.delete(labels, np.flatnonzero(labels == label)[0])
        orders |= {(int(label), *order) for order in _orders(rest)}
    return orders


def holm(p: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment over the tests that could be made; the others keep 1."""
    adjusted = np.ones(len(p))
    order = np.flatnonzero(tested)[np.argsort(p[tested], kind="stable")]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted
