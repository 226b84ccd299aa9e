"""Whether task, model, rule and training fit together, and how large a state is: traced, never run or compiled."""

import functools
import math
from typing import Any

import jax

from zoo.rules import TUNABLE
from zoo.spec.cohorts import Cohort
from zoo.spec.encoding import default_rule
from zoo.spec.fields import fields_of, label
from zoo.spec.member import Member
from zoo.spec.settings import Training
from zoo.tasks import is_environment
from zoo.training.acting import rollout
from zoo.training.answers import check_task, check_update, evaluation_of, first_update, reason
from zoo.training.binding import bound_model, floats_of
from zoo.training.minimised import has_recurrent_weights
from zoo.training.model_answers import begun, one_sentence
from zoo.training.optimizers import optimizer_of
from zoo.training.program import program_of

Shapes = Any
"""A nested dict of `jax.ShapeDtypeStruct`."""

_TAKEN = {"trials": "a task of trials", "environment": "an environment, which answers to what the network does"}


def check(cohort: Cohort) -> None:
    """Refuse a cohort whose parts break their contracts or do not fit together, before anything is compiled."""
    task, model, training, rule = cohort.members[0].parts
    check_task(task)
    given = "environment" if is_environment(task) else "trials"
    if rule.takes != given:
        raise ValueError(f"{label(rule)} learns from {_TAKEN[rule.takes]}, and {label(task)} is {_TAKEN[given]}.")
    if why := reason(rule, model, task):
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
        for name in ("recurrent_l1", "recurrent_nuclear"):
            if (value := getattr(one, name)) and not has_recurrent_weights(model):
                raise ValueError(
                    f"Training.{name} is {value!r}; it must be 0.0, since {label(model)} has no recurrent weights."
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
      ValueError: the model breaks its contract, or cannot be trained on the task.
    """
    task.data()  # says itself what is wrong with a file
    network, held_out = begun(model, task), evaluation_of(task)

    def acting(variables: Any, keys: Any) -> Any:
        episode = rollout(task, bound_model(model, task), variables, keys, None)
        return task.loss(episode), task.score(episode)

    def scored(outputs: Any, trials: Any) -> Any:
        return task.loss(outputs, trials), task.score(outputs, trials)

    with one_sentence(f"{label(model)} cannot be trained on {label(task)}"):
        if is_environment(task):
            jax.eval_shape(acting, network.variables, held_out)
        else:  # of outputs without time, perhaps, beside those that the task alone was asked of
            jax.eval_shape(scored, network.outputs, held_out)
    return network.variables


def _state(cohort: Cohort) -> Any:
    """The shapes of one member's state, which an update keeps.

    Raises:
      ValueError: the rule cannot make an update.
    """
    return _state_of(cohort.members[0], tuple(cohort.traced.items()))


@functools.lru_cache(maxsize=1024)
def _state_of(member: Member, traced: tuple[tuple[str, tuple[str, ...]], ...]) -> Any:
    """`_state` of a cohort with this member: one trace serves the check and the plan."""
    alone = Cohort(member.id, (member,), dict(traced))
    where = f"{label(member.rule)} cannot train {label(member.model)} on {label(member.task)}"
    with one_sentence(where):
        first = first_update(alone)
    check_update(member.rule, first)
    return jax.eval_shape(program_of(alone).init, jax.tree.map(lambda x: x[0], floats_of(alone)))


def _optimizer_bytes(params: Shapes, training: Training) -> int:
    return _bytes(jax.eval_shape(optimizer_of(training).init, params))


def _bytes(tree: Shapes) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
