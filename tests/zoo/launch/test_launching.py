"""A zoo in shares, as SLURM jobs (submitit's local ones) and Ray tasks (a cluster of two nodes here): the bits of one
machine, also with a worker killed in the middle."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.rig import (
    ROOT,
    assert_same,
    everything,
    finished,
    start,
    wait_until,
)
from zoo import train
from zoo.launch import launching
from zoo.spec.spec_file import read_spec

pytestmark = pytest.mark.timeout(500)


SPEC = "tests/faults/specs/eight.py"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one machine makes of it; its programs stay in the cache."""
    return everything(train(read_spec(SPEC), tmp_path_factory.mktemp("alone") / "zoo", quiet=True).path)


def words(out: Path, engine: str, *flags: str) -> list[str]:
    base = [sys.executable, "run_zoo.py", "train", SPEC, "--out", str(out), "--on", engine, "--shares", "2"]
    return [*base, "--save-every", "0.5", *flags]


def workers(out: Path) -> list[psutil.Process]:
    """The processes that train shares of a directory, by the locks that they hold."""
    found = []
    for lock in out.glob(".lock.*"):
        _, _, number = lock.read_text().partition(" ")
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(number.split()[0])) if number else None
            if process and process.status() != psutil.STATUS_ZOMBIE:  # one that has ended, and is not yet waited for
                found.append(process)
    return found


def kill_one(out: Path) -> None:
    """kill -9 of one of the workers."""
    for worker in workers(out):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended just now
            worker.send_signal(signal.SIGKILL)
            return


def blocks_begun(out: Path) -> int:
    return len(list(out.glob("cohorts/*/0000/*/manifest.json")))


@pytest.mark.long
def test_slurm_jobs_of_which_one_is_killed_give_the_bits_of_one_machine(
    expected: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "zoo"
    process = start(words(out, "slurm"), JAX_NUM_CPU_DEVICES="1", XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"])
    wait_until(lambda: blocks_begun(out) > 2 and workers(out), process)
    kill_one(out)
    text = finished(process)
    assert "it is started again" in text
    assert "16/16 done" in text
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


class Failing:
    """An engine whose jobs die at once, or say that what they were asked for is bad."""

    def __init__(self, bad: str = "", at_once: int | None = None):
        self.bad, self.at_once, self.started, self.most = bad, at_once, 0, 0

    def submit(self, function: Any, *args: Any) -> Any:
        self.started += 1
        return object()

    def ended(self, job: Any) -> bool:
        return True

    def result(self, job: Any) -> str:
        if self.bad:
            return self.bad
        raise RuntimeError("the node is gone")

    def cancel(self, job: Any) -> None: ...


@pytest.mark.parametrize(
    ("shares", "options", "settings", "sentence"),
    [
        (0, [], {}, "--shares is 0; it must be from 1 to 10000"),
        (2, ["cpus"], {}, "--engine has 'cpus'; it must be KEY=VALUE"),
        (2, [], {"block": 0}, "block is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_a_share_is_started(
    shares: int, options: list[str], settings: Any, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(launching.BACKENDS, "slurm", lambda options, say: pytest.fail("a backend was made"))
    with pytest.raises(ValueError, match=sentence):
        launching.launch(read_spec(SPEC), tmp_path / "zoo", "slurm", shares, options, **settings)


@pytest.mark.parametrize("bad", ["", "the zoo has no task"])
def test_shares_that_fail_again_and_again_end_the_run_and_bad_input_ends_it_at_once(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Failing(bad, at_once=1)
    monkeypatch.setattr(launching, "SHARES_TICK", 0.001)
    monkeypatch.setitem(launching.BACKENDS, "slurm", lambda options, say: engine)
    settings = dict(save_every=60.0, keep=2, grace=5.0, block=None, tune=False)
    sentence = bad or "2 of 2 shares failed: share 0: the node is gone; share 1: the node is gone"
    with pytest.raises(ValueError if bad else OSError, match=sentence):
        launching.launch(read_spec(SPEC), tmp_path / "zoo", "slurm", 2, **settings)
    assert engine.started == (2 if bad else 2 * launching.ATTEMPTS)


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


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_ray_tasks_of_which_one_is_killed_give_the_bits_of_one_machine(
    ray_cluster: Any, expected: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "zoo"
    process = start(words(out, "ray"), RAY_ADDRESS=ray_cluster.address)
    wait_until(lambda: blocks_begun(out) > 2 and workers(out), process)
    kill_one(out)
    text = finished(process)
    assert "16/16 done" in text
    assert "has begun again" in text or "it is started again" in text
    assert_same(everything(out), expected)
