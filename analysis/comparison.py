"""Compares a population: representations in, one labelled similarity matrix per measure out, and on disk."""

import ast
import contextlib
import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis.pairwise import similarities
from analysis.representations import Representations
from zoo import lookup

__all__ = ["check", "compare", "load", "measure", "save"]


class Items(NamedTuple):
    """What is compared, in the order of the result.

    Attributes:
      names: one per item.
      labels: one row per item.
      arrays: `(item, stimulus, time, unit)`, items of one shape each.
      places: for each array, its items' places in the order of the result.
      ndim: the axes that a user gave, item axis included, for each array.
    """

    names: list[str]
    labels: pd.DataFrame
    arrays: list[np.ndarray]
    places: list[np.ndarray]
    ndim: list[int]


def measure(choice: Any) -> Any:
    """A measure from its family, `"cka"`, from its name with choices, `"rsa(compare=pearson)"`, or as it is.

    Values are Python literals or bare words; `"cka(kernel=linear, biased)"`, a measure's own name, is read too.
    """
    if not isinstance(choice, str):
        if dataclasses.is_dataclass(choice) and not isinstance(choice, type) and hasattr(choice, "prepare"):
            return choice
        raise ValueError(
            f"{choice!r} is not a measure; give one of {', '.join(lookup.names('measure'))}, or a Measure."
        )
    match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", choice)
    if not match:
        raise ValueError(f"Measure {choice!r} does not read as family or family(field=value, ...).")
    family, text = match[1], match[2] or ""
    kind = lookup.find("measure", family).Measure
    fields = [field.name for field in dataclasses.fields(kind)]
    chosen: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, given, value = (piece.strip() for piece in part.partition("="))
        if not given and name in kind.words:
            name, value = kind.words[name]
        elif name not in fields:
            raise ValueError(f"Measure {family} has no field {name!r}; {lookup.nearest(name, fields)}.")
        elif not given:
            raise ValueError(f"Field {name!r} of measure {family} needs a value, {name}=...")
        else:
            with contextlib.suppress(ValueError, SyntaxError):
                value = ast.literal_eval(value)
        chosen[name] = value
    return kind(**chosen)


