"""Signals: a save and status 143 within the grace time, a second one ends at once, a compiler is not waited for."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import ZOOS, assert_same, command, everything, finished, folders, start, wait_until
from zoo import train

pytestmark = pytest.mark.timeout(300)
HELD_UP = """
import os, sys, time
import run_zoo
from zoo.store import checkpoints
real = checkpoints._write
def write(path, tree):
    if path.parent.name != "0":
        time.sleep(60)
    real(path, tree)
checkpoints._write = write
status = run_zoo.main(sys.argv[1:])
sys.stdout.flush()
os._exit(status)
"""
SLOW = """
import os, sys, time
import run_zoo
from zoo.devices.executable import Executable
from zoo.running import cohort_queue
real = Executable.compiled
def compiled(self, device):
    open(sys.argv[1], "w").close()
    for _ in range(1200):  # as a compiler that nobody can interrupt
        time.sleep(0.1)
    return real(self, device)
Executable.compiled = compiled
def fitted(cohort, recipe, device, *rest):
    executable = Executable(cohort, recipe)
    executable.compiled(device)
    return executable
cohort_queue.fitted = fitted
status = run_zoo.main(sys.argv[2:])
sys.stdout.flush()
os._exit(status)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_saves_every_block_within_the_grace_time_and_the_same_command_goes_on(
    number: signal.Signals, tmp_path: Path
) -> None:
    expected = everything(train(ZOOS["cnn"], tmp_path / "undisturbed", quiet=True).path)
    out = tmp_path / "zoo"
    process = start(command("cnn", out, "--block", "1", save_every=3600))
    wait_until(lambda: len(folders(out)) == 2 and all(f.steps() for f in folders(out)), process)
    time.sleep(0.2)
    begin = time.monotonic()
    process.send_signal(number)
    text = finished(process, status=143)
    assert time.monotonic() - begin < 10
    assert f"Stopped by {number.name}. The same command goes on from here." in text
    assert any(max(folder.steps()) > 0 for folder in folders(out)), "nothing was saved"
    finished(start(command("cnn", out)))
    assert_same(everything(out), expected)


def test_a_signal_while_a_program_compiles_ends_without_waiting_for_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    words = command("rnn", tmp_path / "zoo")[2:]
    process = start([sys.executable, "-c", SLOW, str(begun), *words])
    wait_until(begun.exists, process)
    time.sleep(0.5)
    begin = time.monotonic()
    process.terminate()
    finished(process, status=143)
    assert time.monotonic() - begin < 10


def held_up(out: Path, *flags: str) -> Any:
    """A run that has trained for a moment, and whose next save takes a minute."""
    process = start([sys.executable, "-c", HELD_UP, *command("rnn", out, *flags, save_every=3600)[2:]])
    wait_until(lambda: any(f.steps() for f in folders(out)), process)
    time.sleep(1)
    return process


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    process = held_up(tmp_path / "zoo", "--training.steps", "100000000", "--training.target", "0")
    process.terminate()
    time.sleep(1)
    begin = time.monotonic()
    process.terminate()
    finished(process, status=143)
    assert time.monotonic() - begin < 5


def test_what_is_not_saved_when_the_grace_time_is_over_is_said(tmp_path: Path) -> None:
    process = held_up(tmp_path / "zoo", "--grace", "2", "--training.steps", "100000000", "--training.target", "0")
    process.terminate()
    text = finished(process, status=143, timeout=30)
    assert "were not saved within 2 s: they go on from their last checkpoints" in text
