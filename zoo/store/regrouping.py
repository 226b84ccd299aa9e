"""Checkpoints of a block that is made of rows of other blocks: of members that come from elsewhere."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo import files
from zoo.store.checkpoints import CURVES, BlockFolder, block_folders
from zoo.store.sealing import CheckpointCorrupt
from zoo.training.status import RUNNING, STOPPED


class Place(NamedTuple):
    """Where a member is kept.

    Attributes:
      folder: its block.
      row: its row there.
    """

    folder: BlockFolder
    row: int


class Beginning(NamedTuple):
    """What the members of a block begin with, where that is not their seeds.

    Attributes:
      places: of the members that had fewer steps, and were trained to their end, in the order of the block.
      step: at which that was.
    """

    places: list[Place]
    step: int


def places_of(path: Any) -> dict[str, Place]:
    """Member -> its block and row there, by the ids that were saved with the block."""
    folders = block_folders(path)
    manifests = files.spread(path, BlockFolder.manifest, folders)
    return {
        member: Place(folder, row)
        for folder, manifest in zip(folders, manifests)
        for row, member in enumerate((manifest or {"members": []})["members"])
    }


def begin(target: BlockFolder, beginning: Beginning, members: Sequence[str], size: int) -> None:
    """Write what the members of a block begin with: untrained, at snapshots that are there, and where others ended.

    A run that is killed meanwhile leaves no checkpoint of that last step, and the next one begins again.

    Args:
      target: the block's folder.
      beginning: where they begin.
      members: their ids.
      size: rows of the block.

    Raises:
      CheckpointCorrupt, ValueError: as `save_gathered`.
    """
    there = set.intersection(*(set(folder.steps()) for folder in _by_folder(beginning.places)))
    if beginning.step not in there:
        raise ValueError(f"{beginning.places[0].folder.path} has no checkpoint at step {beginning.step}.")
    for step in sorted(there & {0, *target.snapshots, beginning.step}):
        if step <= beginning.step:
            save_gathered(target, step, beginning.places, members, size, running=step == beginning.step)


def save_gathered(
    target: BlockFolder, step: int, places: Sequence[Place], members: Sequence[str], size: int, running: bool = False
) -> None:
    """Write a checkpoint of a block from the same step of other blocks, read whole and verified.

    Args:
      target: the new block's folder.
      step: of the checkpoint, there and here.
      places: of the members, in order.
      members: their ids here.
      size: rows of the block; the rest is padding.
      running: whether the members are to be trained on, from where they had stopped.

    Raises:
      CheckpointCorrupt: a file is not as it was written.
      ValueError: the blocks have not been evaluated at the same steps.
    """
    state, curves = _state(places, step), _curves(places, step)
    padding = np.minimum(np.arange(size), len(places) - 1)  # whose results are never kept
    state = _each(state, lambda x: x[padding])
    if running:
        state["status"][: len(places)] = RUNNING
        curves["member_status"][:] = RUNNING
    state["status"][len(places) :] = STOPPED
    target.save(step, state, members, {**curves, "members": np.asarray(members)})


def _state(places: Sequence[Place], step: int) -> dict[str, Any]:
    """The states of some members, as nested dicts of arrays `(member, ...)`."""
    chosen = _by_folder(places)
    read = [folder.rows(step, [places[i].row for i in its]) for folder, its in chosen.items()]
    back = np.argsort(np.concatenate(list(chosen.values())))

    def joined(*trees: Any) -> Any:
        if isinstance(trees[0], dict):
            return {name: joined(*(tree[name] for tree in trees)) for name in trees[0]}
        return np.concatenate(trees)[back]

    return joined(*read)


def _curves(places: Sequence[Place], step: int) -> dict[str, np.ndarray]:
    """The curves of some members up to a step; see `Log.arrays` in zoo/running/loaded_block.py."""
    read: dict[BlockFolder, dict[str, np.ndarray]] = {}
    for folder in _by_folder(places):
        curves = folder.curves(step)
        if curves is None:
            raise CheckpointCorrupt(f"Step {step} is damaged: {folder.path / str(step) / CURVES} is missing.")
        read[folder] = curves
    steps = next(iter(read.values()))["step"]
    if any(not np.array_equal(curves["step"], steps) for curves in read.values()):
        raise ValueError(f"{places[0].folder.path.parent} has blocks that were evaluated at other steps.")
    columns = {
        name: np.stack([read[place.folder][name][..., place.row] for place in places], axis=-1)
        for name in read[places[0].folder]
        if name not in ("step", "members")
    }
    return {"step": steps, **columns}


def _by_folder(places: Sequence[Place]) -> dict[BlockFolder, list[int]]:
    """Block -> which of the places are in it."""
    chosen: dict[BlockFolder, list[int]] = {}
    for i, place in enumerate(places):
        chosen.setdefault(place.folder, []).append(i)
    return chosen


def _each(tree: Any, function: Any) -> Any:
    """A function of every array of nested dicts."""
    return (
        {name: _each(branch, function) for name, branch in tree.items()} if isinstance(tree, dict) else function(tree)
    )
