"""A zoo in a bucket: the real gcsfs, epath, Orbax and TensorStore, and a server of this process that stores objects."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bucket import Bucket
from tests.faults.rig import ROOT, ZOOS, command, finished, start, wait_until
from zoo import train

pytest.importorskip("gcsfs")

OUT = "gs://bucket/zoos/rnn"

STEP = r"zoos/rnn/cohorts/[^/]+/\d+/[1-9]\d*/"
"""Of every step but the untrained networks."""


def step_of(name: str) -> str:
    """Where the checkpoint of an object begins."""
    found = re.match(STEP, name)
    assert found is not None, name
    return found[0]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        yield server


def say(bucket: Bucket, *words: str, status: int = 0) -> str:
    """The output of a command of the program."""
    return finished(start([sys.executable, "run_zoo.py", *words], **bucket.environment()), status)


def trained(bucket: Bucket, *flags: str, status: int = 0) -> str:
    """The output of a run into the bucket."""
    return finished(start(command("rnn", OUT, "--block", "2", *flags), **bucket.environment()), status)


def in_python(bucket: Bucket, code: str) -> None:
    """Run a few lines in a process of its own: what a process knows of a bucket it asks for when it starts."""
    settings = {**os.environ, **bucket.environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=settings, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def killed_at(bucket: Bucket, pattern: str) -> str:
    """Start a run, and kill it while such a change is on its way: neither it nor a later one is made. The name."""
    found, reached, over = list[str](), threading.Event(), threading.Event()

    def arriving(change: str) -> None:
        if re.fullmatch(pattern, change) and not reached.is_set():
            found.append(change.partition(" ")[2])
            reached.set()
        if reached.is_set():
            over.wait(60)
            raise ConnectionAbortedError

    bucket.arriving = arriving
    process = start(command("rnn", OUT, "--block", "2"), **bucket.environment())
    wait_until(reached.is_set, process)
    process.kill()
    process.communicate()
    over.set()
    bucket.arriving = lambda change: None
    return found[0]


READ = """
import chex
from tests.faults.rig import assert_same, everything
from zoo import load
assert_same(everything({out!r}), everything({local!r}))
ours, theirs = load({out!r}), load({local!r})
both = list(ours.members["member"][:3])  # of two blocks
chex.assert_trees_all_equal(ours.params(both, initial=True), theirs.params(both, initial=True))
inputs = ours.task(both[0]).probe().inputs
chex.assert_trees_all_equal(*(z.model(both[0]).apply(z.variables(both[0]), inputs) for z in (ours, theirs)))
"""


KILLS = (f"POST {STEP}manifest.json", f"POST {STEP}state/.*/d/.*", f"DELETE {STEP}state/.*")


@pytest.mark.long
def test_a_run_that_is_killed_and_whose_objects_are_damaged_ends_with_the_bits_of_a_run_on_a_disk(
    bucket: Bucket, tmp_path: Path
) -> None:
    local = train(ZOOS["rnn"], tmp_path / "local", quiet=True, block=2).path
    bucket.put("zoos/rnn/", b"")  # as the web console makes a folder
    for change in KILLS:
        name = killed_at(bucket, change)
        assert f"{step_of(name)}manifest.json" not in bucket.names(), "half there, and a checkpoint"
    assert "unsolved" in trained(bucket)
    assert "6 members" in say(bucket, "show", OUT)

    manifests = [name for name in bucket.names() if re.fullmatch(f"{STEP}manifest.json", name)]
    newest = step_of(max(manifests, key=lambda name: int(name.split("/")[-2])))
    file = next(name for name in bucket.names(newest) if "/state/ocdbt.process_0/d/" in name)
    content = bytearray(bucket.objects[file].content)
    content[len(content) // 2] ^= 1
    bucket.put(file, bytes(content))
    assert f"{file} is not as it was written" in say(bucket, "verify", OUT, status=1)
    assert "goes on from step" in trained(bucket)
    assert "All as they were written." in say(bucket, "verify", OUT)
    in_python(bucket, READ.format(out=OUT, local=str(local)))


def test_a_bucket_that_refuses_is_not_taken_for_a_damaged_one(bucket: Bucket) -> None:
    bucket.denied = lambda asked: asked.startswith("POST")
    assert "cannot be written (Forbidden" in trained(bucket, status=2)
    bucket.denied = lambda asked: False
    trained(bucket)
    before = dict(bucket.objects)
    for what in ("manifest.json", "curves.npz"):
        bucket.denied = lambda asked, what=what: asked.endswith(what)
        assert "Forbidden" in trained(bucket, status=1)
    changed = {name for name in before.keys() | bucket.objects.keys() if before.get(name) != bucket.objects.get(name)}
    assert changed <= {"zoos/rnn/zoo.json", "zoos/rnn/members.csv"}


def test_what_others_write_is_seen_and_of_two_who_write_once_one_is_first(bucket: Bucket) -> None:
    bucket.put("other/cohorts/c/0000/0/x", b"1")
    in_python(
        bucket,
        """
import os, urllib.request
from concurrent.futures import ThreadPoolExecutor
from zoo import buckets, files
from zoo.store.checkpoints import BlockFolder
path = files.directory("gs://bucket/other")
block = BlockFolder(path / "cohorts" / "c" / "0000")
assert block.numbers() == [0] and files.sizes(block.path) == {"0/x": 1}
place = os.environ["STORAGE_EMULATOR_HOST"] + "/upload/storage/v1/b/bucket/o?uploadType=media&name="
for i in range(10):  # more than a page of a listing
    urllib.request.urlopen(urllib.request.Request(f"{place}other/cohorts/c/0000/{i}/y", data=b"22", method="POST"))
assert block.numbers() == list(range(10)) and files.sizes(block.path)["9/y"] == 2
with ThreadPoolExecutor(8) as pool:
    first = list(pool.map(lambda i: files.write_once(path / "once", str(i).encode()), range(8)))
assert sum(first) == 1 and files.read(path / "once") == str(first.index(True)).encode()
buckets.MOST_AT_ONCE = 2**18
files.write_atomically(path / "large", content := os.urandom(3 * 2**18 + 4) + b"\\r")
import hashlib
assert files.sha256(path / "large", len(content)) == hashlib.sha256(content).hexdigest()
files.write_atomically(path / "empty", b"")
assert files.read(path / "empty", 10) == b"" and files.sizes(path)["empty"] == 0
files.unlink(path / "empty"), files.unlink(path / "empty")
files.remove(path), files.remove(path)
assert files.names(path) == [] and not path.exists()
""",
    )
    assert bucket.names() == []


@pytest.mark.parametrize("address", ["s3://bucket/zoo", "http://bucket/zoo"])
def test_other_addresses_are_refused_and_run_is_before_it_trains(address: str, bucket: Bucket, tmp_path: Path) -> None:
    from run_zoo import main

    assert main(["train", "demo", "--out", address]) == 2
    assert main(["run", "demo", "--out", OUT]) == 2
    assert bucket.asked == []
