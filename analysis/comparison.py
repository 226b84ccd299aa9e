"""Compares a population: representations in, one labelled similarity matrix per measure out."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from analysis import DEFAULT_MEASURES
from analysis.activations.inputs import Items, array_of, check_distinct, check_items, gathered, rows_of, stimuli_of
from analysis.activations.types import RDMs, Representations
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare_all, taken
from analysis.inference.nulls_and_limits import annotated, check_nulls
from analysis.labelled_comparison import Comparison, Measured, MeasureRecord, typed_column
from analysis.measures._choice import measure
from analysis.measures._time import TIME_WORDS
from zoo import lookup

__all__ = ["Choices", "compare", "comparison_of", "measure"]


@dataclasses.dataclass(frozen=True)
class Choices:
    """How representations are compared, whatever the measure.

    Attributes:
      dtype: "float32" or "float64".
      layers: "equal" compares items of equal `layer` only and leaves the other pairs NaN; "all" compares all pairs.
      exclude_degenerate: leave out NaN and constant representations, and list them, instead of refusing them.
      nulls: z and p of every value over permutations of the stimuli; see `analysis.inference.nulls_and_limits`.
      intervals: 95 % limits of every value by the jackknife over stimuli.

    Raises:
      ValueError: another dtype or other layers.
    """

    dtype: str = "float32"
    layers: str = "equal"
    exclude_degenerate: bool = False
    nulls: bool = False
    intervals: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype is {self.dtype!r}; allowed: float32, float64.")
        if self.layers not in ("equal", "all"):
            raise ValueError(f"layers is {self.layers!r}; allowed: equal, all.")


def compare(
    representations: Representations | Mapping[str, Any],
    measures: Any = DEFAULT_MEASURES,
    *,
    others: Sequence[Any] = (),
    dtype: str = "float32",
    layers: str = "equal",
    exclude_degenerate: bool = False,
    nulls: bool = False,
    intervals: bool = False,
) -> xr.Dataset:
    """Every pair of representations under every measure.

    Args:
      representations: `Representations`, or a mapping name -> array `(stimulus, unit)` or `(stimulus, time, unit)`,
        `RDM` or `Repeats`; unit counts are free to differ.
      measures: families, names with choices, or measures; see `measure`.
      others: further items, each with `name`, `array` and `labels`, such as recordings; they join every layer.
      dtype, layers, exclude_degenerate, nulls, intervals: see `Choices`.

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
    choices = Choices(dtype, layers, exclude_degenerate, nulls, intervals)
    return comparison_of(representations, measures, others, choices).dataset()


def comparison_of(
    representations: Representations | Mapping[str, Any],
    measures: Any,
    others: Sequence[Any] = (),
    choices: Choices = Choices(),
    journal: Path | None = None,
) -> Comparison:
    """Every pair of representations under every measure, as the rest of `analysis` takes it.

    Args:
      representations, measures, others: as for `compare`.
      choices: how they are compared.
      journal: a folder from which a killed comparison goes on; see `analysis.engine.all_pairs.similarities`.
    """
    single = isinstance(measures, str) or not isinstance(measures, Iterable)
    chosen = list(dict.fromkeys(measure(choice) for choice in ([measures] if single else measures)))
    if not chosen:
        raise ValueError(f"No measure was asked for; there are {', '.join(lookup.names('measure'))}.")
    gathered_items = gathered(representations, others, choices.dtype)
    items, excluded = check_items(gathered_items, chosen, choices.exclude_degenerate)
    if not isinstance(representations, Representations):  # of a zoo's probe it is said before
        check_distinct(items)
    if choices.nulls:
        check_nulls(chosen, len(items.names))
    matrices, deviations = _all_values(items, chosen, choices, journal)
    families = [each.family for each in chosen]
    measures_by_variable = {}
    for i, each in enumerate(chosen):
        variable = each.family if families.count(each.family) == 1 else each.name
        measures_by_variable[variable] = _measured(each, items, matrices[i], deviations[i])
    return Comparison(
        _item_table(items),
        measures_by_variable,
        probe=getattr(representations, "probe", ""),
        space=getattr(representations, "space", ""),
        dt=float(getattr(representations, "dt", 0.0)),
        layers=choices.layers,
        excluded=tuple(excluded),
    )


