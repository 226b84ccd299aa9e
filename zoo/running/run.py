"""Train a zoo: cohorts are compiled and their blocks trained on all local devices; the same call resumes."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import jax

from zoo import files
from zoo.devices import startup, tuning
from zoo.devices.default_recipes import default_recipe
from zoo.devices.memory import bytes_free, peak
from zoo.devices.placement import forget_data
from zoo.running.cohort_queue import CohortQueue
from zoo.running.progress import view
from zoo.running.scheduler import Scheduler
from zoo.running.shares import ALONE, Cluster
from zoo.running.signals import Stopped, end_at_once_from_now_on, handled_signals
from zoo.spec.cohorts import Cohort
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import KEPT
from zoo.store.directory import Store, check_place
from zoo.store.disk_space import check_disk
from zoo.store.lock import locked
from zoo.store.reader import Trained
from zoo.training import program

GRACE = 25.0
"""Seconds that a run has to save after a signal: most machines that are taken away say so half a minute before."""


def train(
    zoo: Zoo,
    out: str | os.PathLike[str],
    *,
    save_every: float = 60.0,
    keep: int = KEPT,
    grace: float = GRACE,
    block: int | None = None,
    tune: bool = False,
    quiet: bool = False,
    devices: Sequence[Any] | None = None,
    cluster: Cluster = ALONE,
    shown: Callable[[Sequence[Cohort]], AbstractContextManager[Any]] | None = None,
    patience: float = 1.0,
) -> Trained:
    """Train every member of a zoo; the same call on the same directory resumes, or finds that all is done.

    Args:
      zoo: what to train.
      out: the zoo directory, new or of the same spec; a path, or an address such as "gs://bucket/zoo".
      save_every: seconds between two checkpoints of a block.
      keep: checkpoints of a block that stay, beside the untrained networks.
      grace: seconds in which everything is saved after a signal.
      block: members per block instead of the recipe's.
      tune: time alternative recipes first.
      quiet: print nothing.
      devices: one for each block that is to be trained at the same time; default `zoo.devices.startup.lanes`. How many
        there are never changes a bit.
      cluster: this process's place among others, of `zoo.launch.processes.joined`.
      shown: makes what shows the progress, instead of the terminal.
      patience: seconds to wait for a directory that somebody else holds.

    Returns:
      The directory, opened for reading.

    Raises:
      ValueError: the spec or the directory is bad.
      OSError: a checkpoint could not be written; what was saved before it stands.
      Stopped: SIGTERM, Ctrl-C or a preemption notice; everything is saved.
    """
    check_settings(save_every=save_every, keep=keep, grace=grace, block=block)
    share, path = cluster.share, files.directory(out)
    check_place(path)
    if new := not (path / "zoo.json").exists():
        check(zoo, path, keep)  # a bad spec must not leave a directory behind
    store = Store(path, zoo, keep, writes=share.index == 0)
    with locked(store.path, share.run, share.index if share.run else None, patience):
        store.read()
        _check_all_there(store)
        if not new:
            check_disk(path, [c for c in store.cohorts if not store.block(c.id, 0).path.exists()], keep)
        found = _start(store)
        devices = list(devices or found)

        store.check_data()
        with shown(store.cohorts) if shown else view(store.cohorts, quiet=quiet) as shows:
            queues = _queues(store, block, tune, devices, cluster, shows.say)
            shows.expect({queue.cohort.id: queue.members() for queue in queues})
            store.record(hardware=_hardware(devices))
            if store.writes:
                store.write_table()
            scheduler = Scheduler(store, queues, save_every, grace, shows)
            with handled_signals(scheduler.stop, cluster) as signals:
                try:
                    scheduler.run(devices, lambda: cluster.notice() and end_at_once_from_now_on())
                except BaseException:
                    with suppress(OSError, ValueError):  # a full disk or a damaged file has said so already
                        store.write_table()
                    raise
                finally:
                    forget_data()
                store.write_table()
                compiled = [queue.compile_seconds for queue in queues if queue.compile_seconds]
                about = dict(programs=len(compiled), compile_seconds=round(sum(compiled), 3))
                store.record(last_run={**about, "peak_mebibytes": peak(devices) // 2**20})
    if scheduler.stop.is_set():
        by = signals[0] if signals else "a preemption notice"
        count = f"Blocks on {scheduler.unsaved} device{'s' * (scheduler.unsaved > 1)}"
        lost = f"{count} were not saved within {grace:g} s: they go on from their last checkpoints. "
        raise Stopped(f"Stopped by {by}. {lost if scheduler.unsaved else ''}The same command goes on from here.")
    return Trained(out)


def check_settings(
    *, save_every: float = 60, keep: int = 1, grace: float = 1, block: int | None = None, tune: bool = False
) -> None:
    """Refuse settings of `train` that cannot be."""
    for name, seconds in (("save_every", save_every), ("grace", grace)):
        if not 0 < seconds < float("inf"):
            raise ValueError(f"{name} is {seconds:g} seconds; it must be above 0.")
    for name, count in (("block", block), ("keep", keep)):
        if count is not None and count < 1:
            raise ValueError(f"{name} is {count}; it must be at least 1.")


def check(zoo: Zoo, path: Any = None, keep: int = KEPT) -> None:
    """Refuse a zoo with a cohort whose parts do not fit together, or that a disk has no room for; compiles nothing."""

    startup.start()
    found = zoo.cohorts
    for cohort in found:
        program.check(cohort)
    if path is not None:
        check_disk(path, found, keep)


def _check_all_there(store: Store) -> None:
    """Refuse a directory that has lost what its own table speaks of: to train it again would hide that."""
    table = Trained(store.path).written()
    if table is None:
        return
    for cohort, group in table[table["status"] != "pending"].groupby("cohort", sort=False):
        folder = store.path / "cohorts" / str(cohort)
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is missing, and members.csv says that {len(group)} of its members were trained: bring it "
                "back, or remove members.csv to train them again."
            )


def _start(store: Store) -> list[Any]:
    """Local devices, JAX set up as the directory's recipes ask."""

    known = startup.start_as(store.manifest)

    if known:
        _check_same(store, known["threads"])
    return startup.lanes()


