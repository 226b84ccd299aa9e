"""Full disks: refused before the start, said while saving, and what was saved stands."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import ZOOS, assert_same, everything, folders
from zoo import train
from zoo.devices.startup import lanes
from zoo.store import checkpoints, disk_space
from zoo.store.sealing import verify_step


def test_a_full_disk_is_refused_before_the_start_and_said_while_saving_and_what_was_saved_stands(
    small_disk: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:

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
            verify_step(folder.path / str(step), step)
    (small_disk / "other").unlink()
    monkeypatch.setattr(checkpoints, "RESERVE", 0)
    train(ZOOS["rnn"], small_disk / "zoo", quiet=True)
    assert_same(everything(small_disk / "zoo"), expected)
