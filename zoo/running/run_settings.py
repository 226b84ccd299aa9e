"""How a zoo is trained, beside its spec."""

import dataclasses

from zoo.store.checkpoints import KEPT

SAVE_EVERY = 60.0
"""Seconds between two checkpoints of a block: what a kill costs at most."""

GRACE = 25.0
"""Seconds that a run has to save after a signal: most machines that are taken away say so half a minute before."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a zoo is trained, beside its spec. What of it decides bits, the recipe, is written into the directory.

    Attributes:
      save_every: seconds between two checkpoints of a block.
      keep: checkpoints of a block that stay, beside the untrained networks.
      grace: seconds in which everything is saved after a signal.
      block: members per block instead of the recipe's.
      tune: whether to time alternative recipes first.
      quiet: whether to print nothing.

    Raises:
      ValueError: a time that is not above 0, or a count below 1.
    """

    save_every: float = SAVE_EVERY
    keep: int = KEPT
    grace: float = GRACE
    block: int | None = None
    tune: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        for name, seconds in (("save_every", self.save_every), ("grace", self.grace)):
            if not 0 < seconds < float("inf"):
                raise ValueError(f"{name} is {seconds:g} seconds; it must be above 0.")
        for name, count in (("block", self.block), ("keep", self.keep)):
            if count is not None and count < 1:
                raise ValueError(f"{name} is {count}; it must be at least 1.")
