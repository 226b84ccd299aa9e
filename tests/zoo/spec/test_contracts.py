"""A file of a plug-in folder that breaks its contract is one sentence, which names the file and the member."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import run_zoo
from zoo import lookup
from zoo.spec import contracts
from zoo.spec.contracts import check_contract, class_of, class_of_folder

IMPORTS = """import abc, dataclasses, typing
import numpy as np
from models import Each, Static, setting
import models.gru, zoo.tasks, zoo.tasks.flipflop, zoo.rules.bptt
import analysis.assays.dimensionality, analysis.measures.neighbors
"""
TASK = "@dataclasses.dataclass(frozen=True)\nclass Task(zoo.tasks.flipflop.Task):\n    "
RULE = "@dataclasses.dataclass(frozen=True)\nclass Rule(zoo.rules.bptt.Rule):\n    "
MODEL = "class Model(models.gru.Model):\n    "
ASSAY = "@dataclasses.dataclass(frozen=True)\nclass Assay(analysis.assays.dimensionality.Assay):\n    "
MEASURE = "@dataclasses.dataclass(frozen=True)\nclass Measure(analysis.measures.neighbors.Measure):\n    "
HELD = "it must be int, float, bool or str, or tuple[T, ...] or Each[T] of one of these."
PROTOCOL = "@dataclasses.dataclass(frozen=True)\nclass Task(zoo.tasks.Task):\n    outputs = 1\n    input_shape = (2, 1)"

BROKEN = {
    "no class": ("task", "x = 1", "FILE has no class Task, which every task file defines."),
    "wrong name": ("rule", "class Rul: pass", "FILE has no class Rule, which every rule file defines."),
    "another's class": (
        "task",
        "from zoo.tasks.flipflop import Task",
        "FILE: Task is the class of zoo/tasks/flipflop.py; it must be one of its own, since a class is named after its "
        "file.",
    ),
    "inherited from the protocol": (
        "task",
        PROTOCOL,
        "FILE: Task has no `dt`; the contract of a task, Task, asks for it.",
    ),
    "abstract": (
        "task",
        TASK.replace("Task)", "Task, abc.ABC)") + "@property\n    @abc.abstractmethod\n    def most(self): ...",
        "FILE: Task leaves `most` abstract; define it.",
    ),
    "no family": ("model", MODEL + "family = 'rnn'", "FILE: family is 'rnn'; it must be 'recurrent' or 'feedforward'"),
    "no step": (
        "model",
        MODEL + "step = None",
        "FILE: Model has no `step`; the contract of a model, RecurrentNetwork, asks for it.",
    ),
    "not frozen": (
        "task",
        TASK.replace("@dataclasses.dataclass(frozen=True)\n", "") + "x: int = 1",
        "FILE: Task is no frozen dataclass; it must be declared with @dataclasses.dataclass(frozen=True).",
    ),
    "no module": (
        "model",
        "class Model: family = 'feedforward'",
        "FILE: Model is no frozen dataclass; it must be a flax.linen.Module.",
    ),
    "dict": ("task", TASK + "x: dict = setting(None)", f"FILE: the field `x` is declared dict; {HELD}"),
    "list": ("rule", RULE + "x: list[int] = setting(None)", f"FILE: the field `x` is declared list[int]; {HELD}"),
    "array": ("model", MODEL + "x: np.ndarray = setting(None)", f"FILE: the field `x` is declared ndarray; {HELD}"),
    "pair": ("task", TASK + "x: tuple[int, int] = (1, 2)", f"FILE: the field `x` is declared tuple[int, int]; {HELD}"),
    "optional": ("task", TASK + "x: int | None = None", f"FILE: the field `x` is declared int | None; {HELD}"),
    "unknown type": (
        "task",
        TASK + "x: 'Arr' = 1",
        "FILE: the annotations of Task cannot be read: name 'Arr' is not defined.",
    ),
    "unknown word of a rule that holds another": (
        "rule",
        RULE + "inner: zoo.rules.AnyRule = zoo.rules.bptt.Rule()\n    takes = 'images'",
        "FILE: takes is 'images'; it must be 'trials' or 'environment'.",
    ),
    "no default": (
        "rule",
        RULE + "x: int = setting()",
        "FILE: the field `x` has no default; it must have one, which the command line starts from.",
    ),
    "mutable default": (
        "task",
        TASK + "x: list = []",
        "FILE, line 6: mutable default <class 'list'> for field x is not",
    ),
    "method that is a number": (
        "assay",
        ASSAY + "figures = 5",
        "FILE: `figures` is 5; it must be a method that takes (self, result): the contract of an assay, Assay,",
    ),
    "method that takes less": (
        "assay",
        ASSAY + "def run(self): ...",
        "FILE: `run` is run(self); it must be a method that takes (self, population): the contract of an assay, Assay,",
    ),
    "gradient that is a number": (
        "rule",
        RULE + "gradient = 5",
        "FILE: `gradient` is 5; it must be a method that takes (self, bound, variables, state, batch, ctx): the",
    ),
    "fits that takes nothing": (
        "rule",
        RULE + "def fits(self): ...",
        "FILE: `fits` is fits(self); it must be a method that takes (self, model, task): the contract of a rule, Rule,",
    ),
    "one name for several": ("rule", RULE + "uses = 'l2'", "FILE: uses is 'l2'; it must be several names."),
    "a number for names": ("rule", RULE + "uses = 5", "FILE: uses is 5; it must be several names."),
    "no names": ("rule", RULE + "uses = None", "FILE: uses is None; it must be several names."),
    "no measure": ("measure", "x = 1", "FILE has no class Measure, which every measure file defines."),
    "measure without a member": (
        "measure",
        MEASURE + "tile = None",
        "FILE: Measure has no `tile`; the contract of a measure, PairMeasure, asks for it.",
    ),
    "unknown form": ("measure", MEASURE + "form = 'pairs'", "FILE: form is 'pairs'; it must be 'inner' or 'pair'."),
    "unknown kind": (
        "measure",
        MEASURE + "kind = 'metric'",
        "FILE: kind is 'metric'; it must be 'similarity' or 'distance' or 'score'.",
    ),
    "unknown time": (
        "measure",
        MEASURE + "time: str = setting('steps')",
        "FILE: time is 'steps'; it must be 'samples' or 'features' or 'mean' or 'last'.",
    ),
    "measure of repeats without their preparation": (
        "measure",
        MEASURE + "takes = ('repeats',)",
        "FILE: takes has 'repeats'; then Measure must have `prepare_repeats`, too.",
    ),
    "measure with a choice that has no default": (
        "measure",
        "@dataclasses.dataclass(frozen=True)\nclass Measure(analysis.measures.neighbors.Measure):\n    "
        "k: int = dataclasses.field(kw_only=True)",
        "FILE: Measure() fails: TypeError: ",
    ),
    "syntax": ("rule", "def f(:", "FILE, line 6: SyntaxError: invalid syntax"),
    "import": ("model", "import torchh", "FILE, line 6: ModuleNotFoundError: No module named 'torchh'"),
    "error": ("task", "1 / 0", "FILE, line 6: ZeroDivisionError: division by zero"),
}


KINDS = ("model", "task", "rule", "measure", "assay")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of one's own for all kinds that have a contract."""
    monkeypatch.syspath_prepend(tmp_path)
    for kind in KINDS:
        contract = f"from {lookup.FOLDERS[kind]} import *" if kind in ("measure", "assay") else ""
        monkeypatch.setitem(lookup.FOLDERS, kind, f"own_{kind}s")
        (tmp_path / f"own_{kind}s").mkdir()
        (tmp_path / f"own_{kind}s" / "__init__.py").write_text(contract)
    yield tmp_path
    class_of_folder.cache_clear()
    for module in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[module]


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_sentence_with_its_file_and_what_it_must_be(case: str, folders: Path) -> None:
    kind, code, sentence = BROKEN[case]
    (folders / f"own_{kind}s" / "mine.py").write_text(IMPORTS + code)
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the whole beginning is compared
        class_of(kind, "mine")
    assert str(caught.value).startswith(sentence.replace("FILE", f"own_{kind}s/mine.py")), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("has", ["neither `gradient` nor `update`", "both `gradient` and `update`"])
