"""The zoo that a command line asks for: a preset or a Python file, with fields set by flags."""

import inspect
import os
import re
from pathlib import Path
from typing import Any

from zoo import files
from zoo.spec.flags import Overrides, field_flags, value_of

SPEC_FILE = "zoo.json"
"""Where a zoo directory has its spec."""

DIRECTORY_FORMAT = 2
"""Of a zoo directory; `zoo.json` names it."""

_ENTRY_TYPES = {
    **dict.fromkeys(("spec", "cohorts", "versions", "environment", "hardware", "data", "parts", "own"), dict),
    **dict.fromkeys(("retries", "merged"), list),
}


def read_spec(spec: str, overrides: Overrides = (), task: str | None = None, rule: str | None = None) -> Any:
    """The zoo of a preset, a Python file or a zoo directory, on another task or by another rule if one is named, with
    fields set as the command line asks."""
    from zoo import lookup
    from zoo.spec.zoo import Zoo

    path = Path(spec)
    of_directory = path / SPEC_FILE if (path / SPEC_FILE).is_file() else path if path.name == SPEC_FILE else None
    if of_directory is not None and of_directory.is_file():
        return _each_once(_set(_of_manifest(of_directory), overrides, task, rule))
    if path.suffix == ".py" or os.sep in spec or (path.exists() and spec not in lookup.names("preset")):
        if not path.exists():
            raise ValueError(f"The spec {spec} is no file; give a preset's name or a Python file that defines `zoo`.")
        if path.suffix != ".py" or not path.is_file():
            raise ValueError(
                f"The spec {spec} is no Python file; give one that defines `zoo`, a preset's name, or a zoo directory, "
                "whose spec is taken."
            )
        module = _executed(path)
    else:
        module = lookup.find("preset", spec)
    zoo = getattr(module, "zoo", None)
    if not isinstance(zoo, Zoo):
        raise ValueError(f"The spec {spec} must define `zoo`, a Zoo; it has {type(zoo).__name__}.")
    return _set(zoo, overrides, task, rule)


def place_of(spec: str, out: str) -> str:
    """The zoo directory that is trained: `out`, or where the spec is one and nothing else is said, that."""
    if out:
        return out
    if (Path(spec) / SPEC_FILE).is_file():
        return spec
    raise ValueError(f"--out is missing: the zoo directory of {spec}, new, or to go on with.")


def _of_manifest(path: Path) -> Any:
    """The zoo of a directory as a spec, with all that was added to it, but not those that were tried again: generations
    are of the directory, and a member stands once."""
    from zoo.spec import own_parts
    from zoo.spec.zoo import Zoo, grids_of

    content = checked_content(path.parent)
    specs = [content["spec"], *(added for added in content.get("retries", []) if not added.get("of"))]
    with own_parts.reading(path.parent, content):
        zoos = [Zoo.from_json(spec) for spec in specs]
    grids = dict.fromkeys(grid._replace(generation=0) for zoo in zoos for grid in zoo.grids)
    if len(zoos) == 1 and "merged" not in content:
        return Zoo.of_grids(zoos[0].name, grids)
    # Seeds that were added later are of the configuration that was there: "--seeds 8" counts from its first.
    seeds: dict[Any, dict[Any, None]] = {}
    for member in Zoo.of_grids(zoos[0].name, grids).members:
        seeds.setdefault(member.parts, {})[member] = None
    return Zoo.of_grids(zoos[0].name, grids_of(member for of_parts in seeds.values() for member in of_parts))


def _each_once(zoo: Any) -> Any:
    """The zoo without members that an earlier grid has, such as those that differed in a field that was set."""
    from zoo.spec.zoo import Zoo, grids_of

    known: set[str] = set()
    grids: list[Any] = []
    for grid in zoo.grids:
        members = Zoo.of_grids(zoo.name, [grid]).members
        new = [member for member in members if member.id not in known]
        known.update(member.id for member in new)
        grids += [grid] if len(new) == len(members) else grids_of(new)
    return Zoo.of_grids(zoo.name, grids)


def checked_content(path: Any) -> dict[str, Any]:
    """The content of a directory's `zoo.json`; a ValueError where it is none, one of another version, or damaged."""
    file = path / SPEC_FILE
    try:
        manifest = files.read_json(file)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path} is no zoo directory: it has no zoo.json.") from None
    if "format" in manifest and manifest["format"] != DIRECTORY_FORMAT:
        age = "an older" if manifest["format"] == 1 else "another"
        raise ValueError(
            f"{file} has format {manifest['format']!r}, of {age} version of this program; this version reads format "
            f"{DIRECTORY_FORMAT}."
        )
    if not {"format", "spec", "cohorts"} <= manifest.keys():
        raise ValueError(f"{file} is not a zoo's manifest: it must hold format, spec and cohorts.")
    for name, kind in _ENTRY_TYPES.items():
        if not isinstance(manifest.get(name, kind()), kind):
            raise ValueError(f"{file} is not a zoo's manifest: {name} is {manifest[name]!r:.80}.")
    kinds = [about.get("machines", []) if isinstance(about, dict) else None for about in manifest.get("merged", [])]
    if not all(isinstance(each, list) and all(isinstance(kind, dict) for kind in each) for each in kinds):
        raise ValueError(f"{file} is not a zoo's manifest: merged is {manifest['merged']!r:.80}.")
    for retry in manifest.get("retries", []):
        pairs = [retry.get(name, {}) for name in ("of", "begins")] if isinstance(retry, dict) else [None]
        if not all(isinstance(of, dict) and all(isinstance(m, str) for m in of.values()) for of in pairs):
            raise ValueError(f"{file} is not a zoo's manifest: {retry!r:.80} is no retry.")
    return manifest


def _set(zoo: Any, overrides: Overrides, task: str | None, rule: str | None) -> Any:
    from zoo.spec.contracts import class_of

    if task is not None:
        zoo = zoo.replace("task", class_of("task", task)())
    if rule is not None:
        zoo = zoo.replace("rule", class_of("rule", rule)())
    for path, text in overrides:
        zoo = zoo.replace(path, value_of(text))
    return zoo


def _executed(path: Path) -> Any:
    """The module of a spec file; what goes wrong in it is one sentence that names its line."""
    from zoo import lookup
    from zoo.spec import own_parts
    from zoo.spec.zoo import Zoo

    try:
        return own_parts.of_folder(path.parent, path).load(own_parts.spec_name(path))
    except Exception as error:
        why = lookup.failure(error, path)
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", why):
            of_parts = {flag.rpartition(".")[2] for flag in field_flags()}
            known = inspect.signature(Zoo).parameters if "Zoo.__init__" in why else sorted(of_parts - {unknown[1]})
            why = f"{why[: unknown.end()]}; {lookup.nearest(unknown[1], known)}"
        raise ValueError(why) from error
