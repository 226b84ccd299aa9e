"""Parts outside the folders: used as they are, kept with the directory, and never mistaken for one another."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import chex
import pytest

import run_zoo
from zoo import load, lookup, merge, train
from zoo.launch.launching import train_share
from zoo.running.run_settings import Settings
from zoo.running.shares import Share
from zoo.spec import own_parts
from zoo.spec.spec_file import read_spec
from zoo.store import manifest
from zoo.store.lock import locked
from zoo.store.verification import verify

TASK = '''
import dataclasses

from models import setting
from shared import SCALE
from zoo.tasks import flipflop


@dataclasses.dataclass(frozen=True)
class Task(flipflop.Task):
    """Flip-flops whose targets are scaled."""

    extra: float = setting(0.0, least=0)

    def loss(self, outputs, trials):
        return super().loss(outputs, trials) * SCALE
'''
SPEC = """
from {task} import Task
from models import vanilla
from zoo import Training, Zoo

SEEDS = {seeds}
zoo = Zoo("own", task=Task(steps=6, eval_trials=8, probe_trials=8), model=vanilla.Model(hidden=3),
          training=Training(steps=4, batch=4, evaluate_every=2), seeds=SEEDS)
"""


@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test before has met is not known."""
    forget(monkeypatch)


def forget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(own_parts, "_seen", {})
    patch.setattr(own_parts, "_kept_places", {})
    manifest._described_by.cache_clear()