def test_a_rule_has_a_gradient_or_an_update(has: str) -> None:
    parts = dict.fromkeys(("gradient", "update") if "both" in has else (), print)
    about = dict(takes="trials", uses=frozenset(), fits=print, init=print, __module__="zoo.rules.mine")
    with pytest.raises(ValueError, match=f"^zoo/rules/mine.py: Rule has {has}; it must have one of them"):
        check_contract("rule", dataclasses.dataclass(frozen=True)(type("Rule", (), {**about, **parts})))


def test_a_file_is_named_so_that_python_can_import_it(folders: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("my-task", "class", "2afc"):
        (folders / "own_tasks" / f"{name}.py").write_text('"""Mine."""')
        with pytest.raises(ValueError, match=f"^own_tasks/{name}.py: the name of a file must be one that Python can"):
            class_of("task", name)


def test_list_says_what_is_wrong_with_a_file_and_names_all_others(folders: Path, capsys: pytest.CaptureFixture) -> None:
    (folders / "own_tasks" / "broken.py").write_text("def f(:")
    (folders / "own_tasks" / "my-task.py").write_text('"""Mine."""')
    (folders / "own_tasks" / "whole.py").write_text('"""A task."""')
    assert run_zoo.main(["list"]) == 0
    text = capsys.readouterr().out
    assert "  broken         own_tasks/broken.py, line 1: SyntaxError: invalid syntax\n" in text
    assert "  my-task        own_tasks/my-task.py: the name of a file must be one that Python can import" in text
    assert "  whole          A task.\n" in text


def test_a_broken_file_that_a_spec_imports_is_blamed_and_not_the_spec(
    folders: Path, capsys: pytest.CaptureFixture
) -> None:
    (folders / "own_tasks" / "mine.py").write_text("x = 1\ny = z\n")
    (folders / "spec.py").write_text("\n\n\nfrom own_tasks import mine\n")
    assert run_zoo.main(["run", str(folders / "spec.py"), "--out", str(folders / "zoo"), "--dry-run"]) == 2
    assert capsys.readouterr().err == "run_zoo.py: own_tasks/mine.py, line 2: NameError: name 'z' is not defined\n"


def test_a_wrong_field_is_answered_although_another_file_is_broken(
    folders: Path, capsys: pytest.CaptureFixture
) -> None:
    (folders / "own_tasks" / "broken.py").write_text("def f(:")
    (folders / "spec.py").write_text("from zoo import Training\nTraining(stepps=3)\n")
    assert run_zoo.main(["run", str(folders / "spec.py"), "--out", str(folders / "zoo"), "--dry-run"]) == 2
    assert "'stepps'; the nearest is 'steps'" in capsys.readouterr().err


def test_every_file_of_the_folders_keeps_its_contract() -> None:
    for kind in KINDS:
        for name in lookup.names(kind):
            assert contracts.file_of(class_of(kind, name)).endswith(f"/{name}.py")
