"""What the fault tests share: two hard zoos, runs as processes, and what is compared bit for bit."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np

from models import cnn, vanilla
from zoo import Training, Zoo, load, product
from zoo.devices import startup
from zoo.devices.blocks import blocks_of
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.store.checkpoints import BlockFolder, block_folders
from zoo.tasks import digits, flipflop

ROOT = Path(__file__).parent.parent.parent

RNN = Zoo(
    "rnn",
    task=flipflop.Task(steps=10, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=5, noise=0.1, activation="relu"),
    # The last rate diverges, the target stops some of the others early: both must come back as they were.
    training=product(
        Training,
        learning_rate=[3e-3, 1e-2, 1e6],
        optimizer="sgd",
        schedule="cosine",
        steps=2000,
        batch=4,
        evaluate_every=50,
        target=0.55,
    ),
    seeds=range(2),
)
CNN = Zoo(
    "cnn",
    task=digits.Task(shift=1.0, flip=0.5),
    model=cnn.Model(channels=(2,), dense=(4,), normalization="batch", dropout=0.2),
    training=product(Training, learning_rate=[1e-3, 1e-2], schedule="linear", steps=120, batch=8, evaluate_every=40),
    seeds=range(2),
)
ZOOS = {"rnn": RNN, "cnn": CNN}


def command(zoo: str, out: Path | str, *flags: str, save_every: float = 0.02) -> list[str]:
    """`run_zoo.py train` of a zoo of this file."""
    spec = f"tests/faults/specs/{zoo}.py"
    return [sys.executable, "run_zoo.py", "train", spec, "--out", str(out), f"--save-every={save_every}", *flags]


def start(words: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    """A run as a process of two lanes."""
    settings = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(words, cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(process: subprocess.Popen[str], status: int = 0, timeout: float = 240) -> str:
    """The output of a process that ended with a status."""
    try:
        text = process.communicate(timeout=timeout)[0]
    finally:
        process.kill()
    assert process.returncode == status, text
    return text


def wait_until(condition: Any, process: subprocess.Popen[str], timeout: float = 120) -> None:
    """Wait for something that a process is to bring about."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


def everything(path: Path | str) -> dict[str, Any]:
    """Of every member the variables before and after, its row of the table and its curve."""
    trained = load(path)
    table, curves = trained.members.set_index("member").sort_index(), trained.curves
    return {
        member: {
            "variables": trained.variables(member),
            "initial": trained.variables(member, initial=True),
            "row": [str(value) for value in table.loc[member]],
            "curve": curves[curves["member"] == member].sort_values("step").iloc[:, 1:].to_numpy(float),
        }
        for member in table.index
    }


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Bit for bit, curves and statuses too."""
    assert ours.keys() == theirs.keys()
    for member in theirs:
        assert ours[member]["row"] == theirs[member]["row"]
        np.testing.assert_array_equal(ours[member]["curve"], theirs[member]["curve"])
        for when in ("variables", "initial"):
            chex.assert_trees_all_equal(ours[member][when], theirs[member][when])


class Truth:
    """What the state of a block must be after any number of steps: computed here, without a file."""

    def __init__(self, zoo: Zoo, block: int):
        (self.cohort,) = zoo.cohorts
        self.recipe = Recipe(block, "map", "columns", startup.threads())
        self.program = Executable(self.cohort, self.recipe)
        self.device = jax.local_devices()[0]

    def at(self, index: int, step: int) -> Any:
        """All rows of a block."""
        block = blocks_of(self.cohort, self.recipe)[index]
        floats = jax.device_put(block.floats, self.device)
        state = self.program.advance(self.program.init(block, self.device), floats, self.device, 0, True)
        total, every = self.cohort.members[0].training.steps, self.program.evaluate_every
        for begin in range(0, step, every):
            end = min(begin + every, total)
            state = self.program.advance(state, floats, self.device, min(step, end) - begin, evaluate=end <= step)
        return jax.device_get(state)

    def check(self, folder: BlockFolder, step: int) -> None:
        """The checkpoint of a step holds what it must."""
        found = folder.restore(self.program.shape(), step)
        rows = blocks_of(self.cohort, self.recipe)[int(folder.path.name)].rows
        expected = self.at(int(folder.path.name), step)
        chex.assert_trees_all_equal(*(jax.tree.map(lambda x: np.asarray(x)[:rows], s) for s in (found, expected)))


def folders(path: Path) -> list[BlockFolder]:
    """The blocks of a zoo directory."""
    return block_folders(path)
