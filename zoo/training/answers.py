"""Whether what a task, an environment, a model and a rule give has the shapes of their contracts: traced, never run."""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from models import FIXED
from zoo.rules import Gradient, Update, is_gradient
from zoo.spec.cohorts import Cohort
from zoo.spec.contracts import file_of
from zoo.spec.fields import label
from zoo.tasks import Episode, Trials, is_environment
from zoo.training.binding import Binder, floats_of
from zoo.wording import raised

BATCH = 8
"""Trials that a task is asked for."""


class Form(NamedTuple):
    """What an array may be.

    Attributes:
      dtype: its name, such as "float32".
      shape: of the array.
      axes: what a sentence calls them.
    """

    dtype: str
    shape: tuple[int, ...]
    axes: str = ""

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}" + (f": {self.axes}" if self.axes else "")


SCALAR = Form("float32", ())
STEP = jax.ShapeDtypeStruct((), "int32")
"""Of training, traced as it is there: what branches on it fails here."""
IS, GIVES = ("is", "must be"), ("gives", "must give")


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
        raise _fault(task, "data", _kind(data), "a dict of arrays, or None")
    _check_sizes(task)
    (_check_environment if is_environment(task) else _check_trials_of)(task, data)
    _check_trials(task, "probe", _asked(task, "probe", task.probe, data))


@functools.lru_cache(maxsize=256)
def evaluation_of(task: Any) -> Any:
    """The shapes of a task's evaluation set, or of an environment's keys."""
    return _asked(task, "evaluation", task.evaluation, task.data())


def reason(rule: Any, model: Any, task: Any) -> str | None:
    """What a rule's `fits` says."""
    why = rule.fits(model, task)
    if why is not None and (not isinstance(why, str) or not why):
        raise _fault(rule, "fits", repr(why), "None, or a clause that says why not", GIVES)
    return why


def check_outputs(model: Any, task: Any, given: Any) -> None:
    """Refuse what a model gives of the evaluation set of a task of trials, traced.

    Raises:
      ValueError: no outputs and representations, outputs that are not those that the task has targets for, or no layer.
    """
    if not isinstance(given, tuple) or len(given) != 2:
        raise _fault(model, "apply", _kind(given), "(outputs, representations)", GIVES)
    outputs, layers = given
    trials = evaluation_of(task)
    forms = _output_forms(task, len(trials.inputs))
    forms = forms if trials.targets.ndim == 1 else forms[:1]
    if not _is_one_of(outputs, forms):
        raise ValueError(
            f"{label(model)} cannot be trained on {label(task)}: its outputs are {_kind(outputs)}, but must be "
            f"{_either(forms)}."
        )
    if not isinstance(layers, dict) or not layers:
        raise _fault(model, "apply", f"{_kind(layers)} as representations", "a dict, layer name -> activations", GIVES)


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
        raise _fault(rule, member, _kind(given), f"a zoo.rules.{kind.__name__}", GIVES)
    _check_tree(rule, member, kind._fields[0], given[0], variables["params"], "the parameters")
    _check_tree(rule, member, "state", given.state, state, "what init gives")
    stats = {n: v for n, v in variables.items() if n not in FIXED}
    _check_tree(rule, member, "stats", given.stats, stats, "the batch statistics")
    if not isinstance(given.watch, tuple):
        raise _fault(rule, member, f"{_kind(given.watch)} as watch", "a tuple of scalars", GIVES)
    for name, value in [("loss", given.loss), *(("watch", one) for one in given.watch)]:
        _check_form(rule, member, name, value, [SCALAR])


def _check_sizes(task: Any) -> None:
    """Refuse properties that are not the numbers that they must be."""
    shape = task.input_shape
    is_shape = isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)
    if not is_shape or len(shape) not in (2, 3):
        raise _fault(task, "input_shape", shape, "(time, unit) or (height, width, channel), whole numbers above 0")
    if type(task.outputs) is not int or task.outputs < 1:
        raise _fault(task, "outputs", task.outputs, "a whole number above 0")
    for name in ("dt", "chance", "solved"):
        value = getattr(task, name)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _fault(task, name, value, "a number")
    if (len(shape) == 2) != (task.dt > 0):
        raise _fault(task, "dt", task.dt, "above 0 ms for inputs (time, unit), and 0 for images")
    if not task.chance >= 0:
        raise _fault(task, "chance", task.chance, "0 or more")
    if not task.solved <= 1:
        raise _fault(task, "solved", task.solved, "at most 1, which the targets score")
    if not task.chance < task.solved:
        raise _fault(task, "solved", task.solved, f"above chance, {task.chance}")


