"""Train a zoo: cohorts are compiled and their blocks trained on all local devices; the same call resumes."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from zoo import spec
from zoo.spec import Cohort, Zoo
from zoo.store import Store, Trained

TICK = 0.25
"""Seconds between two looks at the workers."""


class Stopped(Exception):
    """A signal stopped the training; everything is saved."""


class Job:
    """One cohort's way through a run: its executable, once compiled, and the blocks that nobody has taken yet.

    Attributes:
      cohort: the cohort.
      workers: how many workers are on it.
    """

    def __init__(self, cohort: Cohort, store: Store, block: int | None, tune: bool):
        self.cohort, self.workers = cohort, 0
        self._store, self._block, self._tune = store, block, tune
        self._lock = threading.Lock()
        self._executable: Any = None
        self._waiting: list[Any] | None = None

    @property
    def open(self) -> bool:
        """Whether there may be a block to take."""
        return self._waiting is None or bool(self._waiting)

    def take(self, device: Any) -> tuple[Any, Any] | None:
        """The executable and a block to train, or None when no block is left."""
        from zoo import block, executor

        with self._lock:
            if self._waiting is None:
                recipe = self._store.recipe(self.cohort.id)
                if recipe is None:
                    recipe = executor.tuned(self.cohort) if self._tune else executor.default_recipe(self.cohort)
                    recipe = dataclasses.replace(recipe, block=self._block) if self._block else recipe
                    executable = executor.fitted(self.cohort, recipe, device)
                else:
                    executable = executor.Executable(self.cohort, recipe)
                self._prepare(executable)
            while self._waiting:
                candidate = self._waiting.pop(0)
                if not block.finished(self._store.block(self.cohort.id, candidate.index)):
                    return self._executable, candidate
            return None

    def _prepare(self, executable: Any) -> None:
        from zoo import executor

        entry = {"recipe": dataclasses.asdict(executable.recipe), "evaluate_every": executable.evaluate_every}
        self._store.record(self.cohort.id, **entry, precision=self.cohort.members[0].training.precision)
        self._executable = executable
        self._waiting = executor.blocks(self.cohort, executable.recipe)

    def halve(self, executable: Any, error: Exception) -> None:
        """Start the cohort again with half the block after the device ran out of memory, if nothing was saved yet."""
        from zoo import executor

        with self._lock:
            if self._executable is not executable:
                return  # another worker was here first
            folder = self._store.path / "cohorts" / self.cohort.id
            block = executable.recipe.block
            if folder.exists() or block == 1:
                raise MemoryError(
                    f"Cohort {self.cohort.id} ran out of device memory with blocks of {block}: "
                    f"train it into a new directory with --block {max(1, block // 2)}."
                ) from error
            self._prepare(executor.Executable(self.cohort, executor.halved(executable.recipe)))


class Pool:
    """One worker thread per local device; each takes blocks until none is left.

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
        self._lock = threading.Lock()

    def run(self, devices: list[Any]) -> None:
        """Train everything; raises the first error of a worker after the others have saved."""
        threads = [threading.Thread(target=self._work, args=(device,), daemon=True) for device in devices]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.view.tick()
            time.sleep(TICK)
        if self.error is not None:
            raise self.error

    def _next_job(self, current: Job | None) -> Job | None:
        """Stay with the cohort whose program is loaded; else the one with the fewest workers."""
        with self._lock:
            candidates = [job for job in self.jobs if job.open]
            job = current if current in candidates else min(candidates, key=lambda j: j.workers, default=None)
            if current is not None:
                current.workers -= 1
            if job is not None:
                job.workers += 1
            return job

    def _work(self, device: Any) -> None:
        from zoo.block import train_block

        job: Job | None = None
        try:
            while not self.stop.is_set() and (job := self._next_job(job)) is not None:
                self.view.compiling(job.cohort.id)
                taken = job.take(device)
                if taken is None:
                    continue
                executable, block = taken
                folder = self.store.block(job.cohort.id, block.index)
                try:
                    train_block(
                        executable,
                        block,
                        folder,
                        device,
                        save_every=self.save_every,
                        stop=self.stop,
                        report=self.view.report,
                    )
                except Exception as error:
                    if "RESOURCE_EXHAUSTED" not in str(error):
                        raise
                    job.halve(executable, error)
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()


