"""Directories that are trained once for all tests of the store; who changes one takes a copy."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import ZOOS, everything
from tests.zoo.small_zoos import FOUR, TWELVE
from zoo import train


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished zoo of two cohorts in blocks of four."""
    path = tmp_path_factory.mktemp("twelve") / "zoo"
    train(TWELVE, path, quiet=True, block=4)
    return path


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished zoo of one cohort in two blocks."""
    path = tmp_path_factory.mktemp("four") / "zoo"
    train(FOUR, path, quiet=True, block=2)
    return path


@pytest.fixture
def four_copy(four: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(four, tmp_path / "zoo"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished zoo that kept two checkpoints of every block."""
    path = tmp_path_factory.mktemp("whole") / "zoo"
    train(ZOOS["rnn"], path, quiet=True, block=2, save_every=0.01)
    return path


@pytest.fixture(scope="session")
def expected(whole: Path) -> dict[str, Any]:
    return everything(whole)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "zoo"))


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
