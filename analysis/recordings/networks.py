"""Networks trained elsewhere, from a folder: members with layers, a score and fields, beside those of the zoo.

    folder/alexnet.npz ...      a file per network in any form of `analysis.formats`: an array per layer, in order, and
                                labels of the stimuli as a recording has them
    folder/networks.csv         optional: a row per network, `network` (its file's stem), and as far as there are any
                                `model`, `score`, `trained` (true or false), `seed`, and every field that was varied

An `.npz` keeps the order of its arrays; of other forms the order is that of their names, 2 before 10. Maps are
`(stimulus, height, width, channel)`, or `(stimulus, channel, height, width)` as PyTorch has them, and become patterns
as the zoo's do.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.activations.copies import COPY_COUNT
from analysis.activations.spaces import Space
from analysis.activations.types import Group
from analysis.formats import Array, contents_of, forms
from analysis.recordings.matching import ShownStimuli, matched
from zoo.lookup import nearest

__all__ = ["read_networks"]

NETWORKS_TABLE = "networks.csv"
OWN_COLUMNS = ("network", "model", "score", "trained", "seed")
"""Columns of the table that are no fields."""


def read_networks(
    folder: Path, shown: ShownStimuli, space: Space, say: Callable[[str], Any] = lambda line: None
) -> tuple[list[Group], list[str]]:
    """The networks of a folder as groups of items, and the fields that their table names.

    Args:
      folder: see the module's text.
      shown: what the zoo's networks were shown; each file must be of all of it.
      space: how maps become patterns.
      say: takes a line on how they were read.

    Returns:
      Groups whose labels are those of the zoo's items, `cohort` the folder's name; and the table's fields.

    Raises:
      ValueError: one sentence: no folder, no networks, a file that is not of the stimuli shown or has no layers, a row
        without a file.
    """
    paths = [
        path for path in sorted(folder.iterdir()) if path.suffix.lower() in forms() and path.name != NETWORKS_TABLE
    ]
    files = {path.stem: path for path in paths}
    if not files:
        raise ValueError(f"{folder} holds no networks; it must have a file of layers per network, such as NAME.npz.")
    table = _table(folder / NETWORKS_TABLE, list(files))
    fields = [name for name in table if name not in OWN_COLUMNS]
    by_shape: dict[tuple[int, ...], list[tuple[str, dict[str, Any], np.ndarray]]] = {}
    for name, path in files.items():
        layers = _layers(path, shown, space)
        of_network = {column: x for column, x in table.loc[name].items() if column != "network"}
        for depth, (layer, x) in enumerate(layers.items()):
            of_item = dict(member=name, layer=layer, layer_depth=depth, status="solved")
            of_item |= {"cohort": folder.name, "task": "", COPY_COUNT: 1}
            by_shape.setdefault(x.shape, []).append((f"{name}/{layer}", of_item | of_network, x))
        say(f"{name}: {len(layers)} layers, {', '.join(layers)}")
    groups = []
    for items in by_shape.values():
        names, labels, arrays = zip(*items)
        about = pd.DataFrame(list(labels))
        named = tuple(name if state else f"{name}/untrained" for name, state in zip(names, about["trained"]))
        groups.append(Group(named, about, np.stack(list(arrays)).astype(np.float32)))
    return groups, fields


def _table(path: Path, names: list[str]) -> pd.DataFrame:
    """A row per network, indexed by their names."""
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame({"network": names})
    if "network" not in table:
        raise ValueError(f"{path} has no column network; its columns: {', '.join(map(str, table.columns))}.")
    table["network"] = table["network"].astype(str)
    if foreign := set(table["network"]) - set(names):
        raise ValueError(f"{path} names {min(foreign)!r}, of which there is no file; {nearest(min(foreign), names)}.")
    if missing := set(names) - set(table["network"]):
        raise ValueError(f"{path} has no row for {min(missing)!r}, of which there is a file; add one.")
    if (twice := table["network"].duplicated()).any():
        raise ValueError(f"{path} has two rows for {table['network'][twice].iloc[0]!r}; leave one.")
    defaults: Mapping[str, Any] = dict(model=table["network"], score=np.nan, trained=True, seed=0)
    for column, value in defaults.items():
        if column not in table:
            table[column] = value
    return table.set_index("network", drop=False)


def _layers(path: Path, shown: ShownStimuli, space: Space) -> dict[str, np.ndarray]:
    """Layer -> `(stimulus, unit)` or `(stimulus, time, unit)`, at the stimuli shown."""
    contents = contents_of(path)
    arrays = {name: array for name, array in contents.arrays.items() if array.values.ndim > 1}
    if path.suffix.lower() != ".npz":
        arrays = dict(sorted(arrays.items(), key=lambda item: _natural(item[0])))
    layers = {}
    for name, array in arrays.items():
        where = f"{name} in {path}"
        labels = {**contents.loose, **array.labels.get("stimulus", {})}
        labels = {label: x for label, x in labels.items() if len(x) == len(array.values)}
        match = matched(where, len(array.values), labels, shown)
        if len(match.kept) < shown.stimuli or match.rows.shape[1] > 1:
            raise ValueError(f"{where} must be of each of the {shown.stimuli} stimuli shown once; found {match.how}.")
        layers[name] = _patterns(where, array, array.values[match.rows[:, 0]], name, space)
    if not layers:
        raise ValueError(f"{path} holds no layers: arrays (stimulus, unit), (stimulus, time, unit) or maps.")
    return layers


def _patterns(where: str, array: Array, x: np.ndarray, layer: str, space: Space) -> np.ndarray:
    """Maps reduced as the zoo's; everything else as it is."""
    if not np.isfinite(x).all():
        raise ValueError(f"{where} holds {int((~np.isfinite(x)).sum())} values that are NaN or infinite.")
    if x.ndim < 4:
        return x
    if x.ndim > 4:
        raise ValueError(f"{where} has shape {x.shape}; a layer is (stimulus, unit), (stimulus, time, unit) or maps.")
    channel = array.axes.index("channel") if "channel" in array.axes else _channel(where, x.shape)
    return np.asarray(space.reduce(np.moveaxis(x, channel, -1), layer))


def _channel(where: str, shape: tuple[int, ...]) -> int:
    """Which axis of maps is that of channels: the one that is unlike the two others."""
    if shape[1] == shape[2] != shape[3]:
        return 3
    if shape[2] == shape[3] != shape[1]:
        return 1
    raise ValueError(
        f"{where} has shape {shape}, whose axis of channels cannot be told; an array <name>_dims = ['stimulus', "
        "'height', 'width', 'channel'] beside it, in its order, says so."
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts conv2 before conv10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
