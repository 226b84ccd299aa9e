"""The zoo directory while it is written: what begins one, what is refused, what is read how often."""

import re
import shutil
import subprocess
from pathlib import Path

import chex
import pytest

import run_zoo
from models import vanilla
from tests.zoo.small_zoos import FOUR, TASK, TWELVE
from zoo import Training, Zoo, load, train
from zoo.spec import zoo as zoo_module


def test_the_same_command_again_trains_nothing_and_changes_nothing(path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in path.glob("cohorts/**/*") if p.is_file()}
    train(TWELVE, path, quiet=True)
    assert {p: p.stat().st_mtime_ns for p in path.glob("cohorts/**/*") if p.is_file()} == before


def test_another_spec_is_refused_with_the_differing_fields(path: Path) -> None:
    with pytest.raises(ValueError, match=r"grids\[0\]\.training\[0\]\.steps is 6 there and 9 here"):
        train(TWELVE.replace("training.steps", 9), path, quiet=True)


def test_a_run_expands_its_zoo_once_and_reading_a_finished_directory_expands_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expanded, real = [], zoo_module._expanded
    monkeypatch.setattr(zoo_module, "_expanded", lambda grid: expanded.append(grid) or real(grid))
    for run in (1, 2):  # the second finds that all is done
        zoo = Zoo("once", task=TASK, model=vanilla.Model(hidden=4), training=Training(steps=2, batch=4), seeds=3)
        train(zoo, tmp_path / "zoo", quiet=True)
        assert len(expanded) == run
    assert len(load(tmp_path / "zoo").members) == 3
    assert len(expanded) == 2


def test_a_file_a_foreign_folder_and_an_unknown_member_are_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        train(TWELVE, tmp_path / "file", quiet=True)
    with pytest.raises(ValueError, match="files that are no zoo"):
        train(TWELVE, tmp_path, quiet=True)
    assert (tmp_path / "file").read_text() == "x"
    with pytest.raises(ValueError, match="no zoo directory"):
        load(tmp_path)
    member = load(path).members["member"][0]
    with pytest.raises(ValueError, match=f"no member '{member}x'; the nearest .*'{member}'"):
        load(path).params(member + "x")
    with pytest.raises(ValueError, match="of 2 cohorts"):
        load(path).params(load(path).members["member"].tolist())


def test_what_a_kill_in_the_first_write_leaves_is_no_foreign_directory(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / ".zoo.json.123.456").write_text("{")
    assert (train(FOUR, tmp_path / "zoo", quiet=True).members["steps"] == 6).all()


def test_a_disk_that_may_not_be_written_is_one_sentence_status_2_and_nothing_changes(
    small_disk: Path, whole: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.copytree(whole, small_disk / "zoo")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    before = {p: p.stat().st_mtime_ns for p in small_disk.rglob("*")}
    for out in (small_disk / "zoo", small_disk / "new"):
        assert run_zoo.main(["train", "tests/faults/specs/rnn.py", "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert "cannot be written" in said
        assert said.count("\n") == 1
    assert {p: p.stat().st_mtime_ns for p in small_disk.rglob("*")} == before
    assert len(load(small_disk / "zoo").members) == 6  # reading needs no writing


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?"])
def test_a_path_that_orbax_takes_for_a_pattern_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    said = re.escape(f"{name}/zoo has {name[1]!r} in it; it must be a path without *, ?, [.")
    with pytest.raises(ValueError, match=said):
        train(FOUR, tmp_path / name / "zoo", quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_path_with_other_odd_characters_is_trained_in_and_read(tmp_path: Path, four: Path) -> None:
    odd = train(FOUR, tmp_path / "ö {a}'%s;#", quiet=True, block=2)
    for member in odd.members["member"]:
        chex.assert_trees_all_equal(odd.params(member), load(four).params(member))
