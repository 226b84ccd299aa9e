"""Comparisons for other programs: zarr, a table of pairs, and RDMs as rsatoolbox keeps them.

analysis/<task>.nc            the comparison itself, netCDF: always there; the others are made on request
analysis/<task>.zarr          the same with the same labels, in chunks that are read one by one
analysis/<task>-pairs.csv     a row per measure and pair, with the labels of both
analysis/<task>-rdms.h5       the RDM of every network and recording: rsatoolbox.rdm.load_rdm reads it
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import pdist

from analysis.activations.recordings import Outside
from analysis.activations.types import RDM, Repeats, Representations
from zoo.lookup import nearest

__all__ = ["ENDS", "check_formats", "export", "remove", "write_pairs", "write_rdms", "write_zarr"]

ENDS = {"zarr": ".zarr", "csv": "-pairs.csv", "rsatoolbox": "-rdms.h5"}
"""Formats, and what their files end with."""

ROWS = 64
"""Items whose pairs are written at once."""


def check_formats(formats: Sequence[str]) -> None:
    """A ValueError for a format that there is not, or that needs a package that is missing."""
    for name in formats:
        if name not in ENDS:
            raise ValueError(f"There is no export {name!r}; {nearest(name, ENDS)}.")
    if "zarr" in formats and importlib.util.find_spec("zarr") is None:
        raise ValueError("The export zarr needs the package zarr: pip install 'model-zoo-trainer[zarr]'.")


def export(
    start: Path,
    formats: Sequence[str],
    result: xr.Dataset,
    found: Representations,
    others: Sequence[Outside] = (),
) -> list[Path]:
    """Writes a comparison in other formats, each file whole or not at all.

    Args:
      start: of the files' paths, `analysis/<task>`.
      formats: of `ENDS`.
      result: the comparison.
      found: the representations that it is of.
      others: what came from outside.

    Returns:
      The files.
    """
    check_formats(formats)
    written = []
    for name in dict.fromkeys(formats):
        path = start.with_name(start.name + ENDS[name])
        part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            if name == "zarr":
                write_zarr(result, part)
                remove(path)
            elif name == "csv":
                write_pairs(result, part)
            else:
                write_rdms(result, found, others, part)
            part.replace(path)
        finally:
            remove(part)
        written.append(path)
    return written


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; nothing where there is none."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_zarr(result: xr.Dataset, path: Path) -> None:
    """A comparison as a zarr directory, every label and attribute with it; format 2, since 3 has no fixed texts yet."""
    result.to_zarr(path, mode="w", zarr_format=2, consolidated=False)


def write_pairs(result: xr.Dataset, path: Path) -> None:
    """A row per measure and pair: measure, a, b, value, chance, and the labels of both, `<label>_a` and `<label>_b`.

    A pair stands once where the measure is symmetric, and twice, "a predicts b", where it is not. Pairs that were not
    compared are left out; an undefined value is empty.
    """
    names = [str(name) for name, variable in result.data_vars.items() if "kind" in variable.attrs]
    labels = {end: _labels(result, end) for end in ("a", "b")}
    layer = result["layer_a"].to_numpy() if "layer_a" in result else np.zeros(len(result["a"]), str)
    equal = result.attrs.get("layers", "equal") == "equal"
    first = True
    with path.open("w", newline="") as file:
        for name in names:
            variable = result[name]
            values, attrs = variable.to_numpy(), variable.attrs
            levels = result[f"{name}_chance"].to_numpy() if f"{name}_chance" in result else None
            for begin in range(0, len(values), ROWS):
                a, b = np.indices((len(values[begin : begin + ROWS]), values.shape[1]))
                a = a + begin
                kept = a < b if attrs.get("symmetric", 1) else a != b
                if equal:  # what came from outside has no layer and joins every one
                    kept &= (layer[a] == layer[b]) | (layer[a] == "") | (layer[b] == "")
                a, b = a[kept], b[kept]
                chance = levels[a, b] if levels is not None else pd.to_numeric(attrs.get("chance"), errors="coerce")
                table = pd.DataFrame({"measure": name, "a": result["a"].to_numpy()[a], "b": result["b"].to_numpy()[b]})
                table = table.assign(value=values[a, b], chance=chance)
                sides = [labels["a"].iloc[a].reset_index(drop=True), labels["b"].iloc[b].reset_index(drop=True)]
                pd.concat([table, *sides], axis=1).to_csv(file, index=False, header=first)
                first = False


def _labels(result: xr.Dataset, end: str) -> Any:
    """The labels of all items of one side, `<label>_a` or `<label>_b`."""
    columns = [str(name) for name in result.coords if str(name).endswith(f"_{end}")]
    return pd.DataFrame({name: result[name].to_numpy() for name in columns})


def write_rdms(result: xr.Dataset, found: Representations, others: Sequence[Outside], path: Path) -> None:
    """The RDM of every item in the layout of rsatoolbox's `RDMs.save`: `rsatoolbox.rdm.load_rdm(path)` reads it.

    `dissimilarities (item, pair)`, 1 - Pearson r between the patterns of two stimuli, time and units together, pairs in
    the order of an upper triangle row by row; ready RDMs as they are. `rdm_descriptors` has the names and labels of the
    items, `pattern_descriptors` the conditions of the stimuli. One item's RDM is in memory at a time.

    Args:
      result: the comparison, whose items are written with their labels.
      found: the representations that it is of.
      others: what came from outside; repeated measurements enter by their mean.
      path: a new file.
    """
    import h5py

    names, stimuli = result["a"].to_numpy(), found.groups[0].array.shape[1]
    labels = {name.removesuffix("_a"): column for name, column in _labels(result, "a").items()}
    with h5py.File(path, "w") as file:
        rdms = file.create_dataset("dissimilarities", (len(names), stimuli * (stimuli - 1) // 2), np.float64)
        place = {str(name): i for i, name in enumerate(names)}
        for name, x in _items(found, others):
            if name in place:
                rdms[place[name]] = _entries(x)
        _describe(file, "rdm_descriptors", {"index": np.arange(len(names)), "name": names, **labels})
        _describe(file, "pattern_descriptors", {"index": np.arange(stimuli), **found.conditions})
        _describe(file, "descriptors", {})
        file["descriptors"].attrs["probe"] = found.probe
        file.attrs["dissimilarity_measure"] = "correlation"


def _items(found: Representations, others: Sequence[Outside]) -> Iterator[tuple[str, Any]]:
    """Name and array of every network at every layer, and of what came from outside."""
    for group in found.groups:
        yield from zip(map(str, group.names), group.array)
    for one in others:
        yield one.name, one.array


def _entries(x: Any) -> np.ndarray:
    """The upper triangle of an RDM, row by row."""
    if isinstance(x, RDM):
        return x.array[np.triu_indices(len(x.array), 1)]
    patterns = np.asarray(x.array.mean(0) if isinstance(x, Repeats) else x, np.float64)
    with np.errstate(invalid="ignore"):
        return pdist(patterns.reshape(len(patterns), -1), "correlation")


def _describe(file: Any, group: str, columns: dict[str, Any]) -> None:
    """A group of descriptors: numbers and truth values, and texts as bytes, which rsatoolbox decodes."""
    folder = file.create_group(group)
    for name, column in columns.items():
        values = np.asarray(column)
        if values.dtype.kind not in "fiub":
            values = np.array([str(value).encode("ascii", "backslashreplace") for value in values])
        folder[name] = values
