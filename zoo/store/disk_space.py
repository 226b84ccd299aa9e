"""Whether a disk has room for what a zoo will write."""

from typing import Any

import numpy as np

from zoo.files import bytes_left
from zoo.spec.cohorts import Cohort
from zoo.store.checkpoints import RESERVE
from zoo.wording import mebibytes

MOST_TRACED = 8
"""Cohorts whose checkpoints are computed; of a larger zoo as many, evenly spread, stand for all."""


def needed(cohorts: list[Cohort], kept: int) -> int:
    """About how many bytes the checkpoints of some cohorts will take: the untrained networks, snapshots, the newest."""
    if not cohorts:
        return 0
    from zoo.training.shapes import state_bytes

    spread = np.linspace(0, len(cohorts) - 1, min(MOST_TRACED, len(cohorts)))
    traced = [cohorts[i] for i in np.unique(spread.round().astype(int))]
    traced_bytes = sum(
        state_bytes(cohort) * len(cohort.members) * (1 + len(cohort.members[0].training.snapshots) + kept)
        for cohort in traced
    )
    share = sum(len(cohort.members) for cohort in traced) / sum(len(cohort.members) for cohort in cohorts)
    return int(traced_bytes / share)


def check_disk(path: Any, cohorts: list[Cohort], kept: int) -> None:
    """Refuse a directory whose disk is too small for the checkpoints of cohorts that are not begun."""
    left = bytes_left(path)
    if left is not None and (size := needed(cohorts, kept)) and size + RESERVE > left:
        raise ValueError(
            f"The checkpoints of {sum(len(c.members) for c in cohorts)} members need about {mebibytes(size)}, and the "
            f"disk of {path} has {mebibytes(left)} free: make room, choose another --out, or train fewer."
        )
