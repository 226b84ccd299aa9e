"""NumPy's `.npz` and `.npy`: an array per name, and beside it what its axes are called and how they are labelled.

`<name>_dims`, such as `["subject", "stimulus", "unit"]`, are the names of another array's axes.
"""

from pathlib import Path

import numpy as np

from analysis.formats import Array, Contents, axis_called
from zoo.data.datasets import read_npz

SUFFIXES = (".npz", ".npy")


def read(path: Path) -> Contents:
    """The arrays of an archive, or the one of a plain file.

    Raises:
      ValueError: one sentence.
    """
    arrays = {"": _npy(path)} if path.suffix.lower() == ".npy" else read_npz(path)
    return sorted_out({name: _numbers(x) for name, x in arrays.items()})


def sorted_out(arrays: dict[str, np.ndarray], ignored: dict[str, str] | None = None) -> Contents:
    """Arrays that may be recordings, names of their axes, and labels, told apart by their names and dimensions."""
    found: dict[str, Array] = {}
    loose: dict[str, np.ndarray] = {}
    ignored = dict(ignored or {})
    for name, x in arrays.items():
        x = np.asarray(x)
        if name.endswith("_dims") and name.removesuffix("_dims") in arrays:
            continue
        if x.ndim == 1 and len(x):
            loose[name] = x
        if x.dtype.kind not in "fiub":
            if x.ndim != 1:
                ignored[name] = f"it holds {_kind(x)}"
        elif x.ndim and x.size:
            axes = arrays.get(f"{name}_dims", np.zeros(0))
            found[name] = Array(x, tuple(axis_called(str(axis)) for axis in np.ravel(axes)))
        elif name:
            ignored[name] = "it is one number" if x.size else "it is empty"
    return Contents(found, loose, ignored)


def _kind(x: np.ndarray) -> str:
    kinds = {"U": "texts", "S": "texts", "c": "complex numbers", "M": "dates", "m": "durations", "O": "objects"}
    return kinds.get(x.dtype.kind, str(x.dtype))


def _numbers(x: np.ndarray) -> np.ndarray:
    """An array as NumPy knows it: bfloat16, which it writes as two bytes of no type, as float32."""
    if x.dtype.kind == "V" and x.dtype.itemsize == 2 and x.dtype.names is None:
        wide = np.ascontiguousarray(x).view(np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32)
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def _npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "it holds objects" if "allow_pickle" in str(error) else str(error).split("\n")[0].rstrip(".")
        raise ValueError(
            f"{path} cannot be read as a plain array: {reason}; save arrays of numbers, with np.save or np.savez."
        ) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is no .npy; name it .npz if it is an archive of arrays.")
    return array
