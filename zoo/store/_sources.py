"""Directories that are to be merged: what of them is whole, and in what they differ."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.spec.zoo import Zoo
from zoo.store import manifest
from zoo.store.reader import Trained
from zoo.store.verification import verified_blocks
from zoo.training.status import RUNNING, UNFINISHED
from zoo.wording import counted

AT_ONCE = 64
"""Members whose parameters are compared at a time."""


class Source(NamedTuple):
    """A directory that is merged.

    Attributes:
      trained: the directory.
      zoo: what is in it.
      finished: the members that were trained to their end, and whose checkpoints are whole.
      steps: block -> those of its checkpoints that are whole, byte for byte.
    """

    trained: Trained
    zoo: Zoo
    finished: set[str]
    steps: dict[Path, list[int]]

    @property
    def path(self) -> Path:
        """Of the directory."""
        return self.trained.path

    @property
    def name(self) -> str:
        """What sentences call it."""
        return str(self.path)

    def entry(self, cohort: str) -> dict[str, Any]:
        """What the directory says of a cohort."""
        return self.trained.manifest["cohorts"][cohort]


def opened(path: Path, say: Callable[[str], Any]) -> Source:
    """A directory, all its checkpoints read; says what is damaged, and whose end is lost by that."""
    trained = Trained(path)
    zoo = trained.zoo
    manifest.check_cohorts(path, trained.manifest, zoo)
    finished: set[str] = set()
    steps: dict[Path, list[int]] = {}
    snapshots = {cohort.id: cohort.members[0].training.snapshots for cohort in zoo.cohorts}
    for block in verified_blocks(path, snapshots):
        for fault in block.faults:
            say(fault)
        steps[block.folder.path] = block.steps
        newest = max(block.steps, default=0)
        lost = {0, *(step for step in block.folder.snapshots if step < newest)} - set(block.steps)
        curves = None if lost else block.folder.curves(newest)
        if curves is not None:
            finished |= set(curves["members"][curves["member_status"] != RUNNING].tolist())
    table = trained.written()
    if table is not None and (gone := set(table.loc[~table["status"].isin(UNFINISHED), "member"]) - finished):
        members = counted(len(gone), "member")
        say(f"{members} of {path}, trained by its members.csv, lack a whole end, and count as not trained to it")
    return Source(trained, zoo, finished, steps)


def difference(sources: Sequence[Source]) -> str:
    """In what the machines differ that trained some directories, as words; "" where in nothing."""
    return manifest.difference([kind for source in sources for kind in manifest.machines(source.trained.manifest)])


def differing(one: Source, other: Source, members: Sequence[str]) -> list[str]:
    """The members whose parameters are not the same in two directories."""
    together: dict[tuple[str, str], list[str]] = {}
    for member in members:
        together.setdefault((one.zoo.homes[member], other.zoo.homes[member]), []).append(member)
    differing = []
    for group in together.values():
        for start in range(0, len(group), AT_ONCE):
            ids = group[start : start + AT_ONCE]
            pairs = zip(_leaves(one.trained.variables(ids)), _leaves(other.trained.variables(ids)))
            same = np.all([[np.array_equal(a, b) for a, b in zip(x, y)] for x, y in pairs], axis=0)
            differing += [member for member, equal in zip(ids, same) if not equal]
    return differing


def _leaves(tree: Any) -> Iterator[np.ndarray]:
    if isinstance(tree, dict):
        for name in sorted(tree):
            yield from _leaves(tree[name])
    else:
        yield tree
