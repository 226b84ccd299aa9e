"""Fashion-MNIST: clothes, 28 x 28 grey pixels, 60,000 to train on and 10,000 to test (Xiao et al. 2017)."""

import dataclasses

from models import setting
from zoo.tasks._images import Images


@dataclasses.dataclass(frozen=True)
class Task(Images):
    """Classification of pictures of clothes into 10 classes.

    Inputs `(trial, 28, 28, 1)`; the published test set is held out.
    """

    probe_images: int = setting(100, least=10, most=2000)

    source = "fashion_mnist"
    input_shape = (28, 28, 1)
    outputs = 10
    chance = 0.1
    solved = 0.88
    mean, deviation = (0.2860,), (0.3530,)
    train_size, test_size = 60_000, 10_000
