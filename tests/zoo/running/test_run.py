"""A run as a process: killed and resumed, stopped by a signal, out of memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

from models import vanilla
from tests.faults import rig
from zoo import Training, Zoo, load, product, train
from zoo.devices import fitting, startup, tuning
from zoo.devices.executable import Executable
from zoo.devices.fitting import fitted
from zoo.devices.recipe import Recipe
from zoo.devices.startup import lanes
from zoo.running import planning
from zoo.tasks import flipflop

ROOT = Path(__file__).parent.parent.parent.parent
SPEC = """
from models import vanilla
from zoo import Training, Zoo
from zoo.tasks import flipflop
zoo = Zoo(
    "killed",
    task=flipflop.Task(steps=10, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=6, noise=0.1),
    training=Training(steps=4000, batch=4, evaluate_every=500, schedule="cosine"),
    seeds=range(4),
)

# While the file HOLD is there a block waits before or after a save: whoever wants to kill it comes in time.
import os, time
from pathlib import Path
from zoo.store.checkpoints import BlockFolder

def save(self, step, state, members, curves, real=BlockFolder.save):
    hold, place = os.environ.get("HOLD", ""), os.environ.get("PLACE", "")
    def wait(here):
        if step and place == here and os.path.exists(hold):
            Path(hold + ".reached").touch()
            while os.path.exists(hold):
                time.sleep(0.02)
    wait("before")
    real(self, step, state, members, curves)
    wait("after")

