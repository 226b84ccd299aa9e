"""All pairs of members under all measures of a request: Inner measures in one walk, Pair measures in tiles."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from analysis.activations.types import array_of
from analysis.arithmetic import BUDGET, in_precision
from analysis.engine.inner_products import all_inner_products, gram_products
from analysis.engine.journal import NO_JOURNAL, Journal
from analysis.engine.pair_tiles import PairStates, padded, pair_values
from analysis.engine.preparation import Prepared, as_taken, prepare_group
from analysis.engine.progress import SILENT, Progress
from analysis.measures import InnerMeasure
from analysis.measures._family import State

__all__ = ["Values", "pair_states", "similarities"]


class Values(NamedTuple):
    """One measure over all pairs of members.

    Attributes:
      value: `(member, member)`, in the order of the groups; NaN for members of a kind that the measure does not take.
      chance: the level of unrelated members, one number or `(member, member)`; NaN where it is not known.
      chance_sd: its standard deviation over permutations of the stimuli, None where it is not known in closed form.
      extras: what comes with each value, by name, each `(member, member)`.
    """

    value: Float[np.ndarray, "member member"]
    chance: float | Float[np.ndarray, "member member"]
    chance_sd: float | None
    extras: dict[str, Float[np.ndarray, "member member"]]


class _AmongTaken(NamedTuple):
    """Values, chance and extras among the members that take part: `(member, member)` each."""

    value: Float[np.ndarray, "taken taken"]
    chance: Float[np.ndarray, "taken taken"]
    extras: list[Float[np.ndarray, "taken taken"]]


def similarities(
    prepared: Sequence[Prepared],
    *,
    budget: int = BUDGET,
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
    devices: Sequence[Any] | None = None,
) -> list[Values]:
    """Every measure over all pairs of members.

    Args:
      prepared: the measures of one request, all of the same groups and dtype.
      budget: bytes that a block of maps, or a tile of pairs, may take.
      journal: where a killed run, given the same members and measures again, goes on from; it is not emptied here.
      progress: told how far it is.
      devices: see `analysis.engine.inner_products.all_inner_products`.
    """
    options: dict[str, Any] = dict(journal=journal, progress=progress, devices=devices)
    results: dict[int, Values] = {}
    walked: dict[int, Prepared] = {}
    for k, request in enumerate(prepared):
        with in_precision(request.dtype):
            if not len(request.members):
                among_members = _AmongTaken(np.empty((0, 0)), np.empty((0, 0)), [])
            elif request.measure.form == "pair":
                among_members = _of_pairs(request, options | dict(budget=min(budget, BUDGET)))
            else:
                products = _crossed(request, budget, devices)
                if products is None:
                    walked[k] = request
                    continue
                among_members = _finished(request.inner, products, request.taken_states)
        results[k] = _placed(request, among_members)
    if walked:
        for (k, request), among_members in zip(
            walked.items(), _walked([*walked.values()], options | dict(budget=budget))
        ):
            results[k] = _placed(request, among_members)
    return [results[k] for k in range(len(prepared))]


def _walked(prepared: list[Prepared], options: Mapping[str, Any]) -> list[_AmongTaken]:
    """Inner measures, all in one walk over the blocks of stimuli."""
    measures, rows = [request.inner for request in prepared], [request.rows for request in prepared]
    by_group = list(map(list, zip(*(request.states for request in prepared))))
    first, finished = prepared[0], []
    with in_precision(first.dtype):
        inner, totals = all_inner_products(measures, by_group, first.stimuli, rows, **options)
        for request, products, total in zip(prepared, inner, totals):
            states = request.taken_states
            if request.inner.totals:
                edges = np.cumsum([len(place) for place in request.places])[:-1]
                states = [state | dict(total=sums) for state, sums in zip(states, np.split(total, edges))]
            finished.append(_finished(request.inner, products, states))
    return finished


def _of_pairs(prepared: Prepared, options: Mapping[str, Any]) -> _AmongTaken:
    of_groups = pair_states(prepared)
    value, extras = pair_values(prepared.pair, of_groups, dtype=prepared.dtype, **options)
    chance = np.full(value.shape, np.nan)
    for a, rows in zip(*of_groups):
        for b, columns in zip(*of_groups):
            chance[np.ix_(rows, columns)] = prepared.pair.chance(a, b)
    return _AmongTaken(value, chance, extras)


def pair_states(prepared: Prepared) -> PairStates:
    """A Pair measure's states of the members that take part, in groups of few widths where units may be filled up."""
    measure = prepared.pair
    groups = [as_taken(measure, group, prepared.dtype) for group in prepared.taken_groups]
    ends = np.cumsum([0, *(len(array_of(group)) for group in groups)])
    places = [np.arange(start, end) for start, end in pairwise(ends)]
    if measure.pads and all(isinstance(group, np.ndarray) for group in groups):
        groups, places = padded([array_of(group) for group in groups])
    return PairStates([prepare_group(measure, group) for group in groups], places)


