"""Which device trains which block when: cohorts are jobs, every device has a worker, programs are compiled ahead."""

import threading
import time
from collections.abc import Callable
from typing import Any

from zoo import executor
from zoo.block import Held, last_word, opened
from zoo.cluster import Share
from zoo.memory import out_of_memory
from zoo.store import Store
from zoo.unit import Unit, train_unit

TICK = 0.25
"""Seconds between two looks at the workers."""

TABLE_SECONDS = 5.0
"""The member table is written again at most this often while blocks finish."""


class Job:
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
        asked: executor.Recipe,
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

    def leave(self, held: list[Any]) -> None:
        """A worker has saved its unit, and leaves it: what still runs waits for others to take it in."""
        with self._turn:
            self._thin.pop(threading.get_ident(), None)
            self._parked += [(each.block, len(each.running)) for each in held if len(each.running)]

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
            if not self._own(executor.blocks(self.cohort, self._asked)):
                self._waiting = []
                return
            executable = executor.fitted(self.cohort, self._asked, device, self._room[device], alone)
            recipe = self._fix(executable)
            self._executable = executable if executable.recipe == recipe else executor.Executable(self.cohort, recipe)
        left = []
        for block in self._own(executor.blocks(self.cohort, recipe)):
            folder = self._store.block(self.cohort.id, block.index)
            step = folder.newest(self._say)
            word = None if step is None else last_word(self.cohort, recipe, block, folder, step)
            if word:
                report(word)
            else:
                left.append(block)
        if left and self._executable is None:
            self._executable = executor.Executable(self.cohort, recipe)
            self._refuse_if_too_large(device)
        self._waiting = left

    def members(self) -> int:
        """How many members are in this share."""
        return sum(block.rows for block in self._own(executor.blocks(self.cohort, self._asked)))

    def _own(self, blocks: list[Any]) -> list[Any]:
        return [b for b in blocks if self._share.owns(self._number, b.index * len(b.floats.seed), self._asked.block)]

    def _fix(self, executable: Any, again: bool = False) -> executor.Recipe:
        about = {"evaluate_every": executable.evaluate_every, "precision": self.cohort.members[0].training.precision}
        return self._store.fix(self.cohort.id, executable.recipe, again, **about)

    def _refuse_if_too_large(self, device: Any) -> None:
        """A cohort keeps its block, on whatever machine it goes on: this one may be too small for it.

        Only what cannot be is refused: a CPU's devices share their memory, and how much is free changes.
        """
        room = self._room[device]
        if device.platform == "cpu":
            room *= len(device.client.local_devices())
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
            self._executable = executor.Executable(self.cohort, executor.with_block(recipe, recipe.block // 2))
            self._fix(self._executable, again=True)
            self._waiting = self._blocks()

    def _blocks(self) -> list[Any]:
        return executor.blocks(self.cohort, self._executable.recipe)


class Pool:
    """One worker thread per local device; each takes blocks until none is left.

    While a worker trains the last block of a cohort, the program of its next cohort compiles beside it.

    Args:
      store: where results go.
      jobs: the cohorts.
      save_every: seconds between two saves of a block.
      grace: seconds that workers have to save when they are stopped.
      view: what is told of the progress.

    Attributes:
      stop: set it, and the workers save and end.
      unsaved: on how many devices a block was not saved when the grace time was over.
    """

    def __init__(self, store: Store, jobs: list[Job], save_every: float, grace: float, view: Any):
        self.store, self.jobs, self.save_every, self.grace, self.view = store, jobs, save_every, grace, view
        self.stop = threading.Event()
        self.unsaved = 0
        self._holding: set[Any] = set()  # devices with a block that is not saved
        self.error: BaseException | None = None
        self.done = 0
        self._lock = threading.Lock()

    def run(self, devices: list[Any], notice: Callable[[], bool] = lambda: False) -> None:
        """Train everything; raises the first error, of a worker or of its own, after the workers have saved.

        Args:
          devices: one worker each.
          notice: asked a few times a second whether to save and end.
        """
        threads = [threading.Thread(target=self._work, args=(device,), daemon=True) for device in devices]
        for thread in threads:
            thread.start()
        try:
            written, seen = time.monotonic(), 0
            while any(thread.is_alive() for thread in threads) and not self.stop.is_set():
                self.view.tick()
                time.sleep(TICK)
                if notice():
                    self.stop.set()
                if self.done > seen and time.monotonic() - written >= TABLE_SECONDS and self.store.writes:
                    seen, written = self.done, time.monotonic()
                    self.store.write_table()
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()
        self._end(threads)
        if self.error is not None:
            raise self.error

    def _end(self, threads: list[threading.Thread]) -> None:
        """Wait for the workers; of those that were stopped, only for the ones that have something to save. A program
        that is being compiled cannot be interrupted, and nothing is lost with it."""
        deadline = time.monotonic() + self.grace
        while any(thread.is_alive() for thread in threads):
            late = time.monotonic() > deadline
            if self.stop.is_set() and (late or not self._holding):
                self.unsaved = len(self._holding)
                return
            self.view.tick()
            time.sleep(TICK / 5)
        for job in self.jobs:
            job.close()

    def _next_job(self) -> Job | None:
        """The cohort with the fewest workers."""
        with self._lock:
            job = min((job for job in self.jobs if job.open), key=lambda j: j.workers, default=None)
            if job is not None:
                job.workers += 1
                self.view.compiling(job.cohort.id)
            return job

    def _wait_for_job(self) -> Job | None:
        """The next cohort; None when there is nothing left that could come back in smaller blocks either."""
        while (job := self._next_job()) is None and not self.stop.is_set():
            if all(job.over for job in self.jobs):
                return None
            time.sleep(TICK)
        return job

    def _leave(self, job: Job) -> None:
        with self._lock:
            job.workers -= 1
            over = not job.workers and not job.open
        if over:
            job.close()

    def _work(self, device: Any) -> None:
        try:
            job = self._wait_for_job()
            while job is not None and not self.stop.is_set():
                taken = job.take(device, self.stop, self.view.report)
                following = self._train(job, *taken, device) if taken else None
                if taken is None or following is not None:
                    self._leave(job)
                    job = following or self._wait_for_job()
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()

    def _train(self, job: Job, executable: Any, blocks: list[Any], device: Any) -> Job | None:
        """Train a block, or what is left of several; the job to go on with, where it was the last of its cohort."""
        following, ahead = None if job.open else self._next_job(), None

        def tell(held: Held, taken: int) -> None:
            job.proved(True)
            self.view.report(held.progress(job.cohort.id, taken))

        def opening(chosen: list[Any]) -> list[Held]:
            held = [opened(executable, b, self.store.block(job.cohort.id, b.index), device) for b in chosen]
            for each in held:
                tell(each, 0)
            return held

        def swap(running: int) -> list[Held] | None:
            chosen = job.swap(running)
            return None if chosen is None else opening(chosen)

        if following is not None:
            ahead = threading.Thread(target=self._compile, args=(following, device), daemon=True)
            ahead.start()
        self._holding.add(device)
        try:
            if self.stop.is_set():  # nobody waits for this worker any more
                return None
            unit = Unit(executable, opening(blocks), device)
            train_unit(unit, save_every=self.save_every, stop=self.stop, tell=tell, swap=swap)
            job.leave(unit.held if not self.stop.is_set() else [])
            self.done += 1
        except BaseException as error:
            job.leave([])
            try:
                if not (isinstance(error, Exception) and out_of_memory(error)):
                    raise
                job.halve(error)
            except BaseException as final:
                self.error = self.error or final  # before this worker counts as one that has saved
                raise
        finally:
            self._holding.discard(device)
            job.proved(False)
        if ahead is not None and not self.stop.is_set():
            ahead.join()
        return following

    def _compile(self, job: Job, device: Any) -> None:
        try:
            job.prepare(device, self.view.report, alone=False)
        except BaseException as error:
            if isinstance(error, Exception) and out_of_memory(error):
                return  # beside a block that is there; the worker tries again when that is gone
            self.error = self.error or error
            self.stop.set()
