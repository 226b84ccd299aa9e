"""What one call advances: a block, or what still runs of several blocks of a cohort.

Under `vmap` a frozen member costs as much as one that runs. So a block that is mostly frozen takes in the running
members of others, in places of its own frozen ones: the program and its size stay the same, and a member's bits depend
on neither its place nor its neighbours. Every member is still saved with its own block.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from zoo.devices.blocks import Block
from zoo.devices.executable import Executable
from zoo.running.loaded_block import LoadedBlock
from zoo.store.checkpoints import BlockFolder
from zoo.training.program import State
from zoo.training.status import STOPPED

CALL_SECONDS = 0.5
"""About how long one device call takes: short enough to stop and to show progress, long enough to cost nothing."""

_SMALL = ("step", "status", "losses", "train_loss", "loss", "score")
"""Arrays of a state with a few numbers per member: they come to the host after every call."""


class Pack:
    """Blocks that one call advances.

    Args:
      executable: of their cohort.
      loaded: one block, or several whose running members fit into one; several must all stand at an evaluation.
      device: where.

    Attributes:
      executable: of their cohort.
      loaded: the blocks. Of their states on the host the small arrays are current after every call, and the large ones
        (parameters, optimizer) after a save.
    """

    def __init__(self, executable: Executable, loaded: Sequence[LoadedBlock], device: Any):
        self.executable, self._device = executable, device
        training = executable.cohort.members[0].training
        self._total, self._every, self._most = training.steps, executable.evaluate_every, 4
        # The last step is none of them: a block is finished, and saved, once it has been evaluated there.
        self._snapshots = [step for step in training.snapshots if step < training.steps]
        self._seat(list(loaded))

    def _seat(self, loaded: list[LoadedBlock]) -> None:
        """Put blocks on the device: one whole, or of several the rows that run, one after the other.

        Afterwards `_rows[i]` are the rows of block i that are there, and `_places[i]` those that they have in the pack.
        """
        size = self.executable.recipe.block
        self.loaded = loaded
        if len(loaded) == 1:
            self._rows = [np.arange(size)]
            state, floats = loaded[0].state, loaded[0].block.floats
        else:
            self._rows = [each.running for each in loaded]
            idle = size - sum(map(len, self._rows))

            def gathered(*leaves: Any) -> np.ndarray:
                parts = [np.asarray(leaf)[rows] for leaf, rows in zip(leaves, self._rows)]
                return np.concatenate([*parts, np.repeat(parts[0][:1], idle, axis=0)])

            state = jax.tree.map(gathered, *(each.state for each in loaded))
            state.status[size - idle :] = STOPPED
            floats = jax.tree.map(gathered, *(each.block.floats for each in loaded))
        ends = np.cumsum([len(rows) for rows in self._rows])
        self._places = [np.arange(end - len(rows), end) for end, rows in zip(ends, self._rows)]
        self._state, self._floats = jax.device_put((state, floats), self._device)

    @property
    def running(self) -> int:
        """How many members still train."""
        return sum(len(each.running) for each in self.loaded)

    def distance(self) -> int:
        """Steps to the next evaluation: at multiples of the interval, and at the last step."""
        steps = [loaded.step for loaded in self.loaded if len(loaded.running)]
        return max(min(self._total, (step // self._every + 1) * self._every) - step for step in steps)

    def reach(self) -> int:
        """Steps to the next evaluation or snapshot."""
        steps = [loaded.step for loaded in self.loaded if len(loaded.running)]
        coming = [snapshot - step for step in steps for snapshot in self._snapshots if snapshot > step]
        return min(self.distance(), *coming) if coming else self.distance()

    def call(self) -> tuple[int, bool]:
        """Train for about `CALL_SECONDS`, to the next evaluation or snapshot at most. How many steps that is follows
        the clock; the bits do not depend on it.

        Returns:
          The steps, and whether everyone stands at an evaluation now.
        """
        distance = self.distance()
        steps = min(self._most, self.reach())
        begin = time.monotonic()
        self.advance(steps, evaluate=steps == distance)
        self._most = max(1, min(4 * self._most, round(steps * CALL_SECONDS / (time.monotonic() - begin))))
        return steps, steps == distance

    def advance(self, steps: int, evaluate: bool) -> None:
        """Train for some steps, then evaluate if asked."""
        state = self.executable.advance(self._state, self._floats, self._device, steps, evaluate)
        self._state = jax.block_until_ready(state)
        small = jax.device_get({name: getattr(self._state, name) for name in _SMALL})
        for loaded, rows, places in zip(self.loaded, self._rows, self._places):
            if not len(loaded.running):
                continue
            loaded.step, loaded.saved = min(loaded.step + steps, self._total), False
            new = {name: _put(getattr(loaded.state, name), rows, small[name][places]) for name in _SMALL}
            loaded.state = loaded.state._replace(**new)
            if evaluate:
                loaded.log.add(loaded.step, loaded.state)

    def save(self) -> None:
        """Write what is not in a checkpoint."""
        self._write(range(len(self.loaded)))

    def save_snapshots(self) -> None:
        """Write the blocks that stand where their checkpoint is to be kept; the others wait for their time."""
        self._write([i for i, loaded in enumerate(self.loaded) if loaded.step in self._snapshots])

    def _write(self, blocks: Sequence[int]) -> None:
        unsaved = [i for i in blocks if not self.loaded[i].saved]
        whole: State | None = jax.device_get(self._state) if unsaved else None
        for i in unsaved:
            loaded, rows, places = self.loaded[i], self._rows[i], self._places[i]
            loaded.state = jax.tree.map(
                lambda old, new, rows=rows, places=places: _put(old, rows, new[places]), loaded.state, whole
            )
            loaded.save()

    def take_in(self, more: Sequence[LoadedBlock]) -> None:
        """Save, let go of blocks that are finished, and train what runs of others too."""
        self.save()
        self._seat([loaded for loaded in self.loaded if len(loaded.running)] + list(more))


def _put(old: Any, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The old rows with some replaced; a device may still use the old array."""
    if len(rows) == len(old):
        return new
    result = np.array(old)
    result[rows] = new
    return result


