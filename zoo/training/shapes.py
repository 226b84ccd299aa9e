"""Whether task, model, rule and training fit together, and how large a state is: traced, never run or compiled."""

import functools
import math
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp

from zoo.rules import TUNABLE
from zoo.spec.cohorts import Cohort
from zoo.spec.encoding import default_rule
from zoo.spec.fields import fields_of, label
from zoo.spec.settings import Training
from zoo.tasks import is_environment
from zoo.training.acting import rollout
from zoo.training.binding import bound_model, floats_of
from zoo.training.optimizers import optimizer_of
from zoo.training.program import program_of

Shapes = Any
"""A nested dict of `jax.ShapeDtypeStruct`."""

_TAKEN = {"trials": "a task of trials", "environment": "an environment, which answers to what the network does"}

_MISFIT = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    ZeroDivisionError,
    flax.errors.FlaxError,
)


def check(cohort: Cohort) -> None:
    """Refuse a cohort whose parts do not fit together, before anything is compiled or written."""
    task, model, training, rule = cohort.members[0].parts
    given = "environment" if is_environment(task) else "trials"
    if rule.takes != given:
        raise ValueError(f"{label(rule)} learns from {_TAKEN[rule.takes]}, and {label(task)} is {_TAKEN[given]}.")
    if why := rule.fits(model, task):
        raise ValueError(f"{label(rule)} cannot train {label(model)} on {label(task)}: {why}.")
    if training.snapshots and training.snapshots[-1] > training.steps:
        raise ValueError(
            f"Training.snapshots has step {training.snapshots[-1]}; the last that is trained is {training.steps}."
        )
    known = fields_of(Training)
    for one in {id(member.training): member.training for member in cohort.members}.values():  # its floats differ
        for name in (name for name in TUNABLE if name not in rule.uses):
            if (value := getattr(one, name)) != known[name].default:
                raise ValueError(
                    f"{label(rule)} does not read Training.{name}, which is {value!r}; leave it at its default, "
                    f"{known[name].default!r}."
                )
    variables_of(task, model)
    if rule != default_rule():
        _state(cohort)


def state_bytes(cohort: Cohort) -> int:
    """Bytes of one member's `zoo.training.program.State`."""
    task, model, training, rule = cohort.members[0].parts
    if rule != default_rule():
        return _bytes(_state(cohort))
    variables = variables_of(task, model)
    scalars = 7 * 4  # step, status, two losses, train_loss, loss, score
    evolving = {name: of for name, of in variables.items() if name != "constants"}
    reached = len(training.score_levels) * (_bytes(evolving) + 4)
    return _bytes(variables) + _optimizer_bytes(variables["params"], training) + scalars + reached


@functools.lru_cache(maxsize=4096)
def variables_of(task: Any, model: Any) -> Shapes:
    """The variables of a model on a task: "params" and, where there are any, "batch_stats" and "constants".

    One trace serves all cohorts of this task and model, whatever their training.

    Raises:
      ValueError: the model cannot be trained on the task.
    """
    task.data()  # says itself what is wrong with a file

    def forward(trials: Any) -> tuple[Any, Any]:
        keys = {"params": jax.random.key(0), "constants": jax.random.key(0)}
        (outputs, _), variables = bound_model(model, task).init_with_output(keys, trials.inputs)
        return (task.loss(outputs, trials), task.score(outputs, trials)), variables

    def acting(keys: Any) -> tuple[Any, Any]:
        ready = bound_model(model, task)
        variables = ready.init({"params": keys[0], "constants": keys[0]}, jnp.zeros((1, *task.input_shape)))
        episode = rollout(task, ready, variables, keys, None)
        return (task.loss(episode), task.score(episode)), variables

    try:
        return jax.eval_shape(acting if is_environment(task) else forward, _trials(task))[1]
    except _MISFIT as error:
        why = str(error).strip().split("\n")[0]
        raise ValueError(f"{label(model)} cannot be trained on {label(task)}: {why}") from None


@functools.lru_cache(maxsize=256)
def _trials(task: Any) -> Any:
    """The shapes of a task's evaluation set."""
    return jax.eval_shape(task.evaluation, task.data())


def _state(cohort: Cohort) -> Any:
    """The shapes of one member's state, after a step too.

    Raises:
      ValueError: the rule cannot make an update.
    """
    member, program, floats = cohort.members[0], program_of(cohort), jax.tree.map(lambda x: x[0], floats_of(cohort))
    try:
        state = jax.eval_shape(program.init, floats)
        jax.eval_shape(program.advance, state, floats, member.task.data(), 1, True)
    except _MISFIT as error:
        why = str(error).strip().split("\n")[0]
        parts = f"{label(member.model)} on {label(member.task)}"
        raise ValueError(f"{label(member.rule)} cannot train {parts}: {why}") from None
    return state


def _optimizer_bytes(params: Shapes, training: Training) -> int:
    return _bytes(jax.eval_shape(optimizer_of(training).init, params))


def _bytes(tree: Shapes) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
