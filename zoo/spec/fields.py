"""The fields of the spec's dataclasses: which are traced, what they allow, and how values are brought to one form.

One rule decides what recompiles: a field declared `float` is *traced* and may differ inside a cohort; any other field,
and `Static[float]`, is *static* and splits cohorts.
"""

import dataclasses
import functools
import typing
from typing import Any, NamedTuple

from models import STATIC, broken_limit
from zoo import lookup
from zoo.rules import RULE

_WORDS = {int: "an integer", bool: "True or False", str: "text"}


class Field(NamedTuple):
    """One field of a task, model, rule or training dataclass.

    Attributes:
      name: as declared.
      type: the declared type without its annotations.
      traced: whether members of one cohort may differ in it.
      off: the value at which its mechanism is compiled out, or None.
      limits: what `setting` allows.
      since: whether the class got it after networks had been trained: at its default it is in no id.
      default: its default; `dataclasses.MISSING` where it has none.
      holds: "rule" of a field that holds another rule, whose fields are part of the spec too; else None.
    """

    name: str
    type: Any
    traced: bool
    off: float | None
    limits: dict[str, Any]
    since: bool
    default: Any
    holds: str | None


@functools.cache
def fields_of(cls: type) -> dict[str, Field]:
    """The spec's fields of a class, in order, without those that the task or the recipe fills in."""
    hints = typing.get_type_hints(cls, include_extras=True)
    result = {}
    for field in dataclasses.fields(cls):
        if field.name in ("parent", "name") or field.metadata.get("given"):  # linen's own two
            continue
        hint = hints[field.name]
        marks = getattr(hint, "__metadata__", ())
        base = typing.get_args(hint)[0] if marks else hint
        traced = base is float and STATIC not in marks
        meta = field.metadata
        holds = RULE if RULE in marks else None
        about = (traced, meta.get("off"), meta.get("limits", {}), meta.get("since", False), field.default, holds)
        result[field.name] = Field(field.name, base, *about)
    return result


def paths_of(instance: Any) -> dict[str, Field]:
    """The fields of an instance by their paths, in order: after a field that holds a rule, `inner`, come the fields of
    that rule, as `inner.alpha`."""
    known = fields_of(type(instance))
    if not _holders(type(instance)):
        return known
    result = {}
    for name, field in known.items():
        result[name] = field
        if field.holds:
            result.update({f"{name}.{path}": below for path, below in paths_of(getattr(instance, name)).items()})
    return result


@functools.cache
def _holders(cls: type) -> list[str]:
    return [name for name, field in fields_of(cls).items() if field.holds]


def value_at(instance: Any, path: str) -> Any:
    """The value of a field, by its path."""
    for name in path.split("."):
        instance = getattr(instance, name)
    return instance


def label(instance: Any) -> str:
    """How errors name a class: `gru.Model`, `flipflop.Task`, `lesions.Assay`, `Training`."""
    cls = instance if isinstance(instance, type) else type(instance)
    plug_in = cls.__name__ in ("Model", "Task", "Rule", "Assay")
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}" if plug_in else cls.__name__


def canonical(cls: type, field: Field, value: Any) -> Any:
    """The value of a field in its declared type: int to float, list to tuple; a ValueError where it does not fit."""
    where = f"{label(cls)}.{field.name} is {value!r}"
    if field.holds:
        return _held(where, field.holds, value)
    if hasattr(value, "item") and not hasattr(value, "__len__"):  # a NumPy scalar
        value = value.item()
    if field.type is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_float32(value):
            raise ValueError(f"{where}; it must be a finite float32 number{_many(cls, field, value)}.")
        value = float(value) + 0.0  # -0.0 is 0.0
    elif field.type in _WORDS:
        if type(value) is not field.type:
            raise ValueError(f"{where}; it must be {_WORDS[field.type]}{_many(cls, field, value)}.")
    elif is_listed(field.type):
        each = typing.get_origin(field.type) is not tuple  # models.Each
        item = typing.get_args(field.type)[0]
        if each and isinstance(value, (list, tuple)) and value and all(v == value[0] for v in value):
            value = value[0]  # the same network must not have two names
        if each and type(value) is item:
            return canonical(cls, field._replace(type=item), value)
        if not isinstance(value, (list, tuple)) or (each and not value):
            one = f"one {item.__name__} for all layers or " * each
            raise ValueError(f"{where}; it must be {one}a list of {item.__name__}.")
        value = tuple(canonical(cls, field._replace(type=item, limits={}), v) for v in value)
    _check_limits(where, field.limits, value)
    return value