def train_pack(
    pack: Pack,
    *,
    save_every: float,
    stop: threading.Event,
    tell: Callable[[LoadedBlock, int], Any],
    swap: Callable[[int], list[LoadedBlock] | None] = lambda running: [],
) -> None:
    """Train a pack to its end or until `stop` is set, saving every `save_every` seconds and at the end.

    Args:
      pack: what to train.
      save_every: seconds between two checkpoints.
      stop: asks for a save and an end.
      tell: takes every block after every call, with the member-steps that the call took: all with the first block.
      swap: asked at every evaluation, with the number of members that still run: gives further blocks to take in, or
        None, to save and give the pack up.
    """
    saved_at = time.monotonic()
    while (running := pack.running) and not stop.is_set():
        steps, evaluated = pack.call()
        for i, loaded in enumerate(pack.loaded):
            tell(loaded, 0 if i else steps * running)
        if pack.running:
            pack.save_snapshots()
        if pack.running and time.monotonic() - saved_at >= save_every:
            pack.save()
            saved_at = time.monotonic()
        if evaluated and pack.running:
            more = swap(pack.running)
            if more is None:
                break
            if more:
                pack.take_in(more)
    pack.save()


def remake(executable: Executable, block: Block, folder: BlockFolder, device: Any, stop: threading.Event) -> None:
    """Train the lost snapshots of a block again, with the bits that they had.

    Each is trained from step 0 or the snapshot before it, which are whole: `folder.newest` has read them. What `stop`
    ends is made by the next run.

    Args:
      executable: of the block's cohort.
      block, folder: which.
      device: where.
      stop: asks for an end.
    """
    for step in folder.lost():
        before = max(kept for kept in (0, *folder.snapshots) if kept < step)
        loaded = LoadedBlock(executable, block, folder, folder.restore(executable.shape(), before), before, saved=True)
        pack = Pack(executable, [loaded], device)
        while loaded.step < step and pack.running:
            if stop.is_set():
                return
            pack.call()
        loaded.step = step  # as every snapshot after which nobody runs
        pack.save()
