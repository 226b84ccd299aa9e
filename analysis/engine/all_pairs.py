"""All pairs of members under all measures of a request: Inner measures in one walk, Pair measures in tiles."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from analysis.activations.types import RDMs, Repeats
from analysis.engine.inner_products import BUDGET, all_inner_products, gram_products
from analysis.engine.journal import Journal
from analysis.engine.pair_tiles import padded, pair_values

__all__ = ["Values", "prepare", "similarities", "taken"]


class Values(NamedTuple):
    """One measure over all pairs of members.

    Attributes:
      value: `(member, member)`, in the order of the groups; NaN for members of a kind that the measure does not take.
      chance: the level of unrelated members, one number or `(member, member)`; NaN where it is not known.
      chance_sd: its standard deviation over permutations of the stimuli, None where it is not known in closed form.
      extras: what comes with each value, by name, each `(member, member)`.
    """

    value: np.ndarray
    chance: float | np.ndarray
    chance_sd: float | None
    extras: dict[str, np.ndarray]


Group = np.ndarray | Repeats | RDMs
"""Members of one shape: `(member, stimulus, time, unit)`, or one of the others."""


def similarities(
    measures: Sequence[Any],
    groups: Sequence[Group],
    *,
    dtype: str = "float32",
    budget: int = BUDGET,
    journal: Path | None = None,
    devices: Sequence[Any] | None = None,
) -> list[Values]:
    """Every measure over all pairs of members.

    Args:
      measures: see `analysis.measures`.
      groups: members of equal stimulus counts; units may differ between groups, times only where every measure leaves
        one row per stimulus.
      dtype: "float32" or "float64" (on CPU).
      budget: bytes that a block of maps, or a tile of pairs, may take.
      journal: a folder for what a killed run goes on from, given the same members and measures again; it is not
        emptied here.
      devices: see `analysis.engine.inner_products.all_inner_products`.
    """
    measures = list(measures)
    sizes = [len(_array(group)) for group in groups]
    stimuli, times = _array(groups[0]).shape[1 if not isinstance(groups[0], Repeats) else 2], _times(groups)
    kept = Journal(journal)
    results: dict[int, Values] = {}
    with jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext():
        walked: list[int] = []
        prepared: dict[int, list[Any]] = {}
        for k, measure in enumerate(measures):
            part = [i for i, group in enumerate(groups) if taken(measure, group)]
            places = _places(sizes, part)
            given = [_given(measure, groups[i], dtype) for i in part]
            if not part:
                found: Any = np.empty((0, 0)), np.empty((0, 0)), []
            elif measure.form == "pair":
                found = _of_pairs(measure, given, dtype, min(budget, BUDGET), kept, devices)
            else:
                states = [prepare(measure, x) for x in given]
                if (crossed := _crossed(measure, states, budget, devices)) is None:
                    walked.append(k)
                    prepared[k] = [states[part.index(i)] if i in part else None for i in range(len(groups))]
                    continue
                found = _finished(measure, crossed, states)
            results[k] = _placed(measure, found, places, sum(sizes), dtype, stimuli, times)
        if walked:
            chosen = [measures[k] for k in walked]
            states = [[prepared[k][i] for k in walked] for i in range(len(groups))]
            rows = [times if measure.time == "samples" else 1 for measure in chosen]
            walk: Any = dict(budget=budget, journal=kept, devices=devices)
            inner, totals = all_inner_products(chosen, states, stimuli, rows, **walk)
            for k, measure, products, total in zip(walked, chosen, inner, totals):
                own = [state for state in prepared[k] if state is not None]
                part = [i for i, state in enumerate(prepared[k]) if state is not None]
                places = _places(sizes, part)
                if measure.totals:
                    edges = np.cumsum([sizes[i] for i in part])[:-1]
                    own = [state | dict(total=sums) for state, sums in zip(own, np.split(total, edges))]
                found = _finished(measure, products, own)
                results[k] = _placed(measure, found, places, sum(sizes), dtype, stimuli, times)
    return [results[k] for k in range(len(measures))]


def _places(sizes: Sequence[int], part: Sequence[int]) -> np.ndarray:
    """Where the members of some groups stand among all."""
    ends = np.cumsum([0, *sizes])
    return np.concatenate([np.arange(ends[i], ends[i + 1]) for i in part] or [np.empty(0, int)])


def _array(group: Group) -> np.ndarray:
    return group if isinstance(group, np.ndarray) else group.array


def _times(groups: Sequence[Group]) -> int:
    """Time steps of the members that have them."""
    return max((_array(group).shape[-2] for group in groups if not isinstance(group, RDMs)), default=1)


def taken(measure: Any, group: Group) -> bool:
    """Whether a measure can be had of a group: ready RDMs and single patterns are not enough for all."""
    if isinstance(group, RDMs):
        return "rdms" in measure.takes
    return isinstance(group, Repeats) or bool({"patterns", "trajectories"} & set(measure.takes))


def _given(measure: Any, group: Group, dtype: str) -> Any:
    if isinstance(group, Repeats) and "repeats" not in measure.takes:
        return group.array.mean(1).astype(dtype)
    array = _array(group).astype(dtype, copy=False)
    return array if isinstance(group, np.ndarray) else type(group)(array)


def prepare(measure: Any, group: Group) -> Any:
    """A measure's state of a group of any kind that it takes."""
    if isinstance(group, RDMs):
        return measure.prepare_rdms(group.array)
    return measure.prepare_repeats(group.array) if isinstance(group, Repeats) else measure.prepare(group)


