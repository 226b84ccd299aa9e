"""A spec's instances as plain JSON values, and back; hashes of them are what ids are made of."""

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from zoo import lookup
from zoo.spec.contracts import class_of
from zoo.spec.fields import checked, fields_of, label, name_of, named_values
from zoo.spec.member import SECTIONS
from zoo.spec.settings import Training

DEFAULT_RULE = "bptt"


def to_json(instance: Any) -> dict[str, Any]:
    """Name, unless it is a Training, and every field of an instance."""
    named = {} if isinstance(instance, Training) else {"name": name_of(instance)}
    known = fields_of(type(instance))
    values = named_values(instance)
    return {**named, **{n: _plain(v, n in known and known[n].holds is not None) for n, v in values.items()}}


def _plain(value: Any, is_part: bool) -> Any:
    return to_json(value) if is_part else list(value) if isinstance(value, tuple) else value


def from_json(section: str, values: dict[str, Any]) -> Any:
    """The instance of `to_json`; a ValueError where a name, field or value is not known."""
    values = dict(values)
    cls = Training
    if section != "training":
        cls = class_of(section, values.pop("name"))
    for name, value in getattr(cls, "former", {}).items():
        if values.pop(name, value) != value:
            raise ValueError(f"{label(cls)}.{name} is a field of another version of this program.")
    known = fields_of(cls)
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{label(cls)} has no field {name!r}; {lookup.nearest(name, known)}.")
        if (kind := known[name].holds) and isinstance(value, dict):
            values[name] = from_json(kind, value)
    return checked(cls(**values))


def canonical_json(instance: Any) -> str:
    """One line of JSON for an instance, always the same for equal values."""
    return line(to_json(instance))


def line(value: Any) -> str:
    """One line of JSON, always the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def described(specs: Iterable[dict[str, Any]], member: str) -> dict[str, Any] | None:
    """The sections of a member, each field -> value, and its seed; None where no spec has it.

    Args:
      specs: as `Zoo.to_json` gives them.
      member: an id.
    """
    for grid in (grid for spec in specs for grid in spec["grids"]):
        parts = [grid[section] for section in SECTIONS if section in grid]
        for task, model, training, *rule in itertools.product(*parts):
            start = f"{task['name']}-{model['name']}-"
            rule = [of for of in rule if of != {"name": DEFAULT_RULE}]
            for seed in grid["seeds"] if member.startswith(start) else ():
                if member == start + digest(line([task, model, training, seed, *rule])):
                    sections = dict(zip(SECTIONS, (task, model, training, *rule)))
                    hidden = {"name", *Training.former}
                    values = {s: {n: v for n, v in of.items() if n not in hidden} for s, of in sections.items()}
                    return {**values, "seed": seed}
    return None


@functools.cache
def default_rule() -> Any:
    """The rule of a zoo that names none; it is in no id, JSON or cohort key."""
    return class_of("rule", DEFAULT_RULE)()


def digest(text: str) -> str:
    """Ten hexadecimal digits that ids carry."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Paths at which two JSON values differ, with both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*ours, *theirs]):
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}" if path else key)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{path}[{i}]")
    elif ours != theirs:
        yield path, ours, theirs
