"""HDF5, `.h5` and `.hdf5`: a dataset per array, by its path; RDMs as rsatoolbox writes them; what v7.3 of MATLAB holds.

Attributes of a dataset name its axes (`dims`, or HDF5's own dimension scales). A file that rsatoolbox's `RDMs.save` or
`Dataset.save` wrote, or this program's own export, is read with all its descriptors.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from analysis.formats import Array, Contents, axis_called, why
from analysis.formats.numpy_arrays import sorted_out

SUFFIXES = (".h5", ".hdf5")

ENTRIES, PATTERNS = "dissimilarities", "measurements"
"""What rsatoolbox calls the arrays of its RDMs and of its data sets."""


def read(path: Path) -> Contents:
    """The datasets of a file.

    Raises:
      ValueError: one sentence.
    """
    return _opened(path, _contents)


def tree(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB v7.3 file, as `scipy.io.loadmat` gives those of v7: cells, structures, texts, numbers.

    MATLAB writes its arrays' axes last to first.
    """
    return _opened(path, lambda file: {name: _variable(file, file[name]) for name in file if not name.startswith("#")})


def _opened(path: Path, function: Callable[[Any], Any]) -> Any:
    try:
        with h5py.File(path, "r") as file:
            return function(file)
    except Exception as error:  # h5py raises whatever it stumbles over
        raise ValueError(f"{path} cannot be read as HDF5 ({why(error)}).") from None


def _contents(file: Any) -> Contents:
    if ENTRIES in file and "rdm_descriptors" in file:
        return _rsatoolbox(file, ENTRIES, {"rdm_descriptors": "subject", "pattern_descriptors": "stimulus"})
    if PATTERNS in file and "obs_descriptors" in file:
        return _rsatoolbox(
            file,
            PATTERNS,
            {"obs_descriptors": "stimulus", "channel_descriptors": "unit", "time_descriptors": "time"},
        )
    datasets: dict[str, Any] = {}
    file.visititems(lambda name, node: datasets.update({name: node}) if isinstance(node, h5py.Dataset) else None)
    contents = sorted_out({name: _plain(node[()]) for name, node in datasets.items()})
    named = {name: _axes(datasets[name]) for name in contents.arrays}
    arrays = {name: x._replace(axes=named[name] or x.axes) for name, x in contents.arrays.items()}
    return contents._replace(arrays=arrays)


def _plain(values: Any) -> np.ndarray:
    """Numbers, or texts that HDF5 keeps as bytes or as objects."""
    x = np.asarray(values)
    if x.dtype.kind in "OS":
        texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in x.ravel()]
        return np.array(texts).reshape(x.shape)
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def _axes(dataset: Any) -> tuple[str, ...]:
    """The names of a dataset's axes, where an attribute or its scales give them all."""
    given = next((dataset.attrs[name] for name in ("dims", "DIMENSION_LABELS") if name in dataset.attrs), None)
    names = [dimension.label or _scale(dimension) for dimension in dataset.dims] if given is None else _plain(given)
    axes = tuple(axis_called(str(name)) for name in np.ravel(names))
    return axes if len(axes) == dataset.ndim and all(axes) else ()


def _scale(dimension: Any) -> str:
    names = [str(scale.name).rsplit("/", 1)[-1] for scale in dimension.values()]
    return names[0] if names else ""


def _rsatoolbox(file: Any, name: str, folders: dict[str, str]) -> Contents:
    """What `RDMs.save` and `Dataset.save` of rsatoolbox write: an array and a folder of descriptors per axis."""
    values = np.asarray(file[name][()])
    ready = name == ENTRIES
    labels = {axis: _descriptors(file[folder]) for folder, axis in folders.items() if folder in file}
    if ready:
        axes = ("subject", "pair") if values.ndim == 2 else ("subject", "stimulus", "stimulus'")
        # Whose each RDM is: the descriptor that says so, or else the first in which all differ.
        named = labels.get("subject", {})
        differ = [key for key, x in named.items() if key != "index" and len(set(map(str, x))) == len(x)]
        who = next((key for key in ("subject", "participant", "name", *differ) if key in named), "")
        labels["subject"] = {"subject": named[who]} if who else {}
    else:
        axes = ("stimulus", "unit", "time")[: values.ndim]
    return Contents({"": Array(values, axes, labels, is_rdm=ready)}, {}, {})


def _descriptors(folder: Any) -> dict[str, np.ndarray]:
    """The columns of a folder; rsatoolbox keeps lists of texts as a folder of one dataset per entry."""
    columns: dict[str, np.ndarray] = {}
    for name, node in folder.items():
        if isinstance(node, h5py.Dataset):
            columns[name] = _plain(node[()])
        elif all(isinstance(child, h5py.Dataset) for child in node.values()):
            children = sorted(node, key=lambda key: (not key.isdigit(), int(key) if key.isdigit() else 0, key))
            columns[name] = np.array([str(_plain(node[key][()])) for key in children])
        for key, x in list(columns.items()):
            if x.ndim != 1:
                del columns[key]
    return columns


def _variable(file: Any, node: Any) -> Any:
    """A variable of MATLAB v7.3 in SciPy's form."""
    matlab = node.attrs.get("MATLAB_class", b"")
    matlab = matlab.decode() if isinstance(matlab, bytes) else str(matlab)
    if isinstance(node, h5py.Group):
        return _structure(file, node) if matlab in ("struct", "") else None
    values = node[()]
    if node.attrs.get("MATLAB_empty", 0):
        return np.zeros((0, 0), object if matlab == "cell" else "U1" if matlab == "char" else float)
    if h5py.check_ref_dtype(node.dtype) is not None:
        cells = np.empty(values.shape, object)
        for place in np.ndindex(values.shape):
            cells[place] = _variable(file, file[values[place]])
        return cells.T
    values = values.T
    if matlab == "char":  # code points, a text per row
        rows = np.atleast_2d(values)
        return np.array(["".join(map(chr, row)) for row in rows])
    return values.astype(bool) if matlab == "logical" else values


def _structure(file: Any, group: Any) -> np.ndarray:
    """A structure, or an array of them, whose fields are then arrays of references."""
    fields = {name: group[name] for name in group}
    kind: Any = [(name, "O") for name in fields]
    if fields and all(_is_column(node) for node in fields.values()):
        columns = {name: _variable(file, node) for name, node in fields.items()}
        entries = np.empty(next(iter(columns.values())).shape, kind)
        for name, column in columns.items():
            entries[name] = column
        return entries
    entries = np.empty((1, 1), kind)
    entries[0, 0] = tuple(_variable(file, node) for node in fields.values())
    return entries


def _is_column(node: Any) -> bool:
    """Whether a field holds one reference per structure; a cell array has a class of its own."""
    return (
        isinstance(node, h5py.Dataset)
        and h5py.check_ref_dtype(node.dtype) is not None
        and "MATLAB_class" not in node.attrs
    )
