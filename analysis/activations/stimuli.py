"""Stimuli from a file: images that networks are shown beside those of their task, and what is known of each."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.data.datasets import check_images, read_npz

__all__ = ["Stimuli", "read_stimuli"]

MOST_STIMULI = 2000
"""Images of a probe: more at once would need gigabytes in a large network."""


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
    check_images(f"The probe {path}", images)
    if not 2 <= len(images) <= MOST_STIMULI:
        raise ValueError(f"The probe {path} has {len(images)} images; it must have from 2 to {MOST_STIMULI}.")
    return Stimuli(images, conditions, re.sub(r"[^\w.-]+", "_", path.stem))


def _npz(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    arrays = read_npz(path)
    if "images" not in arrays and len(arrays) != 1:
        held = ", ".join(arrays) or "none"
        raise ValueError(f"{path} must hold an array called images, or one array only; its arrays: {held}.")
    images = arrays.pop("images" if "images" in arrays else next(iter(arrays)))
    conditions = {name: x for name, x in arrays.items() if x.shape == images.shape[:1]}
    for name in conditions:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"A condition of {path} is called {name!r}; it must be letters, digits, '_', '-' or '.'.")
    return images, conditions


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
        raise ValueError(
            f"{path} is not the supplement of Kriegeskorte et al. (2008), "
            f"Kriegeskorte_Neuron2008_supplementalData.mat ({why})."
        ) from None
    animate = conditions.pop("animal") | conditions["human"]
    return images, {"animate": animate, **conditions, "category": category, "object": np.arange(len(images))}
