"""A measure from its name."""

import ast
import contextlib
import dataclasses
import re
from typing import Any

from zoo import lookup
from zoo.spec.contracts import check_contract, class_of, is_of


def measure(choice: Any) -> Any:
    """A measure from its family, `"cka"`, from its name with choices, `"rsa(compare=pearson)"`, or as it is.

    Values are Python literals or bare words; `"cka(kernel=linear, biased)"`, a measure's own name, is read too.
    """
    if not isinstance(choice, str):
        if dataclasses.is_dataclass(choice) and not isinstance(choice, type) and hasattr(choice, "prepare"):
            if is_of("measure", choice):
                check_contract("measure", type(choice))
            return choice
        raise ValueError(
            f"{choice!r} is not a measure; give one of {', '.join(lookup.names('measure'))}, or a Measure."
        )
    match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", choice)
    if not match:
        raise ValueError(f"Measure {choice!r} does not read as family or family(field=value, ...).")
    family, text = match[1], match[2] or ""
    kind: Any = class_of("measure", family)
    fields = [field.name for field in dataclasses.fields(kind)]
    chosen: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals and name in kind.words:
            name, value = kind.words[name]
        elif name not in fields:
            raise ValueError(f"Measure {family} has no field {name!r}; {lookup.nearest(name, fields)}.")
        elif not equals:
            raise ValueError(f"Field {name!r} of measure {family} needs a value, {name}=...")
        else:
            with contextlib.suppress(ValueError, SyntaxError):
                value = ast.literal_eval(value)
        chosen[name] = value
    return kind(**chosen)
