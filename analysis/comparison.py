"""Compares a population: representations in, one labelled similarity matrix per measure out."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis import DEFAULT_MEASURES, PERMUTATIONS
from analysis.activations.inputs import (
    Items,
    array_of,
    check_distinct,
    check_items,
    gathered,
    lacking,
    refusals,
    rows_of,
    stimuli_of,
)
from analysis.activations.types import RDMs, Representations
from analysis.engine.all_pairs import similarities
from analysis.engine.journal import NO_JOURNAL, Journal
from analysis.engine.preparation import Prepared, prepare_all
from analysis.engine.progress import SECONDS_UNTOLD, SILENT, Progress, telling
from analysis.inference.limits_over_stimuli import fault_of_limits
from analysis.inference.nulls_and_limits import Beside, annotated, seconds_by_work
from analysis.labelled_comparison import Comparison, Measured, MeasureRecord, typed_column
from analysis.measures._choice import measure
from analysis.measures._time import TIME_WORDS
from zoo import lookup
from zoo.wording import clock

__all__ = ["Choices", "compare", "comparison_of", "measure"]


LEAST_ORDERS = 19
"""Orders of the stimuli of which p can be .05."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """How representations are compared, whatever the measure.

    Attributes:
      dtype: "float32" or "float64".
      layers: "equal" compares items of equal `layer` only and leaves the other pairs NaN; "all" compares all pairs.
      exclude_degenerate: leave out NaN and constant representations, and list them, instead of refusing them.
      exclude_impossible: leave out measures that cannot be had of these representations, and list them, instead of
        refusing them, as long as one is left.
      nulls: orders of the stimuli for z and p of every value where these have no closed form; True for `PERMUTATIONS`,
        0 for no z and p.
      intervals: 95 % limits of every value by the jackknife over stimuli.

    Raises:
      ValueError: another dtype or other layers; fewer orders than `LEAST_ORDERS`.
    """

    dtype: str = "float32"
    layers: str = "equal"
    exclude_degenerate: bool = False
    exclude_impossible: bool = False
    nulls: int = 0
    intervals: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype is {self.dtype!r}; allowed: float32, float64.")
        if self.layers not in ("equal", "all"):
            raise ValueError(f"layers is {self.layers!r}; allowed: equal, all.")
        if isinstance(self.nulls, bool):
            object.__setattr__(self, "nulls", PERMUTATIONS if self.nulls else 0)
        if not isinstance(self.nulls, int) or 0 != self.nulls < LEAST_ORDERS:
            raise ValueError(
                f"nulls is {self.nulls!r}; allowed: 0 for no z and p, or from {LEAST_ORDERS} orders of the stimuli on, "
                "of which p can be .05."
            )

    @property
    def beside(self) -> Beside:
        """What stands beside each value."""
        return Beside(self.nulls, self.intervals)


def compare(
    representations: Representations | Mapping[str, Any],
    measures: Any = DEFAULT_MEASURES,
    *,
    others: Sequence[Any] = (),
    dtype: str = "float32",
    layers: str = "equal",
    exclude_degenerate: bool = False,
    nulls: int = 0,
    intervals: bool = False,
    say: Callable[[str], Any] | None = None,
) -> xr.Dataset:
    """Every pair of representations under every measure.

    Args:
      representations: `Representations`, or a mapping name -> array `(stimulus, unit)` or `(stimulus, time, unit)`,
        `RDM` or `Repeats`; unit counts are free to differ.
      measures: families, names with choices, or measures; see `measure`.
      others: further items, each with `name`, `array` and `labels`, such as recordings; they join every layer.
      dtype, layers, exclude_degenerate, nulls, intervals: see `Choices`.
      say: takes a line every few seconds on how far it is, such as `print`; nothing is said where there is none.

    Returns:
      One variable per measure over the dimensions `a` and `b`, indexed by the names, with every label as a coordinate
      twice (`hidden_a`, `hidden_b`). A variable's attributes are those of `MeasureRecord`: its full name, kind,
      estimator, stimulus count and chance level, as `undefined` the items whose map has no structure beyond rounding
      (NaN in their row), and as `empty` those that the measure cannot be had of, with the reason; lists are JSON.
      `<variable>_chance` is a variable of its own where chance differs by pair, and so are what a measure chose for
      each pair, `<variable>_penalty`, and `_z`, `_p`, `_low` and `_high` where they are known.
    """
    if isinstance(representations, np.ndarray):
        raise ValueError("compare takes a mapping of name to array, {'a': x, 'b': y}, not the arrays one by one.")
    dtype = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    choices = Choices(dtype, layers, exclude_degenerate, nulls=nulls, intervals=intervals)
    if say is None:
        return comparison_of(representations, measures, others, choices).dataset()
    with telling(say) as progress:
        return comparison_of(representations, measures, others, choices, progress=progress).dataset()


def comparison_of(
    representations: Representations | Mapping[str, Any],
    measures: Any,
    others: Sequence[Any] = (),
    choices: Choices = Choices(),
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
) -> Comparison:
    """Every pair of representations under every measure, as the rest of `analysis` takes it.

    Args:
      representations, measures, others: as for `compare`.
      choices: how they are compared.
      journal: from which a killed comparison goes on.
      progress: told how far it is, and what it will cost.
    """
    single = isinstance(measures, str) or not isinstance(measures, Iterable)
    chosen = list(dict.fromkeys(measure(choice) for choice in ([measures] if single else measures)))
    if not chosen:
        raise ValueError(f"No measure was asked for; there are {', '.join(lookup.names('measure'))}.")
    gathered_items = gathered(representations, others, choices.dtype)
    items, excluded = check_items(gathered_items, choices.exclude_degenerate)
    if not isinstance(representations, Representations):  # of a zoo's probe it is said before
        check_distinct(items)
    refused = refusals(items, chosen)
    if refused and (not choices.exclude_impossible or len(refused) == len(chosen)):
        raise ValueError(next(iter(refused.values())))
    for reason in refused.values():
        progress.say(f"Left out: {reason}")
    chosen = [each for each in chosen if each.name not in refused]
    results = _all_values(items, chosen, choices, journal, progress)
    families = [each.family for each in chosen]
    measures_by_variable = {}
    for each, result in zip(chosen, results):
        variable = each.family if families.count(each.family) == 1 else each.name
        measures_by_variable[variable] = _measured(each, items, result)
    return Comparison(
        _item_table(items),
        measures_by_variable,
        probe=getattr(representations, "probe", ""),
        space=getattr(representations, "space", ""),
        dt=float(getattr(representations, "dt", 0.0)),
        layers=choices.layers,
        excluded=tuple(excluded),
    )


class _OfMeasure(NamedTuple):
    """What one measure gave at all layers.

    Attributes:
      matrices: name -> `(item, item)`: "value", "chance" and what stands beside.
      deviations: of chance, at each layer.
      nulls, limits: how z and p, and the limits, were had.
    """

    matrices: dict[str, np.ndarray]
    deviations: list[float | None]
    nulls: dict[str, None]
    limits: dict[str, None]

    def put(self, at: Any, parts: Mapping[str, Any], count: int, dtype: str) -> None:
        """Sets some of the items' values."""
        for name, values in parts.items():
            self.matrices.setdefault(name, np.full((count, count), np.nan, dtype))[at] = values


