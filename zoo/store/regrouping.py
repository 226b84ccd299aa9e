"""Checkpoints of a block that is made of rows of other blocks: of members that come from elsewhere."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo.store.checkpoints import CURVES, BlockFolder
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