def train(
    zoo: Zoo,
    out: str | os.PathLike[str],
    *,
    save_every: float = 60.0,
    block: int | None = None,
    tune: bool = False,
    quiet: bool = False,
    devices: Sequence[Any] | None = None,
) -> Trained:
    """Train every member of a zoo; the same call on the same directory resumes, or finds that all is done.

    Args:
      zoo: what to train.
      out: the zoo directory, new or of the same spec.
      save_every: seconds between two checkpoints of a block.
      block: members per block instead of the recipe's.
      tune: time alternative recipes first.
      quiet: print nothing.
      devices: local devices to use; default all. How many there are never changes a bit.

    Returns:
      The directory, opened for reading.

    Raises:
      ValueError: the spec or the directory is bad.
      Stopped: SIGTERM or Ctrl-C; everything is saved.
    """
    if save_every <= 0:
        raise ValueError(f"save_every is {save_every} seconds; it must be above 0.")
    if block is not None and block < 1:
        raise ValueError(f"block is {block}; it must be at least 1.")
    store = Store(out, zoo)
    devices = list(devices or _start(store))
    from zoo.progress import view

    jobs = [Job(cohort, store, block, tune) for cohort in store.cohorts]
    store.record(None, hardware=_hardware(devices))
    with view(store.cohorts, quiet=quiet) as shown:
        pool = Pool(store, jobs, save_every, shown)
        with _signals(pool.stop) as signals:
            try:
                pool.run(devices)
            finally:
                store.write_table()
        if signals:
            raise Stopped(f"Stopped by {signals[0]}; the same command goes on from here.")
    return Trained(out)


def _start(store: Store) -> list[Any]:
    """Local devices, JAX set up as the directory's recipes ask."""
    from zoo import executor

    recipes = [entry["recipe"] for entry in store.manifest["cohorts"].values() if entry["recipe"]]
    executor.start(recipes[0]["threads"] or None if recipes else None)
    import jax

    if recipes and recipes[0]["threads"] != executor.threads():
        raise ValueError(
            f"{store.path} was trained with {recipes[0]['threads']} CPU threads and this process has "
            f"{executor.threads()}, which changes the bits: start with NPROC={recipes[0]['threads']}."
        )
    return jax.local_devices()


def _hardware(devices: list[Any]) -> dict[str, Any]:
    kind = devices[0]
    return {"platform": kind.platform, "kind": kind.device_kind, "devices": len(devices)}


@contextmanager
def _signals(stop: threading.Event) -> Iterator[list[str]]:
    """SIGTERM and Ctrl-C ask for a save and an end; a second one ends at once."""
    seen: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def handle(number: int, frame: Any) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(signal.Signals(number).name)
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class PlanRow(NamedTuple):
    """What a cohort will cost.

    Attributes:
      cohort: its id.
      members, blocks: how many.
      recipe: how it will run.
      steps: per member.
      megabytes: device memory of one block.
      disk: megabytes of its checkpoints, all blocks.
      seconds: estimated, over all local devices, from a short measurement; compilation included.
    """

    cohort: str
    members: int
    blocks: int
    recipe: Any
    steps: int
    megabytes: float
    disk: float
    seconds: float


def plan(zoo: Zoo, block: int | None = None) -> list[PlanRow]:
    """What training would do: compiles each cohort and times it for a moment, and trains and writes nothing."""
    from zoo import executor

    executor.start()
    import jax

    devices, rows = jax.local_devices(), []
    for cohort in spec.cohorts(zoo):
        recipe = executor.default_recipe(cohort, block)
        begin = time.perf_counter()
        executable = executor.fitted(cohort, recipe, devices[0])
        compiling = time.perf_counter() - begin
        rate = executor.steps_per_second(cohort, executable.recipe, devices[0], seconds=0.5)
        count = -(-len(cohort.members) // executable.recipe.block)
        steps = cohort.members[0].training.steps
        state = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(executable.shape()))
        seconds = compiling + steps * len(cohort.members) / (rate * min(count, len(devices)))
        megabytes = executable.bytes_needed(devices[0]) / 2**20
        rows.append(
            PlanRow(
                cohort.id,
                len(cohort.members),
                count,
                executable.recipe,
                steps,
                megabytes,
                3 * count * state / 2**20,
                seconds,
            )
        )
    return rows
