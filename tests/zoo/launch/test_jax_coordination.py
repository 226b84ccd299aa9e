"""The private names of JAX that processes meet by: all are where they were, and one that has moved is a sentence."""

import re
import socket
import sys
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from tests.faults.rig import ROOT, finished, start
from zoo.launch import jax_coordination
from zoo.launch.jax_coordination import CLIENT_NAMES, STATE_NAMES, Coordination

ONE_PROCESS = """
import sys
import jax
from zoo.launch.jax_coordination import Coordination
jax.distributed.initialize(sys.argv[1], 1, 0)
coordination = Coordination()
assert (coordination.index, coordination.count) == (0, 1)
coordination.set("word", "first")
coordination.set("word", "second", again=True)
assert coordination.get("word", 5) == coordination.try_get("word") == "second"
coordination.barrier("all", 5)
assert not coordination.preempted(1)
coordination.go_on_alone()
assert not jax.distributed.is_initialized()
assert (jax.process_index(), jax.process_count()) == (0, 1)
print("went on alone")
"""


def test_every_private_name_of_jax_is_there_and_does_what_it_did() -> None:
    """Fails where JAX has moved one of them: `zoo/launch/jax_coordination.py` must follow."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    assert "went on alone" in finished(start([sys.executable, "-c", ONE_PROCESS, address]))


@pytest.mark.parametrize("name", ["global_state", *STATE_NAMES, *CLIENT_NAMES])
def test_a_private_name_that_has_moved_is_a_sentence_that_names_it_and_the_version(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jax._src import distributed

    client = SimpleNamespace(**{each: print for each in CLIENT_NAMES if each != name})
    state: Any = SimpleNamespace(process_id=0, num_processes=1, client=client)
    monkeypatch.setattr(distributed, "global_state", state)
    if name == "global_state":
        monkeypatch.delattr(distributed, name)
    elif name in STATE_NAMES:
        delattr(state, name)
    version = re.escape(jax.__version__)
    with pytest.raises(
        ValueError, match=rf"jax {version} has no jax\._src\.distributed\.\S*{name}, .*train in one process"
    ):
        Coordination()


def test_no_other_file_of_the_program_uses_a_private_name_of_jax() -> None:
    files = [file for folder in ("models", "zoo", "analysis", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    users = [file for file in files if "jax._src" in file.read_text()]
    assert users == [ROOT / "zoo" / "launch" / f"{jax_coordination.__name__.rpartition('.')[2]}.py"]
