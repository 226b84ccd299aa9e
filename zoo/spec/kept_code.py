"""What is kept of the code of one's own parts.

Of a spec file all is kept but its zoo: the statements that give `zoo` a value or depend on it, and plain values that
these alone use. So whatever else changes a part is kept too. What a statement does is not guessed: the code that is
kept is run before anything is trained, and its class compared with the one that is there (`unlike`).
"""

import ast
import itertools
import re
import symtable
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from zoo import lookup

PART_CLASSES = ("Task", "Model", "Rule")
"""What the class of a part of one's own may be called."""

_DEFINED = "zoo"
"""What a spec defines."""

_PLAIN_CALLS = frozenset(("range", "list", "tuple", "dict", "set", "sorted", "zip", "len", "min", "max", "sum"))
"""Functions of Python that change nothing, in what a plain value may call."""

_PLAIN_NODES = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Dict, ast.Set),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Starred, ast.Call, ast.keyword),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


def without_zoo(text: str, file: Any) -> str:
    """The code of a spec file without its zoo; every other line stays at its number.

    Args:
      text: of the file.
      file: as errors name it.

    Raises:
      ValueError: a part needs the zoo, or a statement changes a part of the program; one sentence with the line.
    """
    body = ast.parse(text).body
    cut = _of_zoo(body)
    for i in sorted(cut):
        if named := _bound(body[i]) & set(PART_CLASSES):
            raise ValueError(
                f"{file}, line {body[i].lineno}: {min(named)} depends on `zoo`, which is not kept with its code; "
                "define what both need by itself."
            )
    return _blanked(text, [body[i] for i in sorted(cut | _plain_values(body, cut))])


def check_program(text: str, file: Any) -> None:
    """Refuse a module that gives a part of the program another meaning: its name in ids would stand for two things."""
    body = ast.parse(text).body
    program = _imported_names(body, lookup.PACKAGES)
    for node in body:
        targets: Iterable[Any] = ()
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute | ast.Subscript) and _root(target) in program:
                raise ValueError(
                    f"{file}, line {node.lineno}: {ast.unparse(target)} is of the program, and must not be changed; "
                    "change it in a class of its own."
                )


def line_that_changes(text: str, name: str) -> int | None:
    """The line of the first statement of a spec that is not kept and speaks of a name; None where there is none."""
    body = ast.parse(text).body
    return next((body[i].lineno for i in sorted(_of_zoo(body)) if name in _words(body[i])), None)


def _of_zoo(body: Sequence[ast.stmt]) -> set[int]:
    """The statements that give `zoo` a value, or read it or what came of it. An import may also be called so."""
    cut: set[int] = set()
    named = {_DEFINED}
    rest = [i for i, node in enumerate(body) if not isinstance(node, ast.Import | ast.ImportFrom)]
    while new := {
        i for i in rest if i not in cut and (_DEFINED in _bound(body[i]) or (_names(body[i]) - _bound(body[i])) & named)
    }:
        cut |= new
        named |= {name for i in new for name in _bound(body[i])}
    return cut


def _plain_values(body: Sequence[ast.stmt], cut: set[int]) -> set[int]:
    """Statements that only name a value, such as the seeds, which nothing that is kept speaks of: a zoo may grow by
    another value, and its code is the same."""
    bound = [name for node in body for name in _bound(node)]
    mine = {name for name in PART_CLASSES if bound.count(name) == 1}
    program = {name for name in _imported_names(body, lookup.PACKAGES) if bound.count(name) == 1}
    callable_here = program | mine | (_PLAIN_CALLS - set(bound))
    kept = {i: node for i, node in enumerate(body) if i not in cut}
    words = {i: _words(node) for i, node in kept.items()}
    plain = {i: _bound(n) for i, n in kept.items() if isinstance(n, ast.Assign) and _is_plain(n, callable_here)}
    uses = Counter(itertools.chain(PART_CLASSES, *words.values()))
    dropped: set[int] = set()
    # Each statement speaks of what it names itself; one less may leave another with nothing that speaks of its names.
    while new := {i for i in plain.keys() - dropped if all(uses[name] == 1 for name in plain[i])}:
        dropped |= new
        uses.subtract(itertools.chain(*(words[i] for i in new)))
    return dropped


def _is_plain(node: ast.Assign, callable_here: set[str]) -> bool:
    """Whether a statement names a value, and making the value changes nothing."""
    return all(isinstance(target, ast.Name) for target in node.targets) and all(
        isinstance(each, _PLAIN_NODES) and (not isinstance(each, ast.Call) or _root(each.func) in callable_here)
        for each in ast.walk(node.value)
    )


def _imported_names(body: Sequence[ast.stmt], packages: Iterable[str]) -> set[str]:
    """What the statements call what they import from some packages."""
    names = set()
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in packages and not node.level:
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            packs = [alias for alias in node.names if alias.name.partition(".")[0] in packages]
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in packs}
    return names


def _root(node: ast.AST) -> str:
    """The name that `a.b[0].c` begins with; "" of what begins with none."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _names(node: ast.AST) -> set[str]:
    """The names of its module that a statement reads, not those of its functions' own."""
    top = symtable.symtable(ast.unparse(node), "", "exec")
    names = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        tables += table.get_children()
    return names


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module gives a meaning, or takes it from."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {node.name}
    bound = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}
    for each in ast.walk(node):
        if isinstance(each, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in each.names}
        elif isinstance(each, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            bound.add(each.name)
    return bound


def _words(node: ast.AST) -> set[str]:
    """All that may be a name in a statement, also in a text that is no docstring: annotations may be texts."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            continue
        if isinstance(each, ast.Name):
            found.add(each.id)
        elif isinstance(each, ast.Attribute):
            found.add(each.attr)
        elif isinstance(each, ast.Global):
            found |= set(each.names)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            found |= set(re.findall(r"\w+", each.value))
        waiting += ast.iter_child_nodes(each)
    return found


def _blanked(text: str, nodes: Sequence[ast.stmt]) -> str:
    """The text with `pass` in place of some of its statements, and as many lines.

    Only a newline ends a line for `ast`, and it counts columns in bytes.
    """
    lines = text.encode().split(b"\n")
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        decorators = [each.lineno for each in getattr(node, "decorator_list", ())]
        first, last = min([node.lineno, *decorators]) - 1, (node.end_lineno or node.lineno) - 1
        before = b"" if decorators else lines[first][: node.col_offset]
        after = lines[last][node.end_col_offset :]
        if first == last:
            lines[first : last + 1] = [before + b"pass" + after]
        else:
            lines[first : last + 1] = [before, *[b""] * (last - first - 1), b"pass" + after]
    return b"\n".join(lines).decode()


def same(one: str, other: str) -> bool:
    """Whether two texts are the same code, whatever their comments and docstrings."""
    return one == other or _code(one) == _code(other)


def _code(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[:1] = [] if len(node.body) > 1 or isinstance(node, ast.Module) else [ast.Pass()]
    tree.body = [node for node in tree.body if not isinstance(node, ast.Pass)]  # where a zoo was
    return ast.dump(tree)


def imported(text: str) -> list[str]:
    """First names of all that a module imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return list(dict.fromkeys(name.partition(".")[0] for name in names))
