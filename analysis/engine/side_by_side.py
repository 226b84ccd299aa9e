"""Steps of work a few at a time, each in a thread of its own, and their results in order."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order"]

Step = TypeVar("Step")
Result = TypeVar("Result")


def in_order(function: Callable[[Step], Result], steps: Sequence[Step], at_once: int) -> Iterator[Result]:
    """What a function gives of every step, in order: while one step is computed, another is traced and compiled.

    An error is raised at its step's place, and ends the steps after it that have not begun. Whoever is interrupted does
    not wait for those under way.

    Args:
      function: of one step; of several at the same time.
      steps: all of them.
      at_once: how many threads.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        for waiting in [pool.submit(function, step) for step in steps]:
            yield waiting.result()
    finally:
        pool.shutdown(wait=not isinstance(sys.exception(), KeyboardInterrupt), cancel_futures=True)
