"""Damage and bad luck: nothing stored is lost, nobody gets another's numbers, and one sentence says what happened."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pandas as pd
import pytest

from models import vanilla
from zoo import Training, Zoo, load, train
from zoo.devices import startup
from zoo.devices.blocks import blocks_of
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.devices.startup import lanes
from zoo.store import checkpoints
from zoo.store.checkpoints import BlockFolder
from zoo.store.directory import Store
from zoo.store.lock import locked
from zoo.store.verification import verify
from zoo.tasks import flipflop

ROOT = Path(__file__).parent.parent.parent.parent
ZOO = Zoo(
    "lost",
    task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=3),
    training=Training(steps=6, batch=4, evaluate_every=2),
    seeds=4,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "zoo"
    train(ZOO, path, quiet=True, block=2)
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "zoo"))


def everyone(path: Path) -> dict[str, Any]:
    found = load(path)
    return {member: found.params(member) for member in sorted(found.members["member"])}


def test_a_sorted_member_table_does_not_give_a_member_anothers_parameters(whole: Path, copy: Path) -> None:
    table = pd.read_csv(copy / "members.csv")
    table.iloc[::-1].to_csv(copy / "members.csv", index=False)
    chex.assert_trees_all_equal(everyone(copy), everyone(whole))


def test_a_lost_member_table_is_read_from_the_blocks(whole: Path, copy: Path) -> None:
    (copy / "members.csv").unlink()
    pd.testing.assert_frame_equal(load(copy).members, load(whole).members, check_dtype=False)


def test_a_block_of_other_members_is_refused(copy: Path) -> None:
    first, second = sorted(copy.glob("cohorts/*/0*"))
    shutil.rmtree(first)
    second.rename(first)
    with pytest.raises(ValueError, match=r"holds members .* instead of"):
        train(ZOO, copy, quiet=True)


def test_a_full_disk_is_said_and_what_was_saved_stands(monkeypatch: Any, tmp_path: Path) -> None:
    real, calls = checkpoints._write, []

    def write(path: Any, tree: Any) -> None:
        calls.append(path)
        if len(calls) > 2:
            raise ValueError("RESOURCE_EXHAUSTED: No space left on device\nand a page more")
        real(path, tree)

    monkeypatch.setattr(checkpoints, "_write", write)
    with pytest.raises(OSError, match=r"Saving .* failed \(RESOURCE_EXHAUSTED: No space left on device\)"):
        train(ZOO, tmp_path / "zoo", quiet=True, devices=lanes()[:1])
    assert len(list((tmp_path / "zoo").glob("cohorts/*/*/0/manifest.json"))) >= 1
    monkeypatch.undo()
    again = train(ZOO, tmp_path / "zoo", quiet=True)
    assert (again.members["steps"] == 6).all()


def test_a_directory_that_is_being_trained_is_refused_and_says_who_holds_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "zoo", ZOO)
    code = (
        "import sys; sys.path.insert(0, 'tests/zoo/running'); from test_nothing_lost import ZOO; from zoo import train;"
        "train(ZOO, sys.argv[1], quiet=True)"
    )
    with locked(store.path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "zoo")], cwd=ROOT, text=True, capture_output=True, timeout=240
        )
    assert f"is being trained by process {os.getpid()}" in done.stderr
    train(ZOO, tmp_path / "zoo", quiet=True)  # let go


def test_what_a_kill_in_the_first_write_leaves_is_no_foreign_directory(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / ".zoo.json.123.456").write_text("{")
    assert (train(ZOO, tmp_path / "zoo", quiet=True).members["steps"] == 6).all()


def test_another_block_size_is_refused_on_a_begun_directory(copy: Path) -> None:
    with pytest.raises(ValueError, match=r"--block is 3, but cohort .* was begun with blocks of 2"):
        train(ZOO, copy, quiet=True, block=3)


def test_the_same_command_goes_on_after_its_block_was_halved(monkeypatch: Any, tmp_path: Path) -> None:
    real = Executable.advance

    def advance(self: Any, *args: Any) -> Any:
        if self.recipe.block > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return real(self, *args)

    monkeypatch.setattr(Executable, "advance", advance)
    train(ZOO, tmp_path / "zoo", quiet=True, block=2)
    assert (train(ZOO, tmp_path / "zoo", quiet=True, block=2).members["steps"] == 6).all()
    with pytest.raises(ValueError, match=r"--block is 4, but cohort .* was begun with blocks of 1"):
        train(ZOO, tmp_path / "zoo", quiet=True, block=4)


def test_out_of_memory_on_one_of_several_devices_trains_every_member_once(monkeypatch: Any, tmp_path: Path) -> None:
    real, lock, refused = Executable.advance, threading.Lock(), []

    def advance(self: Any, state: Any, floats: Any, device: Any, *rest: Any) -> Any:
        with lock:
            if self.recipe.block == 2 and not refused:
                refused.append(device)
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return real(self, state, floats, device, *rest)

    monkeypatch.setattr(Executable, "advance", advance)
    trained = train(ZOO, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:2])
    assert refused
    assert (trained.members["steps"] == 6).all()
    monkeypatch.undo()
    alone = train(ZOO, tmp_path / "alone", quiet=True, block=1)
    chex.assert_trees_all_equal(everyone(trained.path), everyone(alone.path))


@pytest.mark.parametrize("inner", ["map", "vmap"])
def test_a_diverged_members_curve_does_not_depend_on_how_steps_are_cut_into_calls(inner: str) -> None:
    zoo = ZOO.replace("learning_rate", 1e30)
    (cohort,) = zoo.cohorts
    recipe = Recipe(4, inner, "columns", startup.threads())
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    floats = jax.device_put(block.floats, device)
    ends = []
    for calls in ([(4, True)], [(1, False), (1, False), (2, True)]):
        state = program.advance(program.init(block, device), floats, device, 0, True)
        for steps, evaluate in calls:
            state = program.advance(state, floats, device, steps, evaluate)
        ends.append(jax.device_get(state))
    assert (ends[0].status == 2).all()
    chex.assert_trees_all_equal(*ends)


def test_products_are_at_the_precision_that_the_manifest_names() -> None:
    for precision, words in (("highest", "HIGHEST"), ("default", "DEFAULT")):
        (cohort,) = (ZOO.replace("precision", precision)).cohorts
        program = Executable(cohort, default_recipe(cohort))
        products = [
            line
            for line in program._lower(jax.local_devices()[0])[0].as_text().splitlines()
            if "stablehlo.dot_general" in line
        ]
        assert products
        asked = [line for line in products if f"precision = [{words}, {words}]" in line]
        assert len(asked) == len(products) if precision == "highest" else not [x for x in products if "HIGHEST" in x]


def test_a_stopped_members_curve_stays_where_it_is_in_the_picture() -> None:
    from analysis.report.figures import curves

    frame = pd.DataFrame(
        {"member": list("aabbb"), "step": [0, 1, 0, 1, 2], "loss": [1.0, 0.1, 1.0, 9.0, 9.0], "score": [0.5] * 5}
    )
    figure = curves(frame, {"a": "g", "b": "g"}, chance=0.1, solved=0.9, title="t")
    medians = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(medians, [1.0, 4.55, 4.55])


def test_rows_of_a_block_are_read_by_position(whole: Path) -> None:
    folder = BlockFolder(sorted(whole.glob("cohorts/*/0*"))[0])
    both, second = folder.rows(6, [0, 1], ("params",)), folder.rows(6, [1], ("params",))
    chex.assert_trees_all_equal(jax.tree.map(lambda x: x[1:], both), second)


def unchanged(path: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")}


def test_a_missing_cohort_folder_is_refused_and_nothing_changes(copy: Path, tmp_path: Path) -> None:
    folder = next(copy.glob("cohorts/*"))
    folder.rename(tmp_path / "aside")
    before = unchanged(copy)
    sentence = rf"{folder.name} is missing, and members\.csv says that 4 of its members were trained: bring it back"
    with pytest.raises(ValueError, match=sentence):
        train(ZOO, copy, quiet=True)
    assert unchanged(copy) == before
    assert any("no checkpoint holds it" in fault for fault in verify(copy).faults)
    (tmp_path / "aside").rename(folder)
    train(ZOO, copy, quiet=True)


def test_a_manifest_that_was_edited_by_hand_is_refused_and_nothing_changes(copy: Path) -> None:
    original = (copy / "zoo.json").read_text()
    edits = {
        "has been changed: its cohorts are not those of its spec": original.replace('"members": 4', '"members": 5'),
        r"holds another spec: .*steps is 7 there and 6 here": original.replace('"steps": 6', '"steps": 7'),
        r"zoo\.json cannot be read": original[:-9],
    }
    for sentence, text in edits.items():
        assert text != original
        (copy / "zoo.json").write_text(text)
        before = unchanged(copy)
        with pytest.raises(ValueError, match=sentence):
            train(ZOO, copy, quiet=True)
        assert unchanged(copy) == before


def test_control_characters_in_a_file_do_not_reach_the_terminal(copy: Path, capsys: pytest.CaptureFixture) -> None:
    import run_zoo

    table = copy / "members.csv"
    table.write_text(table.read_text().replace(",solved,", ",\x1b[2J,").replace(",unsolved,", ",\x1b[2J,"))
    assert run_zoo.main(["show", str(copy)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[2J" in said


def test_a_large_zoo_is_shown_in_rows_of_their_own(copy: Path, capsys: pytest.CaptureFixture) -> None:
    from zoo.terminal import LONG, print_table

    print_table(["name", "value"], [(f"row{i}", i / 4) for i in range(LONG + 1)], "title")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["title", "name    value", "row0    0"]
    assert lines[-1] == f"row{LONG}  {LONG / 4:.5g}"


def test_more_members_than_anyone_has_are_refused_before_they_are_counted_out() -> None:
    zoo = ZOO.replace("learning_rate", 1e-3)
    large = Zoo("large", task=ZOO.grids[0].task, model=vanilla.Model(hidden=3), training=Training(), seeds=10**6 + 1)
    assert len(zoo.cohorts) == 1
    with pytest.raises(ValueError, match="has 1000001 members; at most 1000000 are allowed"):
        _ = large.cohorts
