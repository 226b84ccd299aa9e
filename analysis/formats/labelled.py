"""netCDF and zarr: the names of axes decide, and coordinates are labels; so Brain-Score's assemblies are read in full.

Every one-dimensional variable along an axis of an array is a label of that axis: dimension coordinates, the levels of a
MultiIndex, which files keep as coordinates, and variables beside them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from analysis.formats import Array, Contents, axis_called, why

SUFFIXES = (".nc", ".zarr")

IN_SECONDS, IN_MILLISECONDS = ("s", "sec", "second", "seconds"), ("ms", "msec", "millisecond", "milliseconds")


def read(path: Path) -> Contents:
    """The variables of a netCDF file, version 3 or 4, or a zarr directory.

    Raises:
      ValueError: one sentence.
    """
    data = _dataset(path)
    arrays: dict[str, Array] = {}
    ignored: dict[str, str] = {}
    lines = {str(name): variable for name, variable in data.variables.items() if variable.ndim == 1}
    for key, variable in data.data_vars.items():
        name = str(key)
        if variable.ndim < 1 or (variable.ndim == 1 and axis_called(str(variable.dims[0])) != "pair"):
            continue
        values = variable.to_numpy()
        if values.dtype.kind not in "fiub":
            ignored[name] = f"it holds {values.dtype}"
            continue
        dims = [str(dim) for dim in variable.dims]
        axes = tuple(axis_called(dim) for dim in dims)
        if len(set(axes)) < len(axes):  # two dimensions whose names mean the same keep their own
            axes = tuple(axis if axes.index(axis) == i else dim for i, (axis, dim) in enumerate(zip(axes, dims)))
        labels = {
            axis: {line: _plain(x.to_numpy()) for line, x in lines.items() if x.dims == (dim,)}
            for axis, dim in zip(axes, dims)
        }
        arrays[name] = Array(values, axes, labels, unit_of_time=_unit(data, dims, axes))
    return Contents(arrays, {}, ignored)


def _dataset(path: Path) -> Any:
    import h5py
    import xarray as xr

    engine: Any = "h5netcdf" if path.is_file() and h5py.is_hdf5(path) else "scipy"
    options: dict[str, Any] = dict(decode_timedelta=False)  # milliseconds stay numbers
    try:
        if path.suffix == ".zarr":
            return xr.open_zarr(path, consolidated=False, **options).load()
        return xr.load_dataset(path, engine=engine, **options)
    except ImportError:
        raise ValueError(f"{path} needs the package zarr: pip install 'model-zoo-trainer[zarr]'.") from None
    except Exception as error:  # the readers raise whatever they stumble over
        raise ValueError(f"{path} cannot be read with xarray ({why(error)}).") from None


def _plain(x: np.ndarray) -> np.ndarray:
    """Texts as texts: files keep them as objects or bytes."""
    if x.dtype.kind == "O":
        return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in x])
    return np.char.decode(x) if x.dtype.kind == "S" else x


def _unit(data: Any, dims: list[str], axes: tuple[str, ...]) -> str:
    """The unit of the time axis, by its coordinates' attribute `units` or its name."""
    if "time" not in axes:
        return ""
    dim = dims[axes.index("time")]
    units = [str(x.attrs.get("units", "")).lower() for x in data.variables.values() if x.dims == (dim,)]
    if dim.endswith("_s") or any(unit in IN_SECONDS for unit in units):
        return "s"
    return "ms" if dim.endswith("_ms") or any(unit in IN_MILLISECONDS for unit in units) else ""
