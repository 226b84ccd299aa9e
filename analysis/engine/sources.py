"""What a stored number was made by: the source of a plug-in and of all that it uses of this program.

A result that is kept is read again only where the code that would make it is the same. A plug-in's own file is not that
code: it leans on what its folder shares, on the probes, on the networks. So all that a file imports counts, directly or
not, whichever of it is called: to compute once more costs less than to believe what another version found.
"""

import ast
import functools
import hashlib
import inspect
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from zoo.spec.own_parts import texts_of

__all__ = ["source_hash"]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "zoo", "analysis")
"""The packages of this program; other packages count by their versions, where they count."""


@functools.cache
def source_hash(*modules: str) -> str:
    """A hash of the source of modules and of everything that they import of this program.

    Args:
      modules: dotted names; one of another program counts alone; one of a zoo's own parts with what is kept of it,
        whichever place of this process it was loaded into; one without a source is never the same again.
    """
    waiting, texts = list(modules), {}
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        texts[name] = _text(name) or (uuid.uuid4().hex if name in modules else "")
        waiting += _imported(name)
    named = {_stable(name): text for name, text in texts.items()}
    hashed = hashlib.sha256()
    for name in sorted(named):
        hashed.update(f"{name}\x1f{named[name]}\x1f".encode())
    return hashed.hexdigest()[:32]


def _text(name: str) -> str:
    """The source of a module; nothing where the name is that of something in one."""
    path = ROOT / name.replace(".", "/")
    for file in (path.parent / f"{path.name}.py", path / "__init__.py"):
        if file.is_file():
            return file.read_text(encoding="utf-8")
    if own := texts_of(name):
        return "\n".join(f"# {part}\n{text}" for part, text in sorted(own.items()))
    try:
        return inspect.getsource(sys.modules[name])
    except (KeyError, OSError, TypeError):
        return ""


def _stable(name: str) -> str:
    """A module's name; of one's own without the number of its place, which is another in every process."""
    return f"own_parts.{name.rpartition('.')[2]}" if texts_of(name) else name


@functools.cache
def _imported(name: str) -> tuple[str, ...]:
    """Dotted names of what a module imports of this program, anywhere in it."""
    return tuple(each for each in _names(ast.parse(_text(name))) if each.split(".")[0] in ROOMS)


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
