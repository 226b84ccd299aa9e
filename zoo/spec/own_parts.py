"""Tasks, models and rules outside the plug-in folders: in the spec file, or in modules beside it.

Such a part is a class `Task`, `Model` or `Rule` as in a folder's file, and is named after its module. What it needs,
its module and those beside it that are imported, is kept in the zoo directory as `parts/NAME.py`; of a spec file all
but its zoo. So the directory is read where the spec is not, by running what it keeps; this is done once before
anything is trained, and refused where it gives another class. Modules of one place see each other, and no other code
sees them: two directories may keep other code under one name.
"""

import ast
import builtins
import contextvars
import hashlib
import io
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from zoo import files, lookup
from zoo.spec._likeness import unlike
from zoo.spec.kept_code import check_program, imported, line_that_changes, same, without_zoo

OWN_KINDS = ("task", "model", "rule")
"""The kinds of which a zoo may have parts of its own."""

PARTS = "parts"
"""The folder of a zoo directory with the code of its own parts."""

_numbers = itertools.count()


class Place:
    """Modules that see each other.

    Args:
      find: the text of a module and its file, by its name; None where there is none.
      spec: the name of the module that is a spec; "" where none is.
      kept: whether the modules are what a directory keeps. They are run as if they lay nowhere, wherever they do: what
        depends on files beside it would not be the same in a directory.
    """

    def __init__(self, find: Callable[[str], tuple[str, Any] | None], spec: str = "", kept: bool = False):
        self._find, self.spec, self.kept = find, spec, kept
        self._run: dict[str, tuple[str, Any]] = {}  # what was run stays what is kept, though a file may change
        self._package = f"own_parts.{next(_numbers)}"
        self._builtins = {**vars(builtins), "__import__": self._import}

    def find(self, name: str) -> tuple[str, Any] | None:
        """The text of a module and its file, by its name; None where there is none."""
        return self._run.get(name) or self._find(name)

    def load(self, name: str) -> ModuleType:
        """A module of this place; raises what running it raises."""
        full = f"{self._package}.{name}"
        if full in sys.modules:
            return sys.modules[full]
        found = self.find(name)
        assert found is not None
        text, file = self._run[name] = found
        module = ModuleType(full)
        vars(module).update(__file__=f"{PARTS}/{name}.py" if self.kept else str(file), __builtins__=self._builtins)
        sys.modules[full] = module  # where dataclasses look for what annotations mean
        _places[full], lookup.OWN_FILES[full] = self, str(file)
        try:
            exec(compile(text, str(file), "exec"), vars(module))
        except BaseException:
            del sys.modules[full]
            raise
        return module

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        """`import` in a module of this place: what lies here comes before what is installed."""
        first = name.partition(".")[0]
        if level == 0 and self.has(first):
            return self.load(first)
        return builtins.__import__(name, globals, locals, fromlist, level)

    def has(self, name: str) -> bool:
        """Whether an import of this name means a module of this place."""
        return name not in lookup.PACKAGES and name not in sys.stdlib_module_names and self.find(name) is not None

    def texts(self, name: str) -> dict[str, str]:
        """What has to be kept of a module: its name -> its text, and those of all that it imports here."""
        kept: dict[str, str] = {}
        waiting = [name]
        while waiting:
            module = waiting.pop()
            found = self.find(module)
            if module in kept or found is None:
                continue
            kept[module] = without_zoo(*found) if module == self.spec else found[0]
            waiting += [each for each in imported(kept[module]) if self.has(each)]
        return kept


_places: dict[str, Place] = {}
"""Module of one's own, by its full name -> its place."""

_seen: dict[tuple[str, str], type] = {}
"""Kind and name -> the class that this process has met last in a spec."""

_kept_places: dict[str, Place] = {}
"""Digest of code that is kept -> its place: what keeps the same code has the same classes."""


