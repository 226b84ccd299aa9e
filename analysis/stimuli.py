"""Stimuli from a file: images that networks are shown beside those of their task, and what is known of each."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Stimuli", "read_stimuli"]


class Stimuli(NamedTuple):
    """Images to represent; every task that takes images scales them to its own inputs.

    Attributes:
      images: `(stimulus, height, width)` or `(stimulus, height, width, 3)`, uint8.
      conditions: name -> one label per stimulus.
      name: what the probe is called in file names.
    """

    images: np.ndarray
    conditions: dict[str, np.ndarray]
    name: str = "stimuli"


def read_stimuli(path: str | os.PathLike[str]) -> Stimuli:
    """Stimuli of a file; their name is that of the file.

    An `.npz` holds `images`, or one array of images; each other array with one entry per image is a condition. A
    `.mat` is the supplement of Kriegeskorte et al. (2008, Neuron 60:1126): 92 objects whose conditions are animate
    (human or animal), human, face, natural, category and the object's index.

    Raises:
      ValueError: no such file, or none of this content.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".mat"):
        raise ValueError(f"The probe {path} must be an .npz of images, or the .mat of Kriegeskorte et al. (2008).")
    if not path.is_file():
        raise ValueError(f"There is no probe at {path}.")
    images, conditions = _npz(path) if path.suffix == ".npz" else _mat(path)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)):
        shape = f"{images.dtype} of shape {images.shape}"
        raise ValueError(f"The images of {path} are {shape}; they must be uint8, (image, height, width) or (..., 3).")
    if len(images) < 2:
        raise ValueError(f"The probe {path} has {len(images)} images; it must have at least 2.")
    return Stimuli(images, conditions, re.sub(r"[^\w.-]+", "_", path.stem))


def _npz(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable .npz of plain arrays ({error}).") from None
    if "images" not in arrays and len(arrays) != 1:
        held = ", ".join(arrays) or "none"
        raise ValueError(f"{path} must hold an array called images, or one array only; its arrays: {held}.")
    images = arrays.pop("images" if "images" in arrays else next(iter(arrays)))
    return images, {name: x for name, x in arrays.items() if x.shape == images.shape[:1]}


def _mat(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    from scipy.io import loadmat

    flags = ("animal", "human", "face", "natural")
    try:
        objects: Any = loadmat(path, squeeze_me=True, variable_names=["stimuli_92objs"])["stimuli_92objs"]
        images = np.stack(list(objects["image"]))
        conditions = {flag: objects[flag].astype(int) for flag in flags}
        category = np.array([str(name) for name in objects["category"]])
    except Exception as error:  # scipy raises whatever it stumbles over
        why = f"{type(error).__name__}: {error}".split("\n")[0]
        raise ValueError(f"{path} is not the supplement of Kriegeskorte et al. (2008) ({why}).") from None
    animate = conditions.pop("animal") | conditions["human"]
    return images, {"animate": animate, **conditions, "category": category, "object": np.arange(len(images))}
