"""How a member is trained: the section `training` of a spec."""

import dataclasses
import math
from typing import Any, ClassVar

from models import off, setting, since

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "exponential")
MOST_STEPS = 2**31 - 1
"""What a program counts up to."""
MOST_SEED = 2**32 - 1
"""A key is made of 32 bits: of a larger seed it would be that of a smaller one."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How a member is trained.

    Attributes:
      learning_rate: peak step size.
      optimizer: "adam", "adamw" (L2 becomes decoupled weight decay) or "sgd" (with momentum).
      momentum: of "sgd", as in v <- momentum v + g.
      schedule: multiplier of the learning rate over the steps, from 1 to `final`: "constant", "cosine", "linear" or
        "exponential".
      final: the multiplier at the last step of a schedule that is not constant.
      warmup: steps over which the multiplier first rises linearly to 1.
      steps: optimisation steps.
      horizon: steps after which a member stops before that; 0 is off. Members of one cohort may stop after other
        numbers of steps; schedules run over `steps` all the same.
      batch: trials per step.
      l2: coefficient of the sum of squared weights (arrays of two axes or more; not biases) in the loss.
      rate_l2: coefficient of the mean squared activation over all layers in the loss; 0 is off.
      recurrent_l1: coefficient of the sum of the sizes of all recurrent weights in the loss; 0 is off.
      recurrent_nuclear: coefficient of the nuclear norm of the recurrent weights, the sum of their singular values, in
        the loss; 0 is off.
      clip: largest global norm of the gradient; 0 is off.
      data: "own": each member draws its own stream from its seed; "shared": all members see one stream, from
        `data_seed`.
      data_seed: the seed of the shared stream.
      target: score on the evaluation set at which a member stops; 0 is off.
      evaluate_every: steps between evaluations; 0 chooses it so that evaluations cost at most 2 % of the steps.
      precision: of matrix products: "highest" (float32 everywhere), "high" or "default" (TF32 / bfloat16 passes).
      snapshots: steps, ascending, whose checkpoints are kept for good and read with `at=step`, such as
        `log_spaced(1000, 10)`; members that have stopped before stand in them as they stopped.
      score_levels: scores, ascending, such as `(0.5, 0.9)`: of every member the parameters are kept as they were at the
        first evaluation at which it scored at least as much, and read with `at="score=0.5"`.
    """

    learning_rate: float = setting(1e-3, above=0)
    optimizer: str = setting("adam", choices=OPTIMIZERS)
    momentum: float = setting(0.9, least=0, below=1)
    schedule: str = setting("constant", choices=SCHEDULES)
    final: float = setting(0.01, above=0, most=1)
    warmup: int = setting(0, least=0)
    steps: int = setting(1000, above=0, most=MOST_STEPS)
    batch: int = setting(64, above=0)
    l2: float = setting(0.0, least=0)
    rate_l2: float = off(0.0)
    clip: float = off(0.0)
    data: str = setting("own", choices=("own", "shared"))
    data_seed: int = setting(0, least=0, most=MOST_SEED)
    target: float = off(0.0)
    evaluate_every: int = setting(0, least=0)
    precision: str = setting("highest", choices=("highest", "high", "default"))
    snapshots: tuple[int, ...] = since(())
    score_levels: tuple[float, ...] = since(())
    recurrent_l1: float = since(off(0.0))
    recurrent_nuclear: float = since(off(0.0))
    horizon: float = since(off(0.0))

    former: ClassVar[dict[str, Any]] = {"rule": "bptt"}
    """Fields that the class had once: they stay in ids and JSON. The rule is a section of its own now."""

    @property
    def decays(self) -> bool:
        """Whether `l2` shrinks every weight at each step, whatever its gradient, instead of being part of the loss."""
        return self.optimizer == "adamw"

    @property
    def hint(self) -> str:
        """What is allowed and probably not meant, as a sentence; "" where there is nothing."""
        if self.warmup > self.steps:
            return (
                f"Training.warmup is {self.warmup} and there are {self.steps} steps: the learning rate stays below "
                f"{self.steps / self.warmup:.2g} of what it is said to be."
            )
        if self.horizon > self.steps:
            return f"Training.horizon is {self.horizon:g}, beyond the {self.steps} steps: it stops nothing."
        return ""

    def __post_init__(self) -> None:
        if not _ascends(self.score_levels, int | float):
            raise ValueError(f"Training.score_levels is {self.score_levels!r}; it must be ascending scores.")
        if not _ascends(self.snapshots, int, least=1):
            raise ValueError(f"Training.snapshots is {self.snapshots!r}; it must be ascending steps from 1 on.")


def _ascends(values: Any, kind: Any, least: float = -math.inf) -> bool:
    """Whether each value is above the one before, and none below `least`. True of what is no list of this kind: whoever
    makes it canonical says so."""
    if not isinstance(values, list | tuple) or not all(isinstance(value, kind) for value in values):
        return True
    return list(values) == sorted({value for value in values if not value < least})


def log_spaced(last: int, count: int) -> tuple[int, ...]:
    """`count` steps from 1 to `last`, as evenly spaced in the logarithm as whole numbers can be, for `snapshots`."""
    if not 1 <= count <= last:
        raise ValueError(f"log_spaced({last}, {count}): the count must be from 1 to {last}.")
    steps: list[int] = []
    for i in range(count):
        wanted = round(last ** (i / max(count - 1, 1))) if count > 1 else last
        steps.append(max(wanted, steps[-1] + 1 if steps else 1))
    return tuple(min(step, last - (count - 1 - i)) for i, step in enumerate(steps))


def score_level(at: str | int) -> float | None:
    """The score that a moment such as "score=0.5" names; None of every other moment."""
    if not isinstance(at, str) or not at.startswith("score="):
        return None
    try:
        return float(at.removeprefix("score="))
    except ValueError:
        raise ValueError(f"at is {at!r}; a score level is a number, as in 'score=0.5'.") from None