def written(folder: Path, task: str = "scaled", seeds: str = "range(2)", scale: float = 2.0, more: str = "") -> Path:
    """A spec beside its task and what that imports."""
    folder.mkdir(exist_ok=True)
    (folder / "shared.py").write_text(f"SCALE = {scale}\n")
    (folder / f"{task}.py").write_text(TASK + more)
    (folder / "study.py").write_text(SPEC.format(task=task, seeds=seeds))
    return folder / "study.py"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained zoo with a task of its own, whose spec is gone."""
    root = tmp_path_factory.mktemp("own")
    spec = written(root / "study")
    with pytest.MonkeyPatch.context() as patch:
        forget(patch)
        assert run_zoo.main(["train", str(spec), "--out", str(root / "zoo")]) == 0
    shutil.rmtree(root / "study")
    return root / "zoo"


def test_what_a_part_needs_is_kept_with_its_hash_and_the_directory_is_read_without_the_spec(
    done: Path, capfd: pytest.CaptureFixture
) -> None:
    assert sorted(file.name for file in (done / "parts").iterdir()) == ["scaled.py", "shared.py"]
    assert set(json.loads((done / "zoo.json").read_text())["parts"]) == {"scaled", "shared"}
    trained = load(done)
    member = trained.members["member"][0]
    assert member.startswith("scaled-vanilla-")
    assert len(trained.curves) == 2 * 3
    assert not verify(done).faults
    assert run_zoo.main(["show", str(done), member]) == 0
    assert "Running the code" not in capfd.readouterr().err, "members, curves and checksums need none of it"
    assert type(trained.task(member)).__name__ == "Task"
    assert capfd.readouterr().err.count("Running the code") == 1
    assert run_zoo.main(["compare", str(done), "--measures", "cka"]) == 0
    assert (done / "analysis" / "scaled.nc").exists()


def test_the_same_spec_elsewhere_goes_on_whatever_its_comments_and_another_task_of_the_name_is_refused(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    zoo = Path(shutil.copytree(done, tmp_path / "zoo"))
    spec = written(tmp_path / "here", seeds="range(3)", more="\n\n# a comment\n")
    assert run_zoo.main(["train", str(spec), "--out", str(zoo)]) == 0
    assert len(load(zoo).members) == 3
    assert run_zoo.main(["train", str(zoo)]) == 0, "a directory is its own spec"
    before = (zoo / "zoo.json").read_bytes()
    for changed in (written(tmp_path / "a", scale=3.0), written(tmp_path / "b", more="\nTask.chance = 0.5\n")):
        capsys.readouterr()
        assert run_zoo.main(["train", str(changed), "--out", str(zoo)]) == 2
        said = capsys.readouterr().err
        assert f".py is not what {zoo} was begun with, which is in {zoo / 'parts'}" in said
        assert said.count("\n") == 1
    assert (zoo / "zoo.json").read_bytes() == before


def test_two_directories_may_keep_other_code_under_one_name_and_are_not_merged(done: Path, tmp_path: Path) -> None:
    other = tmp_path / "zoo"
    train(read_spec(str(written(tmp_path / "here", seeds="[5]", scale=3.0))), other, quiet=True)
    scales = [sys.modules[type(load(z).zoo.members[0].task).__module__].SCALE for z in (done, other, done)]
    assert scales == [2.0, 3.0, 2.0]
    with pytest.raises(ValueError, match=r"keep other code under the name shared\.py"):
        merge((done, other), tmp_path / "both")
    alike = tmp_path / "alike"
    train(read_spec(str(written(tmp_path / "here", seeds="[5]"))), alike, quiet=True)
    both = merge((done, alike), tmp_path / "both", say=str)
    assert set(both.manifest["parts"]) == {"scaled", "shared"}
    shutil.rmtree(alike)
    manifest._described_by.cache_clear()
    assert [member.seed for member in load(both.path).zoo.members] == [0, 1, 5]


def test_a_share_on_another_machine_finds_the_parts_in_the_directory(done: Path, tmp_path: Path) -> None:
    zoo = Path(shutil.copytree(done, tmp_path / "zoo"))
    (zoo / "members.csv").unlink()
    for block in zoo.glob("cohorts/*/0000"):
        shutil.rmtree(block)
    with locked(zoo, "run"):
        assert train_share(str(zoo), Share(0, 1, "run"), "1", Settings()) == ""
    ids = load(done).members["member"].tolist()
    chex.assert_trees_all_equal(load(zoo).variables(ids), load(done).variables(ids))


def test_code_that_was_changed_or_is_gone_is_named_and_not_run(done: Path, tmp_path: Path) -> None:
    zoo = Path(shutil.copytree(done, tmp_path / "zoo"))
    file = zoo / "parts" / "shared.py"
    file.write_text("raise SystemExit\n")
    with pytest.raises(ValueError, match=r"parts/shared\.py is not as it was written"):
        load(zoo).zoo.members  # noqa: B018
    assert "shared.py is not as it was written" in verify(zoo).faults[0]
    file.unlink()
    with pytest.raises(ValueError, match=r"parts/shared\.py is missing"):
        load(zoo).zoo.members  # noqa: B018


def test_errors_name_file_and_line_and_the_nearest_name(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    spec, out = written(tmp_path / "a"), str(tmp_path / "zoo")
    lines = (spec.parent / "scaled.py").read_text()
    for file, text, sentence in (
        ("scaled", lines + "\n    sample = 3\n", "scaled.py, line 10: `sample` is 3; it must be a method that takes"),
        ("scaled", lines.replace("* SCALE", "* SCAL"), "scaled.py, line 16: NameError: name 'SCAL'"),
        ("scaled", lines + "x = 1 / 0\n", "scaled.py, line 17: ZeroDivisionError"),
        ("shared", "SCALE =\n", "shared.py, line 1: "),
        (
            "scaled",
            lines.replace("class Task(", "class Mine(") + "\n\nTask = Mine\n",
            "is called Mine; it must be called",
        ),
    ):
        written(tmp_path / "a")
        (spec.parent / f"{file}.py").write_text(text)
        assert run_zoo.main(["train", str(spec), "--out", out]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
    written(tmp_path / "a")
    assert run_zoo.main(["train", str(spec), "--out", out, "--task", "scaledd"]) == 2
    assert "Unknown task 'scaledd'; the nearest is 'scaled'" in capsys.readouterr().err
    taken = written(tmp_path / "b", task="sine")
    assert run_zoo.main(["train", str(taken), "--out", out]) == 2
    assert "sine.py: there is a task 'sine' in zoo.tasks already; name the file otherwise" in capsys.readouterr().err
    assert not (tmp_path / "zoo").exists()


OWN_SPEC = """
import dataclasses

