"""What a zoo directory says of itself, checked before it is believed.

    zoo.json                      spec, versions, what the environment asks of compilers, hardware, hashes of the data
                                  and of code; written by the first process
    recipes.json                  the recipe that every cohort is to begin with; written once, before anything trains
    cohorts/<cohort>/cohort.json  the recipe that it runs with, once its program has shown what memory it takes

Each is written by whoever comes first, whole, and the others read it: processes that share a directory agree.
"""

import functools
import importlib.metadata
import json
import platform
import re
from typing import Any

from zoo.files import read_json, to_json, write_once
from zoo.machine import environment
from zoo.spec import own_parts
from zoo.spec.spec_file import DIRECTORY_FORMAT, SPEC_FILE, checked_content
from zoo.spec.zoo import Zoo

DECIDING = ("jax", "jaxlib", "flax", "optax")
"""The packages whose versions decide bits."""

_RECIPE = {"block": int, "inner": (str, int), "conv_form": str, "threads": int, "llvm": int}


def create(path: Any, zoo: Zoo) -> None:
    """Write `zoo.json` of a new directory, unless another process of the same run has."""
    content = {"format": DIRECTORY_FORMAT, "spec": zoo.to_json(), "cohorts": sizes(zoo)}
    about = {"versions": versions(), "environment": environment()}
    write_once(path / "zoo.json", to_json({**content, **about, **own_parts.keep(path, own_parts.own_of(zoo))}))


def sizes(zoo: Zoo) -> dict[str, Any]:
    """Cohort -> how many members it has, as `zoo.json` holds it."""
    return {cohort.id: {"members": len(cohort.members)} for cohort in zoo.cohorts}


def read_manifest(path: Any) -> dict[str, Any]:
    """The checked content of a directory's manifest.

    Returns:
      format, spec, versions and what else is in `zoo.json`; and cohorts: id -> members, recipe (None until it is
      known), asked (the recipe it was to begin with; None until then) and what else is in `cohort.json`.

    Raises:
      ValueError: it is no zoo directory, one of another version, or damaged.
    """
    manifest, file = checked_content(path), path / SPEC_FILE
    asked = {}
    for number in range(len(manifest.get("retries", [])) + 1):
        asked |= _optional(path / recipes(number))
    for cohort, entry in manifest["cohorts"].items():
        counted = isinstance(entry, dict) and type(entry.get("members")) is int
        if not (counted and re.fullmatch(r"\w[\w.+-]{0,200}", cohort)):
            raise ValueError(f"{file} is not a zoo's manifest: {cohort!r:.80} is no cohort.")
        place = path / "cohorts" / cohort / "cohort.json"
        ran = _optional(place)
        manifest["cohorts"][cohort] = {
            "members": entry["members"],
            "asked": _recipe(path / "recipes.json", asked.get(cohort)),
            "recipe": _recipe(place, ran.get("recipe")),
            "evaluate_every": ran.get("evaluate_every"),
            "precision": ran.get("precision"),
            "solved": _number(place, "solved", ran.get("solved")),
        }
    return manifest


def check_cohorts(path: Any, manifest: dict[str, Any], zoo: Zoo) -> None:
    """Refuse a manifest whose cohorts are not those of its spec: somebody has changed it.

    Args:
      path: of the directory.
      manifest: of `read_manifest`.
      zoo: of `zoo_of`.
    """
    said = {cohort: {"members": entry["members"]} for cohort, entry in manifest["cohorts"].items()}
    if said != sizes(zoo):
        raise ValueError(f"{path / 'zoo.json'} has been changed: its cohorts are not those of its spec; bring it back.")


def recipes(retries: int) -> str:
    """The file with the recipes that cohorts are to begin with; those that a retry has added have one of their own."""
    return f"recipes-{retries}.json" if retries else "recipes.json"


def description(manifest: dict[str, Any]) -> str:
    """What `zoo_of` depends on, the spec and the retries of a manifest, as a line of JSON."""
    return json.dumps([manifest["spec"], manifest.get("retries", [])], sort_keys=True)


