"""Whether a file of a plug-in folder holds what its contract asks for."""

import dataclasses
import functools
import importlib
import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from zoo import lookup
from zoo.spec import own_parts
from zoo.spec.fields import checked, fields_of, label

FAMILIES = ("recurrent", "feedforward", "convolutional")
"""What a model may call its family."""

_PLAIN = (int, float, bool, str)


def class_of(kind: str, name: str) -> type:
    """The class of a model, task, rule, measure, assay or study, by its file's name; or one of the user's own.

    Raises:
      ValueError: no such name, or a file that breaks its contract.
    """
    if (own := own_parts.find(kind, name)) is None:
        return class_of_folder(kind, name)
    check_contract(kind, own)
    return own


@functools.cache
def class_of_folder(kind: str, name: str) -> type:
    """The class of a part of the program, as `class_of`."""
    module = lookup.find(kind, name)
    cls = getattr(module, kind.capitalize(), None)
    if not isinstance(cls, type):
        raise ValueError(f"{_file(module.__name__)} has no class {kind.capitalize()}, which every {kind} file defines.")
    if cls.__module__ != module.__name__:
        raise ValueError(
            f"{_file(module.__name__)}: {cls.__name__} is the class of {_file(cls.__module__)}; it must be one of its "
            "own, since a class is named after its file."
        )
    check_contract(kind, cls)
    return cls


