"""Every checksum of a directory, and what its table speaks of and no block holds."""

import shutil
from pathlib import Path

from zoo.store.verification import verify


def test_a_whole_directory_has_no_faults_and_every_file_was_read(path: Path) -> None:
    verified = verify(path)
    assert verified.faults == []
    assert (verified.blocks, verified.unfinished) == (4, 0)
    states = [p for p in path.glob("cohorts/*/*/*/**/*") if p.is_file() and p.name != "manifest.json"]
    assert verified.bytes == sum(p.stat().st_size for p in states)


def test_a_cohort_without_its_folder_and_a_step_without_its_manifest_are_told_apart(four_copy: Path) -> None:
    block = next(four_copy.glob("cohorts/*/0000"))
    (block / "6" / "manifest.json").unlink()
    assert (verify(four_copy).unfinished, verify(four_copy).faults) == (1, [])
    shutil.rmtree(block.parent)
    (fault,) = verify(four_copy).faults
    assert f"{block.parent}: members.csv says that " in fault
    assert fault.endswith("was trained, and no checkpoint holds it.")
