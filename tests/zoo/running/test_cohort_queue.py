"""Cohorts after cohorts: programs compiled ahead, finished cohorts left alone, data on a device once."""

import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import cnn, mlp
from zoo import Training, Zoo, product, train
from zoo.devices import memory, placement, startup, tuning
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe, with_block
from zoo.devices.startup import lanes
from zoo.running import cohort_queue, scheduler
from zoo.running.shares import Share
from zoo.store.directory import Store
from zoo.tasks import digits, images
from zoo.training import evaluation

THREE = Zoo(
    "three",
    task=digits.Task(),
    model=product(mlp.Model, layers=[(3,), (4,), (5,)]),
    training=Training(steps=3, batch=4, evaluate_every=3),
    seeds=2,
)


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


def test_a_finished_cohort_is_not_compiled_again(monkeypatch: Any, tmp_path: Path) -> None:
    first = train(THREE, tmp_path / "zoo", quiet=True)
    monkeypatch.setattr(Executable, "compiled", lambda *args: pytest.fail("compiled again"))
    again = train(THREE, tmp_path / "zoo", quiet=True)
    assert again.members.equals(first.members)


def test_programs_of_finished_cohorts_are_given_back(monkeypatch: Any, tmp_path: Path) -> None:
    made: list[Any] = []
    real = cohort_queue.CohortQueue.__init__

    def remember(self: Any, *args: Any) -> None:
        real(self, *args)
        made.append(self)

    monkeypatch.setattr(cohort_queue.CohortQueue, "__init__", remember)
    train(THREE, tmp_path / "zoo", quiet=True)
    assert len(made) == 3
    assert all(queue._executable is None and not queue.workers for queue in made)


def test_a_small_cohort_of_a_large_zoo_is_one_block() -> None:
    cohort = THREE.cohorts[0]
    devices = len(lanes())
    assert default_recipe(cohort, members=2).block == 1
    assert default_recipe(cohort, members=2 * 8 * devices).block == 2
    assert default_recipe(cohort, members=10**6).block == 2


def test_a_data_set_lies_on_a_device_once_for_all_cohorts() -> None:
    device = jax.local_devices()[0]
    arrays = [Executable(c, default_recipe(c)).data for c in THREE.cohorts]
    placed = [placement.on_device(data, device)["images"] for data in arrays]
    assert placed[0] is placed[1] is placed[2]
    other = placement.on_device(arrays[0], jax.local_devices()[1])["images"]
    assert other is not placed[0]
    assert placed[0].dtype == jnp.uint8


def test_evaluation_in_parts_equals_the_whole(monkeypatch: Any) -> None:
    model = cnn.Model(channels=(3,), dense=(4,), normalization="batch", outputs=10)
    x = jax.random.normal(jax.random.key(0), (23, 8, 8, 1))
    variables = model.init(jax.random.key(1), x)
    whole = model.apply(variables, x)[0]
    monkeypatch.setattr(evaluation, "AT_ONCE", 5)
    parts = jax.jit(lambda x: evaluation.in_parts(lambda part: model.apply(variables, part)[0], x))(x)
    assert parts.shape == whole.shape
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_evaluation_memory_does_not_grow_with_the_evaluation_set(monkeypatch: Any) -> None:
    cohort = Zoo("wide", task=digits.Task(), model=cnn.Model(channels=(32, 32)), training=Training(batch=4)).cohorts[0]

    def needed(at_once: int) -> int:
        monkeypatch.setattr(evaluation, "AT_ONCE", at_once)
        recipe = Recipe(1, "map", "columns", startup.threads())
        return Executable(cohort, recipe).bytes_needed(jax.local_devices()[0])

    assert needed(40) < needed(400) / 3


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
    workers = scheduler.Scheduler(Store(tmp_path / "zoo", THREE), [queue], save_every=60, grace=25, view=SilentView())
    assert workers._wait_for_queue() is queue


def queue_of(store: Store, *devices: Any) -> cohort_queue.CohortQueue:
    """The first cohort, in blocks of two."""
    asked = default_recipe(store.cohorts[0], block=2)
    return cohort_queue.CohortQueue(0, store, asked, dict.fromkeys(devices, 2**34), Share(), print)


def test_a_job_is_over_only_when_no_block_waits_and_none_is_tried(tmp_path: Path) -> None:
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
    workers = scheduler.Scheduler(store, [queue], save_every=60, grace=25, view=SilentView())
    workers.run([second])
    assert sizes
    assert store.recipe(cohort.id) == with_block(default_recipe(cohort, block=2), 1)
    assert (store.write_table().set_index("cohort").loc[cohort.id, "steps"] == 3).all()


