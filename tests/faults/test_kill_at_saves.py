"""A run that is killed or stopped at a save, and started again on other devices, ends with the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import chex
import numpy as np
import pytest

from tests.faults.rig import ROOT
from zoo import load

SPEC = """
from models import vanilla
from zoo import Training, Zoo
from zoo.tasks import flipflop
zoo = Zoo(
    "killed",
    task=flipflop.Task(steps=10, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=6, noise=0.1),
    training=Training(steps=4000, batch=4, evaluate_every=500, schedule="cosine"),
    seeds=range(4),
)

# While the file HOLD is there a block waits before or after a save: whoever wants to kill it comes in time.
import os, time
from pathlib import Path
from zoo.store.checkpoints import BlockFolder

def save(self, step, state, members, curves, real=BlockFolder.save):
    hold, place = os.environ.get("HOLD", ""), os.environ.get("PLACE", "")
    def wait(here):
        if step and place == here and os.path.exists(hold):
            Path(hold + ".reached").touch()
            while os.path.exists(hold):
                time.sleep(0.02)
    wait("before")
    real(self, step, state, members, curves)
    wait("after")

BlockFolder.save = save
"""


def start(spec: Path, out: Path, devices: int, hold: str = "", place: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "run_zoo.py", "train", str(spec), "--out", str(out), "--save-every", "0.05"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "HOLD": hold, "PLACE": place}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not file.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "killed.py"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def undisturbed(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("undisturbed") / "zoo"
    process = start(spec, out, devices=2)
    text = process.communicate(timeout=240)[0]
    assert process.returncode == 0, text
    found = load(out)
    return {m: found.params(m) for m in found.members["member"]} | {"curves": found.curves}


KILLS = {
    "killed-before-a-save": (signal.SIGKILL, "before"),
    "killed-after-a-save": (signal.SIGKILL, "after"),
    "terminated": (signal.SIGTERM, "after"),
    "interrupted": (signal.SIGINT, "before"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "case",
    [
        "killed-before-a-save",
        *(pytest.param(case, marks=pytest.mark.long) for case in ("killed-after-a-save", "terminated", "interrupted")),
    ],
)
def test_killed_or_stopped_and_started_again_on_other_devices_ends_with_the_same_bits(
    case: str, spec: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    (number, place), out, hold = KILLS[case], tmp_path / "zoo", tmp_path / "hold"
    hold.touch()
    process = start(spec, out, devices=2, hold=str(hold), place=place)
    try:
        wait_for(tmp_path / "hold.reached", process)
        process.send_signal(number)
        time.sleep(1)  # for its main thread to take note
        hold.unlink()
        text = process.communicate(timeout=240)[0]
    finally:
        process.kill()
    assert process.returncode == (-9 if number == signal.SIGKILL else 143), text
    again = start(spec, out, devices=1)
    text = again.communicate(timeout=240)[0]
    assert again.returncode == 0, text
    found = load(out)
    assert (found.members["steps"] == 4000).all()
    for member in found.members["member"]:
        chex.assert_trees_all_equal(found.params(member), undisturbed[member])
    order = ["member", "step"]
    ours, theirs = found.curves.sort_values(order), undisturbed["curves"].sort_values(order)
    np.testing.assert_array_equal(ours.to_numpy()[:, 1:].astype(float), theirs.to_numpy()[:, 1:].astype(float))