def _check_trials_of(task: Any, data: Any) -> None:
    """Of a task of trials: what it draws, what it holds out, and what it makes of outputs."""
    key = jax.random.key(0, impl="threefry2x32")
    drawn = _asked(task, "sample", lambda key, step, data: task.sample(key, BATCH, step, data), key, STEP, data)
    _check_trials(task, "sample", drawn, BATCH)
    _check_trials(task, "evaluation", evaluation_of(task))
    form = _output_forms(task, BATCH)[0]
    outputs = jax.ShapeDtypeStruct(form.shape, form.dtype)
    for member in ("loss", "score"):
        _check_form(task, member, "", _asked(task, member, getattr(task, member), outputs, drawn), [SCALAR])


def _check_environment(task: Any, data: Any) -> None:
    """Of an environment: its worlds, what is observed of them, what it makes of episodes."""
    if data is not None:
        raise _fault(task, "data", f"{_kind(data)}", "None: an environment is asked for what follows, and gets no data")
    if type(task.steps) is not int or task.steps != task.input_shape[0]:
        raise _fault(task, "steps", task.steps, f"the first number of input_shape, {task.input_shape[0]}")
    observation = Form("float32", task.input_shape[1:], "unit")
    key = jax.random.key(0, impl="threefry2x32")
    world, seen = _parts(task, "reset", ("world", "observation"), key)
    _check_form(task, "reset", "an observation", seen, [observation])
    action = jax.ShapeDtypeStruct((), "int32")
    after, seen, reward, done = _parts(task, "act", ("world", "observation", "reward", "done"), world, action, key)
    _check_tree(task, "act", "a world", after, world, "what reset gives")
    _check_form(task, "act", "an observation", seen, [observation])
    _check_form(task, "act", "a reward", reward, [SCALAR])
    _check_form(task, "act", "done", done, [Form("bool", ())])
    keys = evaluation_of(task)
    if (
        not isinstance(keys, jax.ShapeDtypeStruct)
        or keys.ndim != 1
        or not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    ):
        raise _fault(task, "evaluation", _kind(keys), "the keys of the held-out episodes, (trial,)")
    by_step = (BATCH, task.steps)
    forms = [((BATCH, *task.input_shape), "float32"), (by_step, "int32"), (by_step, "float32"), (by_step, "float32")]
    worlds = jax.tree.map(lambda x: jax.ShapeDtypeStruct((BATCH, *x.shape), x.dtype), world)
    episode = Episode._make([*(jax.ShapeDtypeStruct(*form) for form in forms), worlds])
    for member in ("loss", "score"):
        _check_form(task, member, "", _asked(task, member, getattr(task, member), episode), [SCALAR])


def _check_trials(task: Any, member: str, trials: Any, count: int | None = None) -> None:
    """Refuse trials, traced, that are not of a task's sizes."""
    if not isinstance(trials, Trials):
        raise _fault(task, member, _kind(trials), "zoo.tasks.Trials", GIVES)
    if not isinstance(trials.inputs, jax.ShapeDtypeStruct) or not trials.inputs.ndim:
        raise _fault(task, member, f"{_kind(trials.inputs)} as inputs", "an array", GIVES)
    count = len(trials.inputs) if count is None else count
    timed = len(task.input_shape) == 2
    axes = "trial, time" if timed else "trial"
    steps = (count, *task.input_shape[:1]) if timed else (count,)
    inputs = Form("float32", (count, *task.input_shape), f"{axes}, {'unit' if timed else 'height, width, channel'}")
    classes = [Form("int32", steps, f"{axes}, of classes")]
    if timed:
        classes.append(Form("int32", (count,), "trial, of classes"))
    values = Form("float32", (*steps, task.outputs), f"{axes}, outputs")
    _check_form(task, member, "inputs", trials.inputs, [inputs])
    _check_form(task, member, "targets", trials.targets, [values, *classes])
    _check_form(task, member, "mask", trials.mask, [Form("float32", steps, axes)])
    if not isinstance(trials.conditions, dict):
        raise _fault(task, member, f"{_kind(trials.conditions)} as conditions", "a dict, name -> (trial,)", GIVES)
    for name, labels in trials.conditions.items():
        if getattr(labels, "shape", None) != (count,):
            raise _fault(task, member, f"the condition {name!r} as {_kind(labels)}", f"({count},): trial", GIVES)


