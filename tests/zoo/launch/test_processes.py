"""Processes that share a run, on loopback: who is who, one spec, one dead peer, the bits of one process."""

import dataclasses
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import RNN, ZOOS, assert_same, command, everything, finished, folders, start, wait_until
from zoo import load, train
from zoo.store.directory import Store

pytestmark = pytest.mark.timeout(300)


def together(out: Path, *flags: tuple[str, ...], name: str = "rnn") -> list:
    """Two processes of one run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--coordinator", f"127.0.0.1:{port}", "--processes", "2", "--block", "1")
    extra = flags or ((), ())
    return [
        start(command(name, out, *where, "--process", str(i), *extra[i]), JAX_NUM_CPU_DEVICES="1") for i in range(2)
    ]


@pytest.mark.parametrize("name", [pytest.param("rnn", marks=pytest.mark.long), "cnn"])
def test_two_processes_then_one_with_one_killed_then_two_end_with_the_bits_of_one(name: str, tmp_path: Path) -> None:
    expected = everything(train(ZOOS[name], tmp_path / "alone", quiet=True).path)
    out = tmp_path / "zoo"
    first, second = together(out, name=name)
    wait_until(lambda: len(folders(out)) >= 2, second)
    second.kill()  # before it is done: its own blocks are lost since their last checkpoints, nobody else's
    finished(first)
    second.communicate()
    before = load(out).members
    done = ~before["status"].isin(["pending", "training"])
    assert done.sum() >= len(before) // 2, "the first had half of the blocks"
    alone = start(command(name, out), JAX_NUM_CPU_DEVICES="2")
    time.sleep(2)
    alone.kill()
    alone.communicate()
    for process in together(out, name=name):
        finished(process)
    assert_same(everything(out), expected)


def test_processes_with_different_specs_all_end_with_one_sentence_before_anything_is_written(tmp_path: Path) -> None:
    for process in together(tmp_path / "zoo", (), ("--training.steps", "7")):
        text = finished(process, status=2)
        assert "The processes were asked to train different zoos (process 0: " in text
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--process", "1"], "--coordinator, --processes and --process belong together"),
        (["--coordinator", "127.0.0.1:1", "--processes", "2", "--process", "2"], "--process is 2 of 2"),
    ],
)
def test_arguments_that_do_not_fit_together_are_one_sentence(flags: list[str], sentence: str, tmp_path: Path) -> None:
    assert sentence in finished(start(command("rnn", tmp_path / "zoo", *flags)), status=2)
    assert not (tmp_path / "zoo").exists()


def test_orbax_saves_alone_in_a_process_that_stays_connected_and_outlives_a_killed_peer(tmp_path: Path) -> None:
    """What a TPU slice does: processes stay connected for the notice of their end, and still save by themselves."""
    code = f"""
import os, sys, time
import jax
index = int(sys.argv[1])
jax.config.update("jax_enable_recoverability", True)
jax.distributed.initialize(sys.argv[2], 2, index, heartbeat_timeout_seconds=10)
import numpy as np
from pathlib import Path
from zoo.store.checkpoints import _write
assert jax.process_count() == 2
folder = Path({str(tmp_path)!r}) / str(index)
_write(folder / "0", {{"a": np.arange(3.0)}})
if index:
    os.kill(os.getpid(), 9)
time.sleep(12)
_write(folder / "1", {{"a": np.arange(3.0)}})
print("saved", flush=True)
os._exit(0)
"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    first, second = (start([sys.executable, "-c", code, str(i), address], JAX_NUM_CPU_DEVICES="1") for i in range(2))
    assert "saved" in finished(first)
    finished(second, status=-9)


