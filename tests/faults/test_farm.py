"""A zoo in shares, as SLURM jobs (submitit's local ones) and Ray tasks (a cluster of two nodes here): the bits of one
machine, also with a worker killed in the middle."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.rig import ROOT, assert_same, everything, finished, start, wait_until
from zoo import train
from zoo.spec_file import read_spec

pytestmark = pytest.mark.timeout(500)
SPEC = "tests/faults/specs/sixteen.py"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one machine makes of it; its programs stay in the cache."""
    return everything(train(read_spec(SPEC), tmp_path_factory.mktemp("alone") / "zoo", quiet=True).path)


def words(out: Path, engine: str, *flags: str) -> list[str]:
    base = [sys.executable, "run_zoo.py", "train", SPEC, "--out", str(out), "--on", engine, "--shares", "2"]
    return [*base, "--save-every", "0.05", *flags]


def workers(out: Path) -> list[psutil.Process]:
    """The processes that train shares of a directory, by the locks that they hold."""
    found = []
    for lock in out.glob(".lock.*"):
        number = int(lock.read_text().split()[1]) if lock.read_text() else 0
        if number and psutil.pid_exists(number):
            found.append(psutil.Process(number))
    return found


def kill_one(out: Path) -> None:
    """kill -9 of one of the workers."""
    workers(out)[0].send_signal(signal.SIGKILL)


def blocks_begun(out: Path) -> int:
    return len(list(out.glob("cohorts/*/0000/*/manifest.json")))


def test_slurm_jobs_of_which_one_is_killed_give_the_bits_of_one_machine(
    expected: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "zoo"
    process = start(words(out, "slurm"), JAX_NUM_CPU_DEVICES="1", XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"])
    wait_until(lambda: blocks_begun(out) > 4 and workers(out), process)
    kill_one(out)
    text = finished(process)
    assert "it is started again" in text
    assert "32/32 done" in text
    assert_same(everything(out), expected)


def test_a_second_run_on_a_directory_whose_shares_are_at_work_is_refused_and_a_stopped_one_goes_on(
    expected: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "zoo"
    process = start(words(out, "slurm"), JAX_NUM_CPU_DEVICES="1")
    wait_until(lambda: blocks_begun(out) > 2, process)
    text = finished(start([sys.executable, "run_zoo.py", "train", SPEC, "--out", str(out)]), status=2)
    assert "is being trained by process" in text
    process.terminate()
    assert "the same command goes on from there" in finished(process, status=143)
    assert not workers(out)
    finished(start([sys.executable, "run_zoo.py", "train", SPEC, "--out", str(out)]))
    assert_same(everything(out), expected)


def test_what_is_bad_on_every_machine_is_said_once_and_not_tried_again(tmp_path: Path) -> None:
    out = tmp_path / "zoo"
    text = finished(start(words(out, "slurm", "--shares", "0")), status=2)
    assert "--shares is 0; it must be at least 1" in text
    text = finished(start(words(out, "slurm", "--engine", "cpus")), status=2)
    assert "--engine has 'cpus'; it must be KEY=VALUE" in text


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one core each."""
    ray = pytest.importorskip("ray")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_ray_tasks_of_which_one_is_killed_give_the_bits_of_one_machine(
    ray_cluster: Any, expected: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "zoo"
    process = start(words(out, "ray"), RAY_ADDRESS=ray_cluster.address)
    wait_until(lambda: blocks_begun(out) > 4 and workers(out), process)
    kill_one(out)
    text = finished(process)
    assert "32/32 done" in text
    assert "has begun again" in text or "it is started again" in text
    assert_same(everything(out), expected)
