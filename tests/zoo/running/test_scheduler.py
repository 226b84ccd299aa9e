"""Cohort after cohort: programs compiled ahead, workers that wait, and the first error that ends a run."""

import threading
import time
from pathlib import Path
from typing import Any

import jax
import pytest

from tests.zoo.small_zoos import FOUR, THREE
from zoo import train
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.recipe import with_block
from zoo.devices.startup import lanes
from zoo.running import cohort_queue, scheduler
from zoo.running.run_settings import Settings
from zoo.running.shares import Share
from zoo.store.directory import Store


def test_the_next_program_compiles_while_the_present_cohort_trains(monkeypatch: Any, tmp_path: Path) -> None:
    """Training of the first cohort goes on only after the second one's program has compiled."""
    order = [cohort.id for cohort in THREE.cohorts]
    compiled = {cohort: threading.Event() for cohort in order}
    real_compiled, real_train = Executable.compiled, scheduler.train_pack
    overlapped = []

    def compiling(self: Any, device: Any) -> Any:
        programs = real_compiled(self, device)
        compiled[self.cohort.id].set()
        return programs

    def training_pack(pack: Any, **kwargs: Any) -> None:
        place = order.index(pack.executable.cohort.id)
        if place + 1 < len(order):
            overlapped.append(compiled[order[place + 1]].wait(240))
        real_train(pack, **kwargs)

    monkeypatch.setattr(Executable, "compiled", compiling)
    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    trained = train(THREE, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:1])
    assert overlapped == [True, True]
    assert (trained.members["steps"] == 3).all()
    assert trained.manifest["last_run"]["programs"] == 3
    assert trained.manifest["last_run"]["compile_seconds"] > 0
    assert trained.manifest["last_run"]["peak_mebibytes"] > 10


def test_an_error_while_compiling_ahead_ends_the_run_with_that_error(monkeypatch: Any, tmp_path: Path) -> None:
    first = THREE.cohorts[0].id
    real = Executable.compiled

    def compiling(self: Any, device: Any) -> Any:
        return real(self, device) if self.cohort.id == first else 1 / 0

    monkeypatch.setattr(Executable, "compiled", compiling)
    with pytest.raises(ZeroDivisionError):
        train(THREE, tmp_path / "zoo", quiet=True, devices=lanes()[:1])


@pytest.mark.parametrize("devices", [1, 2])
def test_out_of_memory_while_the_next_program_is_ready_trains_every_member(
    devices: int, monkeypatch: Any, tmp_path: Path
) -> None:
    real = Executable.advance

    def advance(self: Any, *args: Any) -> Any:
        if self.recipe.block > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory while trying to allocate")
        return real(self, *args)

    monkeypatch.setattr(Executable, "advance", advance)
    trained = train(THREE, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:devices])
    assert (trained.members["steps"] == 3).all()


class SilentDisplay:
    """Takes what a run tells."""

    def compiling(self, cohort: str) -> None:
        pass

    def expect(self, members: dict[str, int]) -> None:
        pass

    def report(self, progress: Any) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def tick(self) -> None:
        pass


def test_a_worker_stays_when_a_block_comes_back_between_its_two_looks(tmp_path: Path) -> None:
    """The next queue is asked for, there is none; the block that was tried comes back; is anything tried? No longer."""

    class Tried:
        """A queue whose only block is being tried, until somebody asks."""

        workers, cohort, open = 0, THREE.cohorts[0], False

        @property
        def over(self) -> bool:
            self.open = True
            return False

    queue: Any = Tried()
    workers = scheduler.Scheduler(Store(tmp_path / "zoo", THREE), [queue], Settings(), SilentDisplay())
    assert workers._wait_for_queue() is queue


def test_a_compiler_out_of_memory_beside_a_training_pack_does_not_halve_the_next_one(
    monkeypatch: Any, tmp_path: Path
) -> None:
    real, worker, refused = Executable.compiled, [], []

    def compiled(self: Any, device: Any) -> Any:
        worker.append(threading.current_thread())
        if worker[-1] is worker[0]:
            return real(self, device)
        refused.append(self.cohort.id)  # any other thread compiles ahead, beside a block that trains
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no scratch memory to compile")

    monkeypatch.setattr(Executable, "compiled", compiled)
    trained = train(THREE, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:1])
    assert refused == [cohort.id for cohort in THREE.cohorts[1:]]
    assert [entry["recipe"]["block"] for entry in trained.manifest["cohorts"].values()] == [2, 2, 2]
    assert (trained.members["steps"] == 3).all()


def queue_of(store: Store, *devices: Any) -> cohort_queue.CohortQueue:
    """The first cohort, in blocks of two."""
    asked = default_recipe(store.cohorts[0], block=2)
    return cohort_queue.CohortQueue(0, store, asked, dict.fromkeys(devices, 2**34), Share(), print)


def test_a_compiler_out_of_memory_on_the_second_device_halves_the_block(monkeypatch: Any, tmp_path: Path) -> None:
    """Nothing is said of memory when the first device compiles; the second one's compiler has no room for the block."""
    real, (first, second) = Executable.compiled, jax.local_devices()[:2]
    sizes = []

    def compiled(self: Any, device: Any) -> Any:
        if device == second and self.recipe.block > 1:
            sizes.append(self.recipe.block)
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no room to compile")
        return real(self, device)

    monkeypatch.setattr(Executable, "compiled", compiled)
    (cohort, *_), device_room = THREE.cohorts, {first: 2**34, second: 2**34}
    store = Store(tmp_path / "zoo", THREE)
    queue = queue_of(store, *device_room)
    queue.prepare(first, lambda progress: None)
    workers = scheduler.Scheduler(store, [queue], Settings(), SilentDisplay())
    workers.run([second])
    assert sizes
    assert store.recipe(cohort.id) == with_block(default_recipe(cohort, block=2), 1)
    assert (store.write_table().set_index("cohort").loc[cohort.id, "steps"] == 3).all()


def test_an_error_of_the_main_thread_comes_after_the_workers_have_saved(monkeypatch: Any, tmp_path: Path) -> None:
    from zoo.running.progress import View

    ended = []
    real = scheduler.train_pack

    def training_pack(*args: Any, **kwargs: Any) -> None:
        begun.set()
        assert failed.wait(240)
        assert failed_again.wait(240), "the display is asked again while the workers save"
        time.sleep(1)  # a run that does not wait is over by now
        real(*args, **kwargs)
        ended.append(True)

    begun, failed, failed_again = threading.Event(), threading.Event(), threading.Event()

    def tick(self: Any) -> None:
        if begun.is_set():
            (failed_again if failed.is_set() else failed).set()
            raise OSError("No space left on device")

    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    monkeypatch.setattr(View, "tick", tick)
    with pytest.raises(OSError, match="No space left"):
        train(THREE, tmp_path / "zoo", quiet=True, devices=lanes()[:1])
    assert ended, "a worker was left behind"
    monkeypatch.undo()
    assert (train(THREE, tmp_path / "zoo", quiet=True).members["steps"] == 3).all()


def test_an_error_in_a_worker_ends_the_run_with_that_error(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(Executable, "advance", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(FOUR, tmp_path / "zoo", quiet=True)
