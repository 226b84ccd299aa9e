"""What training a zoo would take: members, blocks and disk; and, from a short measurement, memory and time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from models import on
from zoo.devices import startup, tuning
from zoo.devices.fitting import fitted
from zoo.devices.recipe import Recipe
from zoo.running.run import chooser
from zoo.spec.cohorts import Cohort
from zoo.spec.fields import name_of
from zoo.spec.member import Member, set_apart, varied
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import KEPT
from zoo.training import shapes
from zoo.training.flops import step_flops

MOST_MEASURED = 8
"""Cohorts that are compiled and timed at most; of a larger zoo these, evenly spread, stand for all."""

MEASURE_SECONDS = 6.0
"""After this time no further cohort is compiled and timed."""

CHECK_SECONDS = 1.0
"""After this time no further cohort is traced, to see whether its task and model fit together and how large it is."""


class PlanRow(NamedTuple):
    """What a cohort will cost.

    Attributes:
      cohort: its id.
      words: what sets it apart from the others.
      members, blocks: how many.
      recipe: how it will run.
      steps: per member, the mean where their horizons differ.
      megabytes: device memory of one block; NaN where the cohort was not compiled.
      disk: megabytes of its checkpoints, all blocks; by the mean of the traced ones where it was not traced itself.
      seconds: estimated, over all lanes, compilation included; by the mean of the measured ones where it was not
        measured itself, NaN where none was.
      checked: whether it was traced.
      flops: operations of its products in all steps; by the mean of the measured ones where it was not measured itself,
        NaN where none was.
    """

    cohort: str
    words: str
    members: int
    blocks: int
    recipe: Recipe
    steps: int
    megabytes: float
    disk: float
    seconds: float
    checked: bool
    flops: float


class ShortRun(NamedTuple):
    """What a short run of a cohort showed.

    Attributes:
      recipe: with the block that fits.
      megabytes: device memory of one block.
      seconds: that training it will take, compilation included; NaN where the memory was gone meanwhile.
      flops: operations of one member's products in one step.
    """

    recipe: Recipe
    megabytes: float
    seconds: float
    flops: float


def plan(
    zoo: Zoo, block: int | None = None, *, timed: bool = False, say: Callable[[str], Any] = lambda line: None
) -> list[PlanRow]:
    """What training would do; trains and writes nothing.

    Args:
      zoo: what would be trained.
      block: members per block instead of the recipe's.
      timed: compile some cohorts and train them for a moment, to know memory and time.
      say: takes a line before each cohort that is compiled.

    Returns:
      One row per cohort.

    Raises:
      ValueError: the spec is bad.
      MemoryError: one member does not fit.
    """
    startup.start()
    cohorts = zoo.cohorts
    choose = chooser(cohorts, block, tune=False)
    order = list(evenly_spread(len(cohorts)))
    sizes: dict[int, int] = {}
    for i in _until(CHECK_SECONDS, order):
        shapes.check(cohorts[i])
        sizes[i] = shapes.state_bytes(cohorts[i])
    measured: dict[int, ShortRun] = {}
    for i in _until(MEASURE_SECONDS, order[:MOST_MEASURED] if timed else []):
        say(f"compiling and timing cohort {i + 1} of {len(cohorts)}, {cohorts[i].id}")
        measured[i] = _short_run(cohorts[i], choose(cohorts[i]), len(cohorts))
    per_member = [run.seconds / len(cohorts[i].members) for i, run in measured.items() if not np.isnan(run.seconds)]
    typical_seconds = float(np.mean(per_member)) if per_member else float("nan")
    typical_flops = float(np.mean([run.flops for run in measured.values()])) if measured else float("nan")
    typical_size = float(np.mean(list(sizes.values())))
    members = [(cohort.id, member) for cohort in cohorts for member in cohort.members]
    kinds = [(name_of(member.task), name_of(member.model)) for _, member in members]
    words = set_apart([cohort for cohort, _ in members], kinds, varied([member for _, member in members]))
    rows = []
    for i, cohort in enumerate(cohorts):
        count = len(cohort.members)
        about = measured.get(i) or ShortRun(choose(cohort), float("nan"), typical_seconds * count, typical_flops)
        blocks = -(-count // about.recipe.block)
        kept = 1 + KEPT + len(cohort.members[0].training.snapshots)
        disk = kept * blocks * about.recipe.block * sizes.get(i, typical_size) / 2**20
        steps = sum(map(_steps, cohort.members))
        rows.append(
            PlanRow(
                *(
                    cohort.id,
                    words[cohort.id],
                    count,
                    blocks,
                    about.recipe,
                    round(steps / count),
                    about.megabytes,
                    disk,
                ),
                *(about.seconds, i in sizes, about.flops * steps),
            )
        )
    return rows


def evenly_spread(count: int) -> Iterator[int]:
    """The numbers below `count`, each once, such that the first few of them are spread over all: ends, middle, ..."""
    if count:
        yield 0
    if count > 1:
        yield count - 1
    gaps = [(0, count - 1)]
    while gaps:
        for low, high in gaps:
            if high - low > 1:
                yield (low + high) // 2
        halves = [((low, (low + high) // 2), ((low + high) // 2, high)) for low, high in gaps if high - low > 2]
        gaps = [gap for pair in halves for gap in pair]


def _until(seconds: float, items: Sequence[int]) -> Iterator[int]:
    """Items one after the other, the first always, until the time is over."""
    begin = time.monotonic()
    for position, item in enumerate(items):
        if position and time.monotonic() - begin > seconds:
            return
        yield item


def _steps(member: Member) -> int:
    """The steps that a member trains for at most."""
    training = member.training
    return min(training.steps, math.ceil(training.horizon)) if on(training.horizon) else training.steps


def _short_run(cohort: Cohort, recipe: Recipe, cohorts: int) -> ShortRun:
    devices = startup.lanes()
    begin = time.perf_counter()
    executable = fitted(cohort, recipe, devices[0])
    compiling = time.perf_counter() - begin
    rate = tuning.steps_per_second(executable, seconds=0.5)
    count = len(cohort.members)
    blocks = -(-count // executable.recipe.block)
    idle = max(1.0, len(devices) / blocks) if cohorts < len(devices) else 1.0
    # No rate: the block did not fit any more, whatever took the memory since.
    seconds = compiling + sum(map(_steps, cohort.members)) / (rate or float("nan")) * idle
    megabytes = executable.bytes_needed(devices[0]) / 2**20
    return ShortRun(executable.recipe, megabytes, seconds, step_flops(cohort))
