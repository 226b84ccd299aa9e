"""Seals of checkpoints: every flipped bit is caught and named, and what is no damage is not taken for any."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import (
    ZOOS,
    assert_same,
    everything,
)
from tests.zoo.small_zoos import block_of, files
from zoo import train
from zoo.store import sealing
from zoo.store.sealing import CheckpointCorrupt, verify_step


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
                    verify_step(block.path / str(step), step)
                except CheckpointCorrupt as error:
                    caught += str(file) in str(error) and f"Step {step} " in str(error)
                file.write_bytes(content)
            verify_step(block.path / str(step), step)
    assert tried > 100
    assert caught == tried


def test_a_file_that_cannot_be_read_now_is_not_damage_and_nothing_is_set_aside(
    copy: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:

    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}

    def busy(*_: Any) -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(sealing, "sha256", busy)
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

    from zoo.store import sealing

    block = block_of(copy)
    newest = block.path / str(block.steps()[-1])
    content = json.loads((newest / "manifest.json").read_bytes())
    content = {**content, "format": 2}
    del content["seal"]
    (newest / "manifest.json").write_bytes(sealing._line({**content, "seal": sealing._sha256(sealing._line(content))}))
    before = {p: p.read_bytes() for p in (copy / "cohorts").rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=r"has format 2, of another version of this program; this version reads"):
        train(ZOOS["rnn"], copy, quiet=True)
    assert {p: p.read_bytes() for p in (copy / "cohorts").rglob("*") if p.is_file()} == before