from models import vanilla
from zoo import Training, Zoo
from zoo.tasks import flipflop

FACTORS = [1.0]
{before}

@dataclasses.dataclass(frozen=True)
class Task(flipflop.Task):
    def loss(self, outputs, trials):
        return super().loss(outputs, trials) * sum(FACTORS)

{after}
zoo = Zoo("own", task=Task(steps=6, eval_trials=8, probe_trials=8), model=vanilla.Model(hidden=3),
          training=Training(steps={steps}, batch=4, evaluate_every=2), seeds=[3])
{last}
"""


def own_spec(folder: Path, **where: str) -> Path:
    """A spec with a task in it."""
    folder.mkdir(exist_ok=True)
    places = {**dict.fromkeys(("before", "after", "last"), ""), "steps": "4", **where}
    (folder / "mine.py").write_text(OWN_SPEC.format(**places))
    return folder / "mine.py"


def test_a_directory_trains_what_its_spec_trains_and_refuses_the_same_spec_with_other_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    statements = {"before": "FACTORS[0] += {}", "last": "Task.chance = .5\nprint(zoo)"}
    spec = own_spec(tmp_path, **statements | {"before": "FACTORS[0] += 4"})
    zoo, again = tmp_path / "zoo", tmp_path / "again"
    assert run_zoo.main(["train", str(spec), "--out", str(zoo)]) == 0
    member, first = load(zoo).members["member"][0], load(zoo).curves
    own_spec(tmp_path, **statements | {"before": "FACTORS[0] += 40"})
    capsys.readouterr()
    assert run_zoo.main(["train", str(spec), "--out", str(zoo)]) == 2
    assert f"mine.py is not what {zoo} was begun with" in capsys.readouterr().err
    spec.unlink()
    forget(monkeypatch)
    assert run_zoo.main(["train", str(zoo), "--out", str(again)]) == 0
    assert load(again).members["member"].tolist() == [member]
    assert load(again).curves.equals(first)
    task = load(zoo).task(member)
    assert (task.chance, sys.modules[type(task).__module__].FACTORS) == (0.5, [5.0])


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ({"last": "Task.chance = len(zoo.members)"}, "mine.py, line 19: Task.chance is not what running mine.py gives"),
        ({"last": "FACTORS.append(zoo.name)"}, "mine.py, line 19: FACTORS is not what running mine.py gives again"),
        (
            {"before": "import time; FACTORS = [time.time_ns()]"},
            "mine.py, line 12: FACTORS is not what running mine.py",
        ),
        ({"before": "import shared; shared.SCALE = 9; FACTORS = [shared.SCALE]"}, ""),
        (
            {"before": "import pathlib; FACTORS = [len(pathlib.Path(__file__).read_text())]"},
            "mine.py, line 9: FileNotFoundError: ",
        ),
        (
            {"before": "flipflop.__doc__ = flipflop.__doc__"},
            "mine.py, line 9: flipflop.__doc__ is of the program, and must not",
        ),
        ({"after": "Task.seeds = property(lambda self: zoo)"}, "mine.py, line 16: "),
    ],
)
def test_code_that_would_not_be_the_same_in_a_directory_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture, where: dict[str, str], sentence: str
) -> None:
    (tmp_path / "shared.py").write_text("SCALE = 1")
    spec = own_spec(tmp_path, **where)
    assert run_zoo.main(["train", str(spec), "--out", str(tmp_path / "zoo")]) == (2 if sentence else 0)
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1 or not sentence
    assert (tmp_path / "zoo").exists() == (not sentence)


def test_a_class_that_the_spec_changes_after_importing_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    spec = written(tmp_path / "a")
    spec.write_text(spec.read_text() + "\nTask.chance = 0.5\n")
    assert run_zoo.main(["train", str(spec), "--out", str(tmp_path / "zoo")]) == 2
    assert "scaled.py, line 10: Task.chance is not what running scaled.py gives" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"Task\.chance is not what running"):
        train(read_spec(str(spec)), tmp_path / "zoo", quiet=True)
    assert not (tmp_path / "zoo").exists()


def test_a_part_that_is_kept_stays_itself_when_the_program_gains_one_of_its_name(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    zoo = Path(shutil.copytree(done, tmp_path / "zoo"))
    folder = tmp_path / "program"
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "scaled.py").write_text(
        (done / "parts" / "scaled.py").read_text().replace("shared", "zoo.keys")
    )
    monkeypatch.setattr(lookup, "_stems", lambda kind, stems=lookup._stems: [*stems(kind), "scaled"])
    (member, _) = load(zoo).members["member"]
    assert type(load(zoo).task(member)).__module__.startswith("own_parts.")
    assert run_zoo.main(["train", str(zoo)]) == 0
    assert run_zoo.main(["train", str(written(tmp_path / "here")), "--out", str(zoo)]) == 2
    assert "there is a task 'scaled' in zoo.tasks already" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"keeps a task 'flipflop' of its own, and that of this spec is the program's"):
        own_parts.check_same(zoo, {"own": {"task": ["flipflop"]}}, own_parts.own_of(read_spec("flipflop")))


def test_members_with_more_steps_begin_where_others_ended_whatever_classes_a_directory_has_given(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = Path(shutil.copytree(done, tmp_path / "zoo"))
    spec = written(tmp_path / "here")
    spec.write_text(spec.read_text().replace("steps=4", "steps=6"))
    given = read_spec(str(spec)) + read_spec(str(zoo))
    forget(monkeypatch)
    train(given, zoo, quiet=True)
    table = load(zoo).members.set_index("member")
    assert table["begins_from"].dropna().map(table["steps"]).tolist() == [4, 4]


def test_no_code_is_run_of_directories_that_are_not_merged(
    done: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    other = Path(shutil.copytree(done, tmp_path / "zoo"))
    content, shared = json.loads((other / "zoo.json").read_text()), b"print('I am run')\nSCALE = 3.0\n"
    (other / "parts" / "shared.py").write_bytes(shared)
    content["parts"]["shared"] = hashlib.sha256(shared).hexdigest()
    (other / "zoo.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"keep other code under the name shared\.py"):
        merge((done, other), tmp_path / "both")
    assert "run" not in "".join(capfd.readouterr()).lower()


def test_a_task_and_a_rule_of_one_file_know_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = """
from zoo.rules import bptt

