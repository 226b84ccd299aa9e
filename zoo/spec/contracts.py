"""Whether a file of a plug-in folder holds what its contract asks for."""

import functools
import importlib
from typing import Any

from zoo import lookup


@functools.cache
def class_of(kind: str, name: str) -> type:
    """The class of a model, task, rule or assay, by its file's name.

    Raises:
      ValueError: no such name, or a file that breaks its contract.
    """
    module = lookup.find(kind, name)
    cls = getattr(module, kind.capitalize(), None)
    if not isinstance(cls, type):
        raise ValueError(
            f"{file_of(module.__name__)} has no class {kind.capitalize()}, which every {kind} file defines."
        )
    check_contract(kind, cls)
    return cls


@functools.cache
def check_contract(kind: str, cls: type) -> None:
    """Refuse a class that lacks a member which its contract names.

    Args:
      kind: "model", "task", "rule" or "assay".
      cls: the class.

    Raises:
      ValueError: one sentence with the file, the member and what is expected of it.
    """
    fields = getattr(cls, "__dataclass_fields__", {})
    for name, protocol in _asked(kind, cls).items():
        if not hasattr(cls, name) and name not in fields:
            raise ValueError(
                f"{file_of(cls.__module__)}: {cls.__name__} has no `{name}`; the contract of {_a(kind)}, {protocol}, "
                "asks for it."
            )
    if kind == "rule":
        _check_rule(cls)
    elif kind == "assay":
        _package(kind).check_words(cls)


def _check_rule(cls: Any) -> None:
    """Refuse words of a rule that the engine does not know."""
    from zoo.rules import TAKEN, TUNABLE

    if cls.takes not in TAKEN:
        raise ValueError(
            f"{file_of(cls.__module__)}: takes is {cls.takes!r}; it must be {' or '.join(map(repr, TAKEN))}."
        )
    for name in cls.uses:
        if name not in TUNABLE:
            raise ValueError(f"{file_of(cls.__module__)}: uses has {name!r}; {lookup.nearest(name, TUNABLE)}.")


def _asked(kind: str, cls: type) -> dict[str, str]:
    """Member -> the contract's name, of what is asked of a class."""
    from models import Network
    from zoo.rules import GradientRule, Rule, UpdateRule, is_gradient
    from zoo.tasks import Environment, Task, is_environment

    if kind == "rule":
        protocols: tuple[Any, ...] = (Rule, GradientRule if is_gradient(cls) else UpdateRule)
    elif kind == "assay":
        protocols = (_package(kind).Assay,)
    else:
        protocols = (Network,) if kind == "model" else (Environment if is_environment(cls) else Task,)
    return {
        name: protocol.__name__
        for protocol in protocols
        for name in (*vars(protocol), *getattr(protocol, "__annotations__", ()))
        if not name.startswith("_")
    }


def _package(kind: str) -> Any:
    """The folder of a kind; the analysis stands above this package, which therefore cannot import it by name."""
    return importlib.import_module(lookup.FOLDERS[kind])


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def file_of(module: str) -> str:
    """Where a module stands: "zoo/rules/force.py"."""
    return module.replace(".", "/") + ".py"
