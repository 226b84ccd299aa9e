"""Which device trains which block when: every lane has a worker, and programs are compiled ahead."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from zoo.devices.blocks import Block
from zoo.devices.memory import out_of_memory
from zoo.running.cohort_queue import TICK, CohortQueue, Work
from zoo.running.loaded_block import LoadedBlock, go_on, load_block
from zoo.running.packing import Pack, remake, train_pack
from zoo.running.progress import Display
from zoo.running.run_settings import Settings
from zoo.store.directory import Store

TABLE_SECONDS = 5.0
"""The member table is written again at most this often while blocks finish."""


class Scheduler:
    """One worker thread per lane; each takes blocks until none is left.

    While a worker trains the last block of a cohort, the program of its next cohort compiles beside it.

    Args:
      store: where results go.
      queues: the cohorts.
      settings: how often blocks are saved, and how long workers have to save when they are stopped.
      display: what is told of the progress.

    Attributes:
      stop: set it, and the workers save and end.
      error: the first error, of a worker or of the main thread.
      unsaved: how many workers had not saved their blocks when the grace time was over.
    """

    def __init__(self, store: Store, queues: Sequence[CohortQueue], settings: Settings, display: Display):
        self.store, self.queues, self.settings, self.display = store, queues, settings, display
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.unsaved = 0
        self._finished = 0  # packs that were trained to their end
        self._holding: set[int] = set()  # workers with a block that is not saved
        self._lock = threading.Lock()

    def run(self, devices: Sequence[Any], notice: Callable[[], bool] = lambda: False) -> None:
        """Train everything; raises the first error, of a worker or of its own, after the workers have saved.

        Args:
          devices: one worker each.
          notice: asked a few times a second whether to save and end.
        """
        threads = [threading.Thread(target=self._work, args=(device,), daemon=True) for device in devices]
        for thread in threads:
            thread.start()
        try:
            written_at, written = time.monotonic(), 0
            while any(thread.is_alive() for thread in threads) and not self.stop.is_set():
                self.display.tick()
                time.sleep(TICK)
                if notice():
                    self.stop.set()
                is_old = time.monotonic() - written_at >= TABLE_SECONDS
                if self._finished > written and is_old and self.store.writes:
                    written, written_at = self._finished, time.monotonic()
                    self.store.write_table()
        except BaseException as error:
            self._fail(error)
        self._end(threads)
        if self.error is not None:
            raise self.error

    def _end(self, threads: list[threading.Thread]) -> None:
        """Wait for the workers; of those that were stopped, only for the ones that have something to save. A program
        that is being compiled cannot be interrupted, and nothing is lost with it."""
        deadline = time.monotonic() + self.settings.grace
        while any(thread.is_alive() for thread in threads):
            late = time.monotonic() > deadline
            if self.stop.is_set() and (late or not self._holding):
                self.unsaved = len(self._holding)
                return
            try:
                self.display.tick()
            except Exception as error:  # also where a terminal is gone, workers have to save
                self._fail(error)
            time.sleep(TICK / 5)
        for queue in self.queues:
            queue.close()

    def _next_queue(self) -> CohortQueue | None:
        """The cohort with the fewest workers."""
        with self._lock:
            queue = min((queue for queue in self.queues if queue.open), key=lambda queue: queue.workers, default=None)
            if queue is not None:
                queue.workers += 1
                self.display.compiling(queue.cohort.id)
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

    def _fail(self, error: BaseException) -> None:
        """End the run with an error, unless another was first."""
        self.error = self.error or error
        self.stop.set()

    def _work(self, device: Any) -> None:
        """What the worker of a lane does, from its start to the end of the run."""
        try:
            queue = self._wait_for_queue()
            while queue is not None and not self.stop.is_set():
                work = queue.take(device, self.stop, self.display.report)
                following = self._train(queue, work, device) if work else None
                if work is None or following is not None:
                    self._leave(queue)
                    queue = following or self._wait_for_queue()
        except BaseException as error:
            self._fail(error)

    def _train(self, queue: CohortQueue, work: Work, device: Any) -> CohortQueue | None:
        """Train what was taken from a queue.

        Returns:
          The queue to go on with where nothing more can be taken from this one; its program has been compiled beside
          the training. None where this one may have more, or the run is stopped.
        """
        following, compiling = None if queue.open else self._next_queue(), None
        if following is not None:
            compiling = threading.Thread(target=self._compile, args=(following, device), daemon=True)
            compiling.start()
        self._holding.add(threading.get_ident())
        try:
            if self.stop.is_set():  # nobody waits for this worker any more
                return None
            self._train_blocks(queue, work, device)
            self._finished += 1
        except BaseException as error:
            queue.leave([])
            self._recover(queue, error)
        finally:
            self._holding.discard(threading.get_ident())
            queue.proved(False)
        if compiling is not None and not self.stop.is_set():
            compiling.join()
        return following

    def _train_blocks(self, queue: CohortQueue, work: Work, device: Any) -> None:
        """Load blocks, train them as one pack, and give back those that still run when they were given up."""

        def tell(loaded: LoadedBlock, taken: int) -> None:
            queue.proved(True)
            self.display.report(loaded.progress(queue.cohort.id, taken))

        def load(blocks: Sequence[Block]) -> list[LoadedBlock]:
            folders = [self.store.block(queue.cohort.id, block.index) for block in blocks]
            for block, folder in zip(blocks, folders):
                go_on(work.executable, block, folder, self.store, self.display.say)
            loaded = [load_block(work.executable, b, folder, device) for b, folder in zip(blocks, folders)]
            for block, folder in zip(blocks, folders):
                remake(work.executable, block, folder, device, self.stop)
            for each in loaded:
                tell(each, 0)
            return loaded

        def swap(running: int) -> list[LoadedBlock] | None:
            blocks = queue.swap(running)
            return None if blocks is None else load(blocks)

        pack = Pack(work.executable, load(work.blocks), device)
        train_pack(pack, save_every=self.settings.save_every, stop=self.stop, tell=tell, swap=swap)
        queue.leave(pack.loaded if not self.stop.is_set() else [])

    def _recover(self, queue: CohortQueue, error: BaseException) -> None:
        """Begin a cohort again in smaller blocks when the device ran out of memory; any other error is raised."""
        try:
            if not out_of_memory(error):
                raise error
            queue.halve(error)
        except BaseException as final:
            self.error = self.error or final  # before this worker counts as one that has saved
            raise

    def _compile(self, queue: CohortQueue, device: Any) -> None:
        """Compile a queue's program beside a block that trains."""
        try:
            queue.prepare(device, self.display.report, alone=False)
        except BaseException as error:
            if not out_of_memory(error):  # else the worker tries again when the block beside it is gone
                self._fail(error)
