"""Whether a task and a model fit together, and how large what they train is: traced, never run or compiled."""

import functools
import math
from typing import Any

import flax.errors
import jax

from zoo import lookup
from zoo.spec.cohorts import Cohort
from zoo.spec.fields import label
from zoo.spec.settings import Training
from zoo.training.binding import bound_model
from zoo.training.optimizers import optimizer_of

Shapes = Any
"""A nested dict of `jax.ShapeDtypeStruct`."""

_MISFIT = (ValueError, TypeError, IndexError, ZeroDivisionError, flax.errors.FlaxError)


def check(cohort: Cohort) -> None:
    """Refuse a cohort whose parts do not fit together, before anything is compiled or written."""
    member = cohort.members[0]
    lookup.find("rule", member.training.rule)
    variables_of(member.task, member.model)


def state_bytes(cohort: Cohort) -> int:
    """Bytes of one member's `zoo.training.program.State`."""
    task, model, training = cohort.members[0][1:4]
    variables = variables_of(task, model)
    scalars = 7 * 4  # step, status, two losses, train_loss, loss, score
    return _bytes(variables) + _optimizer_bytes(variables["params"], training) + scalars


@functools.lru_cache(maxsize=4096)
def variables_of(task: Any, model: Any) -> Shapes:
    """The variables of a model on a task: "params" and, where there are any, "batch_stats".

    One trace serves all cohorts of this task and model, whatever their training.

    Raises:
      ValueError: the model cannot be trained on the task.
    """
    task.data()  # says itself what is wrong with a file

    def forward(trials: Any) -> tuple[Any, Any]:
        (outputs, _), variables = bound_model(model, task).init_with_output(
            {"params": jax.random.key(0)}, trials.inputs
        )
        return (task.loss(outputs, trials), task.score(outputs, trials)), variables

    try:
        return jax.eval_shape(forward, _trials(task))[1]
    except _MISFIT as error:
        why = str(error).strip().split("\n")[0]
        raise ValueError(f"{label(model)} cannot be trained on {label(task)}: {why}") from None


@functools.lru_cache(maxsize=256)
def _trials(task: Any) -> Any:
    """The shapes of a task's evaluation set."""
    return jax.eval_shape(task.evaluation, task.data())


def _optimizer_bytes(params: Shapes, training: Training) -> int:
    return _bytes(jax.eval_shape(optimizer_of(training).init, params))


def _bytes(tree: Shapes) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
