"""Train a zoo: cohorts are compiled and their blocks trained on all local devices; the same call resumes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo import spec
from zoo.spec import Cohort, Zoo
from zoo.store import Store, Trained


class Stopped(Exception):
    """A signal stopped the training; everything is saved."""


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
        check(zoo)  # a bad spec must not leave a directory behind
    store = Store(out, zoo)
    with store.locked():
        found = _start(store)
        devices = list(devices or found)
        from zoo.executor import forget_data
        from zoo.jobs import Pool
        from zoo.memory import peak
        from zoo.progress import view

        store.check_data()
        jobs = _jobs(store, block, tune, devices)
        store.record(None, hardware=_hardware(devices))
        store.write_table()
        with view(store.cohorts, quiet=quiet) as shown:
            pool = Pool(store, jobs, save_every, shown)
            with _signals(pool.stop) as signals:
                try:
                    pool.run(devices)
                except BaseException:
                    with suppress(OSError, ValueError):  # a full disk or a damaged file has said so already
                        store.write_table()
                    raise
                finally:
                    forget_data()
                store.write_table()
                compiled = [job.compile_seconds for job in jobs if job.compile_seconds]
                about = dict(programs=len(compiled), compile_seconds=round(sum(compiled), 3))
                store.record(None, last_run={**about, "peak_mebibytes": peak(devices) // 2**20})
    if signals:
        raise Stopped(f"Stopped by {signals[0]}; the same command goes on from here.")
    return Trained(out)


def check(zoo: Zoo) -> None:
    """Refuse a zoo with a cohort whose parts do not fit together; nothing is compiled."""
    from zoo import executor, training

    executor.start()
    for cohort in spec.cohorts(zoo):
        training.check(cohort)


def _start(store: Store) -> list[Any]:
    """Local devices, JAX set up as the directory's recipes ask."""
    from zoo import executor

    known = executor.start_as(store.manifest)
    import jax

    platform, here = store.manifest["hardware"].get("platform"), jax.default_backend()
    if known and platform not in (None, here):
        raise ValueError(
            f"{store.path} was begun on {platform} and this is {here}, which changes the bits; begin anew."
        )
    if known and known["threads"] != executor.threads():
        raise ValueError(
            f"{store.path} was trained with {known['threads']} CPU threads and this process has "
            f"{executor.threads()}, which changes the bits: start with NPROC={known['threads']}."
        )
    return jax.local_devices()


def chooser(cohorts: Sequence[Cohort], block: int | None, tune: bool) -> Callable[[Cohort], Any]:
    """What gives a cohort of a zoo its recipe."""
    from zoo import executor, tuning

    choose = tuning.tuned if tune else executor.default_recipe
    members = sum(len(cohort.members) for cohort in cohorts)
    return lambda cohort: choose(cohort, block, members)


def _jobs(store: Store, block: int | None, tune: bool, devices: list[Any]) -> list[Any]:
    """The cohorts as jobs. What is measured is measured here: later, blocks that train would be in its way."""
    from zoo.jobs import Job
    from zoo.memory import bytes_free

    choose = chooser(store.cohorts, block, tune)
    recipes = []
    for cohort in store.cohorts:
        begun = store.recipe(cohort.id)
        if begun and block and block not in (begun.block, store.asked_block(cohort.id)):
            raise ValueError(
                f"--block is {block}, but cohort {cohort.id} of {store.path} was begun with blocks of {begun.block}; "
                "leave it out, or choose another --out."
            )
        recipes.append(begun or choose(cohort))
    room = {device: bytes_free(device) for device in devices}
    return [Job(cohort, store, recipe, room) for cohort, recipe in zip(store.cohorts, recipes)]


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
