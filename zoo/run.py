"""Train a zoo: cohorts are compiled and their blocks trained on all local devices; the same call resumes."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from zoo import spec
from zoo.spec import Cohort, Zoo
from zoo.store import Store, Trained

TICK = 0.25
"""Seconds between two looks at the workers."""

TABLE_SECONDS = 5.0
"""The member table is written again at most this often while blocks finish."""


class Stopped(Exception):
    """A signal stopped the training; everything is saved."""


class Job:
    """One cohort's way through a run: its executable, once compiled, and the blocks that nobody has taken yet.

    The first block of a cohort is tried alone until its first call has returned: when it takes too much memory, no
    other block of the same size is on its way and the cohort starts again with half the block.

    Attributes:
      cohort: the cohort.
      workers: how many workers are on it.
    """

    def __init__(self, cohort: Cohort, store: Store, block: int | None, tune: bool):
        self.cohort, self.workers = cohort, 0
        self._store, self._block, self._tune = store, block, tune
        self._turn = threading.Condition()
        self._executable: Any = None
        self._waiting: list[Any] | None = None
        self._trying = self._proved = False

    @property
    def open(self) -> bool:
        """Whether there may be a block to take."""
        return self._waiting is None or bool(self._waiting)

    def take(self, device: Any, stop: threading.Event, report: Callable[[Any], None]) -> tuple[Any, Any] | None:
        """The executable and a block to train, or None when no block is left; finished blocks are reported."""
        from zoo.block import last_word

        with self._turn:
            if self._waiting is None:
                self._prepare(self._first_executable(device))
            executable = self._executable
        executable.compiled(device)  # while the first block is tried
        with self._turn:
            while self._trying and not stop.is_set():
                self._turn.wait(TICK)
            while self._waiting and not stop.is_set():
                block = self._waiting.pop(0)
                if word := last_word(self._executable, block, self._store.block(self.cohort.id, block.index)):
                    report(word)
                    continue
                self._trying = not self._proved
                return self._executable, block
            return None

    def proved(self, worked: bool) -> None:
        """The block that was tried alone has made its first call, or has failed."""
        with self._turn:
            self._proved |= worked
            self._trying = False
            self._turn.notify_all()

    def _first_executable(self, device: Any) -> Any:
        from zoo import executor

        recipe = self._store.recipe(self.cohort.id)
        if recipe is not None:
            if self._block and self._block != recipe.block:
                raise ValueError(
                    f"--block is {self._block}, but cohort {self.cohort.id} of {self._store.path} was begun with "
                    f"blocks of {recipe.block}; leave it out, or choose another --out."
                )
            return executor.Executable(self.cohort, recipe)
        choose = executor.tuned if self._tune else executor.default_recipe
        return executor.fitted(self.cohort, choose(self.cohort, self._block), device)

    def _prepare(self, executable: Any) -> None:
        from zoo import executor

        entry = {"recipe": dataclasses.asdict(executable.recipe), "evaluate_every": executable.evaluate_every}
        self._store.record(self.cohort.id, **entry, precision=self.cohort.members[0].training.precision)
        self._executable = executable
        self._waiting = executor.blocks(self.cohort, executable.recipe)

    def halve(self, error: Exception) -> None:
        """Start the cohort again with half the block after the device ran out of memory, if nothing was saved yet."""
        from zoo import executor

        with self._turn:
            recipe = self._executable.recipe
            if self._proved or recipe.block == 1 or (self._store.path / "cohorts" / self.cohort.id).exists():
                raise MemoryError(
                    f"Cohort {self.cohort.id} ran out of device memory with blocks of {recipe.block}: "
                    f"train it into a new directory with --block {max(1, recipe.block // 2)}."
                ) from error
            self._prepare(executor.Executable(self.cohort, executor.with_block(recipe, recipe.block // 2)))


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
        self.done = 0
        self._lock = threading.Lock()

    def run(self, devices: list[Any]) -> None:
        """Train everything; raises the first error of a worker after the others have saved."""
        threads = [threading.Thread(target=self._work, args=(device,), daemon=True) for device in devices]
        for thread in threads:
            thread.start()
        written, seen = time.monotonic(), 0
        while any(thread.is_alive() for thread in threads):
            self.view.tick()
            time.sleep(TICK)
            if self.done > seen and time.monotonic() - written >= TABLE_SECONDS:
                seen, written = self.done, time.monotonic()
                self.store.write_table()
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
        job: Job | None = None
        try:
            while not self.stop.is_set() and (job := self._next_job(job)) is not None:
                self.view.compiling(job.cohort.id)
                if (taken := job.take(device, self.stop, self.view.report)) is not None:
                    self._train(job, *taken, device)
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()

    def _train(self, job: Job, executable: Any, block: Any, device: Any) -> None:
        from zoo.block import train_block
        from zoo.executor import out_of_memory

        def report(progress: Any) -> None:
            job.proved(True)
            self.view.report(progress)

        folder = self.store.block(job.cohort.id, block.index)
        try:
            train_block(executable, block, folder, device, save_every=self.save_every, stop=self.stop, report=report)
            self.done += 1
        except Exception as error:
            if not out_of_memory(error):
                raise
            job.halve(error)
        finally:
            job.proved(False)


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
    if not 0 < save_every < float("inf"):
        raise ValueError(f"save_every is {save_every} seconds; it must be above 0.")
    if block is not None and block < 1:
        raise ValueError(f"block is {block}; it must be at least 1.")
    if not (Path(out) / "zoo.json").exists():
        _check(zoo)  # a bad spec must not leave a directory behind
    store = Store(out, zoo)
    with store.locked():
        found = _start(store)
        devices = list(devices or found)
        from zoo.progress import view

        jobs = [Job(cohort, store, block, tune) for cohort in store.cohorts]
        store.record(None, hardware=_hardware(devices))
        store.write_table()
        with view(store.cohorts, quiet=quiet) as shown:
            pool = Pool(store, jobs, save_every, shown)
            with _signals(pool.stop) as signals:
                try:
                    pool.run(devices)
                except BaseException:
                    with suppress(OSError):  # a full disk has said so already
                        store.write_table()
                    raise
                store.write_table()
    if signals:
        raise Stopped(f"Stopped by {signals[0]}; the same command goes on from here.")
    return Trained(out)


def _check(zoo: Zoo) -> None:
    from zoo import executor, training

    executor.start()
    for cohort in spec.cohorts(zoo):
        training.check(cohort)


def _start(store: Store) -> list[Any]:
    """Local devices, JAX set up as the directory's recipes ask."""
    from zoo import executor

    recipes = [entry["recipe"] for entry in store.manifest["cohorts"].values() if entry["recipe"]]
    executor.start(recipes[0]["threads"] or None if recipes else None)
    import jax

    platform, here = store.manifest["hardware"].get("platform"), jax.default_backend()
    if recipes and platform not in (None, here):
        raise ValueError(
            f"{store.path} was begun on {platform} and this is {here}, which changes the bits; begin anew."
        )
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


def plan(zoo: Zoo, block: int | None = None, say: Callable[[str], Any] = lambda line: None) -> list[PlanRow]:
    """What training would do: compiles each cohort and times it for a moment, and trains and writes nothing."""
    from zoo import executor

    executor.start()
    import jax

    devices, rows = jax.local_devices(), []
    _check(zoo)
    found = spec.cohorts(zoo)
    for i, cohort in enumerate(found):
        say(f"compiling and timing cohort {i + 1} of {len(found)}, {cohort.id}")
        recipe = executor.default_recipe(cohort, block)
        begin = time.perf_counter()
        executable = executor.fitted(cohort, recipe, devices[0])
        compiling = time.perf_counter() - begin
        rate = executor.steps_per_second(cohort, executable.recipe, seconds=0.5)
        count = -(-len(cohort.members) // executable.recipe.block)
        steps = cohort.members[0].training.steps
        state = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(executable.shape()))
        seconds = compiling + steps * len(cohort.members) / rate * max(1.0, len(devices) / count)
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
