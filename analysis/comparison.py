"""Compares a population: representations in, one labelled similarity matrix per measure out, and on disk."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from analysis.activations.inputs import Items, array_of, check, gathered, some, stimuli_of
from analysis.activations.types import RDMs, Representations
from analysis.engine.all_pairs import similarities, taken
from analysis.inference.nulls_and_limits import annotated, check_nulls
from analysis.measures._choice import measure
from zoo import lookup

__all__ = ["compare", "load", "measure", "save"]


BESIDE = {
    "z": "standard deviations above chance, over permutations of the stimuli,",
    "p": "probability of a value as far on the side of the similar, over permutations of the stimuli,",
    "low": "lower 95 % limit, jackknife over stimuli,",
    "high": "upper 95 % limit, jackknife over stimuli,",
}
"""What the variables beside a measure's values are."""


def compare(
    representations: Representations | Mapping[str, Any],
    measures: Any = ("cka", "rsa"),
    *,
    others: Sequence[Any] = (),
    dtype: str = "float32",
    layers: str = "equal",
    exclude_degenerate: bool = False,
    nulls: bool = False,
    intervals: bool = False,
    journal: Path | None = None,
) -> xr.Dataset:
    """Every pair of representations under every measure.

    Args:
      representations: `Representations`, or a mapping name -> array `(stimulus, unit)` or `(stimulus, time, unit)`,
        `RDM` or `Repeats`; unit counts are free to differ.
      measures: families, names with choices, or measures; see `measure`.
      others: further items, each with `name`, `array` and `labels`, such as recordings; they join every layer.
      dtype: "float32" or "float64".
      layers: "equal" compares items of equal `layer` only and leaves the other pairs NaN; "all" compares all pairs.
      exclude_degenerate: leave out NaN and constant representations, and list them, instead of refusing them.
      nulls: z and p of every value over permutations of the stimuli; see `analysis.inference.nulls_and_limits`.
      intervals: 95 % limits of every value by the jackknife over stimuli.
      journal: a folder from which a killed comparison goes on; see `analysis.engine.all_pairs.similarities`.

    Returns:
      One variable per measure over the dimensions `a` and `b`, indexed by the names, with every label as a coordinate
      twice (`hidden_a`, `hidden_b`). A variable's attributes carry its full name, kind, estimator, stimulus count and
      chance level, as `undefined` the items whose map has no structure beyond rounding (NaN in their row), and as
      `empty` those that the measure cannot be had of, with the reason; `<variable>_chance` is a variable of its own
      where chance differs by pair, and so are what a measure chose for each pair, `<variable>_penalty`, and `_z`, `_p`,
      `_low` and `_high` where they are known.
    """
    if isinstance(representations, np.ndarray):
        raise ValueError("compare takes a mapping of name to array, {'a': x, 'b': y}, not the arrays one by one.")
    dtype = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}; allowed: float32, float64.")
    if layers not in ("equal", "all"):
        raise ValueError(f"layers is {layers!r}; allowed: equal, all.")
    one = isinstance(measures, str) or not isinstance(measures, Iterable)
    chosen = list(dict.fromkeys(measure(choice) for choice in ([measures] if one else measures)))
    if not chosen:
        raise ValueError(f"No measure was asked for; there are {', '.join(lookup.names('measure'))}.")
    items, excluded = check(gathered(representations, others, dtype), chosen, exclude_degenerate)
    count = len(items.names)
    if nulls:
        check_nulls(chosen, count)
    found: list[dict[str, np.ndarray]] = [{} for _ in chosen]
    sd: list[list[float | None]] = [[] for _ in chosen]
    whole = np.zeros(count, int)
    by_layer = _codes(items.labels["layer"]) if layers == "equal" and "layer" in items.labels else whole
    for layer in np.unique(by_layer[by_layer >= 0]) if (by_layer >= 0).any() else [-1]:
        rows = [(by_layer[place] == layer) | (by_layer[place] < 0) for place in items.places]
        groups = [some(group, row) for group, row in zip(items.groups, rows) if row.any()]
        places = [place[row] for place, row in zip(items.places, rows) if row.any()]
        _check_times(items, groups, places, chosen)
        at = np.ix_(np.concatenate(places), np.concatenate(places))
        for i, result in enumerate(similarities(chosen, groups, dtype=dtype, journal=journal)):
            options: Any = dict(dtype=dtype, nulls=nulls, intervals=intervals)
            more = annotated(chosen[i], groups, result.value, **options)
            for name, values in dict(value=result.value, chance=result.chance, **result.extras, **more).items():
                found[i].setdefault(name, np.full((count, count), np.nan, dtype))[at] = values
            sd[i].append(result.chance_sd)
    return _dataset(representations, items, excluded, chosen, found, sd)


def _codes(layers: Any) -> np.ndarray:
    """A number for every layer, and -1 for items that have none."""
    return pd.factorize(layers.where(layers.notna() & (layers != ""), None))[0]


