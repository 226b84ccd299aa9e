"""The grid of Maheswaranathan et al. (2019), Universality and individuality in neural dynamics across large populations
of recurrent networks: four cells, two activations, widths, and L2 penalties, on one task.

The study's learning rates, schedules, initial weights and numbers of seeds and steps are not known to us. Those here
are ours, chosen so that nearly all networks solve their task:

- LSTMs start with recurrent weights of a quarter of the usual scale, and with forget gates nearly open (bias 3; Tallec
  & Ollivier 2018 start them by the time to be remembered). At scale 1 and bias 1, and at every learning rate and clip
  that was tried, half and more of the LSTMs with ReLU diverged in their first steps: where c decays fast, they learn to
  remember by growing, growth opens the gates, and within a trial c passes all bounds.
- Vanilla networks train for 3,000 steps on the sine wave: all of 8 with ReLU and 32 units, and all of 8 with 64, then
  solve it. After 2,000, six of 8 with 64 units did, and four of 8 with 32 that started with recurrent weights of .9 of
  the usual scale (of which six did after 3,000). On context-dependent integration they train for 2,000 and start so.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from models import gru, lstm, ugrnn, vanilla
from zoo.spec.axes import product
from zoo.spec.settings import Training
from zoo.spec.zoo import Zoo
from zoo.tasks import context, flipflop, sine

WIDTHS = (32, 64)
"""The study's are 64, 128 and 256."""

L2_PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3)

LSTM_START = {"gain": 0.25, "forget_bias": 3.0}
"""Of both activations, so that a difference between them is not one of initial weights."""


class Settings(NamedTuple):
    """How the networks of one task are trained.

    Attributes:
      task: it.
      steps: of training.
      vanilla_steps: of vanilla networks.
      vanilla_gain: factor on their initial recurrent weights.
    """

    task: Any
    steps: int
    vanilla_steps: int
    vanilla_gain: float


TASK_SETTINGS = {
    "flipflop": Settings(flipflop.Task(bits=3), 1000, 1000, 1.0),
    "sine": Settings(sine.Task(), 1000, 3000, 1.0),
    "context": Settings(context.Task(), 1000, 2000, 0.9),
}


def universality(name: str, widths: Sequence[int] = WIDTHS, seeds: int = 2) -> Zoo:
    """cell x activation x width x L2 on one task, with seeds of its own for every penalty.

    Networks that share a seed start alike and see the same trials. A penalty is a traced field: with the same seeds,
    neighbouring penalties would be near copies of one network and no independent evidence in a test over them.

    Args:
      name: of the task.
      widths: units.
      seeds: networks of each kind.
    """
    settings = TASK_SETTINGS[name]
    plain = _models(vanilla, widths, gain=settings.vanilla_gain)
    gated = _models(ugrnn, widths) + _models(gru, widths) + _models(lstm, widths, **LSTM_START)
    zoos = [
        Zoo(
            name,
            task=settings.task,
            model=models,
            training=Training(learning_rate=2e-3, l2=l2, steps=steps, batch=32, clip=1.0, schedule="cosine"),
            seeds=range(1000 * i, 1000 * i + seeds),
        )
        for models, steps in ((plain, settings.vanilla_steps), (gated, settings.steps))
        for i, l2 in enumerate(L2_PENALTIES)
    ]
    return sum(zoos[1:], start=zoos[0])


def _models(cell: Any, widths: Sequence[int], **start: float) -> list[Any]:
    return product(cell.Model, activation=["tanh", "relu"], hidden=list(widths), **start)
