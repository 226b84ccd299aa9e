"""Intervals by the jackknife: over stimuli, and over networks, whose configurations are left out one at a time.

A bootstrap over stimuli draws some of them twice; a pair of copies is no pair of stimuli, and intervals of similarities
near 0 then cover 68 % where 95 are asked. Leaving stimuli out one at a time makes no copies.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from analysis.activations.types import RDMs, array_of
from analysis.arithmetic import BUDGET, HIGHEST, in_precision
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import Prepared, prepare, stimuli_in_order
from analysis.inference.group_similarities import within_between
from analysis.measures import InnerMeasure
from analysis.measures._family import State

__all__ = ["MEAN_COLUMNS", "Interval", "block_means", "configurations", "jackknife", "jackknife_means"]

LEAST_CONFIGURATIONS = 3
"""In each group, for limits over configurations: two say next to nothing of how far others would be."""

MEAN_COLUMNS = ["mean", "low", "high", "se", "pairs", "configurations"]
"""Of `jackknife_means`."""


class Interval(NamedTuple):
    """Limits of a value; NaN where the value is.

    Attributes:
      low, high: the limits, not clipped.
      se: the standard error.
    """

    low: Float[np.ndarray, "..."]
    high: Float[np.ndarray, "..."]
    se: Float[np.ndarray, "..."]


def jackknife(prepared: Prepared, *, budget: int = BUDGET, level: float = 0.95) -> Interval:
    """Intervals over stimuli for all pairs of the members that the measure can be had of, `(member, member)` each.

    `se^2 = (n-1)/n sum_i (v_(-i) - mean)^2`, with v_(-i) the value without stimulus i (Efron & Stein 1981); the limits
    are the value plus or minus se times the quantile of Student's t of n - 1 degrees of freedom; of similarities, whose
    errors are skewed near 1, on Fisher's scale, arctanh. Simulated limits of 95 % cover 94 to 97 % with 20 to 100
    stimuli, up to 99 % near 0, where the jackknife of pairs is conservative, and 92 % at a Spearman RSA of .97.

    CKA and the correlations of RDMs need no repetition: the map of fewer stimuli is the old one without its row and
    column, centred anew, and what that takes off an inner product is known from the row alone (`_without`). Ranks,
    kernel widths and noise covariances are those of all stimuli. Every other measure is computed n times.

    Args:
      prepared: a measure and its states. The sample is the stimulus, with all its times.
      budget: bytes that a strip of maps may take.
      level: of the interval.
    """
    measure, stimuli = prepared.measure, prepared.stimuli
    if stimuli <= measure.least:
        raise ValueError(
            f"{measure.name} of {stimuli} stimuli has no jackknife; it needs at least {measure.least + 1}, "
            f"so that {measure.least} stay."
        )
    for group in prepared.taken_groups:
        if not isinstance(group, RDMs) and (fault := measure.fault(stimuli - 1, *array_of(group).shape[-2:])):
            few = f"{measure.name} has no jackknife, which leaves {stimuli - 1} stimuli"
            raise ValueError(f"{few}: {fault.rstrip('.')}.")
    centring = measure.recentring(prepared.rows == 1)
    with in_precision(prepared.dtype):
        spread = _repeated(prepared, budget) if centring is None else _streamed(prepared, budget, centring)
    value, first, second = spread
    se = np.sqrt((stimuli - 1) / stimuli * np.maximum(second - first**2 / stimuli, 0))
    half = stats.t.ppf((1 + level) / 2, stimuli - 1) * se
    if measure.kind != "similarity":
        return Interval(value - half, value + half, se)
    inside = np.abs(value) < 1 - 1e-6  # a member with itself is certain
    angle = np.arctanh(np.where(inside, value, 0))
    half = half / np.where(inside, 1 - value**2, 1)
    low, high = (np.where(inside, np.tanh(angle + side * half), value) for side in (-1, 1))
    return Interval(low, high, se)


class _Walk(NamedTuple):
    """What is fixed over the strips of stimuli: the static argument of the compiled programs.

    Attributes:
      measure: an Inner measure.
      stimuli: how many there are.
      centring: how the map of fewer stimuli is centred anew, see `Family.recentring`.
    """

    measure: InnerMeasure
    stimuli: int
    centring: str


class _Strip(NamedTuple):
    """Stimuli whose rows are taken at once.

    Attributes:
      stimuli: `(strip,)`; the last strip is filled up with the last stimulus.
      real: `(strip,)`, 1, and 0 for what fills up.
    """

    stimuli: np.ndarray
    real: np.ndarray


class _Totals(NamedTuple):
    """Of the maps of all stimuli.

    Attributes:
      products: `(a, b)`, the inner products.
      sums: `(member, time, time)`, the sums of each map for each pair of times, or of all, `(member, 1, 1)`.
    """

    products: Any
    sums: Any


class _Spread(NamedTuple):
    """Of the values of all stimuli, and of what leaving each one out adds to them, `(a, b)` each.

    Attributes:
      value: the values.
      first, second: sums over stimuli of what is added, and of its squares.
    """

    value: Float[np.ndarray, "member member"]
    first: Float[np.ndarray, "member member"]
    second: Float[np.ndarray, "member member"]


@partial(jax.jit, static_argnums=0)
def _rows(walk: _Walk, states: list[State], i: jax.Array) -> dict[str, jax.Array]:
    """What the rows of stimuli `i` add to the inner products of all maps, and to their sums.

    `row` `(stimulus, a, b)`: of the rows with each other; `turned`: with the times of one exchanged; `own`: of the
    blocks of the stimuli with themselves; `sums` `(member, stimulus, time, time)`: of rows and columns.
    """
    stimuli, centring = walk.stimuli, walk.centring
    blocks = jnp.concatenate([walk.measure.left(state, i, jnp.arange(stimuli)) for state in states])
    times = math.isqrt(blocks.shape[1] // (len(i) * stimuli))
    blocks = blocks.reshape(len(blocks), len(i), times, stimuli, times)

    def products(x: jax.Array, y: jax.Array) -> jax.Array:
        flat = (part.swapaxes(0, 1).reshape(len(i), len(part), -1) for part in (x, y))
        return jnp.einsum("sae,sbe->sab", *flat, precision=HIGHEST)

    rows = dict(row=products(blocks, blocks))
    if centring == "hollow":
        rows["turned"] = products(blocks, blocks.swapaxes(2, 4)) if times > 1 else rows["row"]
    elif centring == "full":
        with_themselves = blocks[:, jnp.arange(len(i)), :, i].swapaxes(0, 1)
        rows["own"] = products(with_themselves, with_themselves)
    elif centring != "none":
        sums = blocks.sum(3)
        rows["sums"] = sums + sums.swapaxes(2, 3)
        if centring == "grand":
            rows["sums"] = rows["sums"].sum((2, 3), keepdims=True) / times
    return rows


def _without(walk: _Walk, totals: _Totals, rows: dict[str, jax.Array]) -> jax.Array:
    """Inner products of the maps without each of some stimuli, `(stimulus, a, b)`, from those of all, `(a, b)`.

    With m = n - 1 stimuli left, q the row's product, q' the turned one and d the own block's: a map whose rows and
    columns sum to 0 has, once row and column i are gone, the sums -A[jt, iu] and -A[it, ju]. Centring takes off

        hollow: 2 ((m - 1) q + q') / (m (m - 2)),    full: 2 (q - d) / m - d / m^2,
        entries: the product of the sums of the entries left, over their number m (m - 1).
    """
    left, centring = walk.stimuli - 1, walk.centring
    new = totals.products[None] - 2 * rows["row"]
    if centring == "hollow":
        return new - 2 * ((left - 1) * rows["row"] + rows["turned"]) / (left * (left - 2))
    if centring == "full":
        return new + rows["own"] - 2 * (rows["row"] - rows["own"]) / left + rows["own"] / left**2
    if centring == "none":
        return new
    sums = (totals.sums[:, None] - rows["sums"]).reshape(len(totals.sums), rows["row"].shape[0], -1)
    return new - jnp.einsum("ase,bse->sab", sums, sums, precision=HIGHEST) / (left * (left - 1))


@partial(jax.jit, static_argnums=0)
def _add_totals(walk: _Walk, totals: _Totals, states: list[State], strip: _Strip) -> _Totals:
    rows = _rows(walk, states, strip.stimuli)
    products, sums = totals
    products = products + (rows["row"] * strip.real[:, None, None]).sum(0)
    if "sums" in rows:
        sums = sums + (rows["sums"] * strip.real[None, :, None, None]).sum(1) / 2
    return _Totals(products, sums)


@partial(jax.jit, static_argnums=0)
def _add_spread(
    walk: _Walk, spread: tuple[Any, Any], states: list[State], strip: _Strip, totals: _Totals, value: Any
) -> tuple[Any, Any]:
    rows = _rows(walk, states, strip.stimuli)
    new = _without(walk, totals, rows)
    norms = jnp.sqrt(jnp.diagonal(new, axis1=1, axis2=2))
    # Differences are small: their squares keep digits.
    off = (new / (norms[:, :, None] * norms[:, None]) - value[None]) * strip.real[:, None, None]
    return spread[0] + off.sum(0), spread[1] + (off**2).sum(0)


def _streamed(prepared: Prepared, budget: int, centring: str) -> _Spread:
    """The spread in two walks over strips of stimuli: for the totals, and for what each stimulus takes off them."""
    states, dtype = prepared.taken_states, prepared.dtype
    floor = np.concatenate([np.asarray(state["floor"], np.float64) for state in states])
    members, stimuli, times = len(floor), prepared.stimuli, prepared.rows
    most = budget // (np.dtype(dtype).itemsize * members * (3 * stimuli * times**2 + 6 * members))
    length = -(-stimuli // -(-stimuli // min(max(most, 1), stimuli)))  # of equal length
    strips = []
    for start in range(0, stimuli, length):
        i = np.arange(start, start + length)
        strips.append(_Strip(np.minimum(i, stimuli - 1), (i < stimuli).astype(dtype)))
    walk, zeros = _Walk(prepared.inner, stimuli, centring), jnp.zeros((members, members), dtype)
    side = 1 if centring == "grand" else times
    totals = _Totals(zeros, jnp.zeros((members, side, side), dtype))
    for strip in strips:
        totals = _add_totals(walk, totals, states, strip)
    centred = np.asarray(totals.products, np.float64)
    if centring in ("entries", "grand"):
        flat = np.asarray(totals.sums, np.float64).reshape(members, -1)
        centred = centred - flat @ flat.T / (stimuli * (stimuli - 1))
    norms = np.sqrt(np.where(centred.diagonal() > floor, centred.diagonal(), np.nan))
    value = centred / (norms[:, None] * norms)
    spread, rounded = (zeros, zeros), jnp.asarray(value, dtype)
    for strip in strips:
        spread = _add_spread(walk, spread, states, strip, totals, rounded)
    return _Spread(value, *(np.asarray(part, np.float64) for part in spread))


def _repeated(prepared: Prepared, budget: int) -> _Spread:
    """The spread by computing every value once more without each stimulus."""

    def values(request: Prepared) -> np.ndarray:
        return np.asarray(similarities([request], budget=budget)[0].value, np.float64)

    groups, every = prepared.taken_groups, np.arange(prepared.stimuli)
    value = values(prepared)[np.ix_(prepared.members, prepared.members)]
    first, second = np.zeros_like(value), np.zeros_like(value)
    for i in every:
        rest = [stimuli_in_order(group, np.delete(every, i)) for group in groups]
        off = values(prepare(prepared.measure, rest, prepared.dtype)) - value
        first, second = first + off, second + off**2
    return _Spread(value, first, second)


# --- over networks ---------------------------------------------------------------------------------------------------


def configurations(table: pd.DataFrame, fields: Sequence[str]) -> np.ndarray:
    """The configuration of every member, numbered in order of appearance; a missing value is a level of its own."""
    if unknown := [field for field in fields if field not in table]:
        raise ValueError(f"The table has no field {unknown[0]!r}; it has {', '.join(map(str, table.columns))}.")
    if not fields:
        return np.zeros(len(table), int)
    return table.groupby(list(fields), dropna=False, sort=False).ngroup().to_numpy(int)


def jackknife_means(
    similarity: np.ndarray, labels: Iterable[Any], table: pd.DataFrame, fields: Sequence[str], *, level: float = 0.95
) -> pd.DataFrame:
    """Mean similarity within and between groups of members, as `within_between`, with intervals over configurations.

    Configurations are left out one at a time, with all their seeds, which are no independent networks. With v_(-i) a
    mean without configuration i, and n_g configurations in group g,

        se^2 = sum_g (n_g - 1) / n_g sum_(i in g) (v_(-i) - mean of these over g)^2

    (Efron & Stein 1981); the limits are the mean plus or minus se times the quantile of Student's t, with
    Satterthwaite's degrees of freedom. The means over all groups are those of pairs of groups, weighted by how many
    pairs of members these have with all configurations. In simulated zoos of 3 to 10 configurations a group, limits of
    95 % cover 93 to 98 %.

    Args:
      similarity: `(member, member)`; NaN pairs do not count.
      labels: the group of every member, made of the fields.
      table: one row per member.
      fields: the columns that make a configuration, without the seed.
      level: of the interval.

    Returns:
      The rows of `within_between` with `mean`, `low`, `high`, `se`, `pairs`, and `configurations`, how many take part.
      There are no limits, NaN, where fewer than `LEAST_CONFIGURATIONS` of one group do, or where they do not differ.

    Raises:
      ValueError: the table has no such field, or a configuration is of two groups.
    """
    means: Any = within_between(similarity, labels)
    if not len(table):
        return means.assign(low=np.nan, high=np.nan, se=np.nan, configurations=0)[MEAN_COLUMNS]
    cells = configurations(table, fields)
    group = _group_of(cells, labels, fields)
    counts = np.bincount(group)
    statistic, first, second = block_means(similarity, cells, group)
    pairs = means["pairs"].to_numpy(float)[2:]
    kinds = np.stack([first == second, first != second]) * pairs  # within and between, over all groups
    weights = np.concatenate([kinds / np.maximum(kinds.sum(1, keepdims=True), 1), np.eye(len(pairs))])
    of_group = np.eye(len(counts), dtype=bool)[:, first] | np.eye(len(counts), dtype=bool)[:, second]
    takes_part = (weights > 0) @ of_group.T  # (row, group)
    without = statistic(1 - np.eye(len(group)))
    unknown = (weights > 0) @ np.isnan(without).any(0)
    rows = np.nan_to_num(without) @ weights.T
    variances = np.stack([(n - 1) * rows[group == g].var(0) for g, n in enumerate(counts)])
    variance = variances.sum(0)
    few = (takes_part & (counts < LEAST_CONFIGURATIONS)).any(1)
    variance = np.where(few | unknown | (variance == 0), np.nan, variance)
    freedom = variance**2 / (variances**2 / np.maximum(counts - 1, 1)[:, None]).sum(0)
    se = np.sqrt(variance)
    reach = se * stats.t.ppf((1 + level) / 2, freedom)
    limits = dict(low=means["mean"] - reach, high=means["mean"] + reach, se=se, configurations=takes_part @ counts)
    return means.assign(**limits)[MEAN_COLUMNS]


def _group_of(cells: np.ndarray, labels: Iterable[Any], fields: Sequence[str]) -> np.ndarray:
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
