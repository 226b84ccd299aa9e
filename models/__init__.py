"""Architectures, one per file, each a class `Model` (flax.linen); the file's name is the model's name.

The contract of a model:

- `model.apply(variables, inputs, train=False, perturb=None, rngs=None) -> (outputs, representations)`.
  `inputs` is `(trial, time, unit)` or `(trial, height, width, channel)`; `outputs` is `(trial, time, unit)` or
  `(trial, unit)`; `representations` is a dict, layer name -> activations, in order, without the outputs. A name that
  ends in ".pre" is what the nonlinearity of that layer got: kept for those who ask for it by name.
  It computes in the precision of its inputs and variables.
- `init` gives variables in three collections; a name in them has no dot. `params` are trained, and there are some.
  `batch_stats`, where there are any, are renewed by a pass in training. `constants`, where there are any, are drawn
  once, by `init`, from a stream of their own, and nothing changes them: masks, signs, time constants per unit, fixed
  weights. A rule may add a fourth collection, "backward", of which below.
- Random numbers come from three streams: "params" and "constants" in `init`, and "noise" in a pass in training. A pass
  without training draws none.
- Fields are the spec. A field declared `float` is *traced*: it may be a tracer inside a program, members of one
  compiled program may differ in it, and code must not branch on it. Every other field, and `Static[float]`, is
  *static*. A field is `int`, `float`, `bool` or `str`, or `tuple[T, ...]` or `Each[T]` of one of these, and has a
  default. What is drawn depends on the key and on static fields alone; a traced field scales or shifts it, so that one
  seed starts alike under all its values. A field declared with `off` (noise, dropout) acts in training only and costs
  nothing at its off value: guard the mechanism with `on`.
  Fields declared with `given` (output size, dt, convolution form) are filled in by the task and the recipe.
- `family` is "recurrent" or "feedforward" or "convolutional": recipes are chosen by it.
- `perturb` is {layer: (scale, shift)}, each `(unit,)`, or `(channel,)` of a map: after the layer's nonlinearity r
  becomes scale r + shift, before any other layer or unit reads it, and so it is returned; what a recurrent state holds
  of its own past stays as it was. (0, 0) is a lesion, (1, s) a drive.
  A layer is a name in `representations` without ".pre"; of a recurrent model it is "rate". None costs nothing.
- The collection "backward" has names of `params` and their shapes: the error of a product with such a
  weight goes back to the product's input through the backward weight, and nothing else changes. Every trained weight
  of two axes or more stands in such a product (`models/_products.py`: `product`, and `Dense` for linen's).
- No linen submodule is called inside a raw `lax.scan`: take the parameters first.

A recurrent model says three things of its state, which may be any tree of arrays `(trial, unit)`: how it goes on, what
is shown of it, and what its units send to each other. A subclass of `Recurrent` (`models/_recurrent.py`) says so in
`cell`, `observe` and `transmit`, and gets all that follows; it declares the fields `hidden`, `outputs`, `gain`, for its
initial weights, and `noise`, where it has any. What is trained comes into its equation by `quantities`, never by
`hyperparameters`, to which no gradient flows. What is shown are its representations: "rate" first, then what else there
is, such as the variables of synapses. It also has three methods, reached by `method=`: the code that was trained, one
time step at a time, for fixed points, Jacobians and environments.

- `initial_state(trials) -> state`.
- `step(state, input, noise=None, perturb=None) -> (state, rate)`; `input` is `(trial, unit)`; `noise` are standard
  normals `(trial, unit)`, which the network scales and adds as in training; `perturb` acts on the rates before and
  after, so that (0, r) clamps them to r.
- `respond(state, input, noise=None, perturb=None) -> (state, outputs)`.

A subclass of `Recurrent` has `outputs_of(state, perturb=None) -> (outputs, rate)`, too: what a state shows, without a
step. With it and `step` the rates that are sent and those that are shown are perturbed apart, which a perturbation that
begins within a trial needs. In these methods scale and shift may also be `(trial, unit)`.

`bounded` says whether some ball of states, and every larger one, is mapped into itself under any input that stays.

Two more say where the outputs come from, for rules that train the readout alone: `read(observed) -> (..., unit)`, what
the readout takes of what is shown, and `readout_of(observed) -> outputs`. The weights of a linear readout are
`params["readout"]["kernel"]`, `(unit, output)`.

What a model gives is compared with this text before anything is compiled (`zoo/training/model_answers.py`), and what a
program of it does by `tests/models/test_models.py`.

Gradients of outputs and representations are those of a plain `lax.scan` of these methods, for every parameter.

This package knows only jax and flax.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import jax

__all__ = [
    "FIXED",
    "STATIC",
    "BrokenLimit",
    "Each",
    "Network",
    "RecurrentNetwork",
    "Static",
    "broken_limit",
    "given",
    "is_before_nonlinearity",
    "off",
    "on",
    "setting",
    "since",
]

STATIC = "static"
FIXED = ("params", "constants", "backward")
"""Collections of variables that a pass leaves as they are."""
T = TypeVar("T")
Static = Annotated[T, STATIC]
"""`Static[float]` says that a float splits cohorts instead of varying inside one."""
Each = T | tuple[T, ...]
"""`Each[int]`: one value for all layers, or one per layer."""


def setting(
    default: Any = dataclasses.MISSING,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """A field with limits, which the spec checks before anything is compiled.

    Args:
      default: the field's default.
      above, least, below, most: limits of a number, or of every number of a tuple.
      choices: the allowed values.
    """
    limits = dict(above=above, least=least, below=below, most=most, choices=tuple(choices) if choices else None)
    return dataclasses.field(default=default, metadata={"limits": {k: v for k, v in limits.items() if v is not None}})


class BrokenLimit(NamedTuple):
    """A limit of a `setting` that a value does not keep.

    Attributes:
      limit: its name, such as "least".
      words: how a sentence says it, such as "at least".
      allowed: the number, or the choices, that it was declared with.
    """

    limit: str
    words: str
    allowed: Any


_LIMITS = {
    "above": ("above", lambda value, limit: value > limit),
    "least": ("at least", lambda value, limit: value >= limit),
    "below": ("below", lambda value, limit: value < limit),
    "most": ("at most", lambda value, limit: value <= limit),
    "choices": ("one of", lambda value, limit: value in limit),
}


def broken_limit(limits: Mapping[str, Any], value: Any) -> BrokenLimit | None:
    """The first limit of a `setting` that a value, or any entry of a tuple, does not keep; None where all are kept."""
    for limit, allowed in limits.items():
        words, holds = _LIMITS[limit]
        if not all(holds(entry, allowed) for entry in (value if isinstance(value, tuple) else (value,))):
            return BrokenLimit(limit, words, allowed)
    return None


def off(value: float, *, least: float | None = 0.0, below: float | None = None, most: float | None = None) -> Any:
    """A traced float whose default, `value`, switches its mechanism off.

    Members at exactly this value are compiled without the mechanism: a traced noise of 0 would still draw its
    normal numbers. Crossing the value is the one change of a float that recompiles.
    """
    field = setting(value, least=least, below=below, most=most)
    return dataclasses.field(default=value, metadata={**field.metadata, "off": value})


def since(field: Any) -> Any:
    """A field that a class got after networks of it had been trained.

    At its default it is in no id, JSON or cohort key: what was trained before keeps its names.

    Args:
      field: the default, or what `setting` or `off` gives.
    """
    field = field if isinstance(field, dataclasses.Field) else setting(field)
    return dataclasses.field(default=field.default, metadata={**field.metadata, "since": True})


def given(default: Any) -> Any:
    """A field that is no part of the spec: the task or the executor fills it in when a cohort is built."""
    return dataclasses.field(default=default, metadata={"given": True})


def on(value: Any, off_value: float = 0.0) -> bool:
    """Whether a mechanism declared with `off` is compiled in: always when traced, else unless at its off value."""
    return not isinstance(value, (int, float)) or value != off_value


def is_before_nonlinearity(layer: str) -> bool:
    """Whether a name in `representations` is of what a layer's nonlinearity got, not of what it gave."""
    return layer.endswith(".pre")


@runtime_checkable
class Network(Protocol):
    """What training and analysis ask of a `Model`; see the module's text."""

    family: ClassVar[str]
    outputs: int

    def init(self, rngs: Any, inputs: "jax.Array") -> Any: ...
    def init_with_output(self, rngs: Any, inputs: "jax.Array") -> tuple[Any, Any]: ...
    def apply(self, variables: Any, inputs: "jax.Array", **settings: Any) -> Any: ...
    def clone(self, **fields: Any) -> "Network": ...


@runtime_checkable
class RecurrentNetwork(Network, Protocol):
    """What is asked of a recurrent `Model` besides; reached by `apply(variables, ..., method="step")`."""

    def initial_state(self, trials: int) -> Any: ...
    def step(self, state: Any, input: "jax.Array", noise: Any = None, perturb: Any = None) -> Any: ...
    def respond(self, state: Any, input: "jax.Array", noise: Any = None, perturb: Any = None) -> Any: ...
    def read(self, observed: dict[str, "jax.Array"]) -> "jax.Array": ...
    def readout_of(self, observed: dict[str, "jax.Array"]) -> "jax.Array": ...