BlockFolder.save = save
"""


def start(spec: Path, out: Path, devices: int, hold: str = "", place: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "run_zoo.py", "train", str(spec), "--out", str(out), "--save-every", "0.05"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "HOLD": hold, "PLACE": place}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not file.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "killed.py"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def undisturbed(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("undisturbed") / "zoo"
    process = start(spec, out, devices=2)
    text = process.communicate(timeout=240)[0]
    assert process.returncode == 0, text
    found = load(out)
    return {m: found.params(m) for m in found.members["member"]} | {"curves": found.curves}


KILLS = {
    "killed-before-a-save": (signal.SIGKILL, "before"),
    "killed-after-a-save": (signal.SIGKILL, "after"),
    "terminated": (signal.SIGTERM, "after"),
    "interrupted": (signal.SIGINT, "before"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", KILLS)
def test_killed_or_stopped_and_started_again_on_other_devices_ends_with_the_same_bits(
    case: str, spec: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    (number, place), out, hold = KILLS[case], tmp_path / "zoo", tmp_path / "hold"
    hold.touch()
    process = start(spec, out, devices=2, hold=str(hold), place=place)
    try:
        wait_for(tmp_path / "hold.reached", process)
        process.send_signal(number)
        time.sleep(1)  # for its main thread to take note
        hold.unlink()
        text = process.communicate(timeout=240)[0]
    finally:
        process.kill()
    assert process.returncode == (-9 if number == signal.SIGKILL else 143), text
    again = start(spec, out, devices=1)
    text = again.communicate(timeout=240)[0]
    assert again.returncode == 0, text
    found = load(out)
    assert (found.members["steps"] == 4000).all()
    for member in found.members["member"]:
        chex.assert_trees_all_equal(found.params(member), undisturbed[member])
    order = ["member", "step"]
    ours, theirs = found.curves.sort_values(order), undisturbed["curves"].sort_values(order)
    np.testing.assert_array_equal(ours.to_numpy()[:, 1:].astype(float), theirs.to_numpy()[:, 1:].astype(float))


def tiny(**changes: Any) -> Zoo:
    settings = dict(steps=4, batch=4, evaluate_every=2)
    return Zoo(
        "tiny",
        task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
        model=vanilla.Model(hidden=3),
        training=Training(**{**settings, **changes}),
        seeds=range(4),
    )


def test_a_block_that_does_not_fit_is_halved_before_it_starts(monkeypatch: Any) -> None:
    (cohort,) = tiny().cohorts
    device = jax.local_devices()[0]
    recipe = Recipe(4, "vmap", "columns", startup.threads())
    needed = Executable(cohort, recipe).bytes_needed(device)
    monkeypatch.setattr(fitting, "bytes_free", lambda device: int(needed / fitting.MEMORY_SHARE) - 1)
    assert fitted(cohort, recipe, device).recipe.block == 2
    monkeypatch.setattr(fitting, "bytes_free", lambda device: 1)
    with pytest.raises(MemoryError, match=f"One member of cohort {cohort.id} needs .* MiB"):
        fitted(cohort, recipe, device)


def test_out_of_device_memory_halves_the_block_and_goes_on(monkeypatch: Any, tmp_path: Path) -> None:
    real, seen = Executable.advance, []

    def advance(self: Any, *args: Any) -> Any:
        seen.append(self.recipe.block)
        if self.recipe.block > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory while trying to allocate")
        return real(self, *args)

    monkeypatch.setattr(Executable, "advance", advance)
    trained = train(tiny(), tmp_path / "zoo", quiet=True, block=4, devices=lanes()[:1])
    assert (trained.members["steps"] == 4).all()
    assert sorted(set(seen)) == [1, 2, 4]
    (cohort,) = trained.manifest["cohorts"].values()
    assert cohort["recipe"]["block"] == 1


def test_a_diverged_member_is_labelled_and_the_run_ends_well(tmp_path: Path) -> None:
    zoo = tiny(learning_rate=1e30)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    assert set(trained.members["status"]) == {"diverged"}
    assert (trained.members["steps"] < 4).all()
    assert np.isfinite(trained.params(trained.members["member"][0])["recurrent"]).all()


def test_an_error_in_a_worker_ends_the_run_with_that_error(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(Executable, "advance", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tiny(), tmp_path / "zoo", quiet=True)


def test_the_plan_counts_without_training(tmp_path: Path) -> None:
    (row,) = planning.plan(tiny(), block=2)
    assert (row.members, row.blocks, row.steps) == (4, 2, 4)
    assert row.megabytes > 0
    assert row.seconds > 0


def test_tuning_remembers_its_winner(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (cohort,) = tiny().cohorts
    first = tuning.tuned(cohort, seconds=0.01)
    monkeypatch.setattr(tuning, "steps_per_second", lambda *args: pytest.fail("timed again"))
    assert tuning.tuned(cohort) == first


BAD_SETTINGS = [
    ({"save_every": 0}, "save_every is 0"),
    ({"save_every": float("nan")}, "is nan"),
    ({"block": 0}, "block is 0"),
]


@pytest.mark.parametrize(("settings", "words"), BAD_SETTINGS)
def test_bad_settings_are_refused_before_anything_is_written(settings: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        train(tiny(), tmp_path / "zoo", quiet=True, **settings)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(("steps", "batch", "trials"), [(3000, 64, 256), (3000, 32, 256), (3000, 64, 16)])
def test_evaluations_cost_at_most_two_percent_of_the_steps(steps: int, batch: int, trials: int) -> None:
    from zoo.training.evaluation import EVALUATION_SHARE, evaluate_every

    task = flipflop.Task(eval_trials=trials)
    zoo = Zoo("cadence", task=task, model=vanilla.Model(), training=Training(steps=steps, batch=batch))
    every = evaluate_every(zoo.cohorts[0], None)
    # A step is a forward and a backward pass over the batch, three forward passes in all.
    assert trials / (3 * batch * every) <= EVALUATION_SHARE


def test_a_program_is_compiled_once_for_all_lanes_of_a_cpu(tmp_path: Path) -> None:
    words = rig.command("rnn", tmp_path / "zoo", "--block", "1", "--training.steps", "3")
    rig.finished(rig.start(words, JAX_NUM_CPU_DEVICES="4", XDG_CACHE_HOME=str(tmp_path)))
    kept = (tmp_path / "model-zoo" / "programs").glob("*-cache")
    assert sorted(file.name.split("-")[0] for file in kept) == ["jit__initial", "jit_mapped"]


def test_the_plan_of_many_cohorts_measures_a_few_and_says_which(monkeypatch: Any) -> None:
    zoo = Zoo(
        "many",
        task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
        model=product(vanilla.Model, hidden=range(1, 13)),
        training=Training(steps=4, batch=4),
        seeds=2,
    )
    monkeypatch.setattr(planning, "MOST_MEASURED", 2)
    said: list[str] = []
    rows = planning.plan(zoo, say=said.append)
    assert [row.cohort for row in rows] == [cohort.id for cohort in zoo.cohorts]
    assert len(said) == 2
    assert [not np.isnan(row.megabytes) for row in rows] == [True] + 10 * [False] + [True]
    assert rows[5].seconds == pytest.approx((rows[0].seconds + rows[-1].seconds) / 2)
