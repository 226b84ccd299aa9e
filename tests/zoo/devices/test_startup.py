"""JAX is set up before its first use; a CPU's lanes share one device, and every accelerator is a lane of its own."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from tests.faults import rig
from tests.zoo.devices.fakes import FakeDevice
from zoo.devices import startup

ROOT = Path(__file__).parents[3]


def python(code: str, **environment: str) -> str:
    """What code prints in a process of its own, without the settings of these tests."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NPROC", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    settings = {**kept, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=True, timeout=240).stdout


def test_a_program_is_compiled_once_for_all_lanes_of_a_cpu(tmp_path: Path) -> None:
    words = rig.command("rnn", tmp_path / "zoo", "--block", "1", "--training.steps", "3")
    rig.finished(rig.start(words, JAX_NUM_CPU_DEVICES="4", XDG_CACHE_HOME=str(tmp_path)))
    kept = (tmp_path / "model-zoo" / "programs").glob("*-cache")
    names = [file.name.split("-")[0] for file in kept]
    ours = ["jit__initial", "jit_mapped"]  # a slow machine keeps small programs of JAX's own, too
    assert sorted(name for name in names if name in ours) == ours


def test_every_accelerator_is_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [FakeDevice(i, "gpu") for i in range(3)]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert startup.lanes() == devices


@pytest.mark.parametrize(
    ("environment", "lanes"),
    [
        ({}, startup.cores()),
        ({"JAX_NUM_CPU_DEVICES": "1"}, 1),
        ({"JAX_NUM_CPU_DEVICES": "3"}, 3),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, 3),
    ],
)
def test_a_cpu_has_a_lane_per_core_or_as_many_as_are_asked_for(environment: dict[str, str], lanes: int) -> None:
    code = (
        "from zoo.devices import startup; startup.start(); lanes = startup.lanes();"
        "print(len(lanes), len(set(lanes)), startup.threads() == startup.cores())"
    )
    assert python(code, **environment).split() == [str(lanes), "1", "True"]


def test_once_a_backend_runs_the_threads_are_what_they_are() -> None:
    code = (
        "import jax; from zoo.devices import startup; startup.start(threads=3); jax.devices();"
        "startup.start(threads=5); print(startup.threads(), jax.config.jax_num_cpu_devices)"
    )
    assert python(code).split() == ["3", "-1"]
    code = (
        "import jax; jax.devices(); from zoo.devices import startup; startup.start(threads=5); print(startup.threads())"
    )
    assert python(code).split() == [str(startup.cores())]


STARTED = (
    "import jax\n"
    "from zoo.devices import startup\n"
    "print([n for n, v in startup.SETTINGS.items() if getattr(jax.config, n, v) != v])\n"
    "startup.start()\n"
    "print([n for n, v in startup.SETTINGS.items() if getattr(jax.config, n, v) != v])\n"
    "print(jax.random.normal(jax.random.key(1), 2).tolist())\n"
)


def test_what_a_shell_has_set_is_set_back_to_what_jax_has_where_nobody_sets_any() -> None:
    others = {
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_ENABLE_X64": "1",
        "JAX_DEBUG_NANS": "1",
        "JAX_DISABLE_JIT": "1",
        "JAX_RANDOM_SEED_OFFSET": "3",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_TRANSFER_GUARD": "disallow",
    }
    before, after, drawn = python(STARTED).splitlines()
    assert before == after == "[]", "in a plain shell nothing is set to another value than JAX's own"
    changed, back, again = python(STARTED, **others).splitlines()
    assert {name.lower() for name in others} <= {*ast.literal_eval(changed)}
    assert (back, again) == ("[]", drawn)


def test_what_a_program_itself_has_chosen_of_jax_is_refused_in_one_sentence() -> None:
    with (
        jax.enable_x64(True),
        pytest.raises(ValueError, match=r"jax_enable_x64 is True in this program, .* computed with False: jax.config"),
    ):
        startup.start()
