"""Train a zoo: cohorts are compiled and their blocks trained in all lanes; the same call resumes."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, NamedTuple

import jax

from zoo import files
from zoo.devices import startup, tuning
from zoo.devices.default_recipes import default_recipe
from zoo.devices.memory import bytes_free, peak
from zoo.devices.recipe import Recipe
from zoo.devices.task_data import forget_data
from zoo.machine import environment
from zoo.running.additions import grow
from zoo.running.cohort_queue import CohortQueue
from zoo.running.progress import Display, view
from zoo.running.run_settings import Settings
from zoo.running.scheduler import Scheduler
from zoo.running.shares import ALONE, Cluster
from zoo.running.signals import Stopped, end_at_once_from_now_on, handled_signals
from zoo.spec.cohorts import Cohort
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import KEPT
from zoo.store.directory import Store, check_place
from zoo.store.disk_space import check_disk
from zoo.store.lock import locked
from zoo.store.manifest import difference, machines, versions
from zoo.store.reader import Trained
from zoo.training import shapes
from zoo.training.status import PENDING_WORD


class Outcome(NamedTuple):
    """How the training of a directory's blocks has ended.

    Attributes:
      stopped_by: the signal, or what else asked for an end; "" where everything is trained.
      unsaved: workers that had not saved their blocks when the grace time was over.
    """

    stopped_by: str
    unsaved: int


def train(
    zoo: Zoo,
    out: str | os.PathLike[str],
    *,
    save_every: float = Settings.save_every,
    keep: int = Settings.keep,
    grace: float = Settings.grace,
    block: int | None = None,
    tune: bool = False,
    quiet: bool = False,
    devices: Sequence[Any] | None = None,
    cluster: Cluster = ALONE,
) -> Trained:
    """Train every member of a zoo; the same call on the same directory resumes, or finds that all is done.

    A zoo that has all members of the directory and more is trained where it is: what is new is added.

    Args:
      zoo: what to train.
      out: the zoo directory, new, of the same spec or of a part of it; a path, or an address such as "gs://bucket/zoo".
      save_every: seconds between two checkpoints of a block.
      keep: checkpoints of a block that stay, beside the untrained networks.
      grace: seconds in which everything is saved after a signal.
      block: members per block instead of the recipe's.
      tune: time alternative recipes first.
      quiet: print nothing.
      devices: one for each block that is to be trained at the same time; default `zoo.devices.startup.lanes`. How many
        there are never changes a bit.
      cluster: this process's place among others, of `zoo.launch.processes.joined_cluster`.

    Returns:
      The directory, opened for reading.

    Raises:
      ValueError: the spec or the directory is bad.
      OSError: a checkpoint could not be written; what was saved before it stands.
      Stopped: SIGTERM, Ctrl-C or a preemption notice; everything is saved.
    """
    settings = Settings(save_every, keep, grace, block, tune, quiet)
    return train_with(zoo, out, settings, devices=devices, cluster=cluster)


def train_with(
    zoo: Zoo,
    out: str | os.PathLike[str],
    settings: Settings,
    *,
    devices: Sequence[Any] | None = None,
    cluster: Cluster = ALONE,
    shown: Callable[[Sequence[Cohort]], AbstractContextManager[Display]] | None = None,
    patience: float = 1.0,
) -> Trained:
    """`train`, for a process that others have started.

    Args:
      zoo, out, devices, cluster: as for `train`.
      settings: how to train it.
      shown: makes what shows the progress of these cohorts, instead of the terminal.
      patience: seconds to wait for a directory that somebody else holds.

    Returns:
      The directory, opened for reading; raises as `train`.
    """
    share, path = cluster.share, files.directory(out)
    check_place(path)
    is_new = not (path / "zoo.json").exists()
    if is_new:
        check_zoo(zoo, path, settings.keep)  # a bad spec must not leave a directory behind
    store = Store(path, zoo, settings.keep, writes=share.index == 0)
    with locked(store.path, share.run, share.index if share.run else None, patience):
        store.read()
        _check_all_there(store)
        grown = grow(store, share)
        if not is_new:
            not_begun = [c for c in store.cohorts if not store.block(c.id, 0).path.exists()]
            check_disk(path, not_begun, settings.keep)
        lanes = _start(store)
        store.check_data()
        with shown(store.cohorts) if shown else view(store.cohorts, quiet=settings.quiet) as display:
            for line in (grown, _other_versions(store)):
                if line and not settings.quiet:
                    display.say(line)
            outcome = _trained(store, settings, list(devices or lanes), cluster, display)
    if outcome.stopped_by:
        count = f"Blocks on {outcome.unsaved} device{'s' * (outcome.unsaved > 1)}"
        lost = f"{count} were not saved within {settings.grace:g} s: they go on from their last checkpoints. "
        raise Stopped(
            f"Stopped by {outcome.stopped_by}. {lost if outcome.unsaved else ''}The same command goes on from here."
        )
    return Trained(out)


def _trained(store: Store, settings: Settings, devices: list[Any], cluster: Cluster, display: Display) -> Outcome:
    """Train what is left in a directory that this process holds; the member table is written whatever happens."""
    queues = _queues(store, settings, devices, cluster, display)
    display.expect({queue.cohort.id: queue.members() for queue in queues})
    if not difference(machines(store.manifest)):
        store.record(hardware=_hardware(devices))
    if store.writes:
        store.write_table()
    scheduler = Scheduler(store, queues, settings, display)
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
    if not scheduler.stop.is_set():
        return Outcome("", 0)
    return Outcome(signals[0] if signals else "a preemption notice", scheduler.unsaved)


def check_zoo(zoo: Zoo, path: Any = None, keep: int = KEPT) -> None:
    """Refuse a zoo with a cohort whose parts do not fit together, or that a disk has no room for; compiles nothing."""
    startup.start()
    for cohort in zoo.cohorts:
        shapes.check(cohort)
    if path is not None:
        check_disk(path, zoo.cohorts, keep)


def _check_all_there(store: Store) -> None:
    """Refuse a directory that has lost what its own table speaks of: to train it again would hide that."""
    table = Trained(store.path).written()
    if table is None:
        return
    for cohort, group in table[table["status"] != PENDING_WORD].groupby("cohort", sort=False):
        folder = store.path / "cohorts" / str(cohort)
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is missing, and members.csv says that {len(group)} of its members were trained: bring it "
                "back, or remove members.csv to train them again."
            )


def _start(store: Store) -> list[Any]:
    """The device of each block that is trained at the same time, JAX set up as the directory's recipes ask."""
    recipe = startup.start_as(store.manifest)
    if recipe:
        _check_same(store, recipe["threads"])
    return startup.lanes()