def _many(cls: type, field: Field, value: Any) -> str:
    """What makes a network of each of several values, the end of a sentence; "" of one value."""
    if (not isinstance(value, (list, tuple, range)) and not hasattr(value, "__len__")) or isinstance(value, str):
        return ""
    return f"; product({label(cls)}, {field.name}=[...]) gives a network for each of several"


def _held(where: str, kind: str, value: Any) -> Any:
    """A rule that is a field's value, or that it names, with canonical fields."""
    from zoo.spec.contracts import allowed_of, check_contract, class_of, is_of  # which read the fields of classes

    if isinstance(value, str):
        value = class_of(kind, value)()
    if not is_of(kind, value):
        raise ValueError(f"{where}; it must be {allowed_of(kind, value)}, or the name of one.")
    check_contract(kind, type(value))
    return checked(value)


def is_listed(declared: Any) -> bool:
    """Whether a field of this type may hold a tuple: `tuple[int, ...]`, `Each[int]`."""
    return typing.get_origin(declared) is tuple or any(typing.get_origin(t) is tuple for t in typing.get_args(declared))


def _is_float32(value: float) -> bool:
    """Whether a program can hold the number: neither NaN, nor rounded to infinity, nor to zero."""
    return value == 0 or 1e-37 < abs(value) < 3e38


def _check_limits(where: str, limits: dict[str, Any], value: Any) -> None:
    if broken := broken_limit(limits, value):
        is_choice = broken.limit == "choices"
        allowed = ", ".join(map(repr, broken.allowed)) if is_choice else repr(broken.allowed)
        hint = f" ({lookup.nearest(value, broken.allowed)})" if is_choice and isinstance(value, str) else ""
        hint = hint if "nearest" in hint else ""
        raise ValueError(f"{where}; it must be {broken.words} {allowed}{hint}.")


def checked(instance: Any) -> Any:
    """The instance with every field canonical, or a ValueError that names the field."""
    cls = type(instance)
    values = {name: canonical(cls, field, getattr(instance, name)) for name, field in fields_of(cls).items()}
    return cls(**values)


def name_of(instance: Any) -> str:
    """The name of a model, task or rule: its file's."""
    return type(instance).__module__.rpartition(".")[2]


def values_of(instance: Any) -> dict[str, Any]:
    """Field -> value, in order."""
    return {name: getattr(instance, name) for name in fields_of(type(instance))}


def named_values(instance: Any) -> dict[str, Any]:
    """Field -> value of what ids and JSON hold: what the class once had, and no later field at its default."""
    known = fields_of(type(instance))
    values = {n: v for n, v in values_of(instance).items() if not (known[n].since and v == known[n].default)}
    return {**values, **getattr(type(instance), "former", {})}


def replaced(instance: Any, values: dict[str, Any]) -> Any:
    """The instance with some fields set, path -> value."""
    new = {path: value for path, value in values.items() if "." not in path}
    for name in dict.fromkeys(path.partition(".")[0] for path in values if "." in path):
        below = {path.partition(".")[2]: value for path, value in values.items() if path.startswith(f"{name}.")}
        new[name] = replaced(new.get(name, getattr(instance, name)), below)
    return type(instance)(**{**values_of(instance), **new})
