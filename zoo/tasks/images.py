"""Images of your own: an .npz file with `images`, uint8, and `labels`, integers; a part is held out at random."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models import Static, setting
from zoo.data import datasets
from zoo.data.datasets import Dataset
from zoo.tasks._images import Images

HELD_OUT_SEED = 0
"""Seed of the order in which images are held out."""
MOST_PROBED = 100
"""Images of the probe where the number is left open."""


@dataclasses.dataclass(frozen=True)
class Task(Images):
    """Classification of the images of a file into its classes, the labels 0 to the largest.

    Inputs `(trial, height, width, channel)`, of the images' own size; their scaling, the classes and the sizes of both
    parts follow from the file. Of every class the same share is held out, at least one image.

    Attributes:
      probe_images: here 0, the default, is as many as there are up to 100.
      file: path of the .npz file: `images`, `(image, height, width)` or `(image, height, width, 3)` uint8, and
        `labels`, `(image,)` integers. A member's id knows the path, not the content; a run refuses to go on with
        other content.
      test: share of every class that is held out.
      solved: accuracy that counts as solved.
    """

    probe_images: int = setting(0, least=0, most=2000)
    file: str = setting("")
    test: Static[float] = setting(0.2, above=0.0, below=1.0)
    solved: Static[float] = setting(0.9, above=0.0, most=1.0)

    def __post_init__(self) -> None:
        """Nothing is read: a zoo can be loaded where its images are not."""

    @property
    def _read(self) -> "Read":
        if not self.file:
            raise ValueError("images: the task needs a file, the path of an .npz: set file=... or --task.file PATH.")
        path = Path(self.file).expanduser().absolute()
        try:
            stat = os.stat(path)
        except OSError as error:
            raise ValueError(f"images: the file {path} cannot be read: {error.strerror}.") from None
        return _read_file(path, (stat.st_mtime_ns, stat.st_size), self.test)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        shape = self._read.dataset.train_images.shape[1:]
        return shape[0], shape[1], 3 if len(shape) == 3 else 1

    @property
    def outputs(self) -> int:
        return len(self._read.dataset.classes)

    @property
    def chance(self) -> float:
        return 1 / self.outputs

    @property
    def mean(self) -> tuple[float, ...]:
        return self._read.mean

    @property
    def deviation(self) -> tuple[float, ...]:
        return self._read.deviation

    @property
    def train_size(self) -> int:
        return len(self._read.dataset.train_labels)

    @property
    def test_size(self) -> int:
        return len(self._read.dataset.test_labels)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._read.dataset.classes

    @property
    def probed(self) -> int:
        smallest = int(np.bincount(self._read.dataset.test_labels).min())
        most = smallest * self.outputs
        if self.probe_images % self.outputs or self.probe_images > most:
            raise ValueError(
                f"images: probe_images={self.probe_images} must be a multiple of {self.outputs}, the number of classes "
                f"of {self.file}, and at most {most}."
            )
        return self.probe_images or self.outputs * max(1, min(smallest, MOST_PROBED // self.outputs))

    def dataset(self) -> Dataset:
        return self._read.dataset


class Read(NamedTuple):
    """What a file holds.

    Attributes:
      dataset: its images, in two parts.
      mean, deviation: per channel, of the training images' pixels, scaled to [0, 1].
    """

    dataset: Dataset
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@functools.lru_cache(maxsize=8)
def _read_file(path: Path, version: Any, test: float) -> Read:
    """The file of a version: read again when it was written again."""
    images, labels = datasets.checked_images(str(path), *_arrays(path))
    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() < 2:
        raise ValueError(
            f"{path}: there must be two classes or more, with two images or more each; found {len(counts)} and "
            f"{counts.min()} of class {counts.argmin()}."
        )
    order = datasets.shuffled(len(labels), HELD_OUT_SEED)
    held_out = np.zeros(len(labels), bool)
    for label, count in enumerate(counts):
        share = min(max(1, round(test * count)), count - 1)
        held_out[order[labels[order] == label][:share]] = True
    train, held_out = order[~held_out[order]], np.flatnonzero(held_out)
    classes = tuple(map(str, range(len(counts))))
    dataset = Dataset(images[train], labels[train], images[held_out], labels[held_out], classes)
    pixels = dataset.train_images.reshape(-1, 3 if images.ndim == 4 else 1)
    shares = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T]) / len(pixels)
    levels = np.arange(256)[None] / 255
    mean = np.sum(shares * levels, axis=1)
    deviation = np.sqrt(np.sum(shares * np.square(levels - mean[:, None]), axis=1))
    if not deviation.all():
        raise ValueError(f"{path}: the training images must differ from a blank; a channel has one level throughout.")
    return Read(dataset, tuple(mean.tolist()), tuple(deviation.tolist()))


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    arrays = datasets.read_npz(path)
    for name in ("images", "labels"):
        if name not in arrays:
            raise ValueError(f"{path} must hold `images` and `labels`; found no `{name}`.")
    return arrays["images"], arrays["labels"]
