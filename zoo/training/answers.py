"""Whether what a task, an environment and a rule give has the shapes of their contracts: traced, never run."""

import functools
import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from models import FIXED
from zoo.keys import threefry_key
from zoo.rules import Gradient, Update, is_gradient
from zoo.spec.cohorts import Cohort
from zoo.tasks import Episode, Trials, is_environment, static_inputs
from zoo.training._forms import (
    GIVES,
    SCALAR,
    Form,
    as_called,
    asked,
    asked_for,
    calling,
    check_form,
    check_tree,
    fault,
    kind_of,
)
from zoo.training.binding import Binder, floats_of

BATCH = 8
"""Trials that a task is asked for."""

STEP = jax.ShapeDtypeStruct((), "int32")
"""Of training, traced as it is there: what branches on it fails here."""


class FirstUpdate(NamedTuple):
    """What a rule begins with, and makes of the first batch, traced.

    Attributes:
      variables: of the network.
      state: what the rule's `init` gives.
      given: what its `gradient` or its `update` gives.
    """

    variables: Any
    state: Any
    given: Any


@functools.lru_cache(maxsize=256)
def check_task(task: Any) -> None:
    """Refuse a task, or an environment, one of whose members gives what its contract does not name.

    Raises:
      ValueError: one sentence with the file, the member, what it gives and what it must give.
    """
    data = task.data()  # says itself what is wrong with a file
    if data is not None and not (isinstance(data, dict) and all(hasattr(x, "dtype") for x in data.values())):
        raise fault(task, "data", kind_of(data), "a dict of arrays, or None")
    _check_sizes(task)
    (_check_environment if is_environment(task) else _check_trials_of)(task, data)
    _check_trials(task, "probe", asked(task, "probe", task.probe, data))
    if len(task.input_shape) == 2:
        with calling(task, "static_inputs"):
            static_inputs(task)


@functools.lru_cache(maxsize=256)
def evaluation_of(task: Any) -> Any:
    """The shapes of a task's evaluation set, or of an environment's keys."""
    return asked(task, "evaluation", *as_called(task, "evaluation"), task.data())


def reason(rule: Any, model: Any, task: Any) -> str | None:
    """What a rule's `fits` says."""
    with calling(rule, "fits"):
        why = rule.fits(model, task)
    if why is not None and (not isinstance(why, str) or not why):
        raise fault(rule, "fits", repr(why), "None, or a clause that says why not", GIVES)
    return why


def first_update(cohort: Cohort) -> FirstUpdate:
    """What a rule makes of a cohort's first batch, traced; raises what the rule raises."""
    binder = Binder(cohort.members[0], {})

    def update(floats: Any, step: jax.Array, data: Any) -> FirstUpdate:
        bound = binder.bind(floats)
        variables, state = binder.begun(bound, floats)
        batch = binder.batch(bound, floats, step, data)
        make = bound.rule.gradient if is_gradient(bound.rule) else bound.rule.update
        return FirstUpdate(variables, state, make(bound, variables, state, batch, binder.context(floats, step)))

    floats = jax.tree.map(lambda x: x[0], floats_of(cohort))
    return jax.eval_shape(update, floats, STEP, cohort.members[0].task.data())


def check_update(rule: Any, first: FirstUpdate) -> None:
    """Refuse a rule whose first update is not as its contract says.

    Raises:
      ValueError: one sentence with the file, the member, what it gives and what it must give.
    """
    member, kind = ("gradient", Gradient) if is_gradient(rule) else ("update", Update)
    variables, state, given = first
    if not isinstance(given, kind):
        raise fault(rule, member, kind_of(given), f"a zoo.rules.{kind.__name__}", GIVES)
    check_tree(rule, member, kind._fields[0], given[0], variables["params"], "the parameters")
    check_tree(rule, member, "state", given.state, state, "what init gives")
    stats = {n: v for n, v in variables.items() if n not in FIXED}
    check_tree(rule, member, "stats", given.stats, stats, "the batch statistics")
    if not isinstance(given.watch, tuple):
        raise fault(rule, member, f"{kind_of(given.watch)} as watch", "a tuple of scalars", GIVES)
    for name, value in [("loss", given.loss), *(("watch", one) for one in given.watch)]:
        check_form(rule, member, name, value, [SCALAR])


def _check_sizes(task: Any) -> None:
    """Refuse properties that are not the numbers that they must be."""
    shape = task.input_shape
    is_shape = isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)
    if not is_shape or len(shape) not in (2, 3):
        raise fault(task, "input_shape", shape, "(time, unit) or (height, width, channel), whole numbers above 0")
    if type(task.outputs) is not int or task.outputs < 1:
        raise fault(task, "outputs", task.outputs, "a whole number above 0")
    for name in ("dt", "chance", "solved"):
        value = getattr(task, name)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise fault(task, name, value, "a number")
    if (len(shape) == 2) != (task.dt > 0):
        raise fault(task, "dt", task.dt, "above 0 ms for inputs (time, unit), and 0 for images")
    if not task.chance >= 0:
        raise fault(task, "chance", task.chance, "0 or more")
    if not task.solved <= 1:
        raise fault(task, "solved", task.solved, "at most 1, which the targets score")
    if not task.chance < task.solved:
        raise fault(task, "solved", task.solved, f"above chance, {task.chance}")


