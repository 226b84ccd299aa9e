"""A zoo that the tests of the spec vary."""

from typing import Any

from models import gru, vanilla
from zoo import Training, Zoo, product
from zoo.tasks import flipflop


def small(**changes: Any) -> Zoo:
    """Five models, four settings, three seeds, with some of it replaced."""
    settings = dict(
        task=flipflop.Task(),
        model=product(vanilla.Model, hidden=[8, 16], activation=["tanh", "relu"]) + product(gru.Model, hidden=[8]),
        training=product(Training, learning_rate=[1e-3, 1e-2], l2=[0.0, 1e-5]),
        seeds=range(3),
    )
    return Zoo("small", **{**settings, **changes})
