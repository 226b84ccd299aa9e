"""One run from its settings to its table: what is refused before it starts, and what it says at its end."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

from tests.zoo.small_zoos import FOUR, THREE, tiny, unchanged
from zoo import train
from zoo.devices import tuning
from zoo.devices.startup import lanes
from zoo.running import cohort_queue, scheduler
from zoo.store.checkpoints import block_folders
from zoo.store.verification import verify


def test_a_diverged_member_is_labelled_and_the_run_ends_well(tmp_path: Path) -> None:
    zoo = tiny(learning_rate=1e30)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    assert set(trained.members["status"]) == {"diverged"}
    assert (trained.members["steps"] < 4).all()
    assert np.isfinite(trained.params(trained.members["member"][0])["recurrent"]).all()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A finished zoo of one cohort in two blocks."""
    return Path(train(FOUR, tmp_path / "zoo", quiet=True, block=2).path)


def test_another_block_size_is_refused_on_a_begun_directory(copy: Path) -> None:
    with pytest.raises(ValueError, match=r"--block is 3, but cohort .* was begun with blocks of 2"):
        train(FOUR, copy, quiet=True, block=3)


def test_other_flags_of_a_compiler_are_refused_and_other_versions_said(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    before, asked = unchanged(copy), os.environ.get("XLA_FLAGS", "")
    monkeypatch.setenv("XLA_FLAGS", f"--xla_other=1 {asked}")
    with pytest.raises(ValueError, match=r"was begun with XLA_FLAGS='.*' and this process has XLA_FLAGS='.*other=1'"):
        train(FOUR, copy)
    assert unchanged(copy) == before
    monkeypatch.setenv("XLA_FLAGS", asked)
    manifest = json.loads((copy / "zoo.json").read_text())
    manifest["versions"]["jax"] = "0.1"
    del manifest["environment"]  # of a version that did not write it
    (copy / "zoo.json").write_text(json.dumps(manifest))
    train(FOUR, copy)
    assert f"was begun with jax 0.1, now {jax.__version__}: what is trained from here on" in capsys.readouterr().out


def test_a_missing_cohort_folder_is_refused_and_nothing_changes(copy: Path, tmp_path: Path) -> None:
    folder = next(copy.glob("cohorts/*"))
    folder.rename(tmp_path / "aside")
    before = unchanged(copy)
    sentence = rf"{folder.name} is missing, and members\.csv says that 4 of its members were trained: bring it back"
    with pytest.raises(ValueError, match=sentence):
        train(FOUR, copy, quiet=True)
    assert unchanged(copy) == before
    assert any("no checkpoint holds it" in fault for fault in verify(copy).faults)
    (tmp_path / "aside").rename(folder)
    train(FOUR, copy, quiet=True)


def test_room_is_measured_before_anything_trains(monkeypatch: Any, tmp_path: Path) -> None:
    """What a running block holds must not make the next cohort's block smaller."""
    busy, real = threading.Event(), scheduler.train_pack
    monkeypatch.setattr("zoo.running.run.bytes_free", lambda device: 0 if busy.is_set() else 2**34)

    def training_pack(*args: Any, **kwargs: Any) -> None:
        busy.set()
        real(*args, **kwargs)

    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    trained = train(THREE, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:1])
    assert [entry["recipe"]["block"] for entry in trained.manifest["cohorts"].values()] == [2, 2, 2]


def test_tuning_ends_before_anything_trains(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    order: list[str] = []
    real = scheduler.train_pack
    monkeypatch.setattr(tuning, "steps_per_second", lambda *args: order.append("tune") or 1.0)

    def training_pack(*args: Any, **kwargs: Any) -> None:
        order.append("train")
        real(*args, **kwargs)

    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    train(THREE, tmp_path / "zoo", quiet=True, tune=True)
    assert order.index("train") == order.count("tune") > 0


def test_programs_of_finished_cohorts_are_given_back(monkeypatch: Any, tmp_path: Path) -> None:
    made: list[Any] = []
    real = cohort_queue.CohortQueue.__init__

    def remember(self: Any, *args: Any) -> None:
        real(self, *args)
        made.append(self)

    monkeypatch.setattr(cohort_queue.CohortQueue, "__init__", remember)
    train(THREE, tmp_path / "zoo", quiet=True)
    assert len(made) == 3
    assert all(queue._executable is None and not queue.workers for queue in made)


def test_snapshots_stay_hold_the_bits_of_their_step_and_are_read_by_it(tmp_path: Path) -> None:
    zoo, wanted = tiny(steps=12, snapshots=(1, 5, 6)), (1, 5, 6)
    trained = train(zoo, tmp_path / "zoo", quiet=True, block=3, keep=1)
    for folder in block_folders(trained.path):
        assert folder.steps() == [0, *wanted, 12]
    ids = list(trained.members["member"])[:3]
    for step in wanted:
        shorter = train(tiny(steps=step), tmp_path / str(step), quiet=True, block=3)
        theirs = [member.id for member in tiny(steps=step).members][:3]
        chex.assert_trees_all_equal(trained.params(ids, at=step), shorter.params(theirs))
    with pytest.raises(ValueError, match=r"has no checkpoint at step 7; it has 0, 1, 5, 6, 12"):
        trained.params(ids, at=7)
    assert {m.id for m in tiny().members}.isdisjoint(m.id for m in zoo.members), "snapshots are part of a spec"


def test_a_block_whose_members_have_all_stopped_is_read_at_later_snapshots_as_it_stopped(tmp_path: Path) -> None:
    zoo = tiny(steps=12, snapshots=(2, 10), learning_rate=1e30, evaluate_every=4)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    ids = list(trained.members["member"])
    assert trained.members["steps"].max() < 10
    for at in (10, np.int64(10)):
        chex.assert_trees_all_equal(trained.params(ids, at=at), trained.params(ids))