def _kept_place(modules: dict[str, tuple[str, Any]], told: str = "") -> Place:
    """The place of code that is kept: module -> its text and file; what is told before it is run the first time."""
    key = _digest(json.dumps(sorted((name, text) for name, (text, _) in modules.items())).encode())
    if key not in _kept_places:
        if told:
            print(told, file=sys.stderr)
        _kept_places[key] = Place(modules.get, kept=True)
    return _kept_places[key]


class _Reading(NamedTuple):
    """A directory while it is read: its path, its code as module -> sha256, and its own parts as kind -> names."""

    path: Any
    parts: dict[str, str]
    kinds: dict[str, list[str]]
    place: list[Place]  # once a part was asked for

    def class_of(self, kind: str, name: str) -> type:
        if not self.place:  # all files are as they were written, before one is run
            modules = {m: (kept_text(self.path, m, d), self.path / PARTS / f"{m}.py") for m, d in self.parts.items()}
            told = f"Running the code that {self.path} keeps: {', '.join(self.parts)}"
            self.place.append(_kept_place(modules, told))
        return _class_in(self.place[0], kind, name)


_reading: contextvars.ContextVar[_Reading | None] = contextvars.ContextVar("reading", default=None)


def of_folder(folder: Path, spec: Path | None = None) -> Place:
    """The modules that lie in a folder; a spec among them, or beside them, has the name of `spec_name`."""
    named = spec_name(spec) if spec else ""

    def find(name: str) -> tuple[str, Path] | None:
        file = spec if spec and name == named else folder / f"{name}.py"
        return (file.read_text(encoding="utf-8"), file) if file.is_file() else None

    return Place(find, named)


def spec_name(spec: Path) -> str:
    """What the parts in a spec file are called: its name, as an identifier."""
    name = re.sub(r"\W", "_", spec.stem)
    return name if name[:1].isalpha() else f"spec_{name}"


def place_of_class(cls: type) -> Place | None:
    """Where a class of one's own comes from; None of one that is not, or that cannot be kept."""
    module = cls.__module__
    if module not in _places and "." not in module and module != "__main__":
        file = getattr(sys.modules.get(module), "__file__", None)
        if file and file.endswith(".py") and module not in lookup.PACKAGES:
            _places[module], lookup.OWN_FILES[module] = of_folder(Path(file).parent), file
    return _places.get(module)


def texts_of(module: str) -> dict[str, str]:
    """What is kept of a module of one's own, by its full name, see `Place.texts`; {} of any other module."""
    return _places[module].texts(module.rpartition(".")[2]) if module in _places else {}


def meet(kind: str, cls: type) -> bool:
    """Whether this is a class of one's own; if so it is found by its name from now on.

    Raises:
      ValueError: its name is that of a part of the program.
    """
    if kind not in OWN_KINDS or place_of_class(cls) is None:
        return False
    name = cls.__module__.rpartition(".")[2]
    place = _places[cls.__module__]
    if name in lookup.names(kind) and not place.kept:  # a later version may have a part of the name of one that is kept
        raise ValueError(
            f"{lookup.OWN_FILES[cls.__module__]}: there is a {kind} {name!r} in {lookup.FOLDERS[kind]} already; name "
            "the file otherwise, since a part is named after it."
        )
    if not place.kept:
        _seen[kind, name] = cls
        lookup.OWN_NAMES.setdefault(kind, set()).add(name)
    return True


def line_of(cls: type) -> str:
    """The file of a class of one's own and its line, as errors name them; "" of any other."""
    place = place_of_class(cls)
    found = place.find(cls.__module__.rpartition(".")[2]) if place else None
    if found is None:
        return ""
    lines = [n.lineno for n in ast.walk(ast.parse(found[0])) if isinstance(n, ast.ClassDef) and n.name == cls.__name__]
    return f"{found[1]}, line {lines[0]}" if lines else str(found[1])


def find(kind: str, name: str) -> type | None:
    """The class of a name, in the directory that is being read, or else in the specs of this process."""
    reading = _reading.get()
    if reading is None:
        return _seen.get((kind, name))
    return reading.class_of(kind, name) if name in reading.kinds.get(kind, ()) else None