def made(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """An assay or a study from its name and some of its options, checked.

    Raises:
      ValueError: there is no such name or option, the option's value is not allowed, or the file breaks its contract.
    """
    cls: Any = class_of(kind, name)
    known = fields_of(cls)
    for option in options:
        if option not in known:
            raise ValueError(f"{label(cls)} has no option {option!r}; {lookup.nearest(option, known)}.")
    return checked(cls(**options))


def is_of(kind: str, instance: Any) -> bool:
    """Whether an instance is of a plug-in folder, or one of the user's own."""
    package, _, name = type(instance).__module__.rpartition(".")
    return (package == lookup.FOLDERS[kind] and not name.startswith("_")) or own_parts.meet(kind, type(instance))


def allowed_of(kind: str, instance: Any) -> str:
    """What an instance that is not of a kind would have to be, the end of a sentence."""
    allowed = f"a {kind} of the folder {lookup.FOLDERS[kind]}"
    if kind not in own_parts.OWN_KINDS:
        return allowed
    here = ", no class of the script that runs" * (type(instance).__module__ == "__main__")
    return f"{allowed}, or a class {kind.capitalize()} in the spec file or a module beside it{here}"


@functools.cache
def check_contract(kind: str, cls: type) -> None:
    """Refuse a class that is not as its contract says: its members, its fields, its words.

    Args:
      kind: "model", "task", "rule", "measure", "assay" or "study".
      cls: the class.

    Raises:
      ValueError: one sentence with the file, the member and what is expected of it.
    """
    if cls.__name__ != kind.capitalize():
        raise ValueError(f"{file_of(cls)}: the class is called {cls.__name__}; it must be called {kind.capitalize()}.")
    _check_dataclass(kind, cls)
    _check_members(kind, cls)
    if kind != "measure":  # whose choices are no part of a spec
        _check_fields(cls)
    if kind == "rule":
        _check_rule(cls)
    elif kind == "model":
        check_word(cls, "family", FAMILIES)
    elif kind in ("measure", "assay", "study"):
        _package(kind).check_words(cls)


def file_of(part: Any) -> str:
    """The file of a part or of its class, as errors name it: "zoo/rules/force.py", "mine.py, line 9"."""
    cls = part if isinstance(part, type) else type(part)
    return own_parts.line_of(cls) or _file(cls.__module__)


def check_word(part: Any, member: str, allowed: tuple[str, ...]) -> None:
    """Refuse a part, or its class, one of whose members is none of the words that are allowed.

    Raises:
      ValueError: one sentence with the file, the member and the words.
    """
    word = getattr(part, member)
    if not isinstance(word, str) or word not in allowed:
        raise ValueError(f"{file_of(part)}: {member} is {word!r}; it must be {' or '.join(map(repr, allowed))}.")


def check_names(part: Any, member: str, known: Iterable[str]) -> None:
    """Refuse a part, or its class, one of whose members is not several of the names that are known.

    Raises:
      ValueError: one sentence with the file, the member and the nearest names.
    """
    names = getattr(part, member)
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValueError(f"{file_of(part)}: {member} is {names!r}; it must be several names.")
    for name in names:
        if name not in known:
            raise ValueError(f"{file_of(part)}: {member} has {name!r}; {lookup.nearest(str(name), known)}.")


def _check_members(kind: str, cls: Any) -> None:
    """Refuse a class that lacks a member, to inherit it from the protocol is to lack it, or whose method cannot be
    called as the protocol has it."""
    fields = getattr(cls, "__dataclass_fields__", {})
    for name, protocol in _asked(kind, cls).items():
        method = getattr(protocol, name, None)
        contract = f"the contract of {'an' if kind[0] in 'aeiou' else 'a'} {kind}, {protocol.__name__}, asks for it"
        if name not in fields and getattr(cls, name, None) in (None, method):
            raise ValueError(f"{file_of(cls)}: {cls.__name__} has no `{name}`; {contract}.")
        if inspect.isfunction(method):
            _check_method(cls, name, method, contract)
    if inspect.isabstract(cls):
        raise ValueError(f"{file_of(cls)}: {cls.__name__} leaves `{min(cls.__abstractmethods__)}` abstract; define it.")


def _check_method(cls: type, name: str, method: Any, contract: str) -> None:
    """Refuse what cannot be called, of an instance, with the arguments of a protocol's method."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    asked = [name for name, parameter in inspect.signature(method).parameters.items() if parameter.kind in positional]
    member: Any = inspect.getattr_static(cls, name, None)
    value: Any = getattr(cls, name, None)
    if isinstance(member, property):
        return
    # A class gives a plain function as it is, which still asks for the instance, and a bound one as it is called.
    unbound = hasattr(type(member), "__get__") and not isinstance(member, (staticmethod, classmethod))
    shown = repr(value)
    try:
        signature = inspect.signature(value)
        shown = f"{name}({', '.join(signature.parameters)})"
        signature.bind(*asked[not unbound :])
    except ValueError:  # compiled code has no signature
        return
    except TypeError:
        must = f"it must be a method that takes ({', '.join(asked)})"
        raise ValueError(f"{file_of(cls)}: `{name}` is {shown}; {must}: {contract}.") from None


def _check_dataclass(kind: str, cls: Any) -> None:
    """Refuse a class whose annotations are no fields, or whose fields can be set."""
    own = "__dataclass_fields__" in vars(cls) or not inspect.get_annotations(cls)
    params = getattr(cls, "__dataclass_params__", None)
    if params is None or not own or not (params.frozen or kind == "model"):  # linen freezes its modules itself
        must = "be a flax.linen.Module" if kind == "model" else "be declared with @dataclasses.dataclass(frozen=True)"
        raise ValueError(f"{file_of(cls)}: {cls.__name__} is no frozen dataclass; it must {must}.")


def _check_fields(cls: type) -> None:
    """Refuse a field whose values the spec cannot hold, or that has no default."""
    try:
        known = fields_of(cls)
    except (NameError, TypeError, AttributeError) as error:
        raise ValueError(f"{file_of(cls)}: the annotations of {cls.__name__} cannot be read: {error}.") from error
    for name, field in known.items():
        where = f"{file_of(cls)}: the field `{name}`"
        if not field.holds and not _is_held(field.type):
            declared = field.type.__name__ if isinstance(field.type, type) else field.type
            allowed = "int, float, bool or str, or tuple[T, ...] or Each[T] of one of these"
            raise ValueError(f"{where} is declared {declared}; it must be {allowed}.")
        if field.default is dataclasses.MISSING:
            raise ValueError(f"{where} has no default; it must have one, which the command line starts from.")


def _is_held(declared: Any) -> bool:
    """Whether the spec can hold values of a declared type."""
    arguments = typing.get_args(declared)
    if typing.get_origin(declared) is tuple:
        return len(arguments) == 2 and arguments[0] in _PLAIN and arguments[1] is ...
    if typing.get_origin(declared) in (types.UnionType, typing.Union):  # models.Each
        return len(arguments) == 2 and arguments[0] in _PLAIN and arguments[1] == tuple[arguments[0], ...]
    return declared in _PLAIN


def _check_rule(cls: Any) -> None:
    """Refuse words of a rule that the engine does not know."""
    from zoo.rules import TAKEN, TUNABLE

    methods, holds = [m for m in ("gradient", "update") if hasattr(cls, m)], fields_of(cls).get("inner")
    if not methods:
        raise ValueError(
            f"{file_of(cls)}: {cls.__name__} has neither `gradient` nor `update`; it must have one of them."
        )
    if len(methods) == 2 and not (holds and holds.holds):
        raise ValueError(
            f"{file_of(cls)}: {cls.__name__} has both `gradient` and `update`; it must have one of them, or a field "
            "`inner` that holds the rule which decides."
        )
    # Of a rule that holds another, both may be properties: then they are what the inner one says.
    if not isinstance(cls.takes, property):
        check_word(cls, "takes", TAKEN)
    if not isinstance(cls.uses, property):
        check_names(cls, "uses", TUNABLE)


def _asked(kind: str, cls: type) -> dict[str, Any]:
    """Member -> the protocol that names it, of what is asked of a class."""
    from models import Network, RecurrentNetwork
    from zoo.rules import GradientRule, Rule, UpdateRule
    from zoo.tasks import Environment, Task, is_environment

    protocols: tuple[Any, ...] = (Rule,)
    if kind == "rule":
        ways = {"gradient": GradientRule, "update": UpdateRule}
        protocols = (Rule, *(protocol for name, protocol in ways.items() if hasattr(cls, name)))
    elif kind == "model":
        protocols = (Network, RecurrentNetwork) if getattr(cls, "family", "") == "recurrent" else (Network,)
    elif kind == "task":
        protocols = (Environment if is_environment(cls) else Task,)
    elif kind in ("assay", "study"):
        protocols = (getattr(_package(kind), kind.capitalize()),)
    elif kind == "measure":
        forms, form = _package(kind).PROTOCOLS, getattr(cls, "form", None)
        protocols = (_package(kind).Measure, *(forms[word] for word in forms if word == form))
    return {
        name: protocol
        for protocol in protocols
        for name in (*vars(protocol), *getattr(protocol, "__annotations__", ()))
        if not name.startswith("_")
    }


def _package(kind: str) -> Any:
    """The folder of a kind; the analysis stands above this package, which therefore cannot import it by name."""
    return importlib.import_module(lookup.FOLDERS[kind])


def _file(module: str) -> str:
    return module.replace(".", "/") + ".py"