def _crossed(prepared: Prepared, budget: int, devices: Any) -> np.ndarray | None:
    """The inner products of all maps by way of the units, where that takes fewer operations than by way of rows."""
    measure, states = prepared.inner, prepared.taken_states
    factors = [factor for factor in map(measure.factor, states) if factor is not None]
    if len(factors) < len(states):
        return None
    count, rows = sum(map(len, factors)), factors[0].shape[1]
    if rows <= (sum(len(factor) * factor.shape[2] for factor in factors) / count) ** 2:
        return None
    strips = []
    for a, factor_a in zip(states, factors):
        strip = [gram_products(factor_a, factor_b, budget, devices) for factor_b in factors]
        strips.append([measure.corrected(np.asarray(part, np.float64), a, b) for part, b in zip(strip, states)])
    return np.block(strips)


def _finished(measure: InnerMeasure, products: np.ndarray, states: Sequence[State]) -> _AmongTaken:
    """Values, chance and extras from the inner products of the maps of all members that take part."""
    members = [len(jax.tree.leaves(state)[0]) for state in states]
    maps = products.shape[0] // sum(members)
    columns = np.cumsum(members)[:-1]
    if measure.symmetric:
        squares_of_groups = np.split(products.diagonal(), columns)
        states = [state | dict(self=squares) for state, squares in zip(states, squares_of_groups)]
    value, chance, extras = [], [], []
    for a, strip in zip(states, np.split(products, columns * maps)):
        tiles = [measure.finish(tile, a, b) for tile, b in zip(np.split(strip, columns, axis=1), states)]
        tiles = [tile if measure.extras else (tile,) for tile in tiles]
        value.append([tile[0] for tile in tiles])
        extras.append([tile[1:] for tile in tiles])
        shapes = [tile[0].shape for tile in tiles]
        chance.append([np.broadcast_to(measure.chance(a, b), shape) for b, shape in zip(states, shapes)])
    more = [np.block([[tile[k] for tile in strip] for strip in extras]) for k in range(len(measure.extras))]
    return _AmongTaken(np.block(value), np.block(chance), more)


def _placed(prepared: Prepared, among_members: _AmongTaken) -> Values:
    """Values, chance and extras of the members that take part, among all."""
    measure, members, count = prepared.measure, prepared.members, prepared.count
    at = np.ix_(members, members)

    def among_all(part: np.ndarray) -> np.ndarray:
        whole = np.full((count, count), np.nan, prepared.dtype)
        whole[at] = part
        return whole

    chance = among_members.chance
    is_one_level = chance.size and (np.isnan(chance).all() or np.ptp(chance) == 0)
    level = float(chance.flat[0]) if is_one_level else among_all(chance)
    extras = dict(zip(measure.extras, map(among_all, among_members.extras)))
    chance_sd = measure.chance_sd(prepared.stimuli, prepared.rows)
    return Values(among_all(among_members.value), level, chance_sd, extras)
