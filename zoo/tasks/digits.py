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

    Attributes:
      probe_images: images of the probe, held out, equally many of every class.
      shift: pixels; every training image moves by a whole number of pixels from -shift to shift in both directions.
      flip: probability of a left-right mirror image.
      crop: a window of side (1 - crop u) times the image's, u uniform in [0, 1), anywhere in it, is resized to it.
    """

    probe_images: int = setting(100, least=10, most=280)

    source = "digits"
    input_shape = (8, 8, 1)
    outputs = 10
    chance = 0.1
    solved = 0.95
    mean, deviation = (0.305,), (0.376,)
    train_size, test_size = 1438, 359
