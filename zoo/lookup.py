"""Find a model, task, rule, measure, assay, study or preset by its name: the name of its file.

Nothing is registered. A folder is listed, and a wrong name is answered with the nearest right ones. Listing and
describing import none of the files: `run_zoo.py list` answers without JAX. The pages of a report are not among the
kinds, for nobody asks for one by its name: `analysis/report/pages/__init__.py` lists them.
"""

import ast
import difflib
import importlib
import importlib.util
import keyword
import pkgutil
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from zoo.wording import raised

FOLDERS = {
    "model": "models",
    "task": "zoo.tasks",
    "rule": "zoo.rules",
    "measure": "analysis.measures",
    "assay": "analysis.assays",
    "study": "analysis.studies",
    "preset": "zoo.presets",
}

HYPHENATED = ("preset", "study")
"""Kinds whose names have hyphens where their files have underscores."""

PACKAGES = ("models", "zoo", "analysis")

OWN_FILES: dict[str, str] = {}
"""Modules outside the folders that parts come from -> their files; see `zoo/spec/own_parts.py`."""

OWN_NAMES: dict[str, set[str]] = {}
"""Kind -> the names of such parts."""


def names(kind: str) -> list[str]:
    """All names of a kind of `FOLDERS`, sorted; those of `HYPHENATED` kinds with hyphens."""
    return sorted(stem.replace("_", "-") if kind in HYPHENATED else stem for stem in _stems(kind))


def find(kind: str, name: str) -> ModuleType:
    """The module of a name.

    Raises:
      ValueError: no such name, with the nearest ones, or a file that cannot be imported, with its line.
    """
    stem = _stem(kind, name)
    try:
        return importlib.import_module(f"{FOLDERS[kind]}.{stem}")
    except Exception as error:  # a file does what it likes
        raise ValueError(failure(error, _folder(kind) / f"{stem}.py")) from error


def describe(kind: str, name: str) -> str:
    """The first line of a module's docstring, or what is wrong with its file."""
    try:
        path = _folder(kind) / f"{_stem(kind, name)}.py"
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"), str(path))) or "").split("\n")[0]
    except SyntaxError as error:
        return failure(error, path)
    except ValueError as error:
        return str(error)


def failure(error: Exception, path: Path) -> str:
    """Where and why a file cannot be run: "zoo/tasks/mine.py, line 3: NameError: name 'x' is not defined".

    Args:
      error: that running it raised.
      path: the file that was run; where it imports a file of a folder that cannot be, this one is named.
    """
    files = {path.resolve(): str(path)}
    for kind, package in FOLDERS.items():
        files |= {file.resolve(): f"{package.replace('.', '/')}/{file.name}" for file in _folder(kind).glob("*.py")}
    files |= {Path(file).resolve(): file for file in OWN_FILES.values()}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    places = [(Path(frame.filename).resolve(), frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename).resolve(), error.lineno))
    where, line = next((place for place in reversed(places) if place[0] in files), (path.resolve(), None))
    why = (error.msg if isinstance(error, SyntaxError) else str(error)).split("\n")[0]
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return f"{files[where]}{'' if line is None else f', line {line}'}: {kind}{why}"


def placed(error: Exception) -> str:
    """An error that a plug-in's code has run into, with its place: "models/mine.py, line 9: KeyError: 'alpha'".

    An error of value that this program raises itself says already what is wrong, and where.
    """
    line = raised(error)
    for module, number in [] if says_itself(error) else reversed(_frames(error)):
        folder, _, stem = module.rpartition(".")
        if module in OWN_FILES:
            return f"{OWN_FILES[module]}, line {number}: {line}"
        if folder in FOLDERS.values() and not stem.startswith("_"):
            return f"{module.replace('.', '/')}.py, line {number}: {line}"
    return line


def says_itself(error: Exception) -> bool:
    """Whether an error is one of value that this program, or a plug-in of it, has raised on purpose."""
    frames = _frames(error)
    return isinstance(error, ValueError) and (
        not frames or frames[-1][0] in OWN_FILES or frames[-1][0].split(".")[0] in PACKAGES
    )


def _frames(error: Exception) -> list[tuple[str, int]]:
    """Module and line of every call that an error has come through."""
    return [(frame.f_globals.get("__name__", ""), line) for frame, line in traceback.walk_tb(error.__traceback__)]


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


def _stems(kind: str) -> list[str]:
    """The files of a kind, without their ending."""
    modules = (module.name for module in pkgutil.iter_modules([str(_folder(kind))]))
    return [stem for stem in modules if not stem.startswith("_")]


def _stem(kind: str, name: str) -> str:
    """The file of a name, without its ending; a ValueError where there is none, or one that Python cannot import."""
    available = names(kind)
    if name not in available:
        raise ValueError(f"Unknown {kind} {name!r}; {nearest(name, [*available, *OWN_NAMES.get(kind, ())])}.")
    stem = name.replace("-", "_") if kind in HYPHENATED else name
    if not stem.isidentifier() or keyword.iskeyword(stem) or stem not in _stems(kind):
        folder = FOLDERS[kind].replace(".", "/")
        raise ValueError(
            f"{folder}/{name}.py: the name of a file must be one that Python can import, of letters, digits and '_', "
            "and no word of the language."
        )
    return stem
