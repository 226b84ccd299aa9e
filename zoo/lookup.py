"""Find a model, task, rule, measure, assay or preset by its name: the name of its file.

Nothing is registered. A folder is listed, and a wrong name is answered with the nearest right ones. Listing and
describing import none of the files: `run_zoo.py list` answers without JAX.
"""

import ast
import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

FOLDERS = {
    "model": "models",
    "task": "zoo.tasks",
    "rule": "zoo.rules",
    "measure": "analysis.measures",
    "assay": "analysis.assays",
    "preset": "zoo.presets",
}


def names(kind: str) -> list[str]:
    """All names of a kind ("model", "task", "rule", "measure", "assay", "preset"), sorted; a preset's with hyphens."""
    modules = (module.name for module in pkgutil.iter_modules([str(_folder(kind))]))
    public = (name for name in modules if not name.startswith("_"))
    return sorted(name.replace("_", "-") if kind == "preset" else name for name in public)


def find(kind: str, name: str) -> ModuleType:
    """The module of a name, or a ValueError that offers the nearest names."""
    _check(kind, name)
    return importlib.import_module(f"{FOLDERS[kind]}.{name.replace('-', '_')}")


def describe(kind: str, name: str) -> str:
    """The first line of a module's docstring."""
    _check(kind, name)
    source = (_folder(kind) / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]


def nearest(name: str, available: Iterable[str]) -> str:
    """The end of an error's sentence: the nearest names when some are near, else all of them."""
    available = list(available)
    close = difflib.get_close_matches(name, available, n=3, cutoff=0.6)
    if close:
        ratio = {c: difflib.SequenceMatcher(None, name, c).ratio() for c in close}
        close = [c for c in close if ratio[c] >= ratio[close[0]] - 0.1]
        return f"the nearest {'is' if len(close) == 1 else 'are'} " + ", ".join(repr(c) for c in close)
    if len(available) > 20:
        return f"there are {len(available)}, such as {', '.join(available[:3])}"
    return "there are " + ", ".join(available) if available else "there are none"


def _folder(kind: str) -> Path:
    """Where a kind's files lie. Finding a package imports those above it, and not the package."""
    spec = importlib.util.find_spec(FOLDERS[kind])
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or ())))


def _check(kind: str, name: str) -> None:
    available = names(kind)
    if name not in available:
        raise ValueError(f"Unknown {kind} {name!r}; {nearest(name, available)}.")
