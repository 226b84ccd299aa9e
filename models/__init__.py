"""Architectures, one per file, each a class `Model` (flax.linen); the file's name is the model's name.

The contract of a model:

- `model.apply(variables, inputs, train=False, rngs=None) -> (outputs, representations)`.
  `inputs` is `(trial, time, unit)` or `(trial, height, width, channel)`; `outputs` is `(trial, time, unit)` or
  `(trial, unit)`; `representations` is a dict, layer name -> activations, in order, without the outputs. A name that
  ends in ".pre" is what the nonlinearity of that layer got: kept for those who ask for it by name.
  Variables are `params` and, where there are any, `batch_stats`. Random numbers come from the stream `"noise"`.
- Fields are the spec. A field declared `float` is *traced*: it may be a tracer inside a program, members of one
  compiled program may differ in it, and code must not branch on it. Every other field, and `Static[float]`, is
  *static*. A field declared with `off` (noise, dropout) costs nothing at its off value: guard the mechanism with `on`.
  Fields declared with `given` (output size, dt, convolution form) are filled in by the task and the recipe.
- `family` is "recurrent" or "feedforward" or "convolutional": recipes are chosen by it.
- A recurrent model also has `initial_state(trials)` and a deterministic `step(state, input) -> (state, rate)`,
  reached by `method="step"`: the code that was trained, for fixed points, Jacobians and lesions.
- No linen submodule is called inside a raw `lax.scan`: take the parameters first.

This package knows only jax and flax.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import jax

__all__ = ["STATIC", "BrokenLimit", "Each", "Static", "broken_limit", "given", "off", "on", "setting", "since"]

STATIC = "static"
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


@runtime_checkable
class Network(Protocol):
    """What training and analysis ask of a `Model`; see the module's text."""

    family: ClassVar[str]
    outputs: int

    def init(self, rngs: Any, inputs: "jax.Array") -> Any: ...
    def init_with_output(self, rngs: Any, inputs: "jax.Array") -> tuple[Any, Any]: ...
    def apply(self, variables: Any, inputs: "jax.Array", **settings: Any) -> Any: ...
    def clone(self, **fields: Any) -> "Network": ...
