"""Which part of a zoo a process trains, and what it knows of the others."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Share(NamedTuple):
    """Which part of a zoo a process trains. Every block is in one share, whatever the number of shares: the next run
    may have another.

    Attributes:
      index, count: this one, and how many there are.
      run: what all shares of a run call it; "" of a run of one process.
    """

    index: int = 0
    count: int = 1
    run: str = ""

    def owns(self, cohort: int, first: int, asked: int) -> bool:
        """Whether a block is in this share.

        Args:
          cohort: the cohort's number in the zoo: small cohorts go to shares in turn.
          first: the block's first row.
          asked: rows of the blocks that the cohort was to begin with: what these are halved into stays together.
        """
        return (cohort + first // asked) % self.count == self.index


class Cluster(NamedTuple):
    """What a process knows of the others.

    Attributes:
      share: its part.
      notice: whether a preemption is announced, through JAX's service; asked a few times a second by every process.
      leave: called when this process has nothing more to do.
      announced: whether that service runs. SIGTERM is then its to hear: a notice to one process reaches the slice.
    """

    share: Share = Share()
    notice: Callable[[], bool] = lambda: False
    leave: Callable[[], Any] = lambda: None
    announced: bool = False


ALONE = Cluster()
