"""One cohort through a run: blocks tried alone, halved where memory is short, taken once by one worker."""

import threading
from pathlib import Path
from typing import Any

import chex
import jax
import pytest

from tests.zoo.small_zoos import FOUR, THREE, everyone
from zoo import train
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.startup import lanes
from zoo.running import cohort_queue
from zoo.running.shares import Share
from zoo.store.directory import Store


def test_a_finished_cohort_is_not_compiled_again(monkeypatch: Any, tmp_path: Path) -> None:
    first = train(THREE, tmp_path / "zoo", quiet=True)
    monkeypatch.setattr(Executable, "compiled", lambda *args: pytest.fail("compiled again"))
    again = train(THREE, tmp_path / "zoo", quiet=True)
    assert again.members.equals(first.members)


def queue_of(store: Store, *devices: Any) -> cohort_queue.CohortQueue:
    """The first cohort, in blocks of two."""
    asked = default_recipe(store.cohorts[0], block=2)
    return cohort_queue.CohortQueue(0, store, asked, dict.fromkeys(devices, 2**34), Share(), print)


def test_a_cohort_is_over_only_when_no_block_waits_and_none_is_tried(tmp_path: Path) -> None:
    store, device = Store(tmp_path / "zoo", THREE), jax.local_devices()[0]
    queue = queue_of(store, device)
    assert not queue.over
    assert queue.take(device, threading.Event(), lambda progress: None) is not None
    assert not queue.open
    assert not queue.over, "the block may come back"
    queue.halve(MemoryError())
    assert not queue.over
    queue.proved(False)
    assert not queue.over
    assert queue.take(device, threading.Event(), lambda progress: None) is not None
    queue.proved(True)
    assert not queue.over, "another waits"
    assert queue.take(device, threading.Event(), lambda progress: None) is not None
    assert queue.over, "what has worked once does not come back"


def test_a_directory_whose_blocks_do_not_fit_on_this_machine_is_refused(monkeypatch: Any, tmp_path: Path) -> None:
    stop = threading.Event()
    store = Store(tmp_path / "zoo", THREE)
    device = jax.local_devices()[0]
    queue_of(store, device).prepare(device, stop.set)
    store.asked(lambda cohort: default_recipe(cohort, block=2))
    monkeypatch.setattr("zoo.running.run.bytes_free", lambda device: 1000)
    with pytest.raises(
        MemoryError, match=r"was begun with blocks of 2, which need .* MiB on .*, and there are 0\.0 MiB"
    ):
        train(THREE, tmp_path / "zoo", quiet=True, devices=[device])


def test_out_of_device_memory_halves_the_block_and_goes_on(monkeypatch: Any, tmp_path: Path) -> None:
    real, seen = Executable.advance, []

    def advance(self: Any, *args: Any) -> Any:
        seen.append(self.recipe.block)
        if self.recipe.block > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory while trying to allocate")
        return real(self, *args)

    monkeypatch.setattr(Executable, "advance", advance)
    trained = train(FOUR, tmp_path / "zoo", quiet=True, block=4, devices=lanes()[:1])
    assert (trained.members["steps"] == 6).all()
    assert sorted(set(seen)) == [1, 2, 4]
    (cohort,) = trained.manifest["cohorts"].values()
    assert cohort["recipe"]["block"] == 1


def test_the_same_command_goes_on_after_its_block_was_halved(monkeypatch: Any, tmp_path: Path) -> None:
    real = Executable.advance

    def advance(self: Any, *args: Any) -> Any:
        if self.recipe.block > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return real(self, *args)

    monkeypatch.setattr(Executable, "advance", advance)
    train(FOUR, tmp_path / "zoo", quiet=True, block=2)
    assert (train(FOUR, tmp_path / "zoo", quiet=True, block=2).members["steps"] == 6).all()
    with pytest.raises(ValueError, match=r"--block is 4, but cohort .* was begun with blocks of 1"):
        train(FOUR, tmp_path / "zoo", quiet=True, block=4)


def test_out_of_memory_on_one_of_several_devices_trains_every_member_once(monkeypatch: Any, tmp_path: Path) -> None:
    real, lock, refused = Executable.advance, threading.Lock(), []

    def advance(self: Any, state: Any, floats: Any, device: Any, *rest: Any) -> Any:
        with lock:
            if self.recipe.block == 2 and not refused:
                refused.append(device)
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return real(self, state, floats, device, *rest)

    monkeypatch.setattr(Executable, "advance", advance)
    trained = train(FOUR, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:2])
    assert refused
    assert (trained.members["steps"] == 6).all()
    monkeypatch.undo()
    alone = train(FOUR, tmp_path / "alone", quiet=True, block=1)
    chex.assert_trees_all_equal(everyone(trained.path), everyone(alone.path))
