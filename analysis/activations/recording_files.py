"""What the files of recordings hold, form by form: `.npz`, `.npy`, `.mat`, netCDF and zarr; nothing is unpickled."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.data.datasets import read_npz

__all__ = ["Content", "content"]

FORMS = (".npz", ".npy", ".mat", ".nc", ".zarr")

SYNONYMS = {
    "stimulus": ("stimuli", "image", "condition", "presentation", "pattern"),
    "unit": ("units", "neuron", "neuroid", "voxel", "channel", "sensor"),
    "time": ("time_ms", "time_bin", "times"),
    "subject": ("subjects", "participant"),
    "repeat": ("repeats", "repetition", "trial"),
}
"""Other names of axes, in files that name them."""

TIMES_ARRAY = "time_ms"
"""The array that holds the times of the time axis, in ms."""


class Content(NamedTuple):
    """What a file holds.

    Attributes:
      arrays: name -> array that may be a recording; "" where the file holds one that has no name.
      axes: name -> names of the array's axes, where the file gives them.
      labels: name -> one label per stimulus.
      subjects: the subjects' names, empty where the file does not give them.
      times: ms, `(time,)`, empty where there is none.
      ready: name -> `(subject, RDM)` of a `.mat`'s structures, the RDM `(n, n)` or its upper triangle.
    """

    arrays: dict[str, np.ndarray]
    axes: dict[str, tuple[str, ...]]
    labels: dict[str, np.ndarray]
    subjects: list[str]
    times: np.ndarray
    ready: dict[str, list[tuple[str, np.ndarray]]]


def content(path: Path) -> Content:
    """Reads a file by the form that its suffix names.

    Raises:
      ValueError: one sentence.
    """
    if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib"):
        raise ValueError(
            f"{path} is a pickle, which can run code when it is opened; save its arrays with np.savez instead."
        )
    if path.suffix not in FORMS:
        raise ValueError(f"{path} cannot be read as a recording; allowed: {', '.join(FORMS)}.")
    if not path.exists():
        raise ValueError(f"There is no recording at {path}.")
    if path.suffix in (".nc", ".zarr"):
        return _labelled(path)
    ready: dict[str, list[tuple[str, np.ndarray]]] = {}
    if path.suffix == ".mat":
        arrays, ready = _mat(path)
    elif path.suffix == ".npy":
        arrays = {"": _npy(path)}
    else:
        arrays = read_npz(path)
    axes, labels, times, subjects = {}, {}, np.zeros(0), []
    for name in list(arrays):
        x = arrays[name]
        if name.endswith("_dims") and name.removesuffix("_dims") in arrays:
            axes[name.removesuffix("_dims")] = tuple(_axis(str(axis)) for axis in arrays.pop(name).ravel())
        elif name == TIMES_ARRAY:
            times = _times(path, arrays.pop(name))
        elif name in ("subject", "subjects") and x.ndim == 1:
            subjects = [str(who) for who in arrays.pop(name)]
        elif x.ndim == 1:
            labels[name] = x
    return Content(arrays, axes, labels, subjects, times, ready)


def _axis(name: str) -> str:
    return next((axis for axis, others in SYNONYMS.items() if name in others), name)


def _times(path: Path, times: np.ndarray) -> np.ndarray:
    times = np.asarray(times, np.float64).ravel()
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(f"{path}: {TIMES_ARRAY} must be two rising times or more, in ms.")
    return times


def _npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = "it holds objects" if "allow_pickle" in str(error) else str(error).split("\n")[0].rstrip(".")
        raise ValueError(
            f"{path} cannot be read as a plain array: {why}; save arrays of numbers, with np.save or np.savez."
        ) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is no .npy; name it .npz if it is an archive of arrays.")
    return array


def _mat(path: Path) -> tuple[dict[str, np.ndarray], dict[str, list[tuple[str, np.ndarray]]]]:
    from scipy.io import loadmat

    try:
        variables = loadmat(path)
    except NotImplementedError:
        raise ValueError(
            f"{path} is a MATLAB v7.3 file; save it again in MATLAB with save(..., '-v7'), or as an .npz."
        ) from None
    except Exception as error:  # scipy raises whatever it stumbles over
        why = f"{type(error).__name__}: {error}".split("\n")[0]
        raise ValueError(f"{path} cannot be read as a MATLAB file ({why}).") from None
    arrays: dict[str, np.ndarray] = {}
    ready: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name, value in variables.items():
        if name.startswith("__") or not isinstance(value, np.ndarray):
            continue
        if value.dtype.names and "RDM" in value.dtype.names:
            ready |= _structures(name, value)
        elif value.dtype.kind in "fiub":
            arrays[name] = value.ravel() if value.ndim == 2 and 1 in value.shape else value
        elif value.dtype.kind == "O" and all(
            isinstance(cell, np.ndarray) and cell.dtype.kind == "U" for cell in value.flat
        ):
            arrays[name] = np.array(["".join(cell.ravel()) for cell in value.flat])  # a cell array of texts
    return arrays, ready


def _structures(name: str, value: np.ndarray) -> dict[str, list[tuple[str, np.ndarray]]]:
    """RDMs of an array of structures, by what their names say: "what | who | when"."""
    rdms: dict[str, dict[str, list[np.ndarray]]] = {}
    for i, entry in enumerate(value.flat, start=1):
        title = "".join(np.ravel(entry["name"]).astype(str)) if "name" in (value.dtype.names or ()) else ""
        what, *who = (part.strip() for part in (title or f"{name} | {i}").split("|"))
        rdm = np.asarray(entry["RDM"], np.float64)
        rdm = rdm.ravel() if 1 in rdm.shape else rdm
        rdms.setdefault(what, {}).setdefault(who[0] if who else "", []).append(rdm)
    return {what: [(who, np.mean(of, axis=0)) for who, of in each.items()] for what, each in rdms.items()}


def _labelled(path: Path) -> Content:
    """A netCDF file or zarr directory: its axes have names, and coordinates of the stimuli are labels."""
    import xarray as xr

    try:
        if path.suffix == ".zarr":
            data = xr.open_zarr(path, consolidated=False).load()
        else:
            data = xr.load_dataset(path, engine="h5netcdf")
    except ImportError:
        raise ValueError(f"{path} needs the package zarr: pip install 'model-zoo-trainer[zarr]'.") from None
    except Exception as error:  # the readers raise whatever they stumble over
        why = f"{type(error).__name__}: {error}".split("\n")[0]
        raise ValueError(f"{path} cannot be read with xarray ({why}).") from None
    arrays = {str(name): variable.to_numpy() for name, variable in data.data_vars.items() if variable.ndim > 1}
    axes: dict[str, tuple[str, ...]] = {}
    for name in arrays:
        dims = tuple(_axis(str(dim)) for dim in data[name].dims)
        if "stimulus" in dims:
            axes[name] = dims
    labels, times, subjects = {}, np.zeros(0), []
    for name, variable in {**data.coords, **{n: v for n, v in data.data_vars.items() if v.ndim == 1}}.items():
        if variable.ndim != 1:
            continue
        values: Any = variable.to_numpy()
        axis = _axis(str(variable.dims[0]))
        if axis == "time" and values.dtype.kind in "fiu" and str(name) in (variable.dims[0], TIMES_ARRAY):
            times = _times(path, values)
        elif axis == "subject" and name == variable.dims[0]:
            subjects = [str(who) for who in values]
        elif axis == "stimulus":
            labels[str(name)] = values
    return Content(arrays, axes, labels, subjects, times, {})
