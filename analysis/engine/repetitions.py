"""A comparison that is done many times over, for a null or for limits: sums over the repetitions, kept as they grow."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from analysis.engine.journal import NO_JOURNAL, Journal, result_key
from analysis.engine.progress import SILENT, Progress

__all__ = ["Repetitions", "seconds_of", "summed"]

Sums = tuple[np.ndarray, ...]


class Repetitions(NamedTuple):
    """What is done many times over.

    Attributes:
      what: in words, for whoever waits.
      count: how many there are.
      once: from the number of a repetition to its values, `(a, b)`.
      begin: the sums before the first.
      add: from the sums and a repetition's values to the sums with it.
      words, arrays: all that decides the sums.
    """

    what: str
    count: int
    once: Callable[[int], np.ndarray]
    begin: Sums
    add: Callable[[Sums, np.ndarray], Sums]
    words: Sequence[object]
    arrays: Sequence[np.ndarray]


def seconds_of(repetitions: Repetitions, journal: Journal = NO_JOURNAL) -> float:
    """About how long those that are left will take: by the second of two, since the first one is compiled."""
    before = journal.read(_key(repetitions, journal))
    repetitions.once(0)
    begin = time.perf_counter()
    repetitions.once(min(1, repetitions.count - 1))
    return (time.perf_counter() - begin) * (repetitions.count - int(before.get("done", 0)))


def _key(repetitions: Repetitions, journal: Journal) -> str:
    """What a journal calls them; "" where none is kept."""
    if journal.folder is None:
        return ""
    return result_key([repetitions.what, repetitions.count, *repetitions.words], repetitions.arrays)


def summed(repetitions: Repetitions, journal: Journal = NO_JOURNAL, progress: Progress = SILENT) -> Sums:
    """The sums over all repetitions.

    Args:
      repetitions: what is done.
      journal: where sums are kept for a run that is killed.
      progress: told how many are done.
    """
    count, key = repetitions.count, _key(repetitions, journal)
    before = journal.read(key)
    done = int(before.pop("done", 0))
    sums = tuple(before[f"sum{i}"] for i in range(len(before))) if before else repetitions.begin

    def keep(done: int) -> None:
        journal.write(key, done=done, **{f"sum{i}": part for i, part in enumerate(sums)})

    for k in progress.over(range(done, count), repetitions.what, count, done):
        sums = repetitions.add(sums, repetitions.once(k))
        if journal.due:
            keep(k + 1)
    if done < count:
        keep(count)
    return sums
