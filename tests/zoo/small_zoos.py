"""Zoos that train in a second or two, and what tests of several packages ask of their directories."""

from pathlib import Path
from typing import Any

from models import gru, mlp, vanilla
from tests.faults.rig import folders
from zoo import Training, Zoo, load, product
from zoo.store.checkpoints import BlockFolder
from zoo.tasks import digits, flipflop

TASK = flipflop.Task(steps=10, eval_trials=8, probe_trials=8)
TWELVE = Zoo(
    "twelve",
    task=TASK,
    model=[vanilla.Model(hidden=4), gru.Model(hidden=4)],
    training=product(Training, learning_rate=[1e-3, 1e-2], steps=6, batch=4, evaluate_every=2),
    seeds=range(3),
)
"""Two cohorts of six members."""

FOUR = Zoo(
    "four",
    task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=3),
    training=Training(steps=6, batch=4, evaluate_every=2),
    seeds=4,
)
"""One cohort of four members."""

THREE = Zoo(
    "three",
    task=digits.Task(),
    model=product(mlp.Model, layers=[(3,), (4,), (5,)]),
    training=Training(steps=3, batch=4, evaluate_every=3),
    seeds=2,
)
"""Three cohorts of two members that learn from the same images."""


def tiny(**changes: Any) -> Zoo:
    """One cohort of four members with these fields of Training."""
    settings = dict(steps=4, batch=4, evaluate_every=2)
    return Zoo(
        "tiny",
        task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
        model=vanilla.Model(hidden=3),
        training=Training(**{**settings, **changes}),
        seeds=range(4),
    )


def everyone(path: Path) -> dict[str, Any]:
    """Member -> its parameters."""
    trained = load(path)
    return {member: trained.params(member) for member in sorted(trained.members["member"])}


def unchanged(path: Path) -> dict[Path, int]:
    """Every file of a directory, but for locks, with the time at which it was last written."""
    return {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")}


def block_of(path: Path) -> BlockFolder:
    """A block with a checkpoint between the first and the last."""
    return next(folder for folder in folders(path) if len(folder.steps()) == 3)


def files(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return sorted(p for p in folder.rglob("*") if p.is_file())