def _of_pairs(measure: Any, given: Sequence[Group], dtype: str, budget: int, journal: Journal, devices: Any) -> Any:
    plain = all(isinstance(group, np.ndarray) for group in given)
    sizes = [len(_array(group)) for group in given]
    places = [_places(sizes, [i]) for i in range(len(sizes))]
    if measure.pads and plain:
        given, places = padded([_array(group) for group in given])
    states = [prepare(measure, group) for group in given]
    options: Any = dict(dtype=dtype, budget=budget, journal=journal, devices=devices)
    value, extras = pair_values(measure, states, places, **options)
    chance = np.full(value.shape, np.nan)
    for a, rows in zip(states, places):
        for b, columns in zip(states, places):
            chance[np.ix_(rows, columns)] = measure.chance(a, b)
    return value, chance, extras


def _crossed(measure: Any, states: Sequence[Any], budget: int, devices: Any) -> np.ndarray | None:
    """The inner products of all maps by way of the units, where that takes fewer operations than by way of rows."""
    factors = [measure.factor(state) for state in states] if hasattr(measure, "factor") else []
    factors = [factor for factor in factors if factor is not None]
    if len(factors) < len(states):
        return None
    count, rows = sum(map(len, factors)), factors[0].shape[1]
    if rows <= (sum(len(factor) * factor.shape[2] for factor in factors) / count) ** 2:
        return None
    strips = []
    for a, factor_a in zip(states, factors):
        strip = [gram_products(factor_a, factor_b, budget, devices) for factor_b in factors]
        strips.append([measure.corrected(np.float64(part), a, b) for part, b in zip(strip, states)])
    return np.block(strips)


def _finished(measure: Any, products: np.ndarray, states: Sequence[Any]) -> Any:
    """Values, chance and extras from the inner products of the maps of all members that take part."""
    members = [len(jax.tree.leaves(state)[0]) for state in states]
    maps = products.shape[0] // sum(members)
    columns = np.cumsum(members)[:-1]
    if measure.symmetric:
        own = np.split(products.diagonal(), columns)
        states = [state | dict(self=squares) for state, squares in zip(states, own)]
    value, chance, extras = [], [], []
    for a, strip in zip(states, np.split(products, columns * maps)):
        tiles = [measure.finish(tile, a, b) for tile, b in zip(np.split(strip, columns, axis=1), states)]
        tiles = [tile if measure.extras else (tile,) for tile in tiles]
        value.append([tile[0] for tile in tiles])
        extras.append([tile[1:] for tile in tiles])
        shapes = [tile[0].shape for tile in tiles]
        chance.append([np.broadcast_to(measure.chance(a, b), shape) for b, shape in zip(states, shapes)])
    more = [np.block([[tile[k] for tile in strip] for strip in extras]) for k in range(len(measure.extras))]
    return np.block(value), np.block(chance), more


def _placed(measure: Any, found: Any, places: np.ndarray, count: int, dtype: str, stimuli: int, times: int) -> Values:
    """Values, chance and extras of the members that take part, among all."""
    value, chance, extras = found
    at = np.ix_(places, places)

    def among_all(part: np.ndarray) -> np.ndarray:
        whole = np.full((count, count), np.nan, dtype)
        whole[at] = part
        return whole

    one = chance.size and (np.isnan(chance).all() or np.ptp(chance) == 0)
    level = float(chance.flat[0]) if one else among_all(chance)
    rows = times if measure.time == "samples" else 1
    named = dict(zip(measure.extras, map(among_all, extras)))
    return Values(among_all(value), level, measure.chance_sd(stimuli, rows), named)
