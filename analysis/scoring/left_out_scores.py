"""Values of every member with a few targets, and the same without each stimulus: what standard errors over stimuli are
made of, those of differences and of means over targets too."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import BUDGET, HIGHEST, in_precision
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import Prepared, prepare, stimuli_in_order
from analysis.engine.progress import SILENT, Progress
from analysis.inference.limits_over_stimuli import Walk, fault_of_limits
from analysis.measures._family import State

__all__ = ["LeftOutValues", "with_targets", "without_each"]


class LeftOutValues(NamedTuple):
    """Values of members with targets.

    Attributes:
      value: of all stimuli, `(member, target)`.
      without: without each stimulus, `(stimulus, member, target)`.
    """

    value: np.ndarray
    without: np.ndarray


def without_each(
    prepared: Prepared, targets: np.ndarray, *, budget: int = BUDGET, progress: Progress = SILENT
) -> LeftOutValues:
    """Values with some members, and the same without each stimulus.

    CKA and the correlations of RDMs need no repetition, see `analysis.inference.limits_over_stimuli.jackknife`: ranks,
    kernel widths and noise covariances are those of all stimuli. Every other measure is computed once per stimulus.

    Args:
      prepared: a measure and its states.
      targets: places among `prepared.members`, `(target,)`: the values are [member, target], "member predicts target".
      budget: bytes that a strip of maps may take.
      progress: takes a step per strip or stimulus.

    Raises:
      ValueError: what `fault_of_limits` says.
    """
    if fault := fault_of_limits(prepared):
        raise ValueError(f"{fault}.")
    centring = prepared.measure.recentring(prepared.rows == 1)
    if centring is None:
        return _repeated(prepared, targets, budget, progress)
    with in_precision(prepared.dtype):
        return _streamed(prepared, targets, budget, centring, progress)


def with_targets(prepared: Prepared, targets: np.ndarray, budget: int = BUDGET) -> np.ndarray:
    """The values alone, `(member, target)`; see `without_each`."""
    centring = prepared.measure.recentring(prepared.rows == 1)
    if centring is None:
        every = np.asarray(similarities([prepared], budget=budget)[0].value, np.float64)
        return every[np.ix_(prepared.members, prepared.members[targets])]
    with in_precision(prepared.dtype):
        return _totals(prepared, targets, budget, centring, SILENT).value


def _repeated(prepared: Prepared, targets: np.ndarray, budget: int, progress: Progress) -> LeftOutValues:
    measure, stimuli, groups = prepared.measure, prepared.stimuli, prepared.taken_groups

    def values(request: Prepared) -> np.ndarray:
        return np.asarray(similarities([request], budget=budget)[0].value, np.float64)[:, targets]

    def without(i: int) -> np.ndarray:
        rest = [stimuli_in_order(group, np.delete(np.arange(stimuli), i)) for group in groups]
        return values(prepare(measure, rest, prepared.dtype))

    whole = values(prepare(measure, groups, prepared.dtype))
    steps = progress.over(range(stimuli), f"{measure.name}, without each stimulus", stimuli)
    return LeftOutValues(whole, np.stack([without(i) for i in steps]))


class _Terms(NamedTuple):
    """Of maps with those of the targets, `(..., member, target)`, and with themselves, `(..., member)`."""

    with_targets: Any
    with_itself: Any


def _products(x: Any, y: Any, targets: Any) -> _Terms:
    """Inner products over all but the axes `(member, stimulus)`, stimulus first."""
    x, y = (part.swapaxes(0, 1).reshape(part.shape[1], len(part), -1) for part in (x, y))
    among = jnp.einsum("sae,sbe->sab", x, y[:, targets], precision=HIGHEST)
    return _Terms(among, jnp.einsum("sae,sae->sa", x, y, precision=HIGHEST))


@partial(jax.jit, static_argnums=0)
def _rows(walk: Walk, states: list[State], i: jax.Array, targets: jax.Array) -> dict[str, Any]:
    """What the rows of stimuli `i` add to inner products and sums; see `limits_over_stimuli._rows`."""
    blocks = jnp.concatenate([walk.measure.left(state, i, jnp.arange(walk.stimuli)) for state in states])
    times = math.isqrt(blocks.shape[1] // (len(i) * walk.stimuli))
    blocks = blocks.reshape(len(blocks), len(i), times, walk.stimuli, times)
    rows: dict[str, Any] = dict(row=_products(blocks, blocks, targets))
    if walk.centring == "hollow":
        rows["turned"] = _products(blocks, blocks.swapaxes(2, 4), targets) if times > 1 else rows["row"]
    elif walk.centring == "full":
        own = blocks[:, jnp.arange(len(i)), :, i].swapaxes(0, 1)
        rows["own"] = _products(own, own, targets)
    elif walk.centring != "none":
        sums = blocks.sum(3)
        rows["sums"] = sums + sums.swapaxes(2, 3)
        if walk.centring == "grand":
            rows["sums"] = rows["sums"].sum((2, 3), keepdims=True) / times
    return rows


@partial(jax.jit, static_argnums=0)
def _without(walk: Walk, totals: _Terms, sums: Any, rows: dict[str, Any], targets: jax.Array) -> jax.Array:
    """Values without each of some stimuli, `(stimulus, member, target)`; the formulas are those of
    `limits_over_stimuli._without`."""
    left = walk.stimuli - 1

    def of(total: jax.Array, kind: str) -> jax.Array:
        term = {name: getattr(rows[name], kind) for name in ("row", "turned", "own") if name in rows}
        new = total[None] - 2 * term["row"]
        if walk.centring == "hollow":
            return new - 2 * ((left - 1) * term["row"] + term["turned"]) / (left * (left - 2))
        if walk.centring == "full":
            return new + term["own"] - 2 * (term["row"] - term["own"]) / left + term["own"] / left**2
        return new

    new, own = of(totals.with_targets, "with_targets"), of(totals.with_itself, "with_itself")
    if "sums" in rows:
        rest = sums[:, None] - rows["sums"]
        taken = _products(rest, rest, targets)
        new, own = (x - part / (left * (left - 1)) for x, part in zip((new, own), taken))
    norms = jnp.sqrt(own)
    return new / (norms[:, :, None] * norms[:, None, targets])


class _Walked(NamedTuple):
    """What the first walk over strips gives.

    Attributes:
      walk: what is fixed.
      strips: first stimulus and stimuli of each, the last filled up with the last stimulus.
      totals: of the maps of all stimuli.
      sums: of each map, see `limits_over_stimuli._Totals`.
      value: `(member, target)`.
    """

    walk: Walk
    strips: list[tuple[int, jax.Array]]
    totals: _Terms
    sums: np.ndarray
    value: np.ndarray


def _totals(prepared: Prepared, targets: np.ndarray, budget: int, centring: str, progress: Progress) -> _Walked:
    states, dtype, stimuli, times = prepared.taken_states, prepared.dtype, prepared.stimuli, prepared.rows
    floor = np.concatenate([np.asarray(state["floor"], np.float64) for state in states])
    members, at = len(floor), jnp.asarray(targets)
    most = budget // (np.dtype(dtype).itemsize * members * (4 * stimuli * times**2 + 6 * len(targets)))
    length = -(-stimuli // -(-stimuli // min(max(most, 1), stimuli)))
    strips = [
        (start, jnp.asarray(np.minimum(np.arange(start, start + length), stimuli - 1)))
        for start in range(0, stimuli, length)
    ]
    walk = Walk(prepared.inner, stimuli, centring)
    among, itself, sums = np.zeros((members, len(targets))), np.zeros(members), np.zeros(())
    for start, strip in progress.over(strips, f"{prepared.measure.name}, without each stimulus", 2 * len(strips)):
        rows, real = _rows(walk, states, strip, at), slice(0, min(length, stimuli - start))
        among, itself = (
            total + np.asarray(part[real], np.float64).sum(0) for total, part in zip((among, itself), rows["row"])
        )
        if "sums" in rows:
            sums = sums + np.asarray(rows["sums"][:, real], np.float64).sum(1) / 2
    totals = _Terms(jnp.asarray(among, dtype), jnp.asarray(itself, dtype))
    if centring in ("entries", "grand"):
        flat = np.asarray(sums).reshape(members, -1) / math.sqrt(stimuli * (stimuli - 1))
        among, itself = among - flat @ flat[targets].T, itself - (flat**2).sum(1)
    norms = np.sqrt(np.where(itself > floor, itself, np.nan))
    return _Walked(walk, strips, totals, np.asarray(sums), among / (norms[:, None] * norms[targets]))


def _streamed(prepared: Prepared, targets: np.ndarray, budget: int, centring: str, progress: Progress) -> LeftOutValues:
    """In two walks over strips of stimuli: for the totals, and for what each stimulus takes off them."""
    walk, strips, totals, sums, value = _totals(prepared, targets, budget, centring, progress)
    states, at, stimuli = prepared.taken_states, jnp.asarray(targets), prepared.stimuli
    without = np.empty((stimuli, *value.shape))
    what = f"{prepared.measure.name}, without each stimulus"
    for start, strip in progress.over(strips, what, 2 * len(strips), len(strips)):
        rows = _rows(walk, states, strip, at)
        values = _without(walk, totals, jnp.asarray(sums, prepared.dtype), rows, at)
        count = min(len(strip), stimuli - start)
        without[start : start + count] = np.asarray(values, np.float64)[:count]
    return LeftOutValues(value, without)
