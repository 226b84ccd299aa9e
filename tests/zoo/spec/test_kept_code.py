"""What is kept of a spec's code gives the classes that the spec gives, or is refused: both are run and compared."""

import sys
import types
from typing import Any

import pytest

from zoo.spec._likeness import unlike
from zoo.spec.kept_code import check_program, imported, line_that_changes, same, without_zoo

SPEC = """
from __future__ import annotations
import dataclasses
from typing import ClassVar
import numpy as np

SEEDS = range(2)
TABLE = [1.0, 2.0]

def louder(self, x=1.0): return 7 * x

def fill(out): out.append(5.0)

def again(cls):
    cls.chance = 3 * cls.chance
    return cls
{before}
class Task:
    chance = 0.25
    {inside}
    def loss(self, x=1.0):
        return x * sum(TABLE) + self.chance
{after}
zoo = {zoo}
{last}
"""

KINDS = (
    {"before": "TABLE[0] += 4"},
    {"before": "TABLE: list[float] = [9.0]"},
    {"before": "for x in (3.0, 4.0): TABLE.append(x)"},
    {"before": "fill(TABLE)"},
    {"before": "fill(out=TABLE)"},
    {"before": "more = fill(TABLE)"},
    {"before": "np.add(TABLE, 1.0, out=(TABLE := np.zeros(2)))"},
    {"before": "del TABLE[1]"},
    {"before": "if len(TABLE) > 1:\n    TABLE *= 2\nelse:\n    TABLE = []"},
    {"before": "try:\n    TABLE.remove(8.0)\nexcept ValueError:\n    TABLE.append(8.0)"},
    {"before": "with np.errstate(all='ignore'):\n    TABLE = [np.float64(4)]"},
    {"before": "def grown():\n    global TABLE\n    TABLE = [40.0]\ngrown()"},
    {"before": "globals()['TABLE'] = [11.0]"},
    {"before": "TABLE, other = [4.0], 4"},
    {"before": "TABLE = np.arange(3.0)\nTABLE[1:] -= 2"},
    {"before": "trials = 8", "inside": "trials: int = trials"},
    {"before": "trials = 8", "inside": "trials: 'trials' = 1"},
    {"before": "size = 3.0", "inside": "sizes = [x * size for x in TABLE]"},
    {"before": "chosen = louder", "inside": "def other(self): return (lambda: chosen(self))()"},
    {"before": "@again"},
    {"before": "A = 1; other = range(3)\n"},
    {"before": "NOTE = 'a\\fb\x0c\x85\u2028c'\n\x0cTABLE.append(6.0)  # \x85 \u2028 ü"},
    {"after": "Task.loss = louder"},
    {"after": "Task.chance = .5"},
    {"after": "setattr(Task, 'chance', .5)"},
    {"after": "Task = again(Task)"},
    {"after": "for name in ('loss',): setattr(Task, name, louder)"},
    {"after": "del Task.loss\nTask.loss = louder"},
    {"after": "Task.loss.__defaults__ = (3.0,)"},
    {"last": "Task.chance = .75"},
    {"last": "TABLE.append(1.0)"},
    {"last": "print(zoo)\nfor seed in SEEDS: zoo.append(seed)\nTable = [len(zoo)]"},
    {"last": "if __name__ == '__main__':\n    train(zoo)"},
    {"zoo": "[\n    Task(),  # ü\n    SEEDS]; TABLE.append(2.5)"},
)


def spec(**where: str) -> str:
    return SPEC.format(
        **{**dict.fromkeys(("before", "inside", "after", "last"), ""), "zoo": "[Task(), SEEDS]", **where}
    )


def executed(text: str, number: int) -> dict[str, Any]:
    """What a module has after it was run, as a module of one's own."""
    module = types.ModuleType(f"own_parts.{number}.mine")
    exec(compile(text, "mine.py", "exec"), vars(module))
    return vars(module)


@pytest.mark.parametrize("where", KINDS, ids=lambda where: "; ".join(map(ascii, where.values())))
def test_the_code_that_is_kept_gives_the_class_of_the_spec_whatever_statement_makes_it(where: dict[str, str]) -> None:
    text = spec(**where)
    kept = without_zoo(text, "mine.py")
    there, again = executed(text, 1), executed(kept, 2)
    assert again["Task"]().loss() == there["Task"]().loss()
    assert unlike(there["Task"], again["Task"]) is None
    assert "zoo" not in again
    assert "SEEDS" not in again
    assert kept.count("\n") == text.count("\n"), "lines stay at their numbers"
    assert same(kept, without_zoo(kept, "mine.py"))


@pytest.mark.parametrize("where", [w for w in KINDS if {"before", "after"} & w.keys()], ids=lambda where: str(where))
def test_a_class_that_another_code_gives_is_told_from_it(where: dict[str, str]) -> None:
    plain, changed = executed(spec(), 1)["Task"], executed(spec(**where), 2)["Task"]
    alike = changed().loss() == plain().loss() and vars(changed).keys() == vars(plain).keys()
    assert (unlike(changed, plain) is None) == alike


