"""Cohorts after cohorts: programs compiled ahead, finished cohorts left alone, data on a device once."""

import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import cnn, mlp
from zoo import Training, Zoo, block, executor, memory, product, train, training
from zoo.spec import cohorts
from zoo.tasks import digits

THREE = Zoo(
    "three",
    task=digits.Task(),
    model=product(mlp.Model, layers=[(3,), (4,), (5,)]),
    training=Training(steps=3, batch=4, evaluate_every=3),
    seeds=2,
)


def test_the_next_program_compiles_while_the_present_cohort_trains(monkeypatch: Any, tmp_path: Path) -> None:
    """Training of the first cohort goes on only after the second one's program has compiled."""
    order = [cohort.id for cohort in cohorts(THREE)]
    compiled = {cohort: threading.Event() for cohort in order}
    real_compiled, real_train = executor.Executable.compiled, block.train_block
    overlapped = []

    def compiling(self: Any, device: Any) -> Any:
        program = real_compiled(self, device)
        compiled[self.cohort.id].set()
        return program

    def training_block(executable: Any, *args: Any, **kwargs: Any) -> None:
        place = order.index(executable.cohort.id)
        if place + 1 < len(order):
            overlapped.append(compiled[order[place + 1]].wait(60))
        real_train(executable, *args, **kwargs)

    monkeypatch.setattr(executor.Executable, "compiled", compiling)
    monkeypatch.setattr(block, "train_block", training_block)
    trained = train(THREE, tmp_path / "zoo", quiet=True, block=2, devices=jax.local_devices()[:1])
    assert overlapped == [True, True]
    assert (trained.members["steps"] == 3).all()
    assert all(entry["compile_seconds"] > 0 for entry in trained.manifest["cohorts"].values())
    assert trained.manifest["peak_mebibytes"] > 10


def test_a_finished_cohort_is_not_compiled_again(monkeypatch: Any, tmp_path: Path) -> None:
    first = train(THREE, tmp_path / "zoo", quiet=True)
    monkeypatch.setattr(executor.Executable, "compiled", lambda *args: pytest.fail("compiled again"))
    again = train(THREE, tmp_path / "zoo", quiet=True)
    assert again.members.equals(first.members)


def test_programs_of_finished_cohorts_are_given_back(monkeypatch: Any, tmp_path: Path) -> None:
    from zoo import jobs

    made: list[Any] = []
    real = jobs.Job.__init__

    def remember(self: Any, *args: Any) -> None:
        real(self, *args)
        made.append(self)

    monkeypatch.setattr(jobs.Job, "__init__", remember)
    train(THREE, tmp_path / "zoo", quiet=True)
    assert len(made) == 3
    assert all(job._executable is None and not job.workers for job in made)


def test_a_small_cohort_of_a_large_zoo_is_one_block() -> None:
    cohort = cohorts(THREE)[0]
    devices = jax.local_device_count()
    assert executor.default_recipe(cohort, members=2).block == 1
    assert executor.default_recipe(cohort, members=2 * 8 * devices).block == 2
    assert executor.default_recipe(cohort, members=10**6).block == 2


def test_a_data_set_lies_on_a_device_once_for_all_cohorts() -> None:
    device = jax.local_devices()[0]
    arrays = [executor.Executable(c, executor.default_recipe(c)).data for c in cohorts(THREE)]
    placed = [executor.on_device(data, device)["images"] for data in arrays]
    assert placed[0] is placed[1] is placed[2]
    other = executor.on_device(arrays[0], jax.local_devices()[1])["images"]
    assert other is not placed[0]
    assert placed[0].dtype == jnp.uint8


def test_evaluation_in_parts_equals_the_whole(monkeypatch: Any) -> None:
    model = cnn.Model(channels=(3,), dense=(4,), normalization="batch", outputs=10)
    x = jax.random.normal(jax.random.key(0), (23, 8, 8, 1))
    variables = model.init(jax.random.key(1), x)
    whole = model.apply(variables, x)[0]
    monkeypatch.setattr(training, "AT_ONCE", 5)
    parts = jax.jit(lambda x: training.in_parts(lambda part: model.apply(variables, part)[0], x))(x)
    assert parts.shape == whole.shape
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_evaluation_memory_does_not_grow_with_the_evaluation_set(monkeypatch: Any) -> None:
    cohort = cohorts(Zoo("wide", task=digits.Task(), model=cnn.Model(channels=(32, 32)), training=Training(batch=4)))[0]

    def needed(at_once: int) -> int:
        monkeypatch.setattr(training, "AT_ONCE", at_once)
        recipe = executor.Recipe(1, "map", "columns", executor.threads())
        return executor.Executable(cohort, recipe).bytes_needed(jax.local_devices()[0])

    assert needed(40) < needed(400) / 3


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 5\ninactive_file 200"}, 500),
        ({"memory.max": "max", "memory.current": "700", "memory.stat": "inactive_file 200"}, None),
        (
            {
                "memory/memory.limit_in_bytes": "900",
                "memory/memory.usage_in_bytes": "850",
                "memory/memory.stat": "total_inactive_file 50",
            },
            100,
        ),
        ({}, None),
    ],
    ids=["version 2", "no limit", "version 1", "no groups"],
)
def test_a_container_limits_the_memory_of_a_block(files: dict[str, str], free: int | None, tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = memory._container(tmp_path)
    assert found == free if free is not None else found > 2**60
