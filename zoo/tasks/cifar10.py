"""CIFAR-10: photographs, 32 x 32 coloured pixels, 50,000 to train on and 10,000 to test (Krizhevsky 2009)."""

import dataclasses

from models import setting
from zoo.data import datasets
from zoo.data.datasets import Dataset
from zoo.tasks._images import Images


@dataclasses.dataclass(frozen=True)
class Task(Images):
    """Classification of photographs of animals and vehicles into 10 classes.

    Inputs `(trial, 32, 32, 3)`; the published test set is held out.

    Attributes:
      batches: training batches that are used, the first ones, of 10,000 images each.
    """

    probe_images: int = setting(100, least=10, most=2000)
    batches: int = setting(5, least=1, most=5)

    source = "cifar10"
    input_shape = (32, 32, 3)
    outputs = 10
    chance = 0.1
    solved = 0.6
    mean, deviation = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    test_size = 10_000

    @property
    def train_size(self) -> int:
        return 10_000 * self.batches

    def dataset(self) -> Dataset:
        return datasets.load(self.source, batches=self.batches)
