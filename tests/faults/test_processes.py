"""Processes that share a run, on loopback: who is who, one spec, one dead peer, the bits of one process."""

import socket
import time
from pathlib import Path

import pytest

from tests.faults.rig import ZOOS, assert_same, command, everything, finished, folders, start, wait_until
from zoo import load, train

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


def test_two_processes_then_one_with_one_killed_then_two_end_with_the_bits_of_one(tmp_path: Path) -> None:
    expected = everything(train(ZOOS["rnn"], tmp_path / "alone", quiet=True).path)
    out = tmp_path / "zoo"
    first, second = together(out)
    wait_until(lambda: len(folders(out)) >= 2, second)
    second.kill()  # before it is done: its own blocks are lost since their last checkpoints, nobody else's
    finished(first)
    second.communicate()
    before = load(out).members
    assert (~before["status"].isin(["pending", "training"])).sum() >= 3, "the first had half of the blocks"
    alone = start(command("rnn", out), JAX_NUM_CPU_DEVICES="2")
    time.sleep(2)
    alone.kill()
    alone.communicate()
    for process in together(out):
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
from zoo.checkpoints import _write
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
    import sys

    first, second = (start([sys.executable, "-c", code, str(i), address], JAX_NUM_CPU_DEVICES="1") for i in range(2))
    assert "saved" in finished(first)
    finished(second, status=-9)


def test_a_notice_to_one_process_reaches_all_through_jaxs_service(tmp_path: Path) -> None:
    code = """
import os, sys, time
import jax
index = int(sys.argv[1])
jax.distributed.initialize(sys.argv[2], 2, index)
from zoo.cluster import _notices
notice, deadline = _notices(), time.monotonic() + 60
print("ready", flush=True)
while not notice():
    assert time.monotonic() < deadline
    time.sleep(0.2)
print("noticed", flush=True)
os._exit(0)
"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    import sys

    both = [start([sys.executable, "-c", code, str(i), address], JAX_NUM_CPU_DEVICES="1") for i in range(2)]
    for process in both:
        assert process.stdout is not None
        while "ready" not in process.stdout.readline():
            assert process.poll() is None
    both[1].terminate()
    for process in both:
        assert "noticed" in finished(process, timeout=90)
