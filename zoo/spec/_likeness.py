"""Whether the code that is kept makes the class that is there."""

import builtins
import dis
import re
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

MODULES = re.compile(r"\bown_parts\.\d+(\.|$)")
"""How the full names of modules of one's own begin; the number is another each time one is run."""

_NOT_COMPARED = frozenset(("__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__"))


def unlike(live: type, kept: type) -> str | None:
    """The name of the first attribute, default, constant or method in which a class that is there differs from the one
    that its kept code gives, also in what its methods use; None where they are alike.

    Functions are compared by their compiled code, their defaults, and the values of their closures and globals; parts
    of the program and what is installed by being the same; what only holds itself together, such as a lock, by its
    type alone.
    """
    waiting: list[tuple[str, Any, Any]] = [(live.__name__, live, kept)]
    held = []  # what is being compared lives on, so that no other object gets its number
    seen = set()
    while waiting:
        name, one, other = waiting.pop()
        if one is other or (id(one), id(other)) in seen:
            continue
        seen.add((id(one), id(other)))
        held.append((one, other))
        below = _below(name, one, other)
        if below is None:
            return name
        waiting += below
    return None


_UNSET = object()


def _below(name: str, one: Any, other: Any) -> list[tuple[str, Any, Any]] | None:
    """What has to be alike for two objects to be; None where they are not."""
    if isinstance(one, type) and isinstance(other, type):
        return _of_classes(one, other)
    if type(one) is not type(other):
        if not _may_be_twins(type(one), type(other)):
            return None
        below = _of_instances(name, one, other)
        return None if below is None else [(type(one).__name__, type(one), type(other)), *below]
    return _of_instances(name, one, other)


def _of_instances(name: str, one: Any, other: Any) -> list[tuple[str, Any, Any]] | None:
    """As `_below`, of objects whose classes are compared by themselves."""
    if isinstance(one, types.FunctionType):
        return _of_functions(name, one, other)
    if isinstance(one, types.ModuleType):
        if not MODULES.match(other.__name__):
            return None
        return list(_of_mappings("", _public(vars(one)), _public(vars(other))))
    if isinstance(one, dict | types.MappingProxyType):
        return None if len(one) != len(other) else list(_of_mappings(name, one, other))
    if isinstance(one, list | tuple):
        return None if len(one) != len(other) else [(name, a, b) for a, b in zip(one, other)]
    if isinstance(one, str):
        return [] if MODULES.sub("", one) == MODULES.sub("", other) else None
    if isinstance(one, float | complex | int | bytes):
        return [] if repr(one) == repr(other) else None
    if isinstance(one, staticmethod | classmethod):
        return [(name, one.__func__, other.__func__)]
    if isinstance(one, property):
        return [(name, getattr(one, each), getattr(other, each)) for each in ("fget", "fset", "fdel")]
    if isinstance(one, types.MethodType):
        return [(name, one.__func__, other.__func__), (name, one.__self__, other.__self__)]
    if hasattr(one, "__wrapped__"):  # of `jax.jit`, `functools.cache`
        return [(name, one.__wrapped__, other.__wrapped__)]
    if hasattr(one, "shape") and hasattr(one, "dtype"):
        return _of_arrays(one, other)
    if hasattr(type(one), "__dataclass_fields__") and _is_own(type(other)):
        fields = type(one).__dataclass_fields__
        return [(name, getattr(one, field, _UNSET), getattr(other, field, _UNSET)) for field in fields]
    return _of_objects(name, one, other)


def _is_own(cls: type) -> bool:
    return MODULES.match(cls.__module__) is not None


def _may_be_twins(one: type, other: type) -> bool:
    """Whether two classes can come of one statement: of a module of one's own that was run twice, or of a function that
    makes classes."""
    made = "<locals>" in one.__qualname__ and one.__module__ == other.__module__
    return one.__qualname__ == other.__qualname__ and (_is_own(other) or made)


def _public(values: dict[str, Any]) -> dict[str, Any]:
    """A module's values without those that Python sets, and its zoo."""
    return {name: value for name, value in values.items() if not name.startswith("__") and name != "zoo"}


def _of_mappings(name: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Values by their keys; keys in their order, which a loop may hang on."""
    yield name, list(one), list(other)
    for key in one.keys() & other.keys():
        yield name or str(key), one[key], other[key]


def _of_classes(one: type, other: type) -> list[tuple[str, Any, Any]] | None:
    if not _may_be_twins(one, other):
        return None
    mine, kept = ({n: v for n, v in vars(cls).items() if n not in _NOT_COMPARED} for cls in (one, other))
    below = [(f"{one.__name__}.{n}", mine.get(n, _UNSET), kept.get(n, _UNSET)) for n in dict.fromkeys([*mine, *kept])]
    return [(one.__name__, one.__bases__, other.__bases__), *below]


def _of_functions(name: str, one: types.FunctionType, other: types.FunctionType) -> list[tuple[str, Any, Any]] | None:
    if not _is_same_code(one.__code__, other.__code__):
        return None
    below = [(name, getattr(one, a), getattr(other, a)) for a in ("__defaults__", "__kwdefaults__", "__annotations__")]
    below.append((name, _held(one), _held(other)))
    if one.__globals__ is not other.__globals__:
        for used in _globals_of(one.__code__):
            found = [f.__globals__.get(used, getattr(builtins, used, _UNSET)) for f in (one, other)]
            below.append((used, *found))
    return below


def _held(function: types.FunctionType) -> list[Any]:
    """What the closure of a function holds."""
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not yet filled
            values.append(_UNSET)
    return values


def _is_same_code(one: types.CodeType, other: types.CodeType) -> bool:
    if (one.co_code, one.co_names, one.co_varnames, one.co_flags) != (
        other.co_code,
        other.co_names,
        other.co_varnames,
        other.co_flags,
    ) or len(one.co_consts) != len(other.co_consts):
        return False
    pairs = zip(one.co_consts, other.co_consts)
    return all(
        _is_same_code(a, b) if isinstance(a, types.CodeType) and isinstance(b, types.CodeType) else repr(a) == repr(b)
        for a, b in pairs
    )


def _globals_of(code: types.CodeType) -> list[str]:
    """The names of its module that a function's code reads, also in functions inside it."""
    names = [each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return list(dict.fromkeys([*names, *(name for each in inner for name in _globals_of(each))]))


def _of_arrays(one: Any, other: Any) -> list[tuple[str, Any, Any]] | None:
    """Arrays to the bit; of what is no plain array, such as a key of random numbers, what it is printed as."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return None
    try:
        equal = np.asarray(one).tobytes() == np.asarray(other).tobytes()
    except TypeError:
        equal = str(one) == str(other)
    return [] if equal else None


def _of_objects(name: str, one: Any, other: Any) -> list[tuple[str, Any, Any]] | None:
    """Any other objects: equal ones are alike, and so are those that are made of the same."""
    try:
        if not _is_own(type(other)) and bool(one == other):
            return []
    except Exception:  # arrays in it, or whatever its class does
        pass
    if isinstance(one, set | frozenset):
        first, second = (sorted(values, key=lambda each: MODULES.sub("", str(each))) for values in (one, other))
        return [(name, first, second)]
    try:
        return [(name, one.__reduce_ex__(4), other.__reduce_ex__(4))]
    except Exception:  # a lock, a file: what cannot be copied
        return []