class _Postponed(NamedTuple):
    """What a measure has to be computed again and again for: done after all values, when it is known how long it takes.

    Attributes:
      place: the layer, for whoever waits.
      prepared, value: the measure's states there, and its values.
      at: where these stand.
      result: that they join.
    """

    place: str
    prepared: Prepared
    value: np.ndarray
    at: Any
    result: _OfMeasure


def _all_values(
    items: Items, chosen: Sequence[Any], choices: Choices, journal: Journal, progress: Progress
) -> list[_OfMeasure]:
    """The values of every measure, and what stands beside them: what is had at once first, then what is repeated."""
    beside, count = choices.beside, len(items.names)
    results = [_OfMeasure({}, [], {}, {}) for _ in chosen]
    postponed: list[_Postponed] = []
    seconds: dict[str, float] = {}
    unlimited: set[str] = set()
    for layer, groups, places in _layers(items, choices, chosen):
        at = np.ix_(np.concatenate(places), np.concatenate(places))
        progress.within(layer)
        progress.doing("preparing")
        prepared = prepare_all(chosen, groups, choices.dtype, lambda each, group: not lacking(each, group))
        unlimited |= _without_limits(prepared, choices, progress, unlimited)
        values = similarities(prepared, journal=journal, progress=progress)
        for request, found, result in zip(prepared, values, results):
            result.put(at, dict(value=found.value, chance=found.chance, **found.extras), count, choices.dtype)
            result.deviations.append(found.chance_sd)
            if warning := beside.warning_of(request, [items.names[i] for i in at[1][0]]):
                progress.say(warning)
            result.nulls[beside.nulls_of(request)] = result.limits[beside.limits_of(request)] = None
            if again := seconds_by_work(request, beside, journal, progress):
                seconds |= {progress.name(what): time for what, time in again.items()}
                postponed.append(_Postponed(layer, request, found.value, at, result))
            else:
                result.put(at, annotated(request, found.value, beside, progress=progress), count, choices.dtype)
    _tell_cost(seconds, progress)
    for place, request, value, at, result in postponed:
        progress.within(place)
        result.put(at, annotated(request, value, beside, journal, progress), count, choices.dtype)
    return results


def _layers(items: Items, choices: Choices, chosen: Sequence[Any]) -> list[tuple[str, list[Any], list[np.ndarray]]]:
    """What is compared with each other: by layer, where only equal ones are, its name, groups and their places."""
    equal = choices.layers == "equal" and "layer" in items.labels
    names, by_layer = _codes(items.labels["layer"]) if equal else ([], np.zeros(len(items.names), int))
    parts = []
    for code in np.unique(by_layer[by_layer >= 0]) if (by_layer >= 0).any() else [-1]:
        rows = [(by_layer[place] == code) | (by_layer[place] < 0) for place in items.places]
        groups = [rows_of(group, row) for group, row in zip(items.groups, rows) if row.any()]
        places = [place[row] for place, row in zip(items.places, rows) if row.any()]
        _check_times(items, groups, places, chosen)
        parts.append((str(names[code]) if len(names) and code >= 0 else "", groups, places))
    return parts


