"""Stimuli from a file: images, or inputs over time, that networks are shown instead of those of their task."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.formats import Contents, contents_of, forms
from zoo.data.datasets import check_images

__all__ = ["INPUTS_SHOWN", "Stimuli", "read_stimuli"]

MOST_STIMULI = 2000
"""Stimuli of a probe: more at once would need gigabytes in a large network."""

IMAGES, INPUTS = "images", "inputs"

INPUTS_SHOWN = (IMAGES, INPUTS)
"""Arrays that hold what was shown, in a file that may hold what was recorded, too."""


class Stimuli(NamedTuple):
    """Stimuli to represent; every task that takes images scales them to its own inputs.

    Attributes:
      images: `(stimulus, height, width)` or `(stimulus, height, width, 3)`, uint8; None where there are inputs.
      conditions: name -> one label per stimulus.
      name: what the probe is called in file names.
      inputs: `(stimulus, time, input)`, as a task over time has them, at its own time step; None for images.
    """

    images: np.ndarray | None
    conditions: dict[str, np.ndarray]
    name: str = "stimuli"
    inputs: np.ndarray | None = None


def read_stimuli(path: str | os.PathLike[str]) -> Stimuli:
    """Stimuli of a file; their name is that of the file.

    A file, in any form of `analysis.formats`, holds `images` or `inputs`, or one array only, of images; what labels its
    stimuli, and each other array with one entry per stimulus, is a condition. A `.mat` may be the supplement of
    Kriegeskorte et al. (2008, Neuron 60:1126): 92 objects whose conditions are animate (human or animal), human, face,
    natural, category and the object's index.

    Raises:
      ValueError: no such file, or none of this content.
    """
    path = Path(path)
    if path.suffix.lower() not in forms():
        raise ValueError(
            f"The probe {path} must be a file of images or inputs ({', '.join(forms())}), such as an .npz, or the .mat "
            "of Kriegeskorte et al. (2008)."
        )
    if not path.exists():
        raise ValueError(f"There is no probe at {path}.")
    name = re.sub(r"[^\w.-]+", "_", path.stem)
    if path.suffix.lower() == ".mat" and (objects := _objects(path)) is not None:
        shown, conditions, key = *objects, IMAGES
    else:
        shown, conditions, key = _of_contents(path, contents_of(path))
    if not 2 <= len(shown) <= MOST_STIMULI:
        raise ValueError(f"The probe {path} has {len(shown)} {key}; it must have from 2 to {MOST_STIMULI}.")
    if key == INPUTS:
        if shown.ndim != 3 or not np.isfinite(shown).all():
            raise ValueError(
                f"The inputs of {path} have shape {shown.shape}; they must be finite numbers, (stimulus, time, input)."
            )
        return Stimuli(None, conditions, name, shown.astype(np.float32))
    check_images(f"The probe {path}", shown)
    return Stimuli(shown, conditions, name)


def _of_contents(path: Path, contents: Contents) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """What is shown, its conditions, and whether it is images or inputs."""
    wide = [name for name, array in contents.arrays.items() if array.values.ndim > 1]
    key = next((name for name in INPUTS_SHOWN if name in wide), wide[0] if len(wide) == 1 else None)
    if key is None:
        held = ", ".join(wide) or "none"
        raise ValueError(f"{path} must hold an array called images or inputs, or one array only; its arrays: {held}.")
    array = contents.arrays[key]
    labels = {**contents.loose, **(array.labels.get(array.axes[0], {}) if array.axes else {})}
    conditions = {name: np.asarray(x) for name, x in labels.items() if x.shape == array.values.shape[:1]}
    for name in conditions:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"A condition of {path} is called {name!r}; it must be letters, digits, '_', '-' or '.'.")
    return array.values, conditions, INPUTS if key == INPUTS else IMAGES


def _objects(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """The 92 objects, None of another file."""
    from scipy.io import loadmat

    flags = ("animal", "human", "face", "natural")
    try:
        objects: Any = loadmat(path, squeeze_me=True, variable_names=["stimuli_92objs"])["stimuli_92objs"]
        images = np.stack(list(objects["image"]))
        conditions = {flag: objects[flag].astype(int) for flag in flags}
        category = np.array([str(name) for name in objects["category"]])
    except Exception:  # scipy raises whatever it stumbles over; what else the file may be is then read
        return None
    animate = conditions.pop("animal") | conditions["human"]
    return images, {"animate": animate, **conditions, "category": category, "object": np.arange(len(images))}
