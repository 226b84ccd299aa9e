"""Handwritten digits, 8 x 8 pixels: the embedded image task, which needs no download.

Scikit-learn's packaged test set of the UCI optical digits (Alpaydin & Kaynak 1998): 1797 images, split at random.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import setting
from zoo import datasets
from zoo.tasks import Trials

CLASSES = 10
IMAGES = 1797
TRAIN = round(0.8 * IMAGES)
SPLIT = 0
"""Seed of the split. The set is stored writer by writer: its last fifth, tested on the rest, costs 4 % accuracy."""
MEAN, DEVIATION = 0.305, 0.376
"""Of the training images' pixels, scaled to [0, 1]."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Classification of handwritten digits into 10 classes.

    Inputs `(trial, 8, 8, 1)`, pixels scaled to [0, 1] and then to mean 0 and variance 1 over the training set; targets
    `(trial,)`, the class, int32; mask of ones `(trial,)`. Condition: `label`, the class.
    A minibatch is drawn without replacement within an epoch of the 1438 training images; 359 are held out.

    Attributes:
      probe_images: images of the probe, held out, equally many of every class.
    """

    probe_images: int = setting(100, least=CLASSES, most=280)

    input_shape = (8, 8, 1)
    outputs = CLASSES
    dt = 0.0
    chance = 1 / CLASSES
    solved = 0.95

    def __post_init__(self) -> None:
        if self.probe_images % CLASSES:
            raise ValueError(
                f"digits: probe_images={self.probe_images} must be a multiple of {CLASSES}, the number of classes."
            )

    def data(self) -> dict[str, np.ndarray]:
        """`images`, `(1797, 8, 8)` uint8, and `labels`, `(1797,)` int32: first the training images, then the others.

        The held-out images are dealt class by class, so that their first 10 k hold k of every class.
        """
        images, labels = datasets.digits()
        train, test = datasets.split(IMAGES, TRAIN / IMAGES, SPLIT)
        place = np.zeros(len(test), int)
        for label in range(CLASSES):
            place[labels[test] == label] = np.arange(np.sum(labels[test] == label))
        order = np.concatenate([train, test[np.lexsort((labels[test], place))]])
        return {"images": images[order], "labels": labels[order]}

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """Minibatch `step` of the training images."""
        return self._trials(datasets.epoch_indices(key, step, batch, TRAIN), data)

    def _trials(self, index: Any, data: Any) -> Trials:
        data = self.data() if data is None else data
        images, labels = jnp.asarray(data["images"])[index], jnp.asarray(data["labels"])[index]
        # A table of the 256 levels: the same bits on every device, however it would divide.
        levels = jnp.asarray((np.arange(256) / 255 - MEAN) / DEVIATION, jnp.float32)
        inputs = levels[images][..., None]
        return Trials(inputs, labels, jnp.ones(labels.shape), {"label": labels})

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Cross entropy, nats, masked mean over trials; `outputs` are logits `(trial, 10)`."""
        chosen = jax.nn.log_softmax(outputs) * jax.nn.one_hot(trials.targets, CLASSES)
        return -jnp.sum(jnp.sum(chosen, axis=-1) * trials.mask) / jnp.sum(trials.mask)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Accuracy: the masked share of trials whose largest output is that of the class."""
        right = jnp.argmax(outputs, axis=-1) == trials.targets
        return jnp.sum(right * trials.mask) / jnp.sum(trials.mask)

    def evaluation(self, data: Any = None) -> Trials:
        """All held-out images."""
        return self._trials(np.arange(TRAIN, IMAGES), data)

    def probe(self, data: Any = None) -> Trials:
        """The first held-out images of every class, class by class."""
        dealt = np.arange(TRAIN, TRAIN + self.probe_images)
        return self._trials(dealt.reshape(-1, CLASSES).T.reshape(-1), data)