def _without_limits(prepared: Sequence[Prepared], choices: Choices, progress: Progress, told: set[str]) -> set[str]:
    """Why measures have no limits: refused, or said, but for what was told, where what is impossible is left out."""
    requests = [request for request in prepared if choices.intervals and len(request.members)]
    faults = {fault for request in requests if (fault := fault_of_limits(request))}
    for fault in sorted(faults - told):
        if not choices.exclude_impossible:
            raise ValueError(f"{fault}.")
        progress.say(f"No limits: {fault}")
    return faults


def _tell_cost(seconds: Mapping[str, float], progress: Progress) -> None:
    """Says, before it is paid, what is to be computed again and again, and how long that takes."""
    progress.plan(seconds)
    if (total := sum(seconds.values())) < SECONDS_UNTOLD:
        return
    dearest = sorted(seconds, key=lambda work: -seconds[work])
    parts = [f"{work} {clock(seconds[work])}" for work in dearest[:3]]
    rest = ", ..." if len(dearest) > 3 else ""
    progress.say(f"Computed again and again for z, p and limits: about {clock(total)} ({'; '.join(parts)}{rest})")


def _codes(layers: Any) -> tuple[Any, np.ndarray]:
    """The layers' names, and for every item its layer's place among them, -1 for items that have none."""
    codes, names = pd.factorize(layers.where(layers.notna() & (layers != ""), None))
    return names, codes


def _check_times(items: Items, groups: Sequence[Any], places: Sequence[np.ndarray], measures: Any) -> None:
    """Refuses items of unequal time steps under a measure that compares them row by row."""
    for chosen in [each for each in measures if each.time == "samples"]:
        times = {
            int(array_of(group).shape[-2]): items.names[place[0]]
            for group, place in zip(groups, places)
            if not isinstance(group, RDMs) and not lacking(chosen, group)
        }
        if len(times) > 1:
            (steps, first), (other_steps, second) = list(times.items())[:2]
            raise ValueError(
                f"{first!r} has {steps} time steps and {second!r} has {other_steps}; {chosen.name} needs equal time "
                "axes (time=features, mean or last do not)."
            )


def _measured(chosen: Any, items: Items, result: _OfMeasure) -> Measured:
    """A measure's values of all items, with what they do not go without."""
    extras = dict(result.matrices)
    values, chance = extras.pop("value"), extras.pop("chance")
    steps = {int(array_of(group).shape[-2]) for group in items.groups if not isinstance(group, RDMs)}
    in_time = f"time={chosen.time}: {TIME_WORDS[chosen.time]}" if max(steps, default=1) > 1 else ""
    times = steps.pop() if len(steps) == 1 else None
    reasons = dict.fromkeys(filter(None, (lacking(chosen, group) for group in items.groups)))
    untaken = [place for group, place in zip(items.groups, items.places) if lacking(chosen, group)]
    empty = np.concatenate(untaken) if untaken else np.zeros(0, int)
    undefined = np.setdiff1d(np.flatnonzero(np.isnan(values.diagonal())), empty)
    levels = chance[~np.isnan(chance)]
    by_pair = bool(len(levels) and np.ptp(levels) != 0)
    record = MeasureRecord(
        name=chosen.name,
        kind=chosen.kind,
        n_stimuli=stimuli_of(items.groups[0]),
        estimator="; ".join(filter(None, (chosen.estimator, in_time))),
        n_times=times if chosen.time == "samples" else 1,
        identity=float(chosen.identity),
        symmetric=bool(chosen.symmetric),
        invariances=tuple(chosen.invariances),
        is_metric=bool(chosen.kind != "score" and chosen.is_metric),
        cosine=bool(chosen.cosine),
        rdm_compare=chosen.rdm_compare or "",
        chance=float(levels[0]) if len(levels) and not by_pair else None,
        chance_by_pair=by_pair,
        chance_sd=result.deviations[0] if len(set(result.deviations)) == 1 else None,
        undefined=tuple(items.names[i] for i in undefined),
        empty=tuple(items.names[i] for i in empty),
        empty_because=f"{chosen.name} {'; '.join(reasons)}" if reasons else "",
        nulls="; ".join(filter(None, result.nulls)),
        limits="; ".join(filter(None, result.limits)),
    )
    return Measured(record, values, chance if by_pair else None, extras)


def _item_table(items: Items) -> pd.DataFrame:
    """`Comparison.items`: the labels, each of its type, and the unit counts."""
    units = np.zeros(len(items.names), int)
    for group, place in zip(items.groups, items.places):
        units[place] = 0 if isinstance(group, RDMs) else array_of(group).shape[-1]
    names = pd.Index(items.names)
    columns = {str(name): typed_column(column.tolist(), names) for name, column in items.labels.items()}
    return pd.DataFrame(columns | {"units": pd.Series(units, names)}, index=names)
