"""The grid of Maheswaranathan et al. (2019), Universality and individuality in neural dynamics across large populations
of recurrent networks: four cells, two activations, widths, and L2 penalties, on one task.
"""

from typing import Any

from models import gru, lstm, ugrnn, vanilla
from zoo.spec.axes import product
from zoo.spec.settings import Training
from zoo.spec.zoo import Zoo

WIDTHS = (32, 64)
"""The study's are 64, 128 and 256."""

L2_PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3)


def universality(name: str, task: Any, *, steps: int, learning_rate: float, seeds: int = 2) -> Zoo:
    """cell x activation x width x L2, with seeds of its own for every penalty.

    Networks that share a seed start alike and see the same trials. A penalty is a traced field: with the same seeds,
    neighbouring penalties would be near copies of one network and no independent evidence in a test over them.
    """
    models = []
    for cell in (vanilla, ugrnn, gru, lstm):
        models += product(cell.Model, activation=["tanh", "relu"], hidden=list(WIDTHS))
    zoos = [
        Zoo(
            name,
            task=task,
            model=models,
            training=Training(learning_rate=learning_rate, l2=l2, steps=steps, batch=32, clip=1.0, schedule="cosine"),
            seeds=range(1000 * i, 1000 * i + seeds),
        )
        for i, l2 in enumerate(L2_PENALTIES)
    ]
    return sum(zoos[1:], start=zoos[0])
