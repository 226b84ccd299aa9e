"""Where a zoo is trained: what belongs to jobs is refused without them, and a process alone is the first of one."""

import pytest

from models import vanilla
from zoo import Training, Zoo
from zoo.launch.placement import Placement, train_there, wait_for_all
from zoo.tasks import flipflop

ZOO = Zoo(
    "placed",
    task=flipflop.Task(bits=1, steps=4, eval_trials=4, probe_trials=4),
    model=vanilla.Model(hidden=2),
    training=Training(steps=1, batch=2),
)


@pytest.mark.parametrize("there", [Placement(shares=2), Placement(engine=("num_gpus=1",))])
def test_what_belongs_to_jobs_is_refused_without_them(there: Placement, tmp_path) -> None:
    with pytest.raises(ValueError, match="--engine and --shares belong to --on slurm or --on ray"):
        train_there(ZOO, str(tmp_path / "zoo"), there, {})


def test_one_process_alone_is_the_first_and_waits_for_nobody(tmp_path) -> None:
    lines: list[str] = []
    placed = train_there(ZOO, str(tmp_path / "zoo"), Placement(), {"quiet": True})
    assert (placed.first, placed.together) == (True, 1)
    assert placed.trained.members["status"].tolist() == ["unsolved"]
    wait_for_all(str(tmp_path / "zoo"), 1, lines.append)
    assert lines == []
