"""Intervals: over stimuli by the jackknife, over networks by the bootstrap over configurations.

A bootstrap over stimuli draws some of them twice; a pair of copies is no pair of stimuli, and intervals of similarities
near 0 then cover 68 % where 95 are asked. Leaving stimuli out one at a time makes no copies.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats

from analysis.activations.inputs import stimuli_of
from analysis.activations.types import RDMs, Repeats
from analysis.engine.all_pairs import prepare, similarities
from analysis.engine.inner_products import BUDGET
from analysis.inference.field_effects import within_between

__all__ = ["Interval", "block_means", "bootstrap_configurations", "bootstrap_means", "configurations", "jackknife"]

HIGHEST = jax.lax.Precision.HIGHEST
State = dict[str, Any]


class Interval(NamedTuple):
    """Limits of a value; NaN where the value is.

    Attributes:
      low, high: the limits, not clipped.
      se: the standard error.
    """

    low: np.ndarray
    high: np.ndarray
    se: np.ndarray


def jackknife(
    measure: Any, groups: Sequence[Any], *, dtype: str = "float32", budget: int = BUDGET, level: float = 0.95
) -> Interval:
    """Intervals over stimuli for all pairs of members, `(member, member)` each, in the order of the groups.

    `se^2 = (n-1)/n sum_i (v_(-i) - mean)^2`, with v_(-i) the value without stimulus i (Efron & Stein 1981); the limits
    are the value plus or minus se times the quantile of Student's t of n - 1 degrees of freedom; of similarities, whose
    errors are skewed near 1, on Fisher's scale, arctanh. Simulated limits of 95 % cover 94 to 97 % with 20 to 100
    stimuli, up to 99 % near 0, where the jackknife of pairs is conservative, and 92 % at a Spearman RSA of .97.

    CKA and the correlations of RDMs need no repetition: the map of fewer stimuli is the old one without its row and
    column, centred anew, and what that takes off an inner product is known from the row alone (`_without`). Ranks,
    kernel widths and noise covariances are those of all stimuli. Every other measure is computed n times.

    Args:
      measure: see `analysis.measures`.
      groups: as in `analysis.engine.all_pairs.similarities`, all of a kind that the measure takes. The sample is the
        stimulus, with all its times.
      dtype, budget: as in `analysis.engine.all_pairs.similarities`; a strip of maps stays within the budget.
      level: of the interval.
    """
    stimuli = stimuli_of(groups[0])
    if stimuli <= measure.least:
        raise ValueError(
            f"{measure.name} of {stimuli} stimuli has no jackknife; it needs at least {measure.least + 1}, "
            f"so that {measure.least} stay."
        )
    for group in groups:
        shape = getattr(group, "array", group).shape
        if not isinstance(group, RDMs) and (fault := measure.fault(stimuli - 1, *shape[-2:])):
            few = f"{measure.name} has no jackknife, which leaves {stimuli - 1} stimuli"
            raise ValueError(f"{few}: {fault.rstrip('.')}.")
    with jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext():
        centring = _centring(measure, groups)
        spread = _repeated if centring is None else partial(_streamed, centring=centring)
        value, first, second = spread(measure, groups, dtype, budget)
    se = np.sqrt((stimuli - 1) / stimuli * np.maximum(second - first**2 / stimuli, 0))
    half = stats.t.ppf((1 + level) / 2, stimuli - 1) * se
    if measure.kind != "similarity":
        return Interval(value - half, value + half, se)
    inside = np.abs(value) < 1 - 1e-6  # a member with itself is certain
    angle = np.arctanh(np.where(inside, value, 0))
    half = half / np.where(inside, 1 - value**2, 1)
    low, high = (np.where(inside, np.tanh(angle + side * half), value) for side in (-1, 1))
    return Interval(low, high, se)


def in_order(group: Any, order: np.ndarray) -> Any:
    """A group with only the stimuli `order`, in this order."""
    if isinstance(group, RDMs):
        return RDMs(group.array[:, order][:, :, order])
    return Repeats(group.array[:, :, order]) if isinstance(group, Repeats) else group[:, order]


def state_of(measure: Any, group: Any, dtype: str) -> State:
    """A measure's state of a group; repeats are averaged for a measure that does not take them."""
    if isinstance(group, Repeats) and "repeats" not in measure.takes:
        group = group.array.mean(1)
    array = np.asarray(getattr(group, "array", group), dtype)
    return prepare(measure, type(group)(array) if isinstance(group, (RDMs, Repeats)) else array)


