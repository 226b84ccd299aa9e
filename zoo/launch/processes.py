"""One run of several processes: who is who, that all want the same, and which blocks are whose.

Members never talk to each other, so processes need each other for a moment only: to learn their number, and to compare
what they were asked to train. Then they hang up: JAX's coordination service would end all of them when one dies. Each
trains its own blocks on its own devices, saves them itself, and the files are all that they share.
"""

import glob
import hashlib
import importlib.util
import os
import re
import threading
import time
from collections.abc import Callable

from zoo.launch.jax_coordination import Coordination
from zoo.running.shares import ALONE, Cluster, Share
from zoo.wording import first_line

HEARTBEAT_SECONDS = 100
"""After this long without a word the coordination service takes a process for dead, where processes stay connected."""

MEETING_SECONDS = 300
"""How long processes wait for each other at the start."""


def joined_cluster(
    spec: str, coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> Cluster:
    """Meet the other processes of this run, where there are any; before JAX is used.

    On TPU, SLURM and Open MPI they are found without arguments; elsewhere all three must be given.

    Args:
      spec: what this process was asked to train, as JSON.
      coordinator: address of process 0, "host:port".
      processes: how many there are.
      process: the number of this one.

    Raises:
      ValueError: they do not agree on the spec, or the arguments do not fit together.
    """
    _check_together(coordinator, processes, process)
    stay = _on_tpu()
    if coordinator is None and not (several() or stay):
        return ALONE
    _meet(coordinator, processes, process, stay)
    coordination = Coordination()
    run = _agreed(coordination, spec) if coordination.count > 1 else ""
    share = Share(coordination.index, coordination.count, run)
    if stay and coordination.count > 1:
        together = ConnectedProcesses(coordination)
        together.notice()
        coordination.barrier("zoo-said", MEETING_SECONDS)  # everyone has said something to be heard of
        return Cluster(share, together.notice, together.leave, announced=True)
    coordination.go_on_alone()
    return Cluster(share)


def _check_together(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Refuse arguments of `joined_cluster` that do not fit together."""
    are_given = [value is not None for value in (coordinator, processes, process)]
    if any(are_given) and not all(are_given):
        raise ValueError("--coordinator, --processes and --process belong together; give all three, or none.")
    if all(are_given) and not (processes and processes > 0 and process is not None and 0 <= process < processes):
        raise ValueError(f"--process is {process} of {processes}; it must be from 0 to --processes - 1.")
    if coordinator is not None and not re.fullmatch(r"\S+:\d{1,5}", coordinator):
        raise ValueError(f"--coordinator is {coordinator!r}; it must be HOST:PORT.")


def _meet(coordinator: str | None, processes: int | None, process: int | None, stay: bool) -> None:
    """Connect this process with the others; where they stay connected, one that dies does not end all."""
    import jax

    if stay:  # a slice is one machine: what announces its end speaks through this connection
        jax.config.update("jax_enable_recoverability", True)

    def connect() -> None:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=MEETING_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=MEETING_SECONDS,
        )

    try:
        _interruptible(connect)
    except (RuntimeError, ValueError) as error:
        alone = "--coordinator 127.0.0.1:8476 --processes 1 --process 0"
        raise ValueError(
            f"The processes could not meet ({first_line(error)}); if this one is alone, say {alone}."
        ) from None


def _interruptible(function: Callable[[], object]) -> None:
    """Call what waits inside of JAX so that Ctrl-C ends the waiting."""
    ended: list[BaseException | None] = []

    def call() -> None:
        try:
            function()
            ended.append(None)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if ended[0] is not None:
        raise ended[0]


def _agreed(coordination: Coordination, spec: str) -> str:
    """Compare the spec's hash over processes, all with all; the run's identifier, which process 0 makes up."""
    words = f"{hashlib.sha256(spec.encode()).hexdigest()[:16]} {os.urandom(8).hex()}"
    coordination.set(f"zoo/{coordination.index}", words)
    said = [coordination.get(f"zoo/{i}", MEETING_SECONDS).split() for i in range(coordination.count)]
    coordination.barrier("zoo", MEETING_SECONDS)  # everyone has read everything before anyone leaves
    if len({digest for digest, _ in said}) > 1:
        groups = ", ".join(f"process {i}: {digest}" for i, (digest, _) in enumerate(said))
        raise ValueError(f"The processes were asked to train different zoos ({groups}); give all the same command.")
    return said[0][1]


def several() -> bool:
    """Whether an environment that JAX understands speaks of more than one process."""
    slurm = "SLURM_STEP_NODELIST" in os.environ and "SLURM_PROCID" in os.environ
    count = os.environ.get("OMPI_COMM_WORLD_SIZE") or (slurm and os.environ.get("SLURM_STEP_NUM_TASKS")) or "1"
    return (count.isdigit() and int(count) > 1) or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def _on_tpu() -> bool:
    """Whether JAX would use a TPU of this machine; asked before JAX is there to be asked."""
    if importlib.util.find_spec("libtpu") is None or os.environ.get("JAX_PLATFORMS", "") not in ("", "tpu", "tpu,cpu"):
        return False
    return bool(glob.glob("/dev/accel*") or glob.glob("/dev/vfio/[0-9]*"))


class ConnectedProcesses:
    """Processes that stay connected: a notice to one reaches all, and process 0, whose end would end all, leaves last.

    Args:
      coordination: the connection to the others.
      patience: seconds after which a process that says nothing is taken for dead.
    """

    def __init__(self, coordination: Coordination, patience: float = 60.0):
        self._coordination, self._patience = coordination, patience
        self._met, self._asked = time.monotonic(), 0

    def notice(self) -> bool:
        """Whether to save and end; asked a few times a second by every process.

        All stop at the number after the highest that any has asked with, and none may leave a number out: so the
        numbers are quarters of seconds since the meeting, which is the same for all.
        """
        while self._asked < 4 * (time.monotonic() - self._met):
            self._asked += 1
            if self._asked % 20 == 1:
                self._say(str(self._asked))
            if self._coordination.preempted(self._asked):
                return True
        return False

    def leave(self) -> None:
        """Say that all is saved; process 0 waits until every other has said so, or says nothing any more."""
        self._say("left")
        if self._coordination.index:
            return
        heard = {i: ("", time.monotonic()) for i in range(1, self._coordination.count)}
        while heard:
            for i, (before, at) in list(heard.items()):
                now = self._coordination.try_get(f"zoo/at/{i}")
                if now == "left" or (now == before and time.monotonic() - at > self._patience):
                    del heard[i]
                elif now != before:
                    heard[i] = now, time.monotonic()
            time.sleep(0.2)

    def _say(self, word: str) -> None:
        self._coordination.set(f"zoo/at/{self._coordination.index}", word, again=True)
