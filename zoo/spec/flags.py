"""The flags of a command line: those of the spec's fields, and those that no command has."""

import ast
import dataclasses
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from zoo.spec.member import SECTIONS

Overrides = Sequence[tuple[str, str]]
"""Path of a field and its value as text, as `--model.hidden 32` gives them."""


def value_of(text: str) -> Any:
    """What the text of a flag is: a Python literal, or itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def take_options(arguments: Sequence[str], kept: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Split flags, such as `--size 4`, with their values, from the other arguments and from the flags that are kept.

    Numbers that follow a number are of the same flag, `--window 100 500`, as if commas were between them.
    """
    rest: list[str] = []
    options: list[tuple[str, str]] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name in kept:
            rest.append(word)
            if name in kept and name != "help" and not equals and words and not words[0].startswith("--"):
                rest.append(words.pop(0))
            continue
        if not equals and (not words or (value := words.pop(0)).startswith("--")):
            raise ValueError(f"The flag {flag} has no value.")
        while words and _is_number(value.rpartition(",")[2]) and _is_number(words[0]):
            value = f"{value},{words.pop(0)}"
        options.append((name, value))
    return rest, options


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def options_of(kind: str, name: str, options: Overrides, own: Sequence[str] = ()) -> dict[str, Any]:
    """The options of a plug-in as flags give them; those that it declares as lists hold one value or several.

    Args:
      kind, name: of the plug-in.
      options: name and text, `("noise", "0.1,0.3")`.
      own: the command's other flags, which a misspelt one may be near to.

    Raises:
      ValueError: there is no such plug-in or option.
    """
    from zoo import lookup
    from zoo.spec.contracts import class_of
    from zoo.spec.fields import fields_of, label

    cls = class_of(kind, name)
    known = fields_of(cls)
    for option, _ in options:
        if option not in known:
            raise ValueError(f"{label(cls)} has no option {option!r}; {lookup.nearest(option, [*known, *own])}.")
    return {option: _of_field(known[option].type, text) for option, text in options}


def _of_field(declared: Any, text: str) -> Any:
    value = value_of(text)
    if typing.get_origin(declared) is not tuple or isinstance(value, (list, tuple)):
        return value
    return tuple(value_of(part.strip()) for part in text.strip("()[] ").split(",") if part.strip())


def with_number(arguments: Sequence[str], flag: str, number: int) -> list[str]:
    """The arguments, with this number behind a flag that has none."""
    words = list(arguments)
    for place in [i for i, word in enumerate(words) if word == flag]:
        if place + 1 == len(words) or not isinstance(value_of(words[place + 1]), (int, float)):
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


def check(words: Sequence[str], commands: Mapping[str, Any], whose_fields: type) -> None:
    """Refuses a command or a flag that there is not, with the nearest that there is.

    Args:
      words: of a command line, without the flags of fields.
      commands: name -> dataclass, whose fields are its flags, as tyro reads them.
      whose_fields: commands of this class take the flags of a spec's fields, too.

    Raises:
      ValueError: "compar", which is near "compare"; a flag "--sed", which is near "--seeds".
    """
    from zoo import lookup

    name = words[0] if words else "--help"
    if name not in commands:
        if not name.startswith("-"):
            raise ValueError(f"Unknown command {name!r}; {lookup.nearest(name, commands)}.")
        return
    own = _own_flags(commands[name])
    for flag in (word.partition("=")[0] for word in words[1:] if word.startswith("--")):
        asked = flag.removeprefix("--").replace("-", "_")
        if asked in (*own, "help"):
            continue
        known = [*own, *(field_flags() if issubclass(commands[name], whose_fields) else ())]
        flags = [f"--{each if '.' in each else each.replace('_', '-')}" for each in known]
        # The name of a field alone, "--steps", is near the flag whose end it is, "--training.steps".
        ends = [shown for each, shown in zip(known, flags) if each.rpartition(".")[2] == asked]
        near = f"the nearest {'is' if len(ends) == 1 else 'are'} {', '.join(map(repr, ends))}"
        raise ValueError(f"{name} has no flag {flag}; {near if ends else lookup.nearest(flag, flags)}.")


def _own_flags(command: Any) -> list[str]:
    """The names of a command's flags, with those of a dataclass that one of its fields is."""
    from tyro.conf import Fixed, Positional

    flags = []
    for field in dataclasses.fields(command):
        kind, marks = getattr(field.type, "__origin__", field.type), getattr(field.type, "__metadata__", ())
        if dataclasses.is_dataclass(kind):
            flags += _own_flags(kind)
        elif Positional not in marks and Fixed not in marks:
            flags.append(field.name)
    return flags


def field_flags() -> list[str]:
    """The flags of all fields that a spec may have: "seeds", "training.steps", "model.hidden", ..."""
    from zoo import lookup
    from zoo.spec.contracts import class_of
    from zoo.spec.fields import fields_of
    from zoo.spec.settings import Training

    known = {"seeds"} | {f"training.{field}" for field in fields_of(Training)}
    for kind in ("model", "task", "rule"):
        for each in lookup.names(kind):
            with suppress(ValueError):  # a file that is broken is not what this is about
                known |= {f"{kind}.{field}" for field in fields_of(class_of(kind, each))}
    return sorted(known)