def _class_in(place: Place, kind: str, name: str) -> type:
    """The class of a part in code that is kept; a ValueError where running it gives none."""
    file = (place.find(name) or ("", ""))[1]
    try:
        cls = getattr(place.load(name), kind.capitalize(), None)
    except Exception as error:  # it does what it likes
        raise ValueError(lookup.failure(error, Path(file))) from error
    if not isinstance(cls, type):
        raise ValueError(f"{file} has no class {kind.capitalize()}, which every {kind} file defines.")
    return cls


@contextmanager
def reading(path: Any, content: dict[str, Any]) -> Iterator[None]:
    """While the statement runs, names of parts are those that a zoo directory keeps, too.

    Args:
      path: of the directory.
      content: of its `zoo.json`: `parts`, module -> sha256 of its file, and `own`, kind -> names. Nothing is run before
        a part is asked for.

    Raises:
      ValueError: what is named is no module.
    """
    parts, kinds = content.get("parts", {}), content.get("own", {})
    if wrong := [name for name, digest in parts.items() if not (name.isidentifier() and isinstance(digest, str))]:
        raise ValueError(f"{path} is no zoo directory: {wrong[0]!r:.80} is no part of one.")
    for kind, names in kinds.items():
        if kind not in OWN_KINDS or not isinstance(names, list) or not set(map(str, names)) <= parts.keys():
            raise ValueError(f"{path} is no zoo directory: {names!r:.80} are no parts of the kind {kind!r:.80}.")
    token = _reading.set(_Reading(path, parts, kinds, []))
    try:
        yield
    finally:
        _reading.reset(token)


def kept_text(path: Any, name: str, digest: str) -> str:
    """The code that a directory keeps under a name; a ValueError where it is not as it was written."""
    file = path / PARTS / f"{name}.py"
    try:
        content = files.read(file)
    except FileNotFoundError:
        raise ValueError(f"{file} is missing: the code of a part of this zoo; bring it back.") from None
    if _digest(content) != digest:
        raise ValueError(f"{file} is not as it was written: the code of a part of this zoo; bring it back.")
    return content.decode()


class Own(NamedTuple):
    """What a zoo has of its own.

    Attributes:
      texts: module -> the code that is kept.
      kinds: kind -> the names of its own parts.
      program: kind -> the names of the program's parts that it has.
    """

    texts: dict[str, str]
    kinds: dict[str, list[str]]
    program: dict[str, list[str]]


def own_of(zoo: Any) -> Own:
    """The own parts of a zoo; the code of each is run as it is kept, and gives the same class.

    Raises:
      ValueError: it does not; or two modules, or two parts of a kind, have one name.
    """
    own, files_of, classes = Own({}, {}, {}), {}, []
    instances = {id(i): (s, i) for grid in zoo.grids for s in OWN_KINDS for i in getattr(grid, s)}
    for kind, cls in dict.fromkeys((kind, each) for kind, i in instances.values() for each in _classes_in(i)):
        place, name = place_of_class(cls), cls.__module__.rpartition(".")[2]
        names = (own.kinds if place else own.program).setdefault(kind, [])
        if name not in names:
            names.append(name)
        if place:
            classes.append((kind, name, cls, place))
            for module, text in place.texts(name).items():
                if not same(own.texts.setdefault(module, text), text):
                    raise ValueError(
                        f"Two modules {module}.py belong to parts of zoo {zoo.name!r}; rename one of them."
                    )
                files_of[module] = (place.find(module) or ("", ""))[1]
    for kind, names in own.kinds.items():
        if both := set(names) & set(own.program.get(kind, ())):
            raise ValueError(
                f"Zoo {zoo.name!r} has two {kind}s {min(both)!r}, its own and one of {lookup.FOLDERS[kind]}."
            )
    for module, text in own.texts.items():
        check_program(text, files_of[module])
    kept = _kept_place({module: (text, files_of[module]) for module, text in own.texts.items()})
    for kind, name, cls, place in classes:
        _check_kept(kind, name, cls, place, kept)
    return own


