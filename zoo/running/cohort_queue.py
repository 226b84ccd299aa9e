"""One cohort's way through a run."""

import threading
from collections.abc import Callable
from typing import Any

from zoo.devices import startup
from zoo.devices.blocks import blocks_of
from zoo.devices.executable import Executable
from zoo.devices.fitting import fitted
from zoo.devices.memory import out_of_memory
from zoo.devices.recipe import Recipe, with_block
from zoo.running.loaded_block import final_report
from zoo.running.shares import Share
from zoo.store.directory import Store

TICK = 0.25
"""Seconds between two looks at the workers."""


class CohortQueue:
    """One cohort's way through a run: its executable, once compiled, and the blocks that nobody has taken yet.

    The first block of a cohort is tried alone until its first call has returned: when it takes too much memory, no
    other block of the same size is on its way and the cohort starts again with half the block.

    Args:
      number: of the cohort in the zoo.
      store: where its recipe and its blocks lie.
      asked: the recipe to try with a new cohort; its block is halved until it fits.
      room: bytes that blocks may use, per device.
      share: which of the blocks are this process's.
      say: takes a sentence about a damaged checkpoint.

    Attributes:
      cohort: the cohort.
      workers: how many workers are on it.
      compile_seconds: what its programs took, once it is closed.
    """

    def __init__(
        self,
        number: int,
        store: Store,
        asked: Recipe,
        room: dict[Any, int],
        share: Share,
        say: Callable[[str], Any],
    ):
        self.cohort, self.workers, self.compile_seconds = store.cohorts[number], 0, 0.0
        self._number, self._store, self._asked, self._room = number, store, asked, room
        self._share, self._say = share, say
        self._turn = threading.Condition()
        self._executable: Any = None
        self._waiting: list[Any] | None = None
        self._trying = self._proved = False
        self._parked: list[tuple[Any, int]] = []  # blocks that were given up for being mostly frozen; members that run
        self._thin: dict[int, int] = {}  # worker -> members that run in its unit, where half of the places are idle

    @property
    def open(self) -> bool:
        """Whether there may be a block to take."""
        if self._waiting is None or self._waiting:
            return True
        with self._turn:
            return bool(self._parked) and not self._thin  # else who is thin takes it in

    @property
    def over(self) -> bool:
        """Whether no block is left that could be taken, or come back as two: one that is tried alone may."""
        if self._waiting is None:  # not begun, or its program is compiling: nothing to wait for
            return False
        with self._turn:
            return not (self._waiting or self._trying or self._parked)

    def prepare(self, device: Any, report: Callable[[Any], None], alone: bool = True) -> Any:
        """Find what is left of the cohort and compile its program for a device; finished blocks are reported.

        Args:
          device: for which.
          report: takes what finished blocks have to say.
          alone: whether nothing trains on the device meanwhile.

        Returns:
          The executable, or None where no block is left: then nothing is compiled.
        """
        with self._turn:
            if self._waiting is None:
                self._begin(device, report, alone)
            if not (self._waiting or self._parked):
                return None
            executable = self._executable
        try:
            executable.compiled(device)  # outside the lock, while the first block is tried
        except Exception as error:
            if not out_of_memory(error):
                raise  # else the block's first call compiles again, and halves the block if there is still no room
        return executable

    def take(self, device: Any, stop: threading.Event, report: Callable[[Any], None]) -> tuple[Any, list[Any]] | None:
        """The executable and a block to train, or several that were given up and fit into one; None: none is left."""
        if self.prepare(device, report) is None:
            return None
        with self._turn:
            while self._trying and not stop.is_set():
                self._turn.wait(TICK)
            if stop.is_set() or not (self._waiting or (self._parked and not self._thin)):
                return None
            if not self._waiting:
                return self._executable, self._fitting(0)
            self._trying = not self._proved
            return self._executable, [self._waiting.pop(0)]

    def _fitting(self, running: int) -> list[Any]:
        """Blocks that were given up, as many as fit beside `running` members."""
        chosen, size = [], self._executable.recipe.block
        for block, count in list(self._parked):
            if running + count <= size:
                running += count
                chosen.append(block)
                self._parked.remove((block, count))
        return chosen

    def swap(self, running: int) -> list[Any] | None:
        """What a worker is to do with a unit of which `running` members still train: take these blocks in, too; or, for
        None, save it and give it up. Only where a frozen member costs something, and only a unit that is half idle.
        """
        me = threading.get_ident()
        with self._turn:
            self._thin.pop(me, None)
            size = self._executable.recipe.block
            if self._executable.recipe.inner == "map" or running > size // 2:
                return []
            others = [n for worker, n in self._thin.items() if worker != me]
            self._thin[me] = running
            if chosen := self._fitting(running):
                self._thin.pop(me)
                return chosen
            return None if self._waiting or any(n + running <= size for n in others) else []

    def leave(self, loaded: list[Any]) -> None:
        """A worker has saved its unit, and leaves it: what still runs waits for others to take it in."""
        with self._turn:
            self._thin.pop(threading.get_ident(), None)
            self._parked += [(each.block, len(each.running)) for each in loaded if len(each.running)]

    def proved(self, worked: bool) -> None:
        """The block that was tried alone has made its first call, or has failed."""
        with self._turn:
            self._proved |= worked
            self._trying = False
            self._turn.notify_all()

    def close(self) -> None:
        """Give the program back, after the last worker has left and no block is waiting."""
        with self._turn:
            if self._executable is not None:
                self.compile_seconds += self._executable.compile_seconds
                self._executable = None

    def _begin(self, device: Any, report: Callable[[Any], None], alone: bool) -> None:
        recipe = self._store.recipe(self.cohort.id)
        if recipe is None:
            if not self._own(blocks_of(self.cohort, self._asked)):
                self._waiting = []
                return
            executable = fitted(self.cohort, self._asked, device, self._room[device], alone)
            recipe = self._fix(executable)
            self._executable = executable if executable.recipe == recipe else Executable(self.cohort, recipe)
        left = []
        for block in self._own(blocks_of(self.cohort, recipe)):
            folder = self._store.block(self.cohort.id, block.index)
            step = folder.newest(self._say)
            report_of = None if step is None else final_report(self.cohort, recipe, block, folder, step)
            if report_of:
                report(report_of)
            else:
                left.append(block)
        if left and self._executable is None:
            self._executable = Executable(self.cohort, recipe)
            self._refuse_if_too_large(device)
        self._waiting = left

    def members(self) -> int:
        """How many members are in this share."""
        return sum(block.rows for block in self._own(blocks_of(self.cohort, self._asked)))

    def _own(self, blocks: list[Any]) -> list[Any]:
        return [b for b in blocks if self._share.owns(self._number, b.index * len(b.floats.seed), self._asked.block)]

    def _fix(self, executable: Any, again: bool = False) -> Recipe:
        about = {"evaluate_every": executable.evaluate_every, "precision": self.cohort.members[0].training.precision}
        return self._store.fix(self.cohort.id, executable.recipe, again, **about)

    def _refuse_if_too_large(self, device: Any) -> None:
        """A cohort keeps its block, on whatever machine it goes on: this one may be too small for it.

        Only what cannot be is refused: a CPU's lanes share their memory, and how much is free changes.
        """
        room = self._room[device]
        if device.platform == "cpu":
            room *= len(startup.lanes())
        try:
            needed = self._executable.bytes_needed(device)
        except Exception as error:
            if not out_of_memory(error):
                raise
            return  # the first call will say so
        if needed > room:
            raise MemoryError(
                f"Cohort {self.cohort.id} of {self._store.path} was begun with blocks of "
                f"{self._executable.recipe.block}, which "
                f"need {needed / 2**20:.1f} MiB on {device}, and there are {room / 2**20:.1f} MiB: go on where there "
                "is more."
            )

    def halve(self, error: Exception) -> None:
        """Start the cohort again with half the block after the device ran out of memory, if nothing was saved yet."""
        with self._turn:
            recipe = self._executable.recipe
            begun = any(self._store.block(self.cohort.id, b.index).path.exists() for b in self._blocks())
            if self._proved or recipe.block == 1 or begun or self._share.count > 1:
                raise MemoryError(
                    f"Cohort {self.cohort.id} ran out of device memory with blocks of {recipe.block}: "
                    f"train it into a new directory with --block {max(1, recipe.block // 2)}."
                ) from error
            self.compile_seconds += self._executable.compile_seconds
            self._executable = Executable(self.cohort, with_block(recipe, recipe.block // 2))
            self._fix(self._executable, again=True)
            self._waiting = self._blocks()

    def _blocks(self) -> list[Any]:
        return blocks_of(self.cohort, self._executable.recipe)
