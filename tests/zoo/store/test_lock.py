"""Who holds a zoo directory is known, and others wait or are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.rig import ROOT
from tests.zoo.small_zoos import FOUR
from zoo import train
from zoo.store import lock
from zoo.store.directory import Store
from zoo.store.lock import DirectoryInUse, locked, wait_for_others


def test_a_directory_that_is_being_trained_is_refused_and_says_who_holds_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "zoo", FOUR)
    code = (
        "import sys; from tests.zoo.small_zoos import FOUR; from zoo import train; train(FOUR, sys.argv[1], quiet=True)"
    )
    with locked(store.path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "zoo")], cwd=ROOT, text=True, capture_output=True, timeout=240
        )
    assert f"is being trained by process {os.getpid()}" in done.stderr
    train(FOUR, tmp_path / "zoo", quiet=True)  # let go


def test_shares_of_one_run_hold_a_directory_together_and_each_number_once(tmp_path: Path) -> None:
    with locked(tmp_path, "run"), locked(tmp_path, "run", share=0), locked(tmp_path, "run", share=1):
        by_this = f"is being trained by process {os.getpid()} on "
        with pytest.raises(DirectoryInUse, match=f"Share 1 of .* {by_this}"), locked(tmp_path, "run", 1, patience=0):
            pass
        with pytest.raises(DirectoryInUse, match=by_this), locked(tmp_path, "another", patience=0):
            pass
    with locked(tmp_path, "another", patience=0):
        pass


def test_who_waits_for_others_waits_while_one_holds_a_share_and_not_for_the_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(lock.time, "sleep", looks.append)
    monkeypatch.setattr(lock.time, "monotonic", lambda: len(looks))
    with locked(tmp_path, "run", share=1, patience=10):
        wait_for_others(tmp_path, 2, lambda: len(looks) >= 20, patience=5)
        assert len(looks) == 20, "until all is done"
    looks.clear()
    wait_for_others(tmp_path, 2, lambda: False, patience=5)
    assert len(looks) == 5
