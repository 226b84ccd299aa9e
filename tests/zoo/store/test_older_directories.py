"""Directories that version 001cc24 made load, verify, go on and compare, and end with its bits.

The bits of a program follow from the compiler, the processor and the thread pool. Where these are others than those of
the machine that recorded the hashes, the hashes are skipped, and all else is tested.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from zoo import load

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures"
HASHES = json.loads((FIXTURES / "digests.json").read_text())


def machine() -> str:
    """What decides bits beside the program and its 2 threads: jaxlib, and what the processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    about = sorted({line for line in lines if re.match(r"(flags|Features|cpu family|model)\s*:", line)})
    digest = hashlib.sha256("\n".join([platform.machine(), *about]).encode()).hexdigest()[:10]
    return f"jaxlib {importlib.metadata.version('jaxlib')}, processor {digest}"


def run(*words: str) -> str:
    """A command of the program, on 2 threads and 2 lanes."""
    settings = {**os.environ, "NPROC": "2", "JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    words = (sys.executable, "run_zoo.py", *words)
    done = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "unfinished"), [("half", 4), ("retried", 1)])
def test_a_directory_of_001cc24_goes_on_to_the_same_bits(name: str, unfinished: int, tmp_path: Path) -> None:
    with tarfile.open(FIXTURES / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    directory = tmp_path / name
    before = load(directory).members
    assert (before["status"] == "training").sum() == unfinished
    assert (before["status"] == "diverged").sum() == 1
    assert "All as they were written." in run("verify", str(directory))
    run("train", str(FIXTURES / "older.py"), "--out", str(directory))
    assert not {"pending", "training"} & set(load(directory).members["status"])
    assert "All as they were written." in run("verify", str(directory))
    run("compare", str(directory), "--exclude-degenerate")
    digests = [sys.executable, str(FIXTURES / "digests.py"), str(directory)]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = json.loads(subprocess.run(digests, env=settings, capture_output=True, check=True, timeout=300).stdout)
    assert found.keys() == HASHES["digests"][name].keys()
    if machine() != HASHES["machine"]:
        pytest.skip(f"the hashes are of {HASHES['machine']}, and this is {machine()}")
    assert found == HASHES["digests"][name]
