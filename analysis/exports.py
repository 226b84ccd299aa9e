"""Comparisons for other programs: zarr, a table of pairs, and RDMs as rsatoolbox keeps them; made on request."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.activations.types import RDM, Outside, Repeats, Representations
from analysis.artefacts import EXPORTS, remove
from analysis.geometry.correlation_rdms import correlation_rdm
from analysis.labelled_comparison import Comparison, plain_array
from zoo.lookup import nearest

__all__ = ["check_formats", "export", "write_pairs", "write_rdms", "write_zarr"]

ITEMS_AT_ONCE = 64
"""Items whose pairs are written at once."""


def check_formats(formats: Sequence[str]) -> None:
    """A ValueError for a format that there is not, or that needs a package that is missing."""
    for name in formats:
        if name not in EXPORTS:
            raise ValueError(f"There is no export {name!r}; {nearest(name, EXPORTS)}.")
    if "zarr" in formats and importlib.util.find_spec("zarr") is None:
        raise ValueError("The export zarr needs the package zarr: pip install 'model-zoo-trainer[zarr]'.")


def export(
    start: Path,
    formats: Sequence[str],
    comparison: Comparison,
    shown: Representations,
    others: Sequence[Outside] = (),
) -> list[Path]:
    """Writes a comparison in other formats, each file whole or not at all.

    Args:
      start: of the files' paths, `analysis/<task>`.
      formats: of `analysis.artefacts.EXPORTS`.
      comparison: what is written.
      shown: the representations that it is of.
      others: what came from elsewhere.

    Returns:
      The files.
    """
    check_formats(formats)
    written = []
    for name in dict.fromkeys(formats):
        path = start.with_name(start.name + EXPORTS[name])
        part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            if name == "zarr":
                write_zarr(comparison, part)
                remove(path)
            elif name == "csv":
                write_pairs(comparison, part)
            else:
                write_rdms(comparison, shown, others, part)
            part.replace(path)
        finally:
            remove(part)
        written.append(path)
    return written


def write_zarr(comparison: Comparison, path: Path) -> None:
    """A comparison as a zarr directory, every label and attribute with it; format 2, since 3 has no fixed texts yet."""
    comparison.dataset().to_zarr(path, mode="w", zarr_format=2, consolidated=True)


def write_pairs(comparison: Comparison, path: Path) -> None:
    """A row per measure and pair: measure, a, b, value, chance, what stands beside values, such as z, p, low and high,
    and the labels of both, `<label>_a` and `<label>_b`.

    A pair stands once where the measure is symmetric, and twice, "a predicts b", where it is not. Pairs that were not
    compared are left out; an undefined value is empty.
    """
    items, names = comparison.items, comparison.items.index.to_numpy()
    layer = items["layer"].to_numpy(object) if "layer" in items else np.full(len(items), "")
    header, extras = True, dict.fromkeys(name for each in comparison.measures.values() for name in each.extras)
    with path.open("w", newline="") as file:
        for variable, measured in comparison.measures.items():
            values, record = measured.values, measured.record
            for begin in range(0, len(values), ITEMS_AT_ONCE):
                a, b = np.indices((len(values[begin : begin + ITEMS_AT_ONCE]), values.shape[1]))
                a = a + begin
                kept = a < b if record.symmetric else a != b
                if comparison.layers == "equal":  # what came from elsewhere has no layer and joins every one
                    kept &= (layer[a] == layer[b]) | (layer[a] == "") | (layer[b] == "")
                a, b = a[kept], b[kept]
                known = np.nan if record.chance is None else record.chance
                chance = known if measured.chance is None else measured.chance[a, b]
                table = pd.DataFrame({"measure": variable, "a": names[a], "b": names[b]})
                beside = {name: measured.extras[name][a, b] if name in measured.extras else np.nan for name in extras}
                table = table.assign(value=values[a, b], chance=chance, **beside)
                sides = [_of_side(items, a, "a"), _of_side(items, b, "b")]
                pd.concat([table, *sides], axis=1).to_csv(file, index=False, header=header)
                header = False


def _of_side(items: pd.DataFrame, rows: np.ndarray, side: str) -> pd.DataFrame:
    """The labels of one side of some pairs, `<label>_a` or `<label>_b`."""
    return items.iloc[rows].reset_index(drop=True).add_suffix(f"_{side}")


def write_rdms(comparison: Comparison, shown: Representations, others: Sequence[Outside], path: Path) -> None:
    """The RDM of every item in the layout of rsatoolbox's `RDMs.save`: `rsatoolbox.rdm.load_rdm(path)` reads it.

    `dissimilarities (item, pair)`, those of `analysis.geometry.correlation_rdms`, pairs in the order of an upper
    triangle row by row; ready RDMs as they are. `rdm_descriptors` has the names and labels of the
    items, `pattern_descriptors` the conditions of the stimuli. One item's RDM is in memory at a time.

    Args:
      comparison: its items are written with their labels.
      shown: the representations that it is of.
      others: what came from elsewhere; repeated measurements enter by their mean.
      path: a new file.
    """
    import h5py

    names, stimuli = comparison.names, shown.groups[0].array.shape[1]
    labels = {str(name): plain_array(column) for name, column in comparison.items.items()}
    with h5py.File(path, "w") as file:
        rdms = file.create_dataset("dissimilarities", (len(names), stimuli * (stimuli - 1) // 2), np.float64)
        place = {name: i for i, name in enumerate(names)}
        for name, x in _items(shown, others):
            if name in place:
                rdms[place[name]] = _entries(x)
        _describe(file, "rdm_descriptors", {"index": np.arange(len(names)), "name": names, **labels})
        _describe(file, "pattern_descriptors", {"index": np.arange(stimuli), **shown.conditions})
        _describe(file, "descriptors", {})
        file["descriptors"].attrs["probe"] = shown.probe
        file.attrs["dissimilarity_measure"] = "correlation"


def _items(shown: Representations, others: Sequence[Outside]) -> Iterator[tuple[str, Any]]:
    """Name and array of every network at every layer, and of what came from elsewhere."""
    for group in shown.groups:
        yield from zip(map(str, group.names), group.array)
    for other in others:
        yield other.name, other.array


def _entries(x: Any) -> np.ndarray:
    """The upper triangle of an RDM, row by row."""
    if isinstance(x, RDM):
        return x.array[np.triu_indices(len(x.array), 1)]
    rdm = correlation_rdm(x.array.mean(0) if isinstance(x, Repeats) else x)
    return rdm[np.triu_indices(len(rdm), 1)]


def _describe(file: Any, group: str, columns: dict[str, Any]) -> None:
    """A group of descriptors: numbers and truth values, and texts as bytes, which rsatoolbox decodes."""
    folder = file.create_group(group)
    for name, column in columns.items():
        values = np.asarray(column)
        if values.dtype.kind not in "fiub":
            values = np.array([str(value).encode("ascii", "backslashreplace") for value in values])
        folder[name] = values
