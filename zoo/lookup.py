"""Find a model, task, rule, measure or preset by its name: the name of its file.

Nothing is registered. A folder is listed, and a wrong name is answered with the nearest right ones.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

FOLDERS = {
    "model": "models",
    "task": "zoo.tasks",
    "rule": "zoo.rules",
    "measure": "analysis.measures",
    "preset": "zoo.presets",
}


def names(kind: str) -> list[str]:
    """All names of a kind ("model", "task", "rule", "measure", "preset"), sorted; a preset's with hyphens."""
    package = importlib.import_module(FOLDERS[kind])
    found = (module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))
    return sorted(name.replace("_", "-") if kind == "preset" else name for name in found)


def find(kind: str, name: str) -> ModuleType:
    """The module of a name, or a ValueError that offers the nearest names."""
    available = names(kind)
    if name not in available:
        raise ValueError(f"Unknown {kind} {name!r}; {nearest(name, available)}.")
    return importlib.import_module(f"{FOLDERS[kind]}.{name.replace('-', '_')}")


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


def describe(kind: str, name: str) -> str:
    """The first line of a module's docstring."""
    return (find(kind, name).__doc__ or "").strip().split("\n")[0]
