"""The zoo that a command line asks for: a preset or a Python file, with fields set by flags."""

import ast
import importlib.util
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.spec.member import SECTIONS

Overrides = Sequence[tuple[str, str]]
"""Path of a field and its value as text, as `--model.hidden 32` gives them."""


def read_spec(spec: str, overrides: Overrides = (), task: str | None = None, rule: str | None = None) -> Any:
    """The zoo of a preset or a file, on another task or by another rule if one is named, with fields set as the command
    line asks."""
    from zoo import lookup
    from zoo.spec.contracts import class_of
    from zoo.spec.zoo import Zoo

    if spec.endswith(".py") or os.sep in spec:
        path = Path(spec)
        if not path.is_file():
            raise ValueError(f"The spec {spec} is no file; give a preset's name or a Python file that defines `zoo`.")
        loader = importlib.util.spec_from_file_location("zoo_spec_file", path)
        assert loader is not None
        assert loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        _execute(path, loader.loader, module)
    else:
        module = lookup.find("preset", spec)
    zoo = getattr(module, "zoo", None)
    if not isinstance(zoo, Zoo):
        raise ValueError(f"The spec {spec} must define `zoo`, a Zoo; it has {type(zoo).__name__}.")
    if task is not None:
        zoo = zoo.replace("task", class_of("task", task)())
    if rule is not None:
        zoo = zoo.replace("rule", class_of("rule", rule)())
    for path, text in overrides:
        zoo = zoo.replace(path, value_of(text))
    return zoo


def value_of(text: str) -> Any:
    """What the text of a flag is: a Python literal, or itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _execute(path: Path, loader: Any, module: Any) -> None:
    """Run a spec file; what goes wrong in it is one sentence that names its line."""
    from zoo import lookup

    try:
        loader.exec_module(module)
    except Exception as error:
        why = lookup.failure(error, path)
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", why):
            why = f"{why[: unknown.end()]}; {_nearest_field(unknown[1])}"
        raise ValueError(why) from error


def _nearest_field(name: str) -> str:
    from zoo import lookup
    from zoo.spec.contracts import class_of
    from zoo.spec.fields import fields_of
    from zoo.spec.settings import Training

    known = set(fields_of(Training))
    for kind in ("model", "task", "rule"):
        for each in lookup.names(kind):
            with suppress(ValueError):  # a file that is broken is not what this is about
                known |= set(fields_of(class_of(kind, each)))
    return lookup.nearest(name, sorted(known))


def take_options(arguments: Sequence[str], kept: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Split flags, such as `--size 4`, with their values, from the other arguments and from the flags that are kept."""
    rest: list[str] = []
    options: list[tuple[str, str]] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name in kept:
            rest.append(word)
            if name in kept and name != "help" and not equals:
                rest.extend(value for value in [next(words, None)] if value is not None)
            continue
        if not equals and ((value := next(words, None)) is None or value.startswith("--")):
            raise ValueError(f"The flag {flag} has no value.")
        options.append((name, value))
    return rest, options


def with_number(arguments: Sequence[str], flag: str, number: int) -> list[str]:
    """The arguments, with this number behind a flag that has none."""
    words = list(arguments)
    for place in [i for i, word in enumerate(words) if word == flag]:
        if place + 1 == len(words) or not words[place + 1].lstrip("-").isdecimal():
            words.insert(place + 1, str(number))
    return words


def take_overrides(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Split flags of fields, such as `--task.x`, and `--seeds`, with their values, from the other arguments."""
    rest: list[str] = []
    overrides: list[tuple[str, str]] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not (
            flag.startswith("--") and (name == "seeds" or name.startswith(tuple(f"{section}." for section in SECTIONS)))
        ):
            rest.append(word)
            continue
        if not equals and (value := next(words, None)) is None:
            raise ValueError(f"The flag {flag} has no value.")
        overrides.append((name, value))
    return rest, overrides
