"""The forms of files that recordings come in: one per file, each a module that says its suffixes and reads a file.

What every form is brought to is `Contents`; what an array of it is, a recording or what stands beside one, follows from
the stimuli that networks were shown, and is decided in `analysis.recordings`. A module has `SUFFIXES` and

    read(path: Path) -> Contents

which raises a ValueError of one sentence. Nothing is unpickled. A file that is put here is a form.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

__all__ = ["AXES", "Array", "Contents", "axis_called", "contents_of", "forms", "why"]

AXES = ("subject", "repeat", "stimulus", "time", "unit")
"""The axes of an array, in the order that they are brought to."""

CALLED = {
    "stimulus": ("stimuli", "image", "images", "condition", "conditions", "presentation", "pattern", "item", "object"),
    "unit": ("units", "neuron", "neurons", "neuroid", "cell", "voxel", "voxels", "channel", "sensor", "electrode"),
    "time": ("time_ms", "time_s", "time_bin", "time_bins", "times"),
    "subject": ("subjects", "participant", "participants"),
    "repeat": ("repeats", "repetition", "repetitions", "trial", "trials"),
}
"""Other names of axes, in files that name them."""

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


class Array(NamedTuple):
    """An array of a file, with what the file says of its axes.

    Attributes:
      values: numbers; of an RDM `(stimulus, stimulus)` or its upper triangle, row by row.
      axes: a name per axis, of `AXES` where it has such a meaning, else as the file has it; empty where it says none.
      labels: axis -> label -> one value per entry, `(length,)` each.
      is_rdm: the file says that these are dissimilarities.
      unit_of_time: "ms" or "s", "" where the file does not say.
    """

    values: np.ndarray
    axes: tuple[str, ...] = ()
    labels: Mapping[str, Mapping[str, np.ndarray]] = {}
    is_rdm: bool = False
    unit_of_time: str = ""


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
      arrays: name -> array that may be a recording; "" where the file holds one that has no name.
      loose: name -> `(length,)` numbers or texts that may be labels of an axis of any array.
      ignored: name -> why it was not read.
    """

    arrays: dict[str, Array]
    loose: dict[str, np.ndarray]
    ignored: dict[str, str]


def forms() -> dict[str, ModuleType]:
    """Suffix -> the module that reads it, in the order of the modules' names."""
    stems = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    modules = [importlib.import_module(f"{__name__}.{stem}") for stem in stems]
    return {suffix: module for module in modules for suffix in module.SUFFIXES}


def contents_of(path: Path) -> Contents:
    """Reads a file by the form that its suffix names.

    Raises:
      ValueError: one sentence: a pickle, another form, no such file, or one that cannot be read.
    """
    suffix, known = path.suffix.lower(), forms()
    if suffix in PICKLES:
        raise ValueError(
            f"{path} is a pickle, which can run code when it is opened; save its arrays with np.savez instead."
        )
    if suffix not in known:
        raise ValueError(f"{path} cannot be read as a recording; allowed: {', '.join(known)}.")
    if not path.exists():
        raise ValueError(f"There is no recording at {path}.")
    return known[suffix].read(path)


def axis_called(name: str) -> str:
    """The axis that a name means, of `AXES`, or the name as it is."""
    plain = name.strip().lower()
    return next((axis for axis, others in CALLED.items() if plain == axis or plain in others), name)


def why(error: Exception) -> str:
    """What a reader of another package stumbled over, in one line."""
    return f"{type(error).__name__}: {error}".split("\n")[0].rstrip(".")
