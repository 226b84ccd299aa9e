"""A snapshot that is lost or damaged is named by `verify` and by readers, and made again by `train`, bit for bit."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chex
import jax
import pytest

import run_zoo
from tests.faults.rig import assert_same, everything, folders
from tests.zoo.small_zoos import tiny
from zoo import load, train
from zoo.devices.blocks import blocks_of
from zoo.devices.executable import Executable
from zoo.running.remaking import remake
from zoo.store.checkpoints import BlockFolder
from zoo.store.directory import Store
from zoo.store.sealing import CheckpointCorrupt
from zoo.training.program import State

ZOO = tiny(steps=12, snapshots=(3, 4, 8))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("snapshots") / "zoo"
    return train(ZOO, path, quiet=True, block=2).path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "zoo"))


def content(folder: BlockFolder, step: int) -> tuple[Any, Any]:
    """All that a checkpoint holds."""
    return folder.rows(step, range(2), State._fields), folder.curves(step)


def flipped(step: Path) -> None:
    file = max((step / "state").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


HOW: dict[str, Callable[[Path], Any]] = {
    "flipped": flipped,
    "unsealed": lambda step: (step / "manifest.json").unlink(),
    "lost": shutil.rmtree,
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("steps", [(4,), (0, 3, 8)])
def test_a_broken_snapshot_is_named_with_what_mends_it_and_made_again_as_it_was(
    how: str, steps: tuple[int, ...], copy: Path, whole: Path, capsys: pytest.CaptureFixture
) -> None:
    block, theirs = folders(copy)[1], folders(whole)[1]
    for step in steps:
        HOW[how](block.path / str(step))
    assert run_zoo.main(["verify", str(copy)]) == 1
    said = capsys.readouterr()
    assert f"{len(steps)} fault" in said.err
    for step in steps:
        (line,) = [line for line in said.out.splitlines() if f"tep {step}" in line]
        assert str(block.path) in line
        assert line.endswith("; `train` on the same directory mends it.")
    member = load(copy).zoo.members[2].id
    with pytest.raises(ValueError, match=rf"{steps[-1]}.*; `(train|verify)`"):
        load(copy).params(member, at=steps[-1])
    trained = train(ZOO, copy)
    assert capsys.readouterr().out.count("again") >= len(steps)
    assert run_zoo.main(["verify", str(copy)]) == 0
    assert block.steps() == theirs.steps() == [0, 3, 4, 8, 12]
    for step in block.steps():
        chex.assert_trees_all_equal(content(block, step), content(theirs, step))
    assert_same(everything(copy), everything(whole))
    chex.assert_trees_all_equal(trained.params(member, at=4), load(whole).params(member, at=4))


def test_a_damaged_checkpoint_that_is_no_snapshot_is_to_be_removed(whole: Path, tmp_path: Path) -> None:
    """Nobody needs it: `train` makes none again that would go anyhow."""
    copy = train(ZOO, tmp_path / "zoo", quiet=True, block=2, keep=9, save_every=1e-9).path
    block = folders(copy)[0]
    step = next(step for step in block.steps() if step not in (0, 3, 4, 8, 12))
    flipped(block.path / str(step))
    with pytest.raises(CheckpointCorrupt, match="`verify` says what to do"):
        load(copy).params(load(copy).zoo.members[0].id, at=step)
    from zoo.store.verification import verify

    (fault,) = verify(copy).faults
    assert fault.endswith(f"newer ones are whole, so remove {block.path / str(step)}.")
    shutil.rmtree(block.path / str(step))
    assert verify(copy).faults == []
    assert_same(everything(copy), everything(whole))


def test_a_run_that_is_stopped_leaves_a_lost_snapshot_to_the_next(copy: Path, whole: Path) -> None:
    (cohort,), stop = ZOO.cohorts, threading.Event()
    store = Store(copy, ZOO)
    recipe = store.recipe(cohort.id)
    assert recipe is not None
    executable, folder = Executable(cohort, recipe), store.block(cohort.id, 0)
    shutil.rmtree(folder.path / "8")
    stop.set()
    for lost in ([8], []):
        remake(executable, blocks_of(cohort, recipe)[0], folder, jax.local_devices()[0], stop)
        assert folder.lost() == lost
        stop.clear()
    chex.assert_trees_all_equal(content(folder, 8), content(folders(whole)[0], 8))
