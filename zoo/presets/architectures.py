"""256 different convolutional networks on digits, two seeds each, in the spirit of Yamins et al. (2014): 512 members.

    python run_zoo.py run architectures --out zoos/architectures
    python run_zoo.py run architectures --task mnist --out zoos/architectures-mnist

Two CPU cores, empty compilation cache: 26 minutes, of which training 21; tracing and compiling 256 programs, beside
training, takes 39 core-minutes. Expected: 64 % reach .95 test accuracy, median .967; category structure rises from
first to last layer in 463 of 496 trained networks, .26 to .47, and falls in 474 untrained ones, .25 to .05.

Depth 1 to 6; channels, kernels, pooling, normalisation, activation and the dense layer are drawn at random. Every
architecture fits maps of 8 x 8, so that the same 256 can be trained on every image set.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from models import cnn
from zoo import Training, Zoo
from zoo.tasks import digits

COUNT = 256
SMALLEST = 8
"""Width and height of the smallest images: 8 x 8 digits."""


def architecture(words: Iterator[int]) -> cnn.Model:
    """A network drawn by random 64-bit words; its kernels and pooling fit its maps down to images of 8 x 8."""

    def one(*choices: Any) -> Any:
        return choices[next(words) % len(choices)]

    depth, size, width = one(1, 2, 3, 4, 5, 6), SMALLEST, one(8, 16)
    channels, kernels, pools = [], [], []
    for _ in range(depth):
        channels.append(width)
        kernels.append(one(*(k for k in (1, 3, 5) if k <= size)))
        pools.append(one(1, 2, 2) if size > 2 else 1)
        size, width = size // pools[-1], min(64, width * one(1, 2))
    return cnn.Model(
        channels=tuple(channels),
        kernel=tuple(kernels),
        pool=tuple(pools),
        pooling=one("max", "mean"),
        dense=one((), (32,), (64,)),
        activation=one("relu", "elu", "tanh", "softplus"),
        normalization=one("none", "layer", "batch", "divisive"),
    )


def architectures(count: int, key: int) -> list[cnn.Model]:
    """Different networks, the same ones for the same key with every NumPy: the raw words of Philox never change."""
    generator = np.random.Philox(key=key)
    words = (int(generator.random_raw()) for _ in itertools.count())
    distinct: dict[cnn.Model, None] = {}
    while len(distinct) < count:
        distinct[architecture(words)] = None
    return list(distinct)


zoo = Zoo(
    "architectures",
    task=digits.Task(),
    model=architectures(COUNT, key=0),
    training=Training(learning_rate=2e-3, steps=600, batch=64, schedule="cosine"),
    seeds=2,
)
