"""Members that still run in blocks that are mostly frozen: which packs have places for them, and which wait for one."""

from collections.abc import Sequence
from typing import NamedTuple

from zoo.devices.blocks import Block
from zoo.running.loaded_block import LoadedBlock


class ParkedBlock(NamedTuple):
    """A block that was saved and given up because most of it is frozen.

    Attributes:
      block: which.
      running: how many of its members still train.
    """

    block: Block
    running: int


class Repacking:
    """What waits to be packed together of one cohort. It has no lock of its own: its queue's is held.

    A pack is thin from the evaluation at which at most half of its places run until it has taken in others, is given
    up, or has more that run again. At its next evaluation a thin pack takes in what has been parked meanwhile.

    Attributes:
      parked: blocks that wait to be taken in.
    """

    def __init__(self) -> None:
        self.parked: list[ParkedBlock] = []
        self._thin: dict[int, int] = {}

    @property
    def takeable(self) -> bool:
        """Whether a worker may make a pack of parked blocks; where a pack is thin, that one takes them in."""
        return bool(self.parked) and not self._thin

    def park(self, loaded: Sequence[LoadedBlock]) -> None:
        """Blocks that were saved and given up: those with members that run wait for a pack."""
        self.parked += [ParkedBlock(each.block, len(each.running)) for each in loaded if len(each.running)]

    def take(self, places: int) -> list[Block]:
        """Parked blocks whose running members fit into so many places, in the order in which they were parked."""
        chosen = []
        for each in list(self.parked):
            if each.running <= places:
                places -= each.running
                chosen.append(each.block)
                self.parked.remove(each)
        return chosen

    def leave(self, worker: int) -> None:
        """A worker's pack is not thin any more, or is gone."""
        self._thin.pop(worker, None)

    def offer(self, worker: int, running: int, size: int, others_wait: bool) -> list[Block] | None:
        """What becomes of a thin pack.

        Args:
          worker: whose pack it is.
          running: its members that still train, at most half of its places.
          size: its places.
          others_wait: whether a whole block waits for a worker.

        Returns:
          Blocks to take in; none to train on as it is; or None to save it and give it up, for a whole block or for
          another thin pack that it fits into.
        """
        fits_elsewhere = any(n + running <= size for other, n in self._thin.items() if other != worker)
        if chosen := self.take(size - running):
            self.leave(worker)
            return chosen
        self._thin[worker] = running
        return None if others_wait or fits_elsewhere else []
