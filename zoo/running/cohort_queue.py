"""One cohort's way through a run: its program, the blocks that nobody has taken yet, and what comes back of them."""

import enum
import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from zoo.devices import startup
from zoo.devices.blocks import Block, blocks_of
from zoo.devices.executable import Executable
from zoo.devices.fitting import fitted
from zoo.devices.memory import out_of_memory
from zoo.devices.recipe import Recipe, with_block
from zoo.running.loaded_block import LoadedBlock, Progress, final_report
from zoo.running.repacking import Repacking
from zoo.running.shares import Share
from zoo.store.directory import Store
from zoo.store.manifest import check_one_machine

TICK = 0.25
"""Seconds between two looks at the workers."""


class Stage(enum.Enum):
    """How far a cohort is.

    The first block is tried alone: when it takes too much memory, no other block of its size is on its way, and the
    cohort begins again with half the block.
    """

    UNOPENED = "nobody has looked at what is left of it"
    UNTRIED = "no block has made its first call: the next one that is taken is tried"
    TRYING = "one block is tried; whoever wants another waits"
    PROVED = "a block has made its first call: the size is right for all others"


class Work(NamedTuple):
    """What a worker trains as one pack.

    Attributes:
      executable: the program of the cohort.
      blocks: one that nobody had taken, or several that were given up and whose running members fit into one.
    """

    executable: Executable
    blocks: list[Block]


