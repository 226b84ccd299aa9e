"""How a member is trained: the section `training` of a spec."""

import dataclasses
from typing import Any, ClassVar

from models import off, setting

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "exponential")


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
      batch: trials per step.
      l2: coefficient of the sum of squared weights (arrays of two axes or more; not biases) in the loss.
      rate_l2: coefficient of the mean squared activation over all layers in the loss; 0 is off.
      clip: largest global norm of the gradient; 0 is off.
      data: "own": each member draws its own stream from its seed; "shared": all members see one stream, from
        `data_seed`.
      data_seed: the seed of the shared stream.
      target: score on the evaluation set at which a member stops; 0 is off.
      evaluate_every: steps between evaluations; 0 chooses it so that evaluations cost at most 2 % of the steps.
      precision: of matrix products: "highest" (float32 everywhere), "high" or "default" (TF32 / bfloat16 passes).
    """

    learning_rate: float = setting(1e-3, above=0)
    optimizer: str = setting("adam", choices=OPTIMIZERS)
    momentum: float = setting(0.9, least=0, below=1)
    schedule: str = setting("constant", choices=SCHEDULES)
    final: float = setting(0.01, above=0, most=1)
    warmup: int = setting(0, least=0)
    steps: int = setting(1000, above=0)
    batch: int = setting(64, above=0)
    l2: float = setting(0.0, least=0)
    rate_l2: float = off(0.0)
    clip: float = off(0.0)
    data: str = setting("own", choices=("own", "shared"))
    data_seed: int = setting(0, least=0)
    target: float = off(0.0)
    evaluate_every: int = setting(0, least=0)
    precision: str = setting("highest", choices=("highest", "high", "default"))

    former: ClassVar[dict[str, Any]] = {"rule": "bptt"}
    """Fields that the class had once: they stay in ids and JSON. The rule is a section of its own now."""
