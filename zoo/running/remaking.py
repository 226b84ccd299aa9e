"""Snapshots that a directory has lost, trained again from what is kept before each."""

import threading
from typing import Any

from zoo.devices.blocks import Block
from zoo.devices.executable import Executable
from zoo.running.loaded_block import LoadedBlock
from zoo.running.packing import Pack
from zoo.store.checkpoints import BlockFolder


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