@dataclasses.dataclass(frozen=True)
class Rule(bptt.Rule):
    def fits(self, model, task):
        return None if isinstance(task, Task) else "the task is another"
"""
    spec = own_spec(tmp_path, after=rule)
    spec.write_text(spec.read_text().replace("Zoo(", "Zoo(rule=Rule(), name="))
    train(read_spec(str(spec)), tmp_path / "zoo", quiet=True)
    assert json.loads((tmp_path / "zoo" / "zoo.json").read_text())["own"] == {"task": ["mine"], "rule": ["mine"]}
    forget(monkeypatch)
    (member,) = load(tmp_path / "zoo").zoo.members
    assert member.rule.fits(member.model, member.task) is None


def test_a_class_of_the_script_that_runs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cls: Any = type(read_spec(str(written(tmp_path / "a"))).members[0].task)
    monkeypatch.setattr(cls, "__module__", "__main__")
    with pytest.raises(ValueError, match="in the spec file or a module beside it, no class of the script that runs"):
        read_spec("demo").replace("task", cls())


def test_a_part_that_was_imported_as_a_module_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "a", task="imported_task")
    monkeypatch.syspath_prepend(tmp_path / "a")
    import imported_task  # pyright: ignore[reportMissingImports]

    zoo = read_spec(str(tmp_path / "a" / "study.py")).replace("task", imported_task.Task(steps=6))
    assert set(own_parts.own_of(zoo).texts) == {"imported_task", "shared"}
    del sys.modules["imported_task"], sys.modules["shared"]
