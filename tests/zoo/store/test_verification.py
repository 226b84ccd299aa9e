"""Every checksum of a directory, and what its table speaks of and no block holds."""

import shutil
from pathlib import Path

from tests.faults.rig import assert_same, everything
from tests.zoo.small_zoos import FOUR
from zoo import train
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
    assert fault.endswith("no checkpoint holds it; bring it back, or remove members.csv to train its members again.")


def test_a_block_that_is_lost_is_trained_again_and_verify_says_so(four_copy: Path, four: Path) -> None:
    shutil.rmtree(next(four_copy.glob("cohorts/*/0000")))
    (fault,) = verify(four_copy).faults
    assert fault.endswith("no checkpoint holds it; `train` on the same directory mends it.")
    train(FOUR, four_copy, quiet=True)
    assert verify(four_copy).faults == []
    assert_same(everything(four_copy), everything(four))