def _check_same(store: Store, threads: int) -> None:
    """Refuse a process that would give other bits than the one that began the directory."""

    platform, here = store.manifest.get("hardware", {}).get("platform"), jax.default_backend()
    if platform not in (None, here) or bool(threads) != (here == "cpu"):  # only a CPU's recipe has threads
        begun = platform or ("cpu" if threads else "an accelerator")
        raise ValueError(f"{store.path} was begun on {begun} and this is {here}, which changes the bits; begin anew.")
    if threads != startup.threads():
        raise ValueError(
            f"{store.path} was begun with {threads} CPU threads and this process has {startup.threads()}, which "
            f"changes the bits: start with NPROC={threads}."
        )


def chooser(cohorts: Sequence[Cohort], block: int | None, tune: bool, processes: int = 1) -> Callable[[Cohort], Any]:
    """What gives a cohort of a zoo its recipe."""

    choose = tuning.tuned if tune else default_recipe
    members = sum(len(cohort.members) for cohort in cohorts)
    return lambda cohort: choose(cohort, block, members, processes)


def _queues(
    store: Store, block: int | None, tune: bool, devices: list[Any], cluster: Cluster, say: Callable[[str], Any]
) -> list[Any]:
    """The cohorts as jobs. What is measured is measured here: later, blocks that train would be in its way."""

    asked = store.asked(chooser(store.cohorts, block, tune, cluster.share.count))
    _check_same(store, next(iter(asked.values())).threads)  # another process may have been first just now
    for cohort in store.cohorts:
        size = (store.recipe(cohort.id) or asked[cohort.id]).block
        if block and block not in (size, asked[cohort.id].block):
            raise ValueError(
                f"--block is {block}, but cohort {cohort.id} of {store.path} was begun with blocks of {size}; "
                "leave it out, or choose another --out."
            )
    room = {device: bytes_free(device) for device in devices}
    return [CohortQueue(i, store, asked[c.id], room, cluster.share, say) for i, c in enumerate(store.cohorts)]


def _hardware(devices: list[Any]) -> dict[str, Any]:
    kind = devices[0]
    return {"platform": kind.platform, "kind": kind.device_kind, "devices": len(devices)}