def _check_same(store: Store, threads: int) -> None:
    """Refuse a process that would give other bits than the one that began the directory."""
    if difference(machines(store.manifest)):
        return  # no single one did: whoever finds something left to train refuses that
    platform, here = store.manifest.get("hardware", {}).get("platform"), jax.default_backend()
    if platform not in (None, here) or bool(threads) != (here == "cpu"):  # only a CPU's recipe has threads
        begun = platform or ("cpu" if threads else "an accelerator")
        raise ValueError(f"{store.path} was begun on {begun} and this is {here}, which changes the bits; begin anew.")
    if threads != startup.threads():
        raise ValueError(
            f"{store.path} was begun with {threads} CPU threads and this process has {startup.threads()}, which "
            f"changes the bits: start with NPROC={threads}."
        )
    if "environment" not in store.manifest:
        return  # begun by a version that did not write it
    asked, now = store.manifest["environment"], environment()
    if name := next((name for name in asked | now if asked.get(name) != now.get(name)), None):
        has = f"has {name}={now[name]!r}" if name in now else f"has no {name}"
        raise ValueError(
            f"{store.path} was begun with {name}={asked.get(name, '')!r} and this process {has}, which changes the "
            f"bits: start with {name}={asked.get(name, '')!r}."
        )


def _other_versions(store: Store) -> str:
    """A line that says which packages are others than those that the directory was begun with; "" where none is."""
    begun, here = store.manifest.get("versions", {}), versions()
    other = [f"{name} {begun[name]}, now {here[name]}" for name in here if begun.get(name, here[name]) != here[name]]
    ends = "what is trained from here on may have other bits than the rest"
    return f"{store.path} was begun with {'; '.join(other)}: {ends}." if other else ""


def chooser(cohorts: Sequence[Cohort], block: int | None, tune: bool, processes: int = 1) -> Callable[[Cohort], Recipe]:
    """What gives a cohort of a zoo its recipe."""
    choose = tuning.tuned if tune else default_recipe
    members = sum(len(cohort.members) for cohort in cohorts)
    return lambda cohort: choose(cohort, block, members, processes)


def _queues(
    store: Store, settings: Settings, devices: list[Any], cluster: Cluster, display: Display
) -> list[CohortQueue]:
    """The queue of every cohort. What is measured is measured here: later, blocks that train would be in its way."""
    block = settings.block
    asked = store.asked(chooser(store.cohorts, block, settings.tune, cluster.share.count))
    _check_same(store, next(iter(asked.values())).threads)  # another process may have been first just now
    for cohort in store.cohorts:
        size = (store.recipe(cohort.id) or asked[cohort.id]).block
        if block and block not in (size, asked[cohort.id].block):
            raise ValueError(
                f"--block is {block}, but cohort {cohort.id} of {store.path} was begun with blocks of {size}; "
                "leave it out, or choose another --out."
            )
    room = {device: bytes_free(device) for device in devices}
    return [CohortQueue(i, store, asked[c.id], room, cluster.share, display.say) for i, c in enumerate(store.cohorts)]


def _hardware(devices: Sequence[Any]) -> dict[str, str | int]:
    """What `zoo.json` says of the machine that trained last."""
    return {"platform": devices[0].platform, "kind": devices[0].device_kind, "devices": len(devices)}
