"""Tasks, models and rules outside the plug-in folders: in the spec file, or in modules beside it.

Such a part is a class `Task`, `Model` or `Rule` as in a folder's file, and is named after its module. What it needs,
its module and those beside it that are imported, is kept in the zoo directory as `parts/NAME.py`; of a spec file the
statements that its parts need. So the directory is read where the spec is not, by running what it keeps. Modules of
one place see each other, and no other code sees them: two directories may keep other code under one name.
"""

import ast
import builtins
import contextvars
import hashlib
import itertools
import re
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from zoo import files, lookup

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
    """

    def __init__(self, find: Callable[[str], tuple[str, Any] | None], spec: str = ""):
        self._find, self.spec = find, spec
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
        vars(module).update(__file__=str(file), __builtins__=self._builtins)
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
            kept[module] = needed_of(found[0]) if module == self.spec else found[0]
            waiting += [each for each in _imported(kept[module]) if self.has(each)]
        return kept


_places: dict[str, Place] = {}
"""Module of one's own, by its full name -> its place."""

_seen: dict[tuple[str, str], type] = {}
"""Kind and name -> the class that this process has met last in a spec."""

_kept: contextvars.ContextVar[tuple[Place, frozenset[str]] | None] = contextvars.ContextVar("kept", default=None)


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


def meet(kind: str, cls: type) -> bool:
    """Whether this is a class of one's own; if so it is found by its name from now on.

    Raises:
      ValueError: its name is that of a part of the program.
    """
    if kind not in OWN_KINDS or place_of_class(cls) is None:
        return False
    name = cls.__module__.rpartition(".")[2]
    if name in lookup.names(kind):
        raise ValueError(
            f"{lookup.OWN_FILES[cls.__module__]}: there is a {kind} {name!r} in {lookup.FOLDERS[kind]} already; name "
            "the file otherwise, since a part is named after it."
        )
    if _kept.get() is None:
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
    kept = _kept.get()
    if kept is None:
        return _seen.get((kind, name))
    place, names = kept
    if kind not in OWN_KINDS or name not in names or name in lookup.names(kind):
        return None
    live = _seen.get((kind, name))
    if live is not None and _alike(place, live, name):
        return live
    try:
        cls = getattr(place.load(name), kind.capitalize(), None)
    except Exception as error:  # it does what it likes
        found = place.find(name)
        raise ValueError(lookup.failure(error, Path(str(found and found[1])))) from error
    return cls if isinstance(cls, type) else None


def _alike(place: Place, cls: type, name: str) -> bool:
    """Whether a class that is there already is made of the code that a directory keeps."""
    ours = place_of_class(cls)
    assert ours is not None
    ours, theirs = ours.texts(name), place.texts(name)
    return ours.keys() == theirs.keys() and all(same(text, theirs[module]) for module, text in ours.items())


@contextmanager
def reading(path: Any, parts: dict[str, str]) -> Iterator[None]:
    """While the statement runs, names of parts are those that a zoo directory keeps, too.

    Args:
      path: of the directory.
      parts: module -> sha256 of its file, as `zoo.json` has them. Nothing is run before a part is asked for.

    Raises:
      ValueError: what is named is no module.
    """
    if wrong := [name for name, digest in parts.items() if not (name.isidentifier() and isinstance(digest, str))]:
        raise ValueError(f"{path} is no zoo directory: {wrong[0]!r:.80} is no part of one.")
    told: list[str] = []

    def find(name: str) -> tuple[str, Any] | None:
        return (kept_text(path, name, parts[name]), path / PARTS / f"{name}.py") if name in parts else None

    class Told(Place):
        def load(self, name: str) -> ModuleType:
            if not told:
                told.append(name)
                print(f"Running the code that {path} keeps: {', '.join(parts)}", file=sys.stderr)
            return super().load(name)

    token = _kept.set((Told(find), frozenset(parts)))
    try:
        yield
    finally:
        _kept.reset(token)


def kept_text(path: Any, name: str, digest: str) -> str:
    """The code that a directory keeps under a name; a ValueError where it is not as it was written."""
    file = path / PARTS / f"{name}.py"
    try:
        content = files.read(file)
    except FileNotFoundError:
        raise ValueError(f"{file} is missing: the code of a part of this zoo; bring it back.") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{file} is not as it was written: the code of a part of this zoo; bring it back.")
    return content.decode()