def _check_trials_of(task: Any, data: Any) -> None:
    """Of a task of trials: what it draws, what it holds out, and what it makes of outputs."""
    sample, floats = as_called(task, "sample")
    drawn = asked(
        task,
        "sample",
        lambda floats, key, step, data: sample(floats, key, BATCH, step, data),
        floats,
        threefry_key(0),
        STEP,
        data,
    )
    _check_trials(task, "sample", drawn, BATCH)
    _check_trials(task, "evaluation", evaluation_of(task))
    form = output_forms(task, BATCH)[0]
    outputs = jax.ShapeDtypeStruct(form.shape, form.dtype)
    for member in ("loss", "score"):
        check_form(task, member, "", asked(task, member, *as_called(task, member), outputs, drawn), [SCALAR])


def _check_environment(task: Any, data: Any) -> None:
    """Of an environment: its worlds, what is observed of them, what it makes of episodes."""
    if data is not None:
        raise fault(
            task, "data", f"{kind_of(data)}", "None: an environment is asked for what follows, and gets no data"
        )
    if type(task.steps) is not int or task.steps != task.input_shape[0]:
        raise fault(task, "steps", task.steps, f"the first number of input_shape, {task.input_shape[0]}")
    observation = Form("float32", task.input_shape[1:], "unit")
    key = threefry_key(0)
    world, seen = asked_for(task, "reset", ("world", "observation"), *as_called(task, "reset"), key)
    check_form(task, "reset", "an observation", seen, [observation])
    action = jax.ShapeDtypeStruct((), "int32")
    names = ("world", "observation", "reward", "done")
    after, seen, reward, done = asked_for(task, "act", names, *as_called(task, "act"), world, action, key)
    check_tree(task, "act", "a world", after, world, "what reset gives")
    check_form(task, "act", "an observation", seen, [observation])
    check_form(task, "act", "a reward", reward, [SCALAR])
    check_form(task, "act", "done", done, [Form("bool", ())])
    keys = evaluation_of(task)
    if (
        not isinstance(keys, jax.ShapeDtypeStruct)
        or keys.ndim != 1
        or not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    ):
        raise fault(task, "evaluation", kind_of(keys), "the keys of the held-out episodes, (trial,)")
    by_step = (BATCH, task.steps)
    forms = [((BATCH, *task.input_shape), "float32"), (by_step, "int32"), (by_step, "float32"), (by_step, "float32")]
    worlds = jax.tree.map(lambda x: jax.ShapeDtypeStruct((BATCH, *x.shape), x.dtype), world)
    episode = Episode._make([*(jax.ShapeDtypeStruct(*form) for form in forms), worlds])
    for member in ("loss", "score"):
        check_form(task, member, "", asked(task, member, *as_called(task, member), episode), [SCALAR])


def _check_trials(task: Any, member: str, trials: Any, count: int | None = None) -> None:
    """Refuse trials, traced, that are not of a task's sizes."""
    if not isinstance(trials, Trials):
        raise fault(task, member, kind_of(trials), "zoo.tasks.Trials", GIVES)
    if not isinstance(trials.inputs, jax.ShapeDtypeStruct) or not trials.inputs.ndim:
        raise fault(task, member, f"{kind_of(trials.inputs)} as inputs", "an array", GIVES)
    count = len(trials.inputs) if count is None else count
    timed = len(task.input_shape) == 2
    axes = "trial, time" if timed else "trial"
    steps = (count, *task.input_shape[:1]) if timed else (count,)
    inputs = Form("float32", (count, *task.input_shape), f"{axes}, {'unit' if timed else 'height, width, channel'}")
    classes = [Form("int32", steps, f"{axes}, of classes")]
    if timed:
        classes.append(Form("int32", (count,), "trial, of classes"))
    values = Form("float32", (*steps, task.outputs), f"{axes}, outputs")
    check_form(task, member, "inputs", trials.inputs, [inputs])
    check_form(task, member, "targets", trials.targets, [values, *classes])
    if trials.targets.dtype == "int32" and task.outputs < 2:
        raise fault(task, "outputs", task.outputs, "2 or more, one for each class, since its targets are classes")
    check_form(task, member, "mask", trials.mask, [Form("float32", steps, axes)])
    if not isinstance(trials.conditions, dict):
        raise fault(task, member, f"{kind_of(trials.conditions)} as conditions", "a dict, name -> (trial,)", GIVES)
    for name, labels in trials.conditions.items():
        if getattr(labels, "shape", None) != (count,):
            raise fault(task, member, f"the condition {name!r} as {kind_of(labels)}", f"({count},): trial", GIVES)


def output_forms(task: Any, count: int) -> list[Form]:
    """The outputs of a network on so many trials of a task; of one label per trial also without time, the second."""
    flat = Form("float32", (count, task.outputs), "trial, unit")
    if len(task.input_shape) == 3:
        return [flat]
    return [Form("float32", (count, task.input_shape[0], task.outputs), "trial, time, unit"), flat]