def _output_forms(task: Any, count: int) -> list[Form]:
    """The outputs of a network on so many trials of a task; of one label per trial also without time, the second."""
    flat = Form("float32", (count, task.outputs), "trial, unit")
    if len(task.input_shape) == 3:
        return [flat]
    return [Form("float32", (count, task.input_shape[0], task.outputs), "trial, time, unit"), flat]


def _asked(part: Any, member: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The shapes of what a member gives."""
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:  # a plug-in does what it likes
        raise ValueError(f"{file_of(part)}: {member} fails: {raised(error)}.") from error


def _parts(task: Any, member: str, names: Sequence[str], *arguments: Any) -> tuple[Any, ...]:
    """The shapes of what a member gives, which are as many things as there are names."""
    given = _asked(task, member, getattr(task, member), *arguments)
    if not isinstance(given, tuple) or len(given) != len(names):
        raise _fault(task, member, _kind(given), f"({', '.join(names)})", GIVES)
    return given


def _check_form(part: Any, member: str, what: str, given: Any, forms: Sequence[Form]) -> None:
    """Refuse an array, traced, that is of none of these forms."""
    if not _is_one_of(given, forms):
        raise _fault(part, member, f"{what} {_kind(given)}".strip(), _either(forms), GIVES)


def _is_one_of(given: Any, forms: Sequence[Form]) -> bool:
    is_array = isinstance(given, jax.ShapeDtypeStruct)
    return is_array and any(given.shape == form.shape and given.dtype == form.dtype for form in forms)


def _either(forms: Sequence[Form]) -> str:
    return "; or ".join(map(str, forms))


def _check_tree(part: Any, member: str, what: str, given: Any, expected: Any, source: str) -> None:
    """Refuse a tree, traced, that has not the structure, shapes and dtypes of another, which has a name."""
    ours, theirs = _leaves(given), _leaves(expected)
    for path in (*theirs, *ours):
        if path not in ours or path not in theirs:
            wrong = f"{what} {'without' if path in theirs else 'with'} {path or 'an array'}"
            raise _fault(part, member, wrong, f"the structure of {source}", GIVES)
        if (ours[path].shape, ours[path].dtype) != (theirs[path].shape, theirs[path].dtype):
            wrong = f"{what} {path} {_kind(ours[path])}".replace("  ", " ")
            raise _fault(part, member, wrong, f"{_kind(theirs[path])}, as {source}", GIVES)
    if jax.tree.structure(given) != jax.tree.structure(expected):
        raise _fault(part, member, f"{what} as {_kind(given)}", f"{_kind(expected)}, as {source}", GIVES)


def _leaves(tree: Any) -> dict[str, Any]:
    """Path -> array."""
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in pairs}


def _fault(part: Any, member: str, given: Any, expected: str, verbs: tuple[str, str] = IS) -> ValueError:
    """The one form of these sentences."""
    return ValueError(f"{file_of(part)}: {member} {verbs[0]} {given}, but {verbs[1]} {expected}.")


def _kind(given: Any) -> str:
    """What a traced result is, in a sentence: "float32 (8, 3)", "a dict"."""
    if isinstance(given, jax.ShapeDtypeStruct):
        return f"{given.dtype} {given.shape}"
    return "nothing" if given is None else f"a {type(given).__name__}"