STAYING = """
import os, sys, time
import jax
index, mode = int(sys.argv[1]), sys.argv[3]
jax.config.update("jax_enable_recoverability", True)
jax.distributed.initialize(sys.argv[2], 2, index, heartbeat_timeout_seconds=10)
from zoo.launch.jax_coordination import Coordination
from zoo.launch.processes import ConnectedProcesses
coordination = Coordination()
together = ConnectedProcesses(coordination, patience=6)
together.notice()
coordination.barrier("said", 60)
print("ready", flush=True)
deadline = time.monotonic() + 60
while not together.notice() and (mode == "notice" or index):
    assert time.monotonic() < deadline
    time.sleep(0.2)
    if mode == "slow" and time.monotonic() > deadline - 50:
        break
    if mode == "killed" and time.monotonic() > deadline - 58:
        os.kill(os.getpid(), 9)
if index:
    time.sleep(1)  # it has more to save than process 0
print("saved", flush=True)
together.leave()
print("left", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("mode", ["notice", *(pytest.param(m, marks=pytest.mark.long) for m in ("slow", "killed"))])
def test_a_notice_reaches_all_through_jaxs_service_and_process_0_leaves_last(mode: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [sys.executable, "-c", STAYING]
    both = [start([*words, str(i), address, mode], JAX_NUM_CPU_DEVICES="1") for i in range(2)]
    for process in both:
        assert process.stdout is not None
        while "ready" not in process.stdout.readline():
            assert process.poll() is None
    if mode == "notice":
        both[1].terminate()
    finished(both[1], status=-9 if mode == "killed" else 0, timeout=90)
    assert "left" in finished(both[0], timeout=90)


def test_a_process_that_waits_for_the_others_is_ended_by_ctrl_c_and_an_address_without_port_is_refused(
    tmp_path: Path,
) -> None:
    both = ("--processes", "2", "--process", "0")
    text = finished(start(command("rnn", tmp_path / "zoo", "--coordinator", "nohost", *both)), status=2)
    assert "--coordinator is 'nohost'; it must be HOST:PORT." in text
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = start(command("rnn", tmp_path / "zoo", "--coordinator", address, *both))
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    finished(process, status=130, timeout=20)


def told_by(scheduler: str, index: int) -> dict[str, str]:
    """What a scheduler tells the second of two tasks on one host, or the first."""
    number = str(random.Random(str(os.getpid())).randrange(10**6))
    return {
        "slurm": {
            "SLURM_JOB_ID": number,
            "SLURM_NTASKS": "2",
            "SLURM_STEP_NUM_TASKS": "2",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_PROCID": str(index),
            "SLURM_LOCALID": str(index),
        },
        "ompi": {
            "OMPI_MCA_orte_hnp_uri": f"{int(number) * 2**12}.0;tcp://127.0.0.1:34911",
            "OMPI_COMM_WORLD_SIZE": "2",
            "OMPI_COMM_WORLD_RANK": str(index),
            "OMPI_COMM_WORLD_LOCAL_RANK": str(index),
        },
    }[scheduler]


@pytest.mark.parametrize("scheduler", ["slurm", pytest.param("ompi", marks=pytest.mark.long)])
def test_tasks_of_slurm_and_open_mpi_find_each_other_without_arguments(scheduler: str, tmp_path: Path) -> None:
    out = tmp_path / "zoo"
    words = command("cnn", out, "--block", "1", "--training.steps", "4")
    both = [start(words, JAX_NUM_CPU_DEVICES="1", **told_by(scheduler, i)) for i in range(2)]
    for process in both:
        assert "2/2 done" in finished(process), "each has half of the four members"
    assert (load(out).members["steps"] == 4).all()


def test_a_process_that_would_give_other_bits_is_refused_in_a_new_directory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two begin a directory at the same moment; the other one, with more threads, writes its recipes down first."""
    asked = Store.asked

    def later(store: Store, choose: Any) -> Any:
        monkeypatch.setattr(Store, "asked", asked)
        Store(store.path, RNN).asked(lambda cohort: dataclasses.replace(choose(cohort), threads=5))
        return asked(store, choose)

    monkeypatch.setattr(Store, "asked", later)
    with pytest.raises(ValueError, match=r"was begun with 5 CPU threads and this process has 4, .* start with NPROC=5"):
        train(RNN, tmp_path / "zoo", quiet=True)
    assert (load(tmp_path / "zoo").members["status"] == "pending").all()


def test_a_process_that_comes_later_takes_the_threads_that_the_directory_was_begun_with(tmp_path: Path) -> None:
    expected = everything(train(RNN, tmp_path / "alone", quiet=True).path)
    out = tmp_path / "zoo"
    first = start(command("rnn", out), NPROC="4")
    wait_until(lambda: len(folders(out)) >= 2, first)
    first.kill()
    first.communicate()
    finished(start(command("rnn", out), NPROC="3"))
    assert_same(everything(out), expected)
