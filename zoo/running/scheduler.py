"""Which device trains which block when: cohorts are jobs, every device has a worker, programs are compiled ahead."""

import threading
import time
from collections.abc import Callable
from typing import Any

from zoo.devices.memory import out_of_memory
from zoo.running.cohort_queue import TICK, CohortQueue
from zoo.running.loaded_block import LoadedBlock, load_block
from zoo.running.packing import Pack, train_pack
from zoo.store.directory import Store

TABLE_SECONDS = 5.0
"""The member table is written again at most this often while blocks finish."""


class Scheduler:
    """One worker thread per lane; each takes blocks until none is left.

    While a worker trains the last block of a cohort, the program of its next cohort compiles beside it.

    Args:
      store: where results go.
      jobs: the cohorts.
      save_every: seconds between two saves of a block.
      grace: seconds that workers have to save when they are stopped.
      view: what is told of the progress.

    Attributes:
      stop: set it, and the workers save and end.
      unsaved: how many workers had not saved their blocks when the grace time was over.
    """

    def __init__(self, store: Store, queues: list[CohortQueue], save_every: float, grace: float, view: Any):
        self.store, self.queues, self.save_every, self.grace, self.view = store, queues, save_every, grace, view
        self.stop = threading.Event()
        self.unsaved = 0
        self._holding: set[int] = set()  # workers with a block that is not saved
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
        for queue in self.queues:
            queue.close()

    def _next_queue(self) -> CohortQueue | None:
        """The cohort with the fewest workers."""
        with self._lock:
            queue = min((queue for queue in self.queues if queue.open), key=lambda j: j.workers, default=None)
            if queue is not None:
                queue.workers += 1
                self.view.compiling(queue.cohort.id)
            return queue

    def _wait_for_queue(self) -> CohortQueue | None:
        """The next cohort; None when there is nothing left that could come back in smaller blocks either."""
        while (queue := self._next_queue()) is None and not self.stop.is_set():
            if all(queue.over for queue in self.queues):
                return None
            time.sleep(TICK)
        return queue

    def _leave(self, queue: CohortQueue) -> None:
        with self._lock:
            queue.workers -= 1
            over = not queue.workers and not queue.open
        if over:
            queue.close()

    def _work(self, device: Any) -> None:
        try:
            queue = self._wait_for_queue()
            while queue is not None and not self.stop.is_set():
                taken = queue.take(device, self.stop, self.view.report)
                following = self._train(queue, *taken, device) if taken else None
                if taken is None or following is not None:
                    self._leave(queue)
                    queue = following or self._wait_for_queue()
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()

    def _train(self, queue: CohortQueue, executable: Any, blocks: list[Any], device: Any) -> CohortQueue | None:
        """Train a block, or what is left of several; the job to go on with, where it was the last of its cohort."""
        following, ahead = None if queue.open else self._next_queue(), None

        def tell(loaded: LoadedBlock, taken: int) -> None:
            queue.proved(True)
            self.view.report(loaded.progress(queue.cohort.id, taken))

        def opening(chosen: list[Any]) -> list[LoadedBlock]:
            loaded = [load_block(executable, b, self.store.block(queue.cohort.id, b.index), device) for b in chosen]
            for each in loaded:
                tell(each, 0)
            return loaded

        def swap(running: int) -> list[LoadedBlock] | None:
            chosen = queue.swap(running)
            return None if chosen is None else opening(chosen)

        if following is not None:
            ahead = threading.Thread(target=self._compile, args=(following, device), daemon=True)
            ahead.start()
        self._holding.add(threading.get_ident())
        try:
            if self.stop.is_set():  # nobody waits for this worker any more
                return None
            pack = Pack(executable, opening(blocks), device)
            train_pack(pack, save_every=self.save_every, stop=self.stop, tell=tell, swap=swap)
            queue.leave(pack.loaded if not self.stop.is_set() else [])
            self.done += 1
        except BaseException as error:
            queue.leave([])
            try:
                if not (isinstance(error, Exception) and out_of_memory(error)):
                    raise
                queue.halve(error)
            except BaseException as final:
                self.error = self.error or final  # before this worker counts as one that has saved
                raise
        finally:
            self._holding.discard(threading.get_ident())
            queue.proved(False)
        if ahead is not None and not self.stop.is_set():
            ahead.join()
        return following

    def _compile(self, queue: CohortQueue, device: Any) -> None:
        try:
            queue.prepare(device, self.view.report, alone=False)
        except BaseException as error:
            if isinstance(error, Exception) and out_of_memory(error):
                return  # beside a block that is there; the worker tries again when that is gone
            self.error = self.error or error
            self.stop.set()