def _check_times(items: Items, groups: Sequence[Any], places: Sequence[np.ndarray], measures: Any) -> None:
    times = {
        1 if isinstance(group, RDMs) else int(array_of(group).shape[-2]): items.names[place[0]]
        for group, place in zip(groups, places)
    }
    fixed = [chosen.name for chosen in measures if chosen.time == "samples"]
    if len(times) > 1 and fixed:
        (one, first), (other, second) = list(times.items())[:2]
        raise ValueError(
            f"{first!r} has {one} time steps and {second!r} has {other}; {fixed[0]} needs equal time axes "
            "(time=features, mean or last do not)."
        )


def _dataset(
    representations: Any, items: Items, excluded: list[str], measures: Any, found: list[dict[str, np.ndarray]], sd: Any
) -> xr.Dataset:
    family = [type(chosen).__module__.rpartition(".")[2] for chosen in measures]
    variables = {}
    stimuli = stimuli_of(items.groups[0])
    steps = {int(array_of(group).shape[-2]) for group in items.groups if not isinstance(group, RDMs)}
    times = steps.pop() if len(steps) == 1 else "differs by layer"
    for i, chosen in enumerate(measures):
        name = family[i] if family.count(family[i]) == 1 else chosen.name
        value, level = found[i].pop("value"), found[i].pop("chance")
        attrs = dict(name=chosen.name, kind=chosen.kind, estimator=chosen.estimator, n_stimuli=stimuli)
        attrs |= dict(n_times=times if chosen.time == "samples" else 1, identity=chosen.identity)
        attrs |= dict(symmetric=int(chosen.symmetric), invariances=", ".join(chosen.invariances), precision="highest")
        attrs["is_metric"] = int(chosen.kind != "score" and chosen.is_metric)
        untaken = [place for group, place in zip(items.groups, items.places) if not taken(chosen, group)]
        empty = np.concatenate(untaken) if untaken else np.zeros(0, int)
        if len(empty):
            attrs["empty"] = "; ".join(items.names[j] for j in empty)
            attrs["empty_because"] = f"{chosen.name} is made of patterns, and of these only an RDM is known"
        undefined = np.setdiff1d(np.flatnonzero(np.isnan(value.diagonal())), empty)
        attrs["undefined"] = "; ".join(items.names[j] for j in undefined)
        levels = level[~np.isnan(level)]
        if not len(levels):
            attrs["chance"] = "no closed form"
        elif np.ptp(levels) == 0:
            attrs["chance"] = float(levels[0])
        else:
            attrs["chance"] = f"differs by pair: {name}_chance"
            about = dict(name=f"chance level of {chosen.name}: mean over permutations of the stimuli")
            variables[f"{name}_chance"] = (("a", "b"), level, about)
        if None not in sd[i] and len(set(sd[i])) == 1:
            attrs["chance_sd"] = sd[i][0]
        variables[name] = (("a", "b"), value, attrs)
        for extra, values in found[i].items():
            variables[f"{name}_{extra}"] = (
                ("a", "b"),
                values,
                dict(name=f"{BESIDE.get(extra, extra)} of {chosen.name}"),
            )
    units = np.zeros(len(items.names), int)
    for group, place in zip(items.groups, items.places):
        units[place] = 0 if isinstance(group, RDMs) else array_of(group).shape[-1]
    columns = {str(name): _plain(column) for name, column in items.labels.items()} | {"units": units}
    coords: dict[str, Any] = {}
    for dimension in ("a", "b"):
        coords[dimension] = (dimension, np.array(items.names))
        coords |= {f"{column}_{dimension}": (dimension, labels) for column, labels in columns.items()}
    about: dict[str, Any] = {name: getattr(representations, name, "") for name in ("probe", "space")}
    about["dt"] = float(getattr(representations, "dt", 0.0))
    return xr.Dataset(variables, coords, about | dict(excluded="; ".join(excluded)))


def _plain(column: pd.Series) -> np.ndarray:
    """A column as netCDF knows it: bool, numbers (NaN where missing) or strings (empty where missing)."""
    values, missing = column.tolist(), column.isna().to_numpy()
    present = [value for value, gone in zip(values, missing) if not gone]
    kinds = {
        "b" if isinstance(v, (bool, np.bool_)) else "n" if isinstance(v, (int, float, np.number)) else "s"
        for v in present
    }
    if kinds == {"b"} and not missing.any():
        return np.array(values, bool)
    if kinds == {"n"}:
        return np.array([np.nan if gone else value for value, gone in zip(values, missing)])
    return np.array(["" if gone else str(value) for value, gone in zip(values, missing)])


def save(dataset: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Writes a comparison as netCDF; a reader sees the old file or the new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        dataset.to_netcdf(part, engine="h5netcdf")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Reads what `save` wrote."""
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except FileNotFoundError:
        raise ValueError(f"There is no comparison at {path}.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable comparison ({error}).") from error
