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
import shutil
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


FIELDS = """
    later_form: str = since("old")
    later_scale: float = since(1.0)
    later_noise: float = since(off(0.0))
"""
"""What a later version may add to a model and to Training: a static field, a float, and one that is off."""


def widened(folder: Path) -> Path:
    """A copy of the program whose `vanilla` and Training have three fields more."""
    for name in ("models", "zoo", "analysis"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run_zoo.py", folder)
    for file, last in (("models/vanilla.py", "= given(0.0)\n"), ("zoo/spec/settings.py", "[float, ...] = since(())\n")):
        text = (folder / file).read_text()
        assert text.count(last) == 1
        text = text.replace(last, f"{last}{FIELDS.lstrip(chr(10))}")
        (folder / file).write_text(
            re.sub(r"from models import .*", "from models import Static, given, off, on, setting, since", text, count=1)
        )
    return folder


def run(program: Path, *commands: tuple[str, ...]) -> str:
    """Some commands of the program, on 2 threads and 2 lanes, in one process: Python and JAX start once."""
    settings = {**os.environ, "NPROC": "2", "JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": "", "PYTHONPATH": str(program)}
    words = (sys.executable, "-c", f"import run_zoo\nfor words in {commands}:\n    assert run_zoo.main(words) == 0")
    done = subprocess.run(words, cwd=program, env=settings, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "unfinished", "later"), [pytest.param("half", 4, False, marks=pytest.mark.long), ("retried", 1, True)]
)
def test_a_directory_of_001cc24_goes_on_to_the_same_bits_also_when_classes_have_got_fields(
    name: str, unfinished: int, later: bool, tmp_path: Path
) -> None:
    program = widened(tmp_path / "later") if later else ROOT
    with tarfile.open(FIXTURES / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    directory = tmp_path / name
    before = load(directory).members
    assert (before["status"] == "training").sum() == unfinished
    assert (before["status"] == "diverged").sum() == 1
    verify, spec = ("verify", str(directory)), str(FIXTURES / "older.py")
    said = run(
        program,
        verify,
        ("train", spec, "--out", str(directory)),
        verify,
        ("compare", str(directory), "--exclude-degenerate"),
    )
    assert said.count("All as they were written.") == 2
    assert not {"pending", "training"} & set(load(directory).members["status"])
    digests = [sys.executable, str(FIXTURES / "digests.py"), str(directory)]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = json.loads(subprocess.run(digests, env=settings, capture_output=True, check=True, timeout=300).stdout)
    assert found.keys() == HASHES["digests"][name].keys()
    if machine() != HASHES["machine"]:
        pytest.skip(f"the hashes are of {HASHES['machine']}, and this is {machine()}")
    assert found == HASHES["digests"][name]
