"""Where a zoo is trained: in this process, in several that run the same command, or in jobs that a scheduler starts."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zoo.spec.own_parts import own_of
from zoo.spec.zoo import Zoo
from zoo.store.lock import wait_for_others
from zoo.store.reader import Trained, all_done

__all__ = ["Placed", "Placement", "train_there", "wait_for_all"]

SHARES = 8
"""Jobs or tasks, where it is not said."""


class Placement(NamedTuple):
    """Where a zoo is trained.

    Attributes:
      on: "local", "slurm" or "ray".
      shares: how many jobs or tasks; None for `SHARES`.
      engine: what each asks for, "key=value".
      coordinator, processes, process: of several processes that run one command, see
        `zoo.launch.processes.joined_cluster`.
    """

    on: str = "local"
    shares: int | None = None
    engine: tuple[str, ...] = ()
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None


class Placed(NamedTuple):
    """What has come of it.

    Attributes:
      trained: the directory, opened for reading.
      first: whether this is the first of the processes.
      together: how many processes there are.
    """

    trained: Trained
    first: bool
    together: int


def train_there(zoo: Zoo, out: str, there: Placement, settings: Mapping[str, Any]) -> Placed:
    """Trains a zoo where it is to be trained.

    Args:
      zoo: what to train.
      out: the zoo directory.
      there: where.
      settings: of `zoo.running.run.train`.

    Raises:
      ValueError: what belongs to jobs was given without them; else as `train` and `launch`.
    """
    if there.on != "local":
        from zoo.launch.launching import launch

        shares = SHARES if there.shares is None else there.shares
        return Placed(launch(zoo, out, there.on, shares, there.engine, **settings), True, 1)
    if there.engine or there.shares is not None:
        raise ValueError("--engine and --shares belong to --on slurm or --on ray.")
    from zoo.launch.processes import joined_cluster
    from zoo.running.run import train

    asked = json.dumps([zoo.to_json(), own_of(zoo).texts])
    cluster = joined_cluster(asked, there.coordinator, there.processes, there.process)
    try:
        return Placed(train(zoo, out, **settings, cluster=cluster), cluster.share.index == 0, cluster.share.count)
    finally:
        cluster.leave()


def wait_for_all(out: str, together: int, say: Callable[[str], Any]) -> None:
    """Waits until the other processes have trained what is theirs, or have ended.

    Args:
      out: the zoo directory.
      together: how many processes there are.
      say: takes the line that it waits.
    """
    if not all_done(out):
        say("Waiting for the other processes, to compare all of them.")
    wait_for_others(Path(out), together, lambda: all_done(out))