def texts_of(zoo: Any) -> dict[str, str]:
    """The code of all parts of a zoo's own: module -> text.

    Raises:
      ValueError: two modules of one name.
    """
    kept: dict[str, str] = {}
    instances = {id(i): i for grid in zoo.grids for section in (grid.task, grid.model, grid.rule) for i in section}
    for cls in dict.fromkeys(each for i in instances.values() for each in _classes(i)):
        if (place := place_of_class(cls)) is not None:
            for module, text in place.texts(cls.__module__.rpartition(".")[2]).items():
                if not same(kept.setdefault(module, text), text):
                    raise ValueError(
                        f"Two modules {module}.py belong to parts of zoo {zoo.name!r}; rename one of them."
                    )
    return kept


def _classes(instance: Any) -> Iterator[type]:
    """The class of a part and of the rules that it holds."""
    yield type(instance)
    inner = getattr(instance, "inner", None)
    if inner is not None and hasattr(inner, "__dataclass_fields__"):
        yield from _classes(inner)


def keep(path: Any, texts: dict[str, str]) -> dict[str, str]:
    """Write code into a zoo directory: module -> sha256 of its file."""
    for module, text in texts.items():
        files.write_atomically(path / PARTS / f"{module}.py", text.encode())
    return {module: hashlib.sha256(text.encode()).hexdigest() for module, text in texts.items()}


def check_same(path: Any, parts: dict[str, str], texts: dict[str, str]) -> None:
    """Refuse code that is not what a directory keeps under its name: it would train other networks under old ids.

    Args:
      path: of the directory.
      parts: as `zoo.json` has them.
      texts: of the zoo that is given.
    """
    for module in parts.keys() & texts.keys():
        if not same(kept_text(path, module, parts[module]), texts[module]):
            raise ValueError(
                f"{module}.py is not what {path} was begun with, which is in {path / PARTS / f'{module}.py'}: bring "
                "that back, give the part another name, or choose another --out."
            )


def same(one: str, other: str) -> bool:
    """Whether two texts are the same code, whatever their comments and docstrings."""
    return one == other or _plain(one) == _plain(other)


def _plain(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[:1] = [] if len(node.body) > 1 or isinstance(node, ast.Module) else [ast.Pass()]
    return ast.dump(tree)


def _imported(text: str) -> list[str]:
    """First names of all that a module imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def needed_of(text: str) -> str:
    """Of a spec file, the statements that its classes `Task`, `Model` and `Rule` need, and these."""
    tree = ast.parse(text)
    roots = {kind.capitalize() for kind in OWN_KINDS}
    wanted, taken = set(roots), set()
    while True:
        new = {
            i
            for i, node in enumerate(tree.body)
            if i not in taken and (_binds(node) & wanted or _changes(node) & (wanted - roots) or _future(node))
        }
        if not new:
            break
        taken |= new
        wanted |= {name for i in new for name in _names(tree.body[i])}
    lines = text.splitlines(keepends=True)
    starts = [min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) for node in tree.body]
    return "\n\n".join("".join(lines[starts[i] - 1 : tree.body[i].end_lineno]).rstrip() for i in sorted(taken)) + "\n"


def _future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _names(node: ast.AST) -> set[str]:
    """The names of its module that a statement reads, not those of its functions' own."""
    top = symtable.symtable(ast.unparse(node), "", "exec")
    names = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    tables = top.get_children()
    while tables:
        table = tables.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        tables += table.get_children()
    return names


def _binds(node: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {node.name}
    bound = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for each in ast.walk(node):
        if isinstance(each, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in each.names}
        elif isinstance(each, ast.FunctionDef | ast.ClassDef):
            bound.add(each.name)
    return bound


def _changes(node: ast.stmt) -> set[str]:
    """The names whose objects a statement may change: `TABLE[0] = 1`, `TABLE.append(1)`."""
    targets: Iterable[Any] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets = [node.value.func]
    return {
        name
        for target in targets
        if isinstance(target, ast.Attribute | ast.Subscript)
        for name in _names(ast.Expr(target.value))
    }
