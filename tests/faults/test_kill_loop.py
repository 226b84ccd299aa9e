"""kill -9 at random moments: what is listed is whole and right, and the finished zoo is the undisturbed one."""

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import (
    ZOOS,
    Truth,
    assert_same,
    command,
    everything,
    finished,
    folders,
    start,
)
from zoo import train
from zoo.store.sealing import verify_step

ROUNDS = {"cnn": 15, "rnn": 35}
"""Kills."""


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", ZOOS)
def test_after_every_kill_all_listed_steps_are_whole_the_newest_is_right_and_the_end_is_the_same(
    name: str, tmp_path: Path
) -> None:
    undisturbed = train(ZOOS[name], tmp_path / "undisturbed", quiet=True, block=2).path
    expected, truth = everything(undisturbed), Truth(ZOOS[name], block=2)
    draw, out = random.Random(name), tmp_path / "zoo"
    rounds = restored = 0
    while rounds < (asked := ROUNDS[name]) or restored < asked // 2:  # a slow machine is often killed too early
        process = start(command(name, out, "--block", "2"))
        if draw.random() < 0.3:  # whenever: while it starts, writes its manifest, compiles
            time.sleep(draw.uniform(0.5, 4))
        else:  # while it trains and saves
            before = seen(out)
            while seen(out) == before and process.poll() is None:
                time.sleep(0.02)
            time.sleep(draw.expovariate(3))
        process.kill()
        process.communicate()
        rounds += process.returncode == -9  # else it was done before
        for folder in folders(out):
            steps = folder.steps()
            for step in steps:
                verify_step(folder.path / str(step), step)
            if steps:
                truth.check(folder, steps[-1])
                restored += 1
        if all(status in ("solved", "unsolved", "diverged") for status in statuses(out)):
            assert_same(everything(out), expected)
            shutil.rmtree(out)
    finished(start(command(name, out, "--block", "2")))
    assert_same(everything(out), expected)


def seen(out: Path) -> dict[str, Any]:
    """What there is of every block."""
    return {str(f.path): f.steps() for f in folders(out)}


def statuses(out: Path) -> list[str]:
    from zoo import load

    return load(out).members["status"].tolist() if (out / "zoo.json").exists() else ["pending"]
