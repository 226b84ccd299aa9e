"""The grid of Maheswaranathan et al. (2019), Universality and individuality in neural dynamics across large populations
of recurrent networks: four cells, two activations, widths, and L2 penalties, on one task.

The study's learning rates, schedules, initial weights and numbers of seeds and steps are not known to us. Those here
are ours, chosen so that nearly all networks solve their task:

- LSTMs start with recurrent weights of a quarter of the usual scale, and with forget gates nearly open (bias 3; Tallec
  & Ollivier 2018 start them by the time to be remembered). At scale 1 and bias 1, and at every learning rate and clip
  that was tried, half and more of the LSTMs with ReLU diverged in their first steps: where c decays fast, they learn to
  remember by growing, growth opens the gates, and within a trial c passes all bounds.
- Vanilla networks train twice as long on two of the tasks, and start there with recurrent weights of .9 of the usual
  scale: at 1, two of eight with ReLU and 64 units missed the criterion of the sine wave, at .9 none of eight.
"""

from typing import Any

from models import gru, lstm, ugrnn, vanilla
from zoo.spec.axes import product
from zoo.spec.settings import Training
from zoo.spec.zoo import Zoo

WIDTHS = (32, 64)
"""The study's are 64, 128 and 256."""

L2_PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3)

LSTM_START = {"gain": 0.25, "forget_bias": 3.0}
"""Of both activations, so that a difference between them is not one of initial weights."""


def universality(
    name: str,
    task: Any,
    *,
    steps: int,
    learning_rate: float,
    seeds: int = 2,
    vanilla_steps: int | None = None,
    vanilla_gain: float = 1.0,
) -> Zoo:
    """cell x activation x width x L2, with seeds of its own for every penalty.

    Networks that share a seed start alike and see the same trials. A penalty is a traced field: with the same seeds,
    neighbouring penalties would be near copies of one network and no independent evidence in a test over them.

    Args:
      name: of the zoo.
      task: one.
      steps: of training.
      learning_rate: at the first step.
      seeds: networks of each kind.
      vanilla_steps: of training of vanilla networks, where theirs are others.
      vanilla_gain: factor on their initial recurrent weights.
    """
    plain, gated = _models(vanilla, gain=vanilla_gain), _models(ugrnn) + _models(gru) + _models(lstm, **LSTM_START)
    zoos = [
        Zoo(
            name,
            task=task,
            model=models,
            training=Training(learning_rate=learning_rate, l2=l2, steps=many, batch=32, clip=1.0, schedule="cosine"),
            seeds=range(1000 * i, 1000 * i + seeds),
        )
        for models, many in ((plain, vanilla_steps or steps), (gated, steps))
        for i, l2 in enumerate(L2_PENALTIES)
    ]
    return sum(zoos[1:], start=zoos[0])


def _models(cell: Any, **start: float) -> list[Any]:
    return product(cell.Model, activation=["tanh", "relu"], hidden=list(WIDTHS), **start)
