"""What training a zoo would take: members, blocks, memory, disk and time, from a short measurement."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from zoo.devices import startup, tuning
from zoo.devices.executable import Executable
from zoo.devices.fitting import fitted
from zoo.running.run import check, chooser
from zoo.spec.cohorts import Cohort
from zoo.spec.zoo import Zoo

MOST_MEASURED = 8
"""Cohorts that are compiled and timed; of a larger zoo, as many, evenly spread, stand for all."""


class PlanRow(NamedTuple):
    """What a cohort will cost.

    Attributes:
      cohort: its id.
      members, blocks: how many.
      recipe: how it will run.
      steps: per member.
      megabytes: device memory of one block; NaN where the cohort was not compiled.
      disk: megabytes of its checkpoints, all blocks.
      seconds: estimated, over all lanes, compilation included; the mean of the measured ones where it is not
        measured itself.
    """

    cohort: str
    members: int
    blocks: int
    recipe: Any
    steps: int
    megabytes: float
    disk: float
    seconds: float


def plan(zoo: Zoo, block: int | None = None, say: Callable[[str], Any] = lambda line: None) -> list[PlanRow]:
    """What training would do: compiles and times some cohorts for a moment; trains and writes nothing.

    Args:
      zoo: what would be trained.
      block: members per block instead of the recipe's.
      say: takes a line before each cohort that is compiled.

    Returns:
      One row per cohort.

    Raises:
      ValueError: the spec is bad.
      MemoryError: one member does not fit.
    """

    startup.start()
    check(zoo)
    found = zoo.cohorts
    choose = chooser(found, block, tune=False)
    measured = np.unique(np.linspace(0, len(found) - 1, min(MOST_MEASURED, len(found))).round().astype(int)).tolist()
    rows = {}
    for i in measured:
        say(f"compiling and timing cohort {i + 1} of {len(found)}, {found[i].id}")
        rows[i] = _measured(found[i], choose(found[i]), len(found))
    known = [row.seconds / len(found[i].members) for i, row in rows.items() if not np.isnan(row.seconds)]
    typical = float(np.mean(known)) if known else float("nan")
    for i, cohort in enumerate(found):
        if i not in rows:
            rows[i] = _row(Executable(cohort, choose(cohort)), float("nan"), typical * len(cohort.members))
    return [rows[i] for i in range(len(found))]


def _measured(cohort: Cohort, recipe: Any, cohorts: int) -> PlanRow:

    devices = startup.lanes()
    begin = time.perf_counter()
    executable = fitted(cohort, recipe, devices[0])
    compiling = time.perf_counter() - begin
    rate = tuning.steps_per_second(cohort, executable.recipe, seconds=0.5)
    blocks = -(-len(cohort.members) // executable.recipe.block)
    idle = max(1.0, len(devices) / blocks) if cohorts < len(devices) else 1.0
    # No rate: the block did not fit any more, whatever took the memory since.
    seconds = compiling + cohort.members[0].training.steps * len(cohort.members) / (rate or float("nan")) * idle
    return _row(executable, executable.bytes_needed(devices[0]) / 2**20, seconds)


def _row(executable: Any, megabytes: float, seconds: float) -> PlanRow:

    cohort, recipe = executable.cohort, executable.recipe
    count = -(-len(cohort.members) // recipe.block)
    state = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(executable.shape()))
    steps, disk = cohort.members[0].training.steps, 3 * count * state / 2**20
    return PlanRow(cohort.id, len(cohort.members), count, recipe, steps, megabytes, disk, seconds)
