"""Which device trains which block when: cohorts are jobs, every device has a worker, programs are compiled ahead."""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from zoo import executor
from zoo.block import last_word, train_block
from zoo.memory import out_of_memory
from zoo.spec import Cohort
from zoo.store import Store

TICK = 0.25
"""Seconds between two looks at the workers."""

TABLE_SECONDS = 5.0
"""The member table is written again at most this often while blocks finish."""


class Job:
    """One cohort's way through a run: its executable, once compiled, and the blocks that nobody has taken yet.

    The first block of a cohort is tried alone until its first call has returned: when it takes too much memory, no
    other block of the same size is on its way and the cohort starts again with half the block.

    Args:
      cohort: the cohort.
      store: where its recipe and its blocks lie.
      recipe: the one it was begun with; of a new cohort the one to try, whose block is halved until it fits.
      room: bytes that blocks may use, per device.

    Attributes:
      cohort: the cohort.
      workers: how many workers are on it.
      compile_seconds: what its programs took, once it is closed.
    """

    def __init__(self, cohort: Cohort, store: Store, recipe: executor.Recipe, room: dict[Any, int]):
        self.cohort, self.workers, self.compile_seconds = cohort, 0, 0.0
        self._store, self._recipe, self._room = store, recipe, room
        self._turn = threading.Condition()
        self._executable: Any = None
        self._waiting: list[Any] | None = None
        self._trying = self._proved = False

    @property
    def open(self) -> bool:
        """Whether there may be a block to take."""
        return self._waiting is None or bool(self._waiting)

    @property
    def over(self) -> bool:
        """Whether no block is left that could be taken, or come back as two: one that is tried alone may."""
        if self._waiting is None:  # not begun, or its program is compiling: nothing to wait for
            return False
        with self._turn:
            return not (self._waiting or self._trying)

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
            if not self._waiting:
                return None
            executable = self._executable
        try:
            executable.compiled(device)  # outside the lock, while the first block is tried
        except Exception as error:
            if not out_of_memory(error):
                raise  # else the block's first call compiles again, and halves the block if there is still no room
        return executable

    def take(self, device: Any, stop: threading.Event, report: Callable[[Any], None]) -> tuple[Any, Any] | None:
        """The executable and a block to train, or None when no block is left."""
        if self.prepare(device, report) is None:
            return None
        with self._turn:
            while self._trying and not stop.is_set():
                self._turn.wait(TICK)
            if not self._waiting or stop.is_set():
                return None
            self._trying = not self._proved
            return self._executable, self._waiting.pop(0)

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
        recipe = self._recipe
        if self._store.recipe(self.cohort.id) is None:
            self._use(executor.fitted(self.cohort, recipe, device, self._room[device], alone))
            return
        left = []
        for block in executor.blocks(self.cohort, recipe):
            word = last_word(self.cohort, recipe, block, self._store.block(self.cohort.id, block.index))
            if word:
                report(word)
            else:
                left.append(block)
        if left:
            self._executable = executor.Executable(self.cohort, recipe)
            self._refuse_if_too_large(device)
        self._waiting = left

    def _use(self, executable: Any) -> None:
        entry = {"recipe": dataclasses.asdict(executable.recipe), "evaluate_every": executable.evaluate_every}
        entry["asked_block"] = self._store.asked_block(self.cohort.id) or self._recipe.block  # before it was halved
        self._store.record(self.cohort.id, **entry, precision=self.cohort.members[0].training.precision)
        self._executable = executable
        self._waiting = executor.blocks(self.cohort, executable.recipe)

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
                f"Cohort {self.cohort.id} of {self._store.path} was begun with blocks of {self._recipe.block}, which "
                f"need {needed / 2**20:.1f} MiB on {device}, and there are {room / 2**20:.1f} MiB: go on where there "
                "is more."
            )

    def halve(self, error: Exception) -> None:
        """Start the cohort again with half the block after the device ran out of memory, if nothing was saved yet."""
        with self._turn:
            recipe = self._executable.recipe
            if self._proved or recipe.block == 1 or (self._store.path / "cohorts" / self.cohort.id).exists():
                raise MemoryError(
                    f"Cohort {self.cohort.id} ran out of device memory with blocks of {recipe.block}: "
                    f"train it into a new directory with --block {max(1, recipe.block // 2)}."
                ) from error
            self.compile_seconds += self._executable.compile_seconds
            self._use(executor.Executable(self.cohort, executor.with_block(recipe, recipe.block // 2)))


class Pool:
    """One worker thread per local device; each takes blocks until none is left.

    While a worker trains the last block of a cohort, the program of its next cohort compiles beside it.

    Args:
      store: where results go.
      jobs: the cohorts.
      save_every: seconds between two saves of a block.
      view: what is told of the progress.
    """

    def __init__(self, store: Store, jobs: list[Job], save_every: float, view: Any):
        self.store, self.jobs, self.save_every, self.view = store, jobs, save_every, view
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.done = 0
        self._lock = threading.Lock()

    def run(self, devices: list[Any]) -> None:
        """Train everything; raises the first error, of a worker or of its own, after the workers have saved."""
        threads = [threading.Thread(target=self._work, args=(device,), daemon=True) for device in devices]
        for thread in threads:
            thread.start()
        try:
            written, seen = time.monotonic(), 0
            while any(thread.is_alive() for thread in threads):
                self.view.tick()
                time.sleep(TICK)
                if self.done > seen and time.monotonic() - written >= TABLE_SECONDS:
                    seen, written = self.done, time.monotonic()
                    self.store.write_table()
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()
        for thread in threads:
            thread.join()
        for job in self.jobs:
            job.close()
        if self.error is not None:
            raise self.error

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

    def _train(self, job: Job, executable: Any, block: Any, device: Any) -> Job | None:
        """Train a block; the job to go on with, where this was the last block of its cohort."""
        following, ahead = None if job.open else self._next_job(), None

        def report(progress: Any) -> None:
            job.proved(True)
            self.view.report(progress)

        folder = self.store.block(job.cohort.id, block.index)
        if following is not None:
            ahead = threading.Thread(target=self._compile, args=(following, device), daemon=True)
            ahead.start()
        try:
            train_block(executable, block, folder, device, save_every=self.save_every, stop=self.stop, report=report)
            self.done += 1
        except Exception as error:
            if not out_of_memory(error):
                raise
            job.halve(error)
        finally:
            job.proved(False)
            if ahead is not None:
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
