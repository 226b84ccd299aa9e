"""Damaged files and full disks: every flipped bit is caught, one sentence says what happened, nothing older is lost."""

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import run_zoo
from tests.faults.rig import ZOOS, assert_same, everything, folders
from zoo import load, train
from zoo.devices.startup import lanes
from zoo.store.checkpoints import BlockFolder
from zoo.store.checksums import CheckpointCorrupt, verify


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished zoo that kept two checkpoints of every block."""
    path = tmp_path_factory.mktemp("whole") / "zoo"
    train(ZOOS["rnn"], path, quiet=True, block=2, save_every=0.01)
    return path


@pytest.fixture(scope="module")
def expected(whole: Path) -> dict[str, Any]:
    return everything(whole)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "zoo"))


def block_of(path: Path) -> BlockFolder:
    """A block with a checkpoint between the first and the last."""
    return next(folder for folder in folders(path) if len(folder.steps()) == 3)


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_a_flipped_bit_in_any_file_of_a_checkpoint_is_caught_and_named(copy: Path) -> None:
    block, draw, caught, tried = block_of(copy), random.Random(0), 0, 0
    for step in block.steps():
        for file in files(block.path / str(step)):
            content = file.read_bytes()
            for _ in range(8 if content else 0):
                at, bit = draw.randrange(len(content)), draw.randrange(8)
                file.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
                tried += 1
                try:
                    verify(block.path / str(step), step)
                except CheckpointCorrupt as error:
                    caught += str(file) in str(error) and f"Step {step} " in str(error)
                file.write_bytes(content)
            verify(block.path / str(step), step)
    assert tried > 100
    assert caught == tried


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB; skipped where it may not be made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True)
    if made.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_refused_before_the_start_and_said_while_saving_and_what_was_saved_stands(
    small_disk: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.store import checkpoints, disk_space

    with pytest.raises(ValueError, match=r"The checkpoints of 6 members need about .* has .* free: make room"):
        train(ZOOS["rnn"], small_disk / "zoo", quiet=True, block=2)
    assert not (small_disk / "zoo").exists()
    monkeypatch.setattr(checkpoints, "RESERVE", 0)
    monkeypatch.setattr(disk_space, "RESERVE", 0)
    real, saved = checkpoints._write, []

    def write(path: Path, tree: Any) -> None:  # somebody else fills the disk
        saved.append(path)
        if len(saved) == 4:
            (small_disk / "other").write_bytes(b"x" * (checkpoints.bytes_left(small_disk) or 0))
        real(path, tree)

    monkeypatch.setattr(checkpoints, "_write", write)
    with pytest.raises(OSError, match=r"Saving .* failed \(.*(No space left|RESOURCE_EXHAUSTED|disk)"):
        train(ZOOS["rnn"], small_disk / "zoo", quiet=True, block=2, devices=lanes()[:1])
    monkeypatch.undo()
    steps = {str(f.path): f.steps() for f in folders(small_disk / "zoo")}
    assert any(steps.values())
    for folder in folders(small_disk / "zoo"):
        for step in folder.steps():
            verify(folder.path / str(step), step)
    (small_disk / "other").unlink()
    monkeypatch.setattr(checkpoints, "RESERVE", 0)
    train(ZOOS["rnn"], small_disk / "zoo", quiet=True)
    assert_same(everything(small_disk / "zoo"), expected)


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


def test_a_file_that_cannot_be_read_now_is_not_damage_and_nothing_is_set_aside(
    copy: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.store import checksums

    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}

    def busy(*_: Any) -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(checksums, "sha256", busy)
    with pytest.raises(OSError, match="Too many open files"):
        train(ZOOS["rnn"], copy, quiet=True)
    monkeypatch.undo()
    after = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}
    assert {p: c for p, c in after.items() if "cohorts" in p.parts} == {
        p: c for p, c in before.items() if "cohorts" in p.parts
    }
    train(ZOOS["rnn"], copy, quiet=True)
    assert_same(everything(copy), expected)


def test_a_checkpoint_of_a_newer_version_is_refused_and_not_trained_over(copy: Path) -> None:
    import json

    from zoo.store import checksums

    block = block_of(copy)
    newest = block.path / str(block.steps()[-1])
    content = json.loads((newest / "manifest.json").read_bytes())
    content = {**content, "format": 2}
    del content["seal"]
    (newest / "manifest.json").write_bytes(
        checksums._line({**content, "seal": checksums._sha256(checksums._line(content))})
    )
    before = {p: p.read_bytes() for p in (copy / "cohorts").rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=r"has format 2, of another version of this program; this version reads"):
        train(ZOOS["rnn"], copy, quiet=True)
    assert {p: p.read_bytes() for p in (copy / "cohorts").rglob("*") if p.is_file()} == before