def zoo_of(manifest: dict[str, Any], path: Any) -> Zoo:
    """The spec of a manifest, with the members that were added; a ValueError where it is none.

    Manifests of one description share one zoo: what was expanded for `train` is there for `compare` and the report.

    Args:
      manifest: of `read_manifest`, or its spec alone.
      path: of the directory, whose code is run where a part of its own is not there.
    """
    code = json.dumps([manifest.get("parts", {}), manifest.get("own", {})], sort_keys=True)
    return _described_by(description(manifest), code, path if manifest.get("parts") else None)


@functools.lru_cache(maxsize=2)  # a zoo of 100,000 members is large: no more than two directories in turn
def _described_by(described: str, code: str, path: Any) -> Zoo:
    spec, retries = json.loads(described)
    parts, own = json.loads(code)
    with own_parts.reading(path, {"parts": parts, "own": own}):
        return sum(map(Zoo.from_json, retries), start=Zoo.from_json(spec))


def machines(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What decided the bits of a directory beside its spec and its recipes.

    Returns:
      Platform, CPU threads, versions of `DECIDING`, flags of compilers: name -> value; none where nobody
      has trained, several of a directory that was merged of such.
    """
    if kinds := [kind for about in manifest.get("merged", []) for kind in about.get("machines", [])]:
        return [kind for i, kind in enumerate(kinds) if kind not in kinds[:i]]
    recipes = [recipe for entry in manifest["cohorts"].values() if (recipe := entry["recipe"] or entry["asked"])]
    about = {name: manifest.get("versions", {}).get(name) for name in DECIDING}
    about |= manifest.get("environment", {"environment": "not recorded"})
    platform = manifest.get("hardware", {}).get("platform")
    return [
        {"platform": platform or ("cpu" if threads else "an accelerator"), "CPU threads": threads, **about}
        for threads in sorted({recipe["threads"] for recipe in recipes})
    ]


def difference(kinds: list[dict[str, Any]]) -> str:
    """In what some of `machines` differ, as words; "" where in nothing."""
    values = {name: dict.fromkeys(str(kind.get(name, "none")) for kind in kinds) for kind in kinds for name in kind}
    return "; ".join(f"{name} {' and '.join(each)}" for name, each in values.items() if len(each) > 1)


def check_one_machine(path: Any, manifest: dict[str, Any]) -> None:
    """Refuse to train in a directory that was merged of such as no single machine goes on with."""
    if other := difference(machines(manifest)):
        raise ValueError(
            f"{path} was merged from directories that differ in what decides bits ({other}), and nothing is trained in "
            "it: train, or add members, where they came from, and merge again."
        )


def tried_again(manifest: dict[str, Any]) -> dict[str, list[str]]:
    """Members that were tried again -> who they are now: several where directories were merged that tried apart."""
    tried: dict[str, list[str]] = {}
    for retry in manifest.get("retries", []):
        for old, new in retry.get("of", {}).items():
            tried[old] = [*tried.get(old, []), *([] if new in tried.get(old, []) else [new])]
    return tried


def begun_from(manifest: dict[str, Any]) -> dict[str, str]:
    """Members that go on where others with fewer steps ended -> those."""
    return {new: old for retry in manifest.get("retries", []) for new, old in retry.get("begins", {}).items()}


def _optional(file: Any) -> dict[str, Any]:
    try:
        return read_json(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _recipe(file: Any, recipe: Any) -> dict[str, Any] | None:
    """A recipe as a file has it, checked."""
    if recipe is None:
        return None
    is_one = isinstance(recipe, dict) and recipe.keys() == _RECIPE.keys()
    is_one = is_one and all(isinstance(recipe[n], t) and not isinstance(recipe[n], bool) for n, t in _RECIPE.items())
    if not is_one or recipe["block"] < 1 or not re.fullmatch(r"map|vmap|[1-9]\d{0,5}", str(recipe["inner"])):
        raise ValueError(f"{file} cannot be read: {recipe!r:.80} is no recipe.")
    return recipe


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide what is computed and how it is kept."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def _number(file: Any, name: str, value: Any) -> float | None:
    """A number as a file has it, checked; None where an earlier version wrote none."""
    if value is None or type(value) in (int, float):
        return value
    raise ValueError(f"{file} cannot be read: {name} is {value!r:.80}, and must be a number.")
