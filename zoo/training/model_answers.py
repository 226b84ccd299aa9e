"""Whether what a model gives is as the text of `models` says: variables, passes, steps; traced, never run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from models import FIXED
from zoo import lookup
from zoo.spec.fields import label, replaced, values_of
from zoo.tasks import is_environment
from zoo.training._forms import (
    GIVES,
    Form,
    asked,
    asked_for,
    calling,
    check_form,
    check_tree,
    either,
    fault,
    is_one_of,
    kind_of,
    leaves,
    traced_floats,
)
from zoo.training.answers import evaluation_of, output_forms
from zoo.training.binding import bound_model

COLLECTIONS = ("params", "batch_stats", "constants")
"""What `init` may give."""

_METHODS_CHECKED: set[tuple[Any, ...]] = set()
"""Models, but for their sizes, whose methods keep the contract: a thousand widths are planned in seconds."""


class Begun(NamedTuple):
    """A model on a task, with the shapes of what it begins with and of what a pass gives.

    Attributes:
      model, task: the two.
      floats: traced field -> its shape, of those that are not at their off value: a program does not hold these.
      inputs: what the network is shown.
      variables: collection -> arrays.
      outputs, layers: of a pass that is not in training.
    """

    model: Any
    task: Any
    floats: dict[str, Any]
    inputs: Any
    variables: Any
    outputs: Any
    layers: Any

    def call(self, **settings: Any) -> Callable[..., Any]:
        """`apply` with these settings, as a function of the floats, the variables and what else it takes."""

        def apply(floats: Any, variables: Any, *arguments: Any) -> Any:
            return bound_model(replaced(self.model, floats), self.task).apply(variables, *arguments, **settings)

        return apply

    def method(self, name: str, *arguments: Any, **settings: Any) -> tuple[Any, ...]:
        """A method by its name, and what `asked` takes to trace it."""
        return name, self.call(method=name, **settings), self.floats, self.variables, *arguments


@contextmanager
def one_sentence(beginning: str) -> Iterator[None]:
    """What parts raise while they are traced, as the end of a sentence."""
    try:
        yield
    except Exception as error:  # a plug-in does what it likes
        raise ValueError(f"{beginning}: {lookup.placed(error)}.") from error


def keys_of(key: jax.Array) -> dict[str, jax.Array]:
    """The streams of `init`."""
    return {"params": key, "constants": key}


def begun(model: Any, task: Any) -> Begun:
    """A model on a task, where all that it gives is as its contract says.

    Its fields are traced as in a program, so that code which branches on one is refused.

    Raises:
      ValueError: one sentence with the file, the member, what it gives and what it must give; or with the model and
        the task that do not go together.
    """
    floats = traced_floats(model)
    inputs = jax.ShapeDtypeStruct((1, *task.input_shape), "float32")
    if not is_environment(task):
        inputs = evaluation_of(task).inputs

    order: list[Any] = []  # of the representations: JAX gives a dict back sorted

    def first(floats: Any, inputs: Any) -> Any:
        ready = bound_model(replaced(model, floats), task)
        answer, variables = ready.init_with_output(keys_of(jax.random.key(0)), inputs)
        if isinstance(answer, tuple) and isinstance(answer[-1], dict):
            order[:] = answer[-1]
        return answer, variables

    with one_sentence(f"{label(model)} cannot be trained on {label(task)}"):
        answer, variables = jax.eval_shape(first, floats, inputs)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise fault(model, "apply", kind_of(answer), "(outputs, representations)", GIVES)
    outputs, layers = answer
    layers = {name: layers[name] for name in order} if isinstance(layers, dict) else layers
    network = Begun(model, task, floats, inputs, variables, outputs, layers)
    _check_outputs(network)
    _check_layers(network)
    _check_variables(model, variables)
    _check_training(network)
    words = tuple(value for value in values_of(model).values() if isinstance(value, (str, bool)))
    if (way := (type(model), words, *floats)) not in _METHODS_CHECKED:
        if model.family == "recurrent":
            _check_steps(network)
        if hasattr(model, "hyperparameters"):
            _check_hyperparameters(network)
        _METHODS_CHECKED.add(way)
    return network


def _check_outputs(network: Begun) -> None:
    """Refuse outputs that are not those that the task has targets for."""
    model, task = network.model, network.task
    forms = output_forms(task, len(network.inputs))
    forms = forms if not is_environment(task) and evaluation_of(task).targets.ndim == 1 else forms[:1]
    if not is_one_of(network.outputs, forms):
        raise ValueError(
            f"{label(model)} cannot be trained on {label(task)}: its outputs are {kind_of(network.outputs)}, but must "
            f"be {either(forms)}."
        )


def _check_layers(network: Begun) -> None:
    """Refuse representations that are none, or not by trial and, of a recurrent model, by time."""
    model, layers, recurrent = network.model, network.layers, network.model.family == "recurrent"
    if not isinstance(layers, dict) or not layers:
        what = f"{kind_of(layers)} as representations"
        raise fault(model, "apply", what, "a dict, layer name -> activations", GIVES)
    first = network.inputs.shape[: 1 + recurrent]
    axes = "trial, time" if recurrent else "trial"
    for name, activity in layers.items():
        shape = getattr(activity, "shape", ())
        if not isinstance(name, str) or shape[: len(first)] != first or len(shape) == len(first):
            what = f"the representation {name!r} as {kind_of(activity)}"
            raise fault(model, "apply", what, f"an array whose first axes are {first}: {axes}", GIVES)
    if recurrent and next(iter(layers)) != "rate":
        raise fault(model, "apply", f"the representations {', '.join(layers)}", "'rate' first", GIVES)
    if not _perturbations(network):
        raise fault(model, "apply", f"the representations {', '.join(layers)}", "one that is not '.pre'", GIVES)


def _perturbations(network: Begun) -> dict[str, Any]:
    """Layer -> (scale, shift), of all that `perturb` may name."""
    recurrent = network.model.family == "recurrent"
    names = ["rate"] if recurrent else [name for name in network.layers if not name.endswith(".pre")]
    units = {name: network.layers[name].shape[-1] for name in names}
    return {name: (jnp.ones(count), jnp.zeros(count)) for name, count in units.items()}


def _check_variables(model: Any, variables: Any) -> None:
    """Refuse other collections than a model may have, and names that a checkpoint, which joins them by dots, cannot
    hold."""
    for name in variables:
        if name not in COLLECTIONS:
            raise fault(model, "init", f"the collection {name!r}", f"none but {', '.join(COLLECTIONS)}", GIVES)
    if not jax.tree.leaves(variables.get("params")):
        raise fault(model, "init", "no params", "what is trained", GIVES)
    for path, _ in jax.tree_util.tree_flatten_with_path(variables)[0]:
        for name in (jax.tree_util.keystr((key,), simple=True) for key in path):
            if "." in name:
                raise fault(model, "init", f"the name {name!r}", "names without a dot", GIVES)


def _check_training(network: Begun) -> None:
    """Refuse a pass in training, with every layer perturbed, that has not the shapes of one without."""
    model, variables = network.model, network.variables
    stats = {name: of for name, of in variables.items() if name not in FIXED}
    member, settings = "apply(train=True, perturb=...)", {"train": True, "mutable": list(stats)}

    def training(floats: Any, variables: Any, inputs: Any, key: jax.Array, perturb: Any) -> Any:
        return network.call(rngs={"noise": key}, perturb=perturb, **settings)(floats, variables, inputs)

    arguments = (network.floats, variables, network.inputs, jax.random.key(0), _perturbations(network))
    answer, renewed = asked_for(model, member, ("answer", "statistics"), training, *arguments)
    check_tree(model, member, "an answer", answer, (network.outputs, network.layers), "apply alone")
    check_tree(model, member, "statistics", dict(renewed), stats, "what init gives")


def _check_steps(network: Begun) -> None:
    """Refuse a recurrent model whose methods do not keep its state, or give other shapes than a pass."""
    model, outputs, (trials, _, *shown) = network.model, network.outputs, network.inputs.shape
    by = _perturbations(network)
    now, noise = (jax.ShapeDtypeStruct((trials, *units), "float32") for units in (shown, by["rate"][0].shape))
    ready = network.call(method="initial_state")
    state = asked(model, "initial_state", lambda *given: ready(*given, trials), network.floats, network.variables)
    for member, what, units in (("step", "a rate", noise.shape[1]), ("respond", "outputs", outputs.shape[-1])):
        _, *traced = network.method(member, state, now, noise, perturb=by)
        after, answer = asked_for(model, member, ("state", what), *traced)
        check_tree(model, member, "a state", after, state, "what initial_state gives")
        check_form(model, member, what, answer, [Form("float32", (trials, units), "trial, unit")])
    read = asked(model, *network.method("readout_of", network.layers))
    check_tree(model, "readout_of", "outputs", read, outputs, "apply")


def _check_hyperparameters(network: Begun) -> None:
    """Refuse hyperparameters that depend on what is trained: no gradient flows to them."""
    model, params = network.model, network.variables["params"]
    others = {name: of for name, of in network.variables.items() if name != "params"}

    def numbers(params: Any, others: Any) -> Any:
        return network.call(method="hyperparameters")({}, {**others, "params": params})

    with calling(model, "hyperparameters"):
        program, shapes = jax.make_jaxpr(numbers, return_shape=True)(params, others)
    # A variable of the program -> the trained arrays that it is made of; the first variables are these arrays.
    made_of = {var: {name} for var, name in zip(program.jaxpr.invars, leaves(params))}
    for equation in program.jaxpr.eqns:
        read = [made_of.get(var, set()) for var in equation.invars if not isinstance(var, Literal)]
        made_of |= dict.fromkeys(equation.outvars, set().union(*read))
    for name, var in zip(leaves(shapes), program.jaxpr.outvars):
        if not isinstance(var, Literal) and (trained := made_of.get(var)):
            what = f"{name!r}, which depends on the trained {', '.join(sorted(trained))}"
            must = "what depends on fields and constants alone; put it into `quantities`, where it gets its gradient"
            raise fault(model, "hyperparameters", what, must, GIVES)