class CohortQueue:
    """One cohort's way through a run. Workers share it, and it is changed only with its lock held.

    Args:
      number: of the cohort in the zoo.
      store: where its recipe and its blocks lie.
      asked: the recipe to try with a new cohort; its block is halved until it fits.
      room: bytes that blocks may use, per device.
      share: which of the blocks are this process's.
      say: takes a sentence about a damaged checkpoint.

    Attributes:
      cohort: the cohort.
      workers: how many workers are on it; the scheduler counts them.
      compile_seconds: what its programs took, once it is closed.
    """

    def __init__(
        self,
        number: int,
        store: Store,
        asked: Recipe,
        room: dict[Any, int],
        share: Share,
        say: Callable[[str], object],
    ):
        self.cohort, self.workers, self.compile_seconds = store.cohorts[number], 0, 0.0
        self._number, self._store, self._asked, self._room = number, store, asked, room
        self._share, self._say = share, say
        self._turn = threading.Condition()
        self._executable: Executable | None = None  # from the opening to the close, where a block is left
        self._stage = Stage.UNOPENED
        self._waiting: list[Block] = []  # blocks that nobody has taken yet
        self._repacking = Repacking()  # what was given up half done

    # The lock is held while the first program compiles, and nobody is to wait for that to learn that the cohort is
    # open. So `open` and `over` read the stage without it; it is what an opening sets last.
    @property
    def open(self) -> bool:
        """Whether there may be a block to take."""
        if self._stage is Stage.UNOPENED or self._waiting:
            return True
        with self._turn:
            return self._repacking.takeable

    @property
    def over(self) -> bool:
        """Whether no block is left that could be taken, or come back as two: one that is tried alone may."""
        if self._stage is Stage.UNOPENED:  # nothing to wait for
            return False
        with self._turn:
            return not (self._waiting or self._stage is Stage.TRYING or self._repacking.parked)

    def prepare(self, device: Any, report: Callable[[Progress], object], alone: bool = True) -> Executable | None:
        """Find what is left of the cohort and compile its program for a device; finished blocks are reported.

        Args:
          device: for which.
          report: takes what finished blocks have to say.
          alone: whether nothing trains on the device meanwhile.

        Returns:
          The executable, or None where no block is left: then nothing is compiled.
        """
        with self._turn:
            if self._stage is Stage.UNOPENED:
                self._begin(device, report, alone)
            if not (self._waiting or self._repacking.parked):
                return None
            executable = self._program()
        try:
            executable.compiled(device)  # outside the lock, while the first block is tried
        except Exception as error:
            if not out_of_memory(error):
                raise  # else the block's first call compiles again, and halves the block if there is still no room
        return executable

    def take(self, device: Any, stop: threading.Event, report: Callable[[Progress], object]) -> Work | None:
        """A block to train, or several that were given up and fit into one; None where none is left or `stop` is set.

        Waits while another block is tried.
        """
        if self.prepare(device, report) is None:
            return None
        with self._turn:
            while self._stage is Stage.TRYING and not stop.is_set():
                self._turn.wait(TICK)
            if stop.is_set() or not (self._waiting or self._repacking.takeable):
                return None
            executable = self._program()
            if not self._waiting:
                return Work(executable, self._repacking.take(executable.recipe.block))
            if self._stage is Stage.UNTRIED:
                self._stage = Stage.TRYING
            return Work(executable, [self._waiting.pop(0)])

    def swap(self, running: int) -> list[Block] | None:
        """What the calling worker is to do with a pack of which `running` members still train: take these blocks in,
        too; or, for None, save it and give it up. Only where a frozen member costs something, and only a pack that is
        half idle.
        """
        worker = threading.get_ident()
        with self._turn:
            recipe = self._program().recipe
            if recipe.inner == "map" or running > recipe.block // 2:
                self._repacking.leave(worker)
                return []
            return self._repacking.offer(worker, running, recipe.block, bool(self._waiting))

    def leave(self, loaded: list[LoadedBlock]) -> None:
        """The calling worker has saved its pack, and leaves it: what still runs waits for others to take it in."""
        with self._turn:
            self._repacking.leave(threading.get_ident())
            self._repacking.park(loaded)

    def proved(self, worked: bool) -> None:
        """A block has made a call, or has failed: whoever waits for the one that is tried goes on."""
        with self._turn:
            if worked:
                self._stage = Stage.PROVED
            elif self._stage is Stage.TRYING:
                self._stage = Stage.UNTRIED
            self._turn.notify_all()

    def close(self) -> None:
        """Give the program back, after the last worker has left and no block is waiting."""
        with self._turn:
            if self._executable is not None:
                self.compile_seconds += self._executable.compile_seconds
                self._executable = None

    def halve(self, error: BaseException) -> None:
        """Begin the cohort again with half the block after the device ran out of memory.

        Raises:
          MemoryError: something was saved already, or others have blocks of this size, or it is one member.
        """
        with self._turn:
            executable = self._program()
            recipe = executable.recipe
            blocks = blocks_of(self.cohort, recipe)
            begun = any(self._store.block(self.cohort.id, block.index).path.exists() for block in blocks)
            if self._stage is Stage.PROVED or recipe.block == 1 or begun or self._share.count > 1:
                raise MemoryError(
                    f"Cohort {self.cohort.id} ran out of device memory with blocks of {recipe.block}: "
                    f"train it into a new directory with --block {max(1, recipe.block // 2)}."
                ) from error
            self.compile_seconds += executable.compile_seconds
            self._executable = Executable(self.cohort, with_block(recipe, recipe.block // 2))
            self._fix(self._executable, again=True)
            self._waiting = blocks_of(self.cohort, self._executable.recipe)

    def members(self) -> int:
        """How many members are in this share."""
        return sum(block.rows for block in self._in_share(blocks_of(self.cohort, self._asked)))

    def _program(self) -> Executable:
        """The executable, which there is while a block is left."""
        assert self._executable is not None
        return self._executable

    def _begin(self, device: Any, report: Callable[[Progress], object], alone: bool) -> None:
        """Settle the recipe, and sort out what is left to train; the lock is held."""
        recipe = self._store.recipe(self.cohort.id)
        if recipe is None and self._in_share(blocks_of(self.cohort, self._asked)):
            check_one_machine(self._store.path, self._store.manifest)
            executable = fitted(self.cohort, self._asked, device, self._room[device], alone)
            recipe = self._fix(executable)
            self._executable = executable if executable.recipe == recipe else Executable(self.cohort, recipe)
        unfinished = [] if recipe is None else self._unfinished(recipe, report)
        if unfinished and recipe is not None:
            check_one_machine(self._store.path, self._store.manifest)
        if recipe is not None and unfinished and self._executable is None:
            self._executable = Executable(self.cohort, recipe)
            self._refuse_if_too_large(self._executable, device)
        self._waiting = unfinished
        self._stage = Stage.UNTRIED

    def _unfinished(self, recipe: Recipe, report: Callable[[Progress], object]) -> list[Block]:
        """The blocks of this share in which something is left to train; the others are reported."""
        unfinished = []
        for block in self._in_share(blocks_of(self.cohort, recipe)):
            folder = self._store.block(self.cohort.id, block.index)
            step = folder.newest(self._say)
            finished = None if step is None else final_report(self.cohort, recipe, block, folder, step)
            if finished:
                report(finished)
            else:
                unfinished.append(block)
        return unfinished

    def _in_share(self, blocks: list[Block]) -> list[Block]:
        return [b for b in blocks if self._share.owns(self._number, b.index * len(b.floats.seed), self._asked.block)]

    def _fix(self, executable: Executable, again: bool = False) -> Recipe:
        member = self.cohort.members[0]
        about = {"evaluate_every": executable.evaluate_every, "precision": member.training.precision}
        if math.isfinite(member.task.solved):
            about["solved"] = float(member.task.solved)  # so that the member table is read without the task
        return self._store.fix(self.cohort.id, executable.recipe, again, **about)

    def _refuse_if_too_large(self, executable: Executable, device: Any) -> None:
        """A cohort keeps its block, on whatever machine it goes on: this one may be too small for it.

        Only what cannot be is refused: a CPU's lanes share their memory, and how much is free changes.
        """
        room = self._room[device]
        if device.platform == "cpu":
            room *= len(startup.lanes())
        try:
            needed = executable.bytes_needed(device)
        except Exception as error:
            if not out_of_memory(error):
                raise
            return  # the first call will say so
        if needed > room:
            raise MemoryError(
                f"Cohort {self.cohort.id} of {self._store.path} was begun with blocks of {executable.recipe.block}, "
                f"which need {needed / 2**20:.1f} MiB on {device}, and there are {room / 2**20:.1f} MiB: go on where "
                "there is more."
            )