def _items(representations: Any, dtype: str) -> Items:
    if isinstance(representations, Representations):
        groups, given = representations.groups, [np.asarray(group.array) for group in representations.groups]
        names = [str(name) for group in groups for name in group.names]
        tables = [group.labels.reset_index(drop=True) for group in groups]
        labels = pd.concat([table.astype(object) for table in tables], ignore_index=True) if tables else pd.DataFrame()
        if not len(labels.columns):
            labels = pd.DataFrame(index=range(len(names)))
    elif isinstance(representations, Mapping):
        names = [str(name) for name in representations]
        each = [np.asarray(value) for value in representations.values()]
        for name, value in zip(names, each):
            if value.ndim not in (2, 3):
                raise ValueError(
                    f"Representation {name!r} has shape {value.shape}; it must be (stimulus, unit) or "
                    "(stimulus, time, unit)."
                )
            if value.dtype.kind not in "fiub":
                raise ValueError(f"Representation {name!r} holds {value.dtype}; it must hold real numbers.")
        labels = pd.DataFrame(index=range(len(names)))
        shapes = list(dict.fromkeys(value.shape for value in each))
        order = [[i for i, value in enumerate(each) if value.shape == shape] for shape in shapes]
        given = [np.stack([each[i] for i in members]) for members in order]
    else:
        kind = type(representations).__name__
        raise ValueError(f"compare takes Representations or a mapping of name to array, not a {kind}.")
    if not names:
        raise ValueError("There is nothing to compare: no representation was given.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"Two representations are called {twice[0]!r}; names must differ.")
    if isinstance(representations, Representations):
        ends = np.cumsum([0] + [len(array) for array in given])
        order = [list(range(start, end)) for start, end in pairwise(ends)]
    arrays = []
    for array, members in zip(given, order):
        if array.ndim not in (3, 4):
            raise ValueError(
                f"The group of {names[members[0]]!r} has shape {array.shape}; it must be (item, stimulus, unit) or "
                "(item, stimulus, time, unit)."
            )
        with np.errstate(over="ignore"):
            arrays.append((array if array.ndim == 4 else array[:, :, None]).astype(dtype, copy=False))
    return Items(names, labels, arrays, [np.array(members) for members in order], [array.ndim for array in given])


def check(items: Items, measures: Iterable[Any], exclude_degenerate: bool = False) -> tuple[Items, list[str]]:
    """The door: everything that would make a meaningless number is refused here, by name, and nowhere deeper.

    Returns:
      The items to compare, and the names of those left out because they are NaN or constant over stimuli.
    """
    counts = {int(array.shape[1]): items.names[place[0]] for array, place in zip(items.arrays, items.places)}
    if len(counts) > 1:
        (one, first), (other, second) = list(counts.items())[:2]
        raise ValueError(f"{first!r} has {one} stimuli and {second!r} has {other}; all must be given the same stimuli.")
    (stimuli,) = counts
    for chosen in measures:
        if stimuli < chosen.least:
            raise ValueError(f"{chosen.name} needs at least {chosen.least} stimuli; there are {stimuli}.")
    excluded: list[int] = []
    keep = []
    for array, place in zip(items.arrays, items.places):
        good = np.ones(len(array), bool)
        for row, (x, index) in enumerate(zip(array, place)):
            if fault := _fault(x):
                good[row] = False
                excluded.append(int(index))
                if not exclude_degenerate:
                    raise ValueError(
                        f"The representation of {_describe(items, index)} {fault}; exclude_degenerate=True "
                        "(--exclude-degenerate) compares the others."
                    )
        keep.append(good)
    if not excluded:
        return items, []
    if len(excluded) == len(items.names):
        raise ValueError(f"All {len(excluded)} representations are NaN or constant; nothing is left to compare.")
    left = np.setdiff1d(np.arange(len(items.names)), excluded)
    triples = [(a[g], np.searchsorted(left, p[g]), d) for a, p, d, g in zip(*items[2:], keep) if g.any()]
    arrays, places, ndim = (list(column) for column in zip(*triples))
    kept = Items([items.names[i] for i in left], items.labels.iloc[left], arrays, places, ndim)
    return kept, [items.names[i] for i in sorted(excluded)]


def _fault(x: np.ndarray) -> str:
    if not np.isfinite(x).all():
        return f"holds {int(np.isnan(x).sum())} NaN and {int(np.isinf(x).sum())} infinite values"
    spread = np.ptp(x, axis=0).max(initial=0)
    return "is constant over its stimuli" if spread <= 8 * np.finfo(x.dtype).eps * np.abs(x).max(initial=0) else ""


def _describe(items: Items, index: int) -> str:
    labels = items.labels.iloc[index] if len(items.labels.columns) else {}
    more = [f"{column} {labels[column]}" for column in ("member", "layer") if column in labels]
    return repr(items.names[index]) + (f" ({', '.join(more)})" if more else "")


def compare(
    representations: Representations | Mapping[str, Any],
    measures: Any = ("cka", "rsa"),
    *,
    dtype: str = "float32",
    layers: str = "equal",
    exclude_degenerate: bool = False,
) -> xr.Dataset:
    """Every pair of representations under every measure.

    Args:
      representations: `Representations`, or a mapping name -> array `(stimulus, unit)` or `(stimulus, time, unit)`;
        unit counts are free to differ.
      measures: families, names with choices, or measures; see `measure`.
      dtype: "float32" or "float64".
      layers: "equal" compares items of equal `layer` only and leaves the other pairs NaN; "all" compares all pairs.
      exclude_degenerate: leave out NaN and constant representations, and list them, instead of refusing them.

    Returns:
      One variable per measure over the dimensions `a` and `b`, indexed by the names, with every label as a coordinate
      twice (`hidden_a`, `hidden_b`). A variable's attributes carry its full name, kind, estimator, stimulus count and
      chance level, and as `undefined` the items whose map has no structure beyond rounding (NaN in their row);
      `<variable>_chance` is a variable of its own where chance differs by pair.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}; allowed: float32, float64.")
    if layers not in ("equal", "all"):
        raise ValueError(f"layers is {layers!r}; allowed: equal, all.")
    one = isinstance(measures, str) or not isinstance(measures, Iterable)
    chosen = list(dict.fromkeys(measure(choice) for choice in ([measures] if one else measures)))
    if not chosen:
        raise ValueError(f"No measure was asked for; there are {', '.join(lookup.names('measure'))}.")
    items, excluded = check(_items(representations, dtype), chosen, exclude_degenerate)
    count = len(items.names)
    value = [np.full((count, count), np.nan, dtype) for _ in chosen]
    level = [np.full((count, count), np.nan, dtype) for _ in chosen]
    sd: list[list[float | None]] = [[] for _ in chosen]
    whole = np.zeros(count, int)
    by_layer = pd.factorize(items.labels["layer"])[0] if layers == "equal" and "layer" in items.labels else whole
    for layer in np.unique(by_layer):
        rows = [by_layer[place] == layer for place in items.places]
        arrays = [array[row] for array, row in zip(items.arrays, rows) if row.any()]
        places = [place[row] for place, row in zip(items.places, rows) if row.any()]
        _check_times(items, arrays, places, chosen)
        at = np.ix_(np.concatenate(places), np.concatenate(places))
        for i, result in enumerate(similarities(chosen, arrays, dtype=dtype)):
            value[i][at], level[i][at] = result.value, result.chance
            sd[i].append(result.chance_sd)
    return _dataset(representations, items, excluded, chosen, value, level, sd)


def _check_times(items: Items, arrays: Sequence[np.ndarray], places: Sequence[np.ndarray], measures: Any) -> None:
    times = {int(array.shape[2]): items.names[place[0]] for array, place in zip(arrays, places)}
    fixed = [chosen.name for chosen in measures if chosen.time == "samples"]
    if len(times) > 1 and fixed:
        (one, first), (other, second) = list(times.items())[:2]
        raise ValueError(
            f"{first!r} has {one} time steps and {second!r} has {other}; {fixed[0]} needs equal time axes "
            "(time=features, mean or last do not)."
        )


def _dataset(
    representations: Any, items: Items, excluded: list[str], measures: Any, value: Any, level: Any, sd: Any
) -> xr.Dataset:
    family = [type(chosen).__module__.rpartition(".")[2] for chosen in measures]
    variables = {}
    stimuli, steps = int(items.arrays[0].shape[1]), {int(array.shape[2]) for array in items.arrays}
    times = steps.pop() if len(steps) == 1 else "differs by layer"
    for i, chosen in enumerate(measures):
        name = family[i] if family.count(family[i]) == 1 else chosen.name
        attrs = dict(name=chosen.name, kind=chosen.kind, estimator=chosen.estimator, n_stimuli=stimuli)
        attrs |= dict(n_times=times if chosen.time == "samples" else 1, identity=chosen.identity)
        attrs |= dict(symmetric=int(chosen.symmetric), invariances=", ".join(chosen.invariances), precision="highest")
        attrs["undefined"] = "; ".join(np.array(items.names)[np.isnan(value[i].diagonal())])
        levels = level[i][~np.isnan(level[i])]
        if len(levels) and np.ptp(levels) == 0:
            attrs["chance"] = float(levels[0])
        else:
            attrs["chance"] = f"differs by pair: {name}_chance"
            about = dict(name=f"chance level of {chosen.name}: mean over permutations of the stimuli")
            variables[f"{name}_chance"] = (("a", "b"), level[i], about)
        if None not in sd[i] and len(set(sd[i])) == 1:
            attrs["chance_sd"] = sd[i][0]
        variables[name] = (("a", "b"), value[i], attrs)
    units = np.zeros(len(items.names), int)
    for array, place in zip(items.arrays, items.places):
        units[place] = array.shape[3]
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