class SilentView:
    """Takes what a workers has to show."""

    def compiling(self, cohort: str) -> None:
        pass

    def expect(self, members: dict[str, int]) -> None:
        pass

    def report(self, progress: Any) -> None:
        pass

    def tick(self) -> None:
        pass


def test_an_error_of_the_main_thread_comes_after_the_workers_have_saved(monkeypatch: Any, tmp_path: Path) -> None:
    from zoo.running.progress import View

    ended = []
    real = scheduler.train_pack

    def training_pack(*args: Any, **kwargs: Any) -> None:
        begun.set()
        failed.wait(240)
        real(*args, **kwargs)
        ended.append(True)

    begun, failed = threading.Event(), threading.Event()

    def tick(self: Any) -> None:
        if begun.is_set():
            failed.set()
            raise OSError("No space left on device")

    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    monkeypatch.setattr(View, "tick", tick)
    with pytest.raises(OSError, match="No space left"):
        train(THREE, tmp_path / "zoo", quiet=True, devices=lanes()[:1])
    assert ended, "a worker was left behind"
    monkeypatch.undo()
    assert (train(THREE, tmp_path / "zoo", quiet=True).members["steps"] == 3).all()


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


def test_room_is_measured_before_anything_trains(monkeypatch: Any, tmp_path: Path) -> None:
    """What a running block holds must not make the next cohort's block smaller."""
    busy, real = threading.Event(), scheduler.train_pack
    monkeypatch.setattr("zoo.running.run.bytes_free", lambda device: 0 if busy.is_set() else 2**34)

    def training_pack(*args: Any, **kwargs: Any) -> None:
        busy.set()
        real(*args, **kwargs)

    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    trained = train(THREE, tmp_path / "zoo", quiet=True, block=2, devices=lanes()[:1])
    assert [entry["recipe"]["block"] for entry in trained.manifest["cohorts"].values()] == [2, 2, 2]


def test_tuning_ends_before_anything_trains(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    order: list[str] = []
    real = scheduler.train_pack
    monkeypatch.setattr(tuning, "steps_per_second", lambda *args: order.append("tune") or 1.0)

    def training_pack(*args: Any, **kwargs: Any) -> None:
        order.append("train")
        real(*args, **kwargs)

    monkeypatch.setattr(scheduler, "train_pack", training_pack)
    train(THREE, tmp_path / "zoo", quiet=True, tune=True)
    assert order.index("train") == order.count("tune") > 0


def test_other_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(file, images=pixels, labels=np.arange(40) % 2)
    zoo = Zoo(
        "mine", task=images.Task(file=str(file)), model=mlp.Model(layers=(3,)), training=Training(steps=2, batch=4)
    )
    train(zoo, tmp_path / "zoo", quiet=True)
    np.savez(file, images=255 - pixels, labels=np.arange(40) % 2)
    with pytest.raises(ValueError, match=r"was begun with other data of the task .*mine\.npz.*: their hash was"):
        train(zoo, tmp_path / "zoo", quiet=True)


LIMIT = {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 5\nactive_file 50\ninactive_file 150"}
OLD = {
    "memory.limit_in_bytes": "900",
    "memory.usage_in_bytes": "850",
    "memory.stat": "inactive_file 7\ntotal_inactive_file 30\ntotal_active_file 20",
}


@pytest.mark.parametrize(
    ("own", "place", "files", "free"),
    [
        ("0::/", "", LIMIT, 500),
        ("0::/queue/step/task", "queue", LIMIT, 500),
        ("0::/queue", "queue", {**LIMIT, "memory.max": "max"}, None),
        ("3:cpu,memory:/slurm/7\n0::/", "memory/slurm/7", OLD, 100),
        ("", "", LIMIT, 500),
        ("0::/elsewhere", "queue", LIMIT, None),
    ],
)
def test_a_container_limits_the_memory_of_a_block(
    own: str, place: str, files: dict[str, str], free: int | None, tmp_path: Path
) -> None:
    (tmp_path / "groups" / place).mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "groups" / place / name).write_text(text)
    (tmp_path / "own").write_text(own)
    found = memory.container(tmp_path / "groups", tmp_path / "own")
    assert found == free if free is not None else found > 2**60