def _centring(measure: Any, groups: Sequence[Any]) -> str | None:
    """How the map of fewer stimuli is centred anew; None where it does not follow from the map of all.

    "hollow": rows and columns sum to 0 for each pair of times, without a stimulus' block with itself; "full": with it;
    "entries": the sum for each pair of times is 0; "grand": the sum of all is; "none": nothing is.
    """
    family = measure.name.partition("(")[0]
    if measure.kind != "similarity" or family not in ("cka", "rsa"):
        return None
    by_time = measure.center == "time" or _times(measure, groups) == 1
    if family == "cka":
        return ("hollow" if measure.debiased else "full") if by_time else None
    if measure.compare in ("spearman", "pearson"):
        return "entries" if by_time else "grand"
    return "none" if measure.compare == "cosine" else None


def _times(measure: Any, groups: Sequence[Any]) -> int:
    """Rows per stimulus of the maps."""
    kinds = [group.array if isinstance(group, Repeats) else group for group in groups if not isinstance(group, RDMs)]
    return max((x.shape[-2] for x in kinds), default=1) if measure.time == "samples" else 1


@partial(jax.jit, static_argnames=("measure", "stimuli", "centring"))
def _rows(measure: Any, stimuli: int, centring: str, states: list[State], i: jax.Array) -> dict[str, jax.Array]:
    """What the rows of stimuli `i` add to the inner products of all maps, and to their sums.

    `row` `(stimulus, a, b)`: of the rows with each other; `turned`: with the times of one exchanged; `own`: of the
    blocks of the stimuli with themselves; `sums` `(member, stimulus, time, time)`: of rows and columns.
    """
    blocks = jnp.concatenate([measure.left(state, i, jnp.arange(stimuli)) for state in states])
    times = math.isqrt(blocks.shape[1] // (len(i) * stimuli))
    blocks = blocks.reshape(len(blocks), len(i), times, stimuli, times)

    def products(x: jax.Array, y: jax.Array) -> jax.Array:
        flat = (part.swapaxes(0, 1).reshape(len(i), len(part), -1) for part in (x, y))
        return jnp.einsum("sae,sbe->sab", *flat, precision=HIGHEST)

    found = dict(row=products(blocks, blocks))
    if centring == "hollow":
        found["turned"] = products(blocks, blocks.swapaxes(2, 4)) if times > 1 else found["row"]
    elif centring == "full":
        own = blocks[:, jnp.arange(len(i)), :, i].swapaxes(0, 1)
        found["own"] = products(own, own)
    elif centring != "none":
        sums = blocks.sum(3)
        found["sums"] = sums + sums.swapaxes(2, 3)
        if centring == "grand":
            found["sums"] = found["sums"].sum((2, 3), keepdims=True) / times
    return found


def _without(centring: str, stimuli: int, total: jax.Array, sums: jax.Array, rows: dict[str, jax.Array]) -> jax.Array:
    """Inner products of the maps without each of some stimuli, `(stimulus, a, b)`, from those of all, `(a, b)`.

    With m = n - 1 stimuli left, q the row's product, q' the turned one and d the own block's: a map whose rows and
    columns sum to 0 has, once row and column i are gone, the sums -A[jt, iu] and -A[it, ju]. Centring takes off

        hollow: 2 ((m - 1) q + q') / (m (m - 2)),    full: 2 (q - d) / m - d / m^2,
        entries: the product of the sums of the entries left, over their number m (m - 1).
    """
    left = stimuli - 1
    new = total[None] - 2 * rows["row"]
    if centring == "hollow":
        return new - 2 * ((left - 1) * rows["row"] + rows["turned"]) / (left * (left - 2))
    if centring == "full":
        return new + rows["own"] - 2 * (rows["row"] - rows["own"]) / left + rows["own"] / left**2
    if centring == "none":
        return new
    sums = (sums[:, None] - rows["sums"]).reshape(len(sums), rows["row"].shape[0], -1)
    return new - jnp.einsum("ase,bse->sab", sums, sums, precision=HIGHEST) / (left * (left - 1))


@partial(jax.jit, static_argnames=("measure", "stimuli", "centring"))
def _add_totals(measure: Any, stimuli: int, centring: str, held: Any, states: Any, i: Any, real: Any) -> Any:
    rows = _rows(measure, stimuli, centring, states, i)
    total, sums = held
    total = total + (rows["row"] * real[:, None, None]).sum(0)
    return total, sums + (rows["sums"] * real[None, :, None, None]).sum(1) / 2 if "sums" in rows else sums


@partial(jax.jit, static_argnames=("measure", "stimuli", "centring"))
def _add_spread(
    measure: Any,
    stimuli: int,
    centring: str,
    held: Any,
    states: Any,
    i: Any,
    real: Any,
    total: Any,
    sums: Any,
    value: Any,
) -> Any:
    rows = _rows(measure, stimuli, centring, states, i)
    new = _without(centring, stimuli, total, sums, rows)
    own = jnp.sqrt(jnp.diagonal(new, axis1=1, axis2=2))
    off = (new / (own[:, :, None] * own[:, None]) - value[None]) * real[
        :, None, None
    ]  # small: their squares keep digits
    return held[0] + off.sum(0), held[1] + (off**2).sum(0)


def _streamed(
    measure: Any, groups: Sequence[Any], dtype: str, budget: int, centring: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, and sums and sums of squares over stimuli of what leaving one out adds to them, `(a, b)` each.

    Two walks over strips of stimuli, one for the totals and one for what each stimulus takes off them.
    """
    states = [state_of(measure, group, dtype) for group in groups]
    floor = np.concatenate([np.asarray(state["floor"], np.float64) for state in states])
    members, stimuli, times = len(floor), stimuli_of(groups[0]), _times(measure, groups)
    strip = budget // (np.dtype(dtype).itemsize * members * (3 * stimuli * times**2 + 6 * members))
    strip = -(-stimuli // -(-stimuli // min(max(strip, 1), stimuli)))  # of equal length
    strips = []
    for start in range(0, stimuli, strip):
        i = np.arange(start, start + strip)
        strips.append((np.minimum(i, stimuli - 1), (i < stimuli).astype(dtype)))
    fixed, zeros = (measure, stimuli, centring), jnp.zeros((members, members), dtype)
    side = 1 if centring == "grand" else times
    total, sums = zeros, jnp.zeros((members, side, side), dtype)
    for i, real in strips:
        total, sums = _add_totals(*fixed, (total, sums), states, i, real)
    centred = np.asarray(total, np.float64)
    if centring in ("entries", "grand"):
        flat = np.asarray(sums, np.float64).reshape(members, -1)
        centred = centred - flat @ flat.T / (stimuli * (stimuli - 1))
    own = np.sqrt(np.where(centred.diagonal() > floor, centred.diagonal(), np.nan))
    value = centred / (own[:, None] * own)
    whole = total, sums, jnp.asarray(value, dtype)
    spread = zeros, zeros
    for i, real in strips:
        spread = _add_spread(*fixed, spread, states, i, real, *whole)
    first, second = (np.asarray(part, np.float64) for part in spread)
    return value, first, second


def _repeated(
    measure: Any, groups: Sequence[Any], dtype: str, budget: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_streamed`, by computing every value once more without each stimulus."""

    def values(kept: np.ndarray) -> np.ndarray:
        rest = [in_order(group, kept) for group in groups]
        return np.asarray(similarities([measure], rest, dtype=dtype, budget=budget)[0].value, np.float64)

    every = np.arange(stimuli_of(groups[0]))
    value = values(every)
    first, second = np.zeros_like(value), np.zeros_like(value)
    for i in every:
        off = values(np.delete(every, i)) - value
        first, second = first + off, second + off**2
    return value, first, second


# --- over networks ---------------------------------------------------------------------------------------------------


def configurations(table: pd.DataFrame, fields: Sequence[str]) -> np.ndarray:
    """The configuration of every member, numbered in order of appearance; a missing value is a level of its own."""
    if unknown := [field for field in fields if field not in table]:
        raise ValueError(f"The table has no field {unknown[0]!r}; it has {', '.join(map(str, table.columns))}.")
    if not fields:
        return np.zeros(len(table), int)
    return table.groupby(list(fields), dropna=False, sort=False).ngroup().to_numpy(int)


def bootstrap_configurations(
    statistic: Callable[[np.ndarray], np.ndarray],
    table: pd.DataFrame,
    fields: Sequence[str],
    *,
    strata: Sequence[Any] | None = None,
    draws: int = 1999,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile intervals of a statistic over resampled configurations, with all seeds of each.

    Seeds of a configuration are no independent networks, so they move together.

    Args:
      statistic: from counts `(draw, configuration)`, how often each configuration was drawn, numbered as by
        `configurations`, to `(draw, ...)`. A draw that leaves nothing to compute may give NaN; where more than half do,
        the interval is NaN.
      table: one row per member.
      fields: the columns that make a configuration, without the seed.
      strata: one label per member, the same for all members of a configuration: each stratum keeps its number of
        configurations.
      draws: of the bootstrap.
      level: of the interval.
      seed: of the draws.
    """
    cells = configurations(table, fields)
    labels = np.zeros(len(table), int) if strata is None else pd.factorize(np.array([str(one) for one in strata]))[0]
    of_cell = np.full(cells.max() + 1, -1)
    of_cell[cells] = labels
    if (of_cell[cells] != labels).any():
        raise ValueError(
            f"Strata differ within a configuration of {', '.join(fields)}; they must be made of its fields."
        )
    random = np.random.default_rng(seed)
    counts = np.zeros((draws, len(of_cell)), int)
    for stratum in range(of_cell.max() + 1):
        here = np.flatnonzero(of_cell == stratum)
        counts[:, here] = random.multinomial(len(here), np.full(len(here), 1 / len(here)), draws)
    batch = max(1, 2**22 // len(of_cell))
    found = np.concatenate([statistic(counts[start : start + batch]) for start in range(0, draws, batch)])
    flat = found.reshape(draws, -1)
    limits = np.full((3, flat.shape[1]), np.nan)
    for column, values in enumerate(flat.T):
        values = values[~np.isnan(values)]
        if 2 * len(values) > draws:
            limits[:2, column] = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
            limits[2, column] = values.std(ddof=1)
    return Interval(*limits.reshape(3, *found.shape[1:]))


def bootstrap_means(
    similarity: np.ndarray,
    labels: Sequence[Any],
    table: pd.DataFrame,
    fields: Sequence[str],
    *,
    draws: int = 1999,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean similarity within and between groups of members, as `within_between`, with intervals over configurations.

    Within a draw, a configuration that was drawn c times counts c times in its own pairs of seeds and c c' times in
    those with another; its pairs with its own copies are left out. Groups keep their number of configurations. A group
    of one configuration says nothing about others: its intervals are NaN.

    Args:
      similarity: `(member, member)`; NaN pairs do not count.
      labels: the group of every member, made of the fields.
      table, fields, draws, level, seed: as in `bootstrap_configurations`.

    Returns:
      The rows of `within_between` with `mean`, `low`, `high`, `se`, `pairs`.
    """
    means = within_between(similarity, labels)
    if not len(table):
        return pd.DataFrame(dict(mean=means["mean"], low=np.nan, high=np.nan, se=np.nan, pairs=means["pairs"]))
    cells = configurations(table, fields)
    statistic, alone = block_means(similarity, labels, cells)
    low, high, se = bootstrap_configurations(
        statistic, table, fields, strata=labels, draws=draws, level=level, seed=seed
    )
    limits = {name: np.where(alone, np.nan, part) for name, part in dict(low=low, high=high, se=se).items()}
    return pd.DataFrame(dict(mean=means["mean"], **limits, pairs=means["pairs"]))


def block_means(
    similarity: np.ndarray, labels: Sequence[Any], cells: np.ndarray
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """The statistic of `bootstrap_means`: from counts `(draw, configuration)` to means `(draw, row)`.

    Args:
      similarity: `(member, member)`; NaN pairs do not count.
      labels: the group of every member.
      cells: the configuration of every member.

    Returns:
      The function, and for each row whether a group of one configuration takes part, `(row,)`.
    """
    similarity = np.array(similarity, np.float64)
    np.fill_diagonal(similarity, np.nan)
    members, real = np.eye(cells.max() + 1)[cells], ~np.isnan(similarity)
    sums = members.T @ np.where(real, similarity, 0) @ members
    pairs = members.T @ real @ members
    group = np.zeros(len(sums), int)
    group[cells] = pd.factorize(np.array([str(label) for label in labels]))[0]
    groups = np.eye(group.max() + 1)[group]
    first, second = np.triu_indices(groups.shape[1])
    same = first == second

    def summed(counts: np.ndarray, of_pairs: np.ndarray) -> np.ndarray:
        own = of_pairs.diagonal()
        others = of_pairs - np.diag(own)
        blocks = np.stack([(counts * (counts * one @ others)) @ groups for one in groups.T], 1)[:, first, second]
        blocks[:, same] += (counts * own) @ groups
        # A block of a group with itself holds both orders of its pairs, one between two groups only one.
        return np.column_stack([blocks[:, same].sum(1), 2 * blocks[:, ~same].sum(1), blocks])

    def means(counts: np.ndarray) -> np.ndarray:
        number = summed(counts, pairs)
        return summed(counts, sums) / np.where(number > 0, number, np.nan)

    alone = groups.sum(0) == 1
    return means, np.concatenate([[alone.all(), alone.all()], alone[first] | alone[second]])