@pytest.mark.parametrize(
    ("where", "name", "line"),
    [
        ({"last": "Task.chance = len(zoo)"}, "Task.chance", 25),
        ({"last": "x = 1\nTABLE.append(len(zoo))"}, "TABLE", 26),
        ({"zoo": "[Task(), fill(TABLE)]"}, "TABLE", 24),
        ({"zoo": "[setattr(Task, 'loss', louder)]"}, "Task.loss", 24),
        ({"before": "TABLE = np.random.default_rng().random(3)"}, "TABLE", None),
        ({"before": "TABLE = [id(fill)]"}, "TABLE", None),
        ({"inside": "where = __file__"}, "Task.where", None),
        ({"inside": "def where(self): return __file__"}, "__file__", None),
    ],
)
def test_what_is_not_kept_or_is_another_each_time_is_found_by_its_name_and_line(
    where: dict[str, str], name: str, line: int | None
) -> None:
    text = spec(**where)
    there = executed(f"__file__ = 'here'\n{text}".replace("from __future__ import annotations\n", ""), 1)
    again = executed(f"__file__ = 'there'\n{without_zoo(text, 'mine.py')}".replace("from __future__ import ", "#"), 2)
    assert unlike(there["Task"], again["Task"]) == name
    if line:
        assert line_that_changes(text, name.rpartition(".")[2]) == line


def test_a_part_that_needs_the_zoo_is_refused_with_its_line() -> None:
    for where in ({"inside": "seeds = lambda self: zoo"}, {"before": "def of_zoo(): return zoo\n@of_zoo"}):
        with pytest.raises(ValueError, match=r"^mine\.py, line 1\d: Task depends on `zoo`, which is not kept"):
            without_zoo(spec(**where), "mine.py")
    assert "def helper(zoo)" in without_zoo(spec(before="def helper(zoo): return zoo"), "mine.py")


def test_values_that_the_zoo_alone_uses_may_change_and_those_of_a_part_or_a_call_may_not() -> None:
    def kept(before: str, inside: str = "") -> str:
        return without_zoo(
            spec(before=f"from models import gru\nfrom zoo import product\n{before}", inside=inside), "x"
        )

    for value in (
        "RATES = [1e-3, 1e-4]",
        "RATES = product(gru.Model, hidden=[{}])",
        "RATES = [10 ** -i for i in (1,)]",
    ):
        assert same(kept(value), kept("RATES = [1]"))
    assert not same(kept("RATES = fill(TABLE)"), kept("RATES = [1]"))
    assert not same(kept("RATES = [1]", "rates = RATES"), kept("RATES = [2]", "rates = RATES"))
    assert not same(kept("RATES = [1]", "x: 'RATES'"), kept("RATES = [2]", "x: 'RATES'"))


def test_a_module_that_changes_a_part_of_the_program_is_refused() -> None:
    start = "import zoo.tasks.sine\nfrom zoo.tasks import flipflop as f\nimport os\n"
    for text in ("f.Task.loss = 3", "f.TABLE[0] += 1", "del f.Task.loss", "zoo.tasks.sine.Task.loss = 3"):
        with pytest.raises(ValueError, match=r"^mine\.py, line 4: .* is of the program, and must not be changed"):
            check_program(start + text, "mine.py")
    check_program(start + "os.environ['A'] = '1'\nmine = f.Task", "mine.py")


def test_code_is_the_same_whatever_its_comments_and_docstrings() -> None:
    assert same('"""Words."""\nclass A:\n    """More."""\n', "class A: ...\n".replace("...", "pass") + "# others\n")
    assert not same("A = 1\n", "A = 2\n")


def test_all_that_a_module_imports_is_found() -> None:
    assert imported("import a.b, c\ndef f():\n    from d.e import g\nfrom . import h") == ["a", "c", "d"]


LIKENESS = """
import collections, dataclasses, functools, threading
import jax, jax.numpy as jnp, numpy as np
import flax.linen as nn

class Helper:
    def __init__(self, x): self.x, self.lock = x, threading.Lock()

@dataclasses.dataclass(frozen=True)
class Settings:
    size: int = {x}

Pair = collections.namedtuple("Pair", "a b")
ITSELF = []
ITSELF.append(ITSELF)
VALUES = {{
    "set": {{Settings, {x}}}, "key": jax.random.key({x}), "array": jnp.full(2, {x}), "nan": float("nan"),
    "jit": jax.jit(lambda y: y + {x}), "partial": functools.partial(max, {x}), "layer": nn.Dense({x}),
    "helper": Helper({x}), "settings": Settings(), "pair": Pair({x}, 2), "itself": ITSELF, "name": __name__,
}}

class Task(nn.Module):
    hidden: int = 3

    @nn.compact
    def __call__(self, y): return nn.Dense(self.hidden)(y)

    @property
    def values(self): return VALUES[{key!r}]

    @functools.cached_property
    def deep(self):
        def inner(): return [Helper for _ in VALUES]
        return inner

    @classmethod
    def made(cls): return cls()
"""


def test_two_runs_of_one_code_are_alike_and_any_value_that_differs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(number: int, x: int, only: str | None = None) -> dict[str, Any]:
        name = f"own_parts.{number}.mine"
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(LIKENESS.format(x=x, key="set"), vars(module))
        if only:
            keys = set(module.VALUES) - {only}
            for key in keys:
                del module.VALUES[key]
        return vars(module)

    assert unlike(run(1, 3)["Task"], run(2, 3)["Task"]) is None
    for key in ("set", "key", "array", "jit", "partial", "layer", "helper", "settings", "pair"):
        assert unlike(run(1, 3, key)["Task"], run(2, 4, key)["Task"]) is not None, key
