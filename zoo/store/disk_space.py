"""Whether a disk has room for what a zoo will write."""

from typing import Any

import numpy as np

from zoo.files import bytes_left
from zoo.spec.cohorts import Cohort
from zoo.store.checkpoints import RESERVE
from zoo.wording import mebibytes

MOST_TRACED = 8
"""Cohorts whose checkpoints are computed; of a larger zoo as many, evenly spread, stand for all."""


def _member_bytes(cohort: Cohort) -> int:
    import jax

    from zoo.training import program

    floats = jax.tree.map(lambda x: x[0], program.floats_of(cohort))
    state = jax.eval_shape(program.program_of(cohort).init, floats)
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))


def needed(cohorts: list[Cohort], kept: int) -> int:
    """About how many bytes the checkpoints of some cohorts will take: the untrained networks, and the newest ones."""
    if not cohorts:
        return 0
    some = np.unique(np.linspace(0, len(cohorts) - 1, min(MOST_TRACED, len(cohorts))).round().astype(int)).tolist()
    measured = sum(_member_bytes(cohorts[i]) * len(cohorts[i].members) for i in some)
    share = sum(len(cohorts[i].members) for i in some) / sum(len(cohort.members) for cohort in cohorts)
    return int(measured / share * (1 + kept))


def check_disk(path: Any, cohorts: list[Cohort], kept: int) -> None:
    """Refuse a directory whose disk is too small for the checkpoints of cohorts that are not begun."""
    left = bytes_left(path)
    if left is not None and (size := needed(cohorts, kept)) and size + RESERVE > left:
        raise ValueError(
            f"The checkpoints of {sum(len(c.members) for c in cohorts)} members need about {mebibytes(size)}, and the "
            f"disk of {path} has {mebibytes(left)} free: make room, choose another --out, or train fewer."
        )