def _classes_in(instance: Any) -> Iterator[type]:
    """The class of a part and of the rules that it holds."""
    yield type(instance)
    inner = getattr(instance, "inner", None)
    if inner is not None and hasattr(inner, "__dataclass_fields__"):
        yield from _classes_in(inner)


def _check_kept(kind: str, name: str, cls: type, place: Place, kept: Place) -> None:
    """Refuse a class that is not what running the code gives that is kept of it."""
    try:
        with redirect_stdout(io.StringIO()):  # what it prints has been printed
            again = _class_in(kept, kind, name)
    except ValueError as error:
        raise ValueError(f"{str(error).rstrip('.')}, when what a directory keeps of the code is run alone.") from error
    if (differs := unlike(cls, again)) is not None:
        found = place.find(name) if name == place.spec else None
        line = line_that_changes(found[0], differs.rpartition(".")[2]) if found else None
        where = f"{found[1]}, line {line}" if found and line else line_of(cls)
        raise ValueError(
            f"{where}: {differs} is not what running {name}.py gives again, without its zoo, as a directory keeps it; "
            "set it in that file, to the same each time, and by no file beside it."
        )


def keep(path: Any, own: Own) -> dict[str, Any]:
    """Write code into a zoo directory.

    Returns:
      Entries of `zoo.json`, where anything is kept: `parts`, module -> sha256 of its file, and `own`, kind -> names.
    """
    if not own.texts:
        return {}
    for module, text in own.texts.items():
        files.write_atomically(path / PARTS / f"{module}.py", text.encode())
    return {"parts": {module: _digest(text.encode()) for module, text in own.texts.items()}, "own": own.kinds}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep_more(path: Any, own: Own, content: dict[str, Any]) -> dict[str, Any]:
    """Write the code that a zoo directory does not keep yet; its entries of `zoo.json`, with those that it has."""
    parts, kinds = content.get("parts", {}), content.get("own", {})
    new = keep(path, own._replace(texts={m: text for m, text in own.texts.items() if m not in parts}))
    named = {k: list(dict.fromkeys([*kinds.get(k, ()), *own.kinds.get(k, ())])) for k in (*kinds, *own.kinds)}
    return {"parts": {**parts, **new.get("parts", {})}, "own": named} if named else {}


def check_same(path: Any, content: dict[str, Any], own: Own) -> None:
    """Refuse code that is not what a directory keeps under its name: it would train other networks under old ids.

    Args:
      path: of the directory.
      content: of its `zoo.json`.
      own: of the zoo that is given.
    """
    parts, kinds = content.get("parts", {}), content.get("own", {})
    for module in parts.keys() & own.texts.keys():
        if not same(kept_text(path, module, parts[module]), own.texts[module]):
            raise ValueError(
                f"{module}.py is not what {path} was begun with, which is in {path / PARTS / f'{module}.py'}: bring "
                "that back, give the part another name, or choose another --out."
            )
    for kind, names in kinds.items():
        if both := set(names) & set(own.program.get(kind, ())):
            raise ValueError(
                f"{path} keeps a {kind} {min(both)!r} of its own, and that of this spec is the program's: go on with "
                f"`train {path}`, or choose another --out."
            )


def check_alike(directories: Sequence[tuple[Any, dict[str, str]]]) -> None:
    """Refuse directories that keep other code under one name; none of it is run.

    Args:
      directories: of each its path, and `parts` of its `zoo.json`.
    """
    known: dict[str, tuple[str, Any]] = {}
    for path, parts in directories:
        for module, digest in parts.items():
            text = kept_text(path, module, digest)
            if not same(known.setdefault(module, (text, path))[0], text):
                raise ValueError(f"{known[module][1]} and {path} keep other code under the name {module}.py.")
