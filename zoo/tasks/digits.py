"""Handwritten digits, 8 x 8 pixels: the embedded image task, which needs no download.

Scikit-learn's packaged test set of the UCI optical digits (Alpaydin & Kaynak 1998): 1797 images, split at random.
"""

import dataclasses

from models import setting
from zoo.tasks._images import Images


@dataclasses.dataclass(frozen=True)
class Task(Images):
    """Classification of handwritten digits into 10 classes.

    Inputs `(trial, 8, 8, 1)`; 1438 training images, 359 held out.
    """

    probe_images: int = setting(100, least=10, most=280)

    source = "digits"
    input_shape = (8, 8, 1)
    outputs = 10
    chance = 0.1
    solved = 0.95
    mean, deviation = (0.305,), (0.376,)
    train_size, test_size = 1438, 359
