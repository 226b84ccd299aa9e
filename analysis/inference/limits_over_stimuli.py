"""Limits of a comparison's values over stimuli, by the jackknife: stimuli are left out one at a time.

A bootstrap over stimuli draws some of them twice; a pair of copies is no pair of stimuli, and intervals of similarities
near 0 then cover 68 % where 95 are asked. Leaving stimuli out one at a time makes no copies.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from analysis.activations.inputs import kind_of
from analysis.activations.types import RDMs, array_of
from analysis.arithmetic import BUDGET, HIGHEST, in_precision
from analysis.engine.all_pairs import similarities
from analysis.engine.journal import NO_JOURNAL, Journal, fingerprint
from analysis.engine.preparation import Prepared, prepare, stimuli_in_order
from analysis.engine.progress import SILENT, Progress
from analysis.engine.repetitions import Repetitions, summed
from analysis.measures import InnerMeasure
from analysis.measures._family import State

__all__ = ["Interval", "Walk", "each_left_out", "fault_of_limits", "jackknife"]


class Interval(NamedTuple):
    """Limits of a value; NaN where the value is.

    Attributes:
      low, high: the limits, not clipped.
      se: the standard error.
    """

    low: Float[np.ndarray, "..."]
    high: Float[np.ndarray, "..."]
    se: Float[np.ndarray, "..."]


def jackknife(
    prepared: Prepared,
    *,
    budget: int = BUDGET,
    level: float = 0.95,
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
) -> Interval:
    """Intervals over stimuli for all pairs of the members that the measure can be had of, `(member, member)` each.

    `se^2 = (n-1)/n sum_i (v_(-i) - mean)^2`, with v_(-i) the value without stimulus i (Efron & Stein 1981); the limits
    are the value plus or minus se times the quantile of Student's t of n - 1 degrees of freedom; of similarities, whose
    errors are skewed near 1, on Fisher's scale, arctanh.

    Of the value over all stimuli there are, limits are of `unbiased` measures only: simulated limits of 95 % of
    debiased CKA and of RSA cover it in 93 to 98 % of samples of 20 to 100 stimuli, up to 99.9 % near 0, where the
    jackknife of pairs is conservative, and 91 to 93 % at a Spearman RSA of .97. That is of normal noise; of far and of
    rare stimuli they cover 61 to 92 % under CKA, 83 to 96 % under RSA. The values of other measures hang on how many
    stimuli there are, and limits are of their mean over samples of as many.

    CKA and the correlations of RDMs need no repetition: the map of fewer stimuli is the old one without its row and
    column, centred anew, and what that takes off an inner product is known from the row alone (`_without`). Ranks,
    kernel widths and noise covariances are those of all stimuli. Every other measure is computed n times.

    Args:
      prepared: a measure and its states. The sample is the stimulus, with all its times.
      budget: bytes that a strip of maps may take.
      level: of the interval.
      journal, progress: see `analysis.engine.repetitions.summed`.

    Raises:
      ValueError: what `fault_of_limits` says.
    """
    measure, stimuli = prepared.measure, prepared.stimuli
    if fault := fault_of_limits(prepared):
        raise ValueError(f"{fault}.")
    centring = measure.recentring(prepared.rows == 1)
    if centring is None:
        value, repetitions = each_left_out(prepared, budget)
        spread = _Spread(value, *summed(repetitions, journal, progress))
    else:
        with in_precision(prepared.dtype):
            spread = _streamed(prepared, budget, centring)
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


def fault_of_limits(prepared: Prepared) -> str:
    """Why a measure has no limits over these stimuli, with the fix where there is one; "" where it has."""
    measure, stimuli = prepared.measure, prepared.stimuli
    if stimuli <= measure.least:
        return (
            f"{measure.name} of {stimuli} stimuli has no jackknife; it needs at least {measure.least + 1}, "
            f"so that {measure.least} stay"
        )
    if measure.redeals:
        return f"{measure.name} has no jackknife: its folds are dealt anew where a stimulus is left out; take folds=0"
    for group in prepared.taken_groups:
        if not isinstance(group, RDMs) and (fault := measure.fault(stimuli - 1, *array_of(group).shape[-2:])):
            return f"{measure.name} has no jackknife, which leaves {stimuli - 1} stimuli: {fault.rstrip('.')}"
    return ""


def each_left_out(prepared: Prepared, budget: int = BUDGET) -> tuple[np.ndarray, Repetitions]:
    """The values `(member, member)` and, for their limits, those without each stimulus, computed anew."""
    measure, stimuli = prepared.measure, prepared.stimuli
    groups, every = prepared.taken_groups, np.arange(stimuli)

    def values(request: Prepared) -> np.ndarray:
        return np.asarray(similarities([request], budget=budget)[0].value, np.float64)

    value = values(prepared)[np.ix_(prepared.members, prepared.members)]

    def once(i: int) -> np.ndarray:
        rest = [stimuli_in_order(group, np.delete(every, i)) for group in groups]
        return values(prepare(measure, rest, prepared.dtype)) - value

    def add(sums: tuple[np.ndarray, ...], off: np.ndarray) -> tuple[np.ndarray, ...]:
        return sums[0] + off, sums[1] + off**2

    begin = np.zeros_like(value), np.zeros_like(value)
    words = [fingerprint(measure), prepared.dtype, *map(kind_of, groups)]
    what = f"{measure.name}, limits over stimuli left out one at a time"
    return value, Repetitions(what, stimuli, once, begin, add, words, list(map(array_of, groups)))


class Walk(NamedTuple):
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
def _rows(walk: Walk, states: list[State], i: jax.Array) -> dict[str, jax.Array]:
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


def _without(walk: Walk, totals: _Totals, rows: dict[str, jax.Array]) -> jax.Array:
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
def _add_totals(walk: Walk, totals: _Totals, states: list[State], strip: _Strip) -> _Totals:
    rows = _rows(walk, states, strip.stimuli)
    products, sums = totals
    products = products + (rows["row"] * strip.real[:, None, None]).sum(0)
    if "sums" in rows:
        sums = sums + (rows["sums"] * strip.real[None, :, None, None]).sum(1) / 2
    return _Totals(products, sums)


@partial(jax.jit, static_argnums=0)
def _add_spread(
    walk: Walk, spread: tuple[Any, Any], states: list[State], strip: _Strip, totals: _Totals, value: Any
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
    walk, zeros = Walk(prepared.inner, stimuli, centring), jnp.zeros((members, members), dtype)
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
