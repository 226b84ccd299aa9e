"""The folder of a block: which steps stay, what a damaged one costs, what a full disk leaves."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

import run_zoo
from tests.faults.rig import ZOOS, assert_same, everything, folders
from tests.zoo.small_zoos import FOUR, TWELVE, block_of, files
from zoo import load, train
from zoo.devices.blocks import blocks_of
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.startup import lanes
from zoo.running import packing
from zoo.store import checkpoints
from zoo.store.checkpoints import BlockFolder
from zoo.store.sealing import CheckpointCorrupt


def test_old_checkpoints_go_and_step_0_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.running.loaded_block import load_block

    monkeypatch.setattr(packing, "CALL_SECONDS", 1e9)  # calls of two steps, however slow the machine
    cohort = TWELVE.cohorts[0]
    program = Executable(cohort, default_recipe(cohort))
    device, block = jax.local_devices()[0], blocks_of(cohort, program.recipe)[0]
    for kept, expected in ((2, [0, 4, 6]), (1, [0, 6]), (9, [0, 2, 4, 6])):
        folder = BlockFolder(tmp_path / str(kept), kept)
        held = load_block(program, block, folder, device)
        settings = dict(save_every=1e-9, stop=threading.Event(), tell=lambda held, taken: None)
        packing.train_pack(packing.Pack(program, [held], device), **settings)  # pyright: ignore[reportArgumentType]
        assert folder.steps() == expected


def test_rows_of_a_block_are_read_by_position(four: Path) -> None:
    folder = BlockFolder(sorted(four.glob("cohorts/*/0*"))[0])
    both, second = (folder.rows(6, rows, ["params"])["params"] for rows in ([0, 1], [1]))
    chex.assert_trees_all_equal(jax.tree.map(lambda x: x[1:], both), second)


def test_a_full_disk_is_said_and_what_was_saved_stands(monkeypatch: Any, tmp_path: Path) -> None:
    real, calls = checkpoints._write, []

    def write(path: Any, tree: Any) -> None:
        calls.append(path)
        if len(calls) > 2:
            raise ValueError("RESOURCE_EXHAUSTED: No space left on device\nand a page more")
        real(path, tree)

    monkeypatch.setattr(checkpoints, "_write", write)
    with pytest.raises(OSError, match=r"Saving .* failed \(RESOURCE_EXHAUSTED: No space left on device\)"):
        train(FOUR, tmp_path / "zoo", quiet=True, devices=lanes()[:1])
    assert len(list((tmp_path / "zoo").glob("cohorts/*/*/0/manifest.json"))) >= 1
    monkeypatch.undo()
    again = train(FOUR, tmp_path / "zoo", quiet=True)
    assert (again.members["steps"] == 6).all()


def damaged(how: str) -> Callable[[Path], None]:
    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    return {
        "flipped": flip,
        "truncated": lambda file: file.write_bytes(file.read_bytes()[:-3]),
        "emptied": lambda file: file.write_bytes(b""),
        "deleted": Path.unlink,
    }[how]


SENTENCES = {
    ("flipped", "data"): r"Step \d+ is damaged: .* is not as it was written",
    ("truncated", "data"): r"Step \d+ is damaged: .* has \d+ bytes instead of \d+",
    ("emptied", "data"): r"Step \d+ is damaged: .* has 0 bytes instead of \d+",
    ("deleted", "data"): r"Step \d+ is damaged: .* is missing",
    ("flipped", "manifest"): r"Step \d+ is damaged: .*manifest\.json (is not as it was written|cannot be read)",
    ("truncated", "manifest"): r"Step \d+ is damaged: .*manifest\.json cannot be read",
    ("emptied", "manifest"): r"Step \d+ is damaged: .*manifest\.json cannot be read",
    ("flipped", "curves"): r"Step \d+ is damaged: .*curves\.npz is not as it was written",
    ("deleted", "curves"): r"Step \d+ is damaged: .*curves\.npz is missing",
}


@pytest.mark.parametrize(("how", "what"), SENTENCES)
def test_a_damaged_newest_step_is_one_sentence_to_readers_and_training_goes_on_from_the_one_before(
    how: str, what: str, copy: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    block = block_of(copy)
    older, newest = block.steps()[-2:]
    folder = block.path / str(newest)
    data = max(files(folder / "state"), key=lambda p: p.stat().st_size)
    damaged(how)({"data": data, "manifest": folder / "manifest.json", "curves": folder / "curves.npz"}[what])
    member = expected.keys() & set(load(copy).members["member"])
    with pytest.raises(CheckpointCorrupt, match=SENTENCES[how, what]) as caught:
        [load(copy).params(each) for each in sorted(member)]
    assert "\n" not in str(caught.value)
    assert "`train` on the same directory mends it" in str(caught.value)
    assert run_zoo.main(["verify", str(copy)]) == 1
    said = capsys.readouterr()
    assert str(folder) in said.out
    assert "1 fault in " in said.err
    train(ZOOS["rnn"], copy)
    said = capsys.readouterr().out
    assert f"goes on from step {older}" in said
    assert_same(everything(copy), expected)
    assert run_zoo.main(["verify", str(copy)]) == 0


def test_a_deleted_manifest_is_a_step_that_was_never_finished(copy: Path, expected: dict[str, Any]) -> None:
    block = block_of(copy)
    *_, older, newest = block.steps()
    (block.path / str(newest) / "manifest.json").unlink()
    assert block.steps()[-1] == older
    train(ZOOS["rnn"], copy, quiet=True)
    assert_same(everything(copy), expected)


def test_damaged_untrained_networks_and_a_block_without_a_whole_step_are_made_again(
    copy: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    first, second, *_ = folders(copy)
    damaged("flipped")(max(files(first.path / "0" / "state"), key=lambda p: p.stat().st_size))
    steps = second.steps()
    for step in steps:
        damaged("truncated")(second.path / str(step) / "curves.npz")
    train(ZOOS["rnn"], copy)
    said = capsys.readouterr().out
    assert said.count("makes it again from the seeds") == 1 + len(steps)
    assert_same(everything(copy), expected)


def test_a_checkpoint_whose_arrays_orbax_has_not_joined_is_not_sealed(tmp_path: Path) -> None:
    state: Any = {"params": {"w": np.zeros((2, 3), np.float32)}}
    good, lost = BlockFolder(tmp_path / "good"), BlockFolder(tmp_path / "a[1]")  # a pattern that is not its own
    good.save(0, state, ["a", "b"], {})
    assert good.rows(0, [1], ["params"])["params"]["w"].shape == (1, 3)
    with pytest.raises(OSError, match=r"Saving .* failed \(Orbax has written no state/manifest\.ocdbt\)"):
        lost.save(0, state, ["a", "b"], {})
    assert not lost.steps()