def _all_values(
    items: Items, chosen: Sequence[Any], choices: Choices, journal: Path | None
) -> tuple[list[dict[str, np.ndarray]], list[list[float | None]]]:
    """For every measure, name -> `(item, item)`, and the standard deviation of chance at each layer."""
    dtype, nulls, intervals, count = choices.dtype, choices.nulls, choices.intervals, len(items.names)
    matrices: list[dict[str, np.ndarray]] = [{} for _ in chosen]
    deviations: list[list[float | None]] = [[] for _ in chosen]
    equal = choices.layers == "equal" and "layer" in items.labels
    by_layer = _codes(items.labels["layer"]) if equal else np.zeros(count, int)
    for layer in np.unique(by_layer[by_layer >= 0]) if (by_layer >= 0).any() else [-1]:
        rows = [(by_layer[place] == layer) | (by_layer[place] < 0) for place in items.places]
        groups = [rows_of(group, row) for group, row in zip(items.groups, rows) if row.any()]
        places = [place[row] for place, row in zip(items.places, rows) if row.any()]
        _check_times(items, groups, places, chosen)
        at = np.ix_(np.concatenate(places), np.concatenate(places))
        prepared = prepare_all(chosen, groups, dtype)
        for i, result in enumerate(similarities(prepared, journal=journal)):
            more = annotated(prepared[i], result.value, nulls=nulls, intervals=intervals)
            for name, values in dict(value=result.value, chance=result.chance, **result.extras, **more).items():
                matrices[i].setdefault(name, np.full((count, count), np.nan, dtype))[at] = values
            deviations[i].append(result.chance_sd)
    return matrices, deviations


def _codes(layers: Any) -> np.ndarray:
    """A number for every layer, and -1 for items that have none."""
    return pd.factorize(layers.where(layers.notna() & (layers != ""), None))[0]


def _check_times(items: Items, groups: Sequence[Any], places: Sequence[np.ndarray], measures: Any) -> None:
    """Refuses items of unequal time steps under a measure that compares them row by row."""
    times = {
        1 if isinstance(group, RDMs) else int(array_of(group).shape[-2]): items.names[place[0]]
        for group, place in zip(groups, places)
    }
    fixed = [chosen.name for chosen in measures if chosen.time == "samples"]
    if len(times) > 1 and fixed:
        (steps, first), (other_steps, second) = list(times.items())[:2]
        raise ValueError(
            f"{first!r} has {steps} time steps and {second!r} has {other_steps}; {fixed[0]} needs equal time axes "
            "(time=features, mean or last do not)."
        )


def _measured(
    chosen: Any, items: Items, matrices: Mapping[str, np.ndarray], deviations: Sequence[float | None]
) -> Measured:
    """A measure's values of all items, with what they do not go without."""
    extras = dict(matrices)
    values, chance = extras.pop("value"), extras.pop("chance")
    steps = {int(array_of(group).shape[-2]) for group in items.groups if not isinstance(group, RDMs)}
    in_time = f"time={chosen.time}: {TIME_WORDS[chosen.time]}" if max(steps, default=1) > 1 else ""
    times = steps.pop() if len(steps) == 1 else None
    untaken = [place for group, place in zip(items.groups, items.places) if not taken(chosen, group)]
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
        chance_sd=deviations[0] if len(set(deviations)) == 1 else None,
        undefined=tuple(items.names[i] for i in undefined),
        empty=tuple(items.names[i] for i in empty),
        empty_because=f"{chosen.name} is made of patterns, and of these only an RDM is known" if len(empty) else "",
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
