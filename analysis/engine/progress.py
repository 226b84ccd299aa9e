"""What a long computation tells while it runs: what it does, how far it is, how long it will take."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from zoo.wording import clock

__all__ = ["SECONDS_UNTOLD", "SILENT", "Progress", "telling"]

SECONDS_BETWEEN_LINES = 10.0
"""Seconds without a line, after which one says how things stand."""

SECONDS_UNTOLD = 5.0
"""Seconds from which on it is said what is done."""

Step = TypeVar("Step")


class Progress:
    """How far a computation is. It speaks by itself only inside `telling`.

    Args:
      say: takes a sentence that must be read, such as what the work will cost.
    """

    def __init__(self, say: Callable[[str], Any] = lambda line: None):
        self._say, self._begun = say, time.monotonic()
        self._spoke = self._begun
        self._places: tuple[str, ...] = ()
        self._what = ""
        self._since, self._done, self._count, self._before = self._begun, 0, 0, 0
        self._planned: dict[str, float] = {}

    def say(self, text: str) -> None:
        """A sentence that must be read."""
        self._spoke = time.monotonic()
        self._say(text)

    def at(self, place: str) -> None:
        """Of what the next work is, such as a task."""
        self._places = (place,)

    def within(self, part: str) -> None:
        """Of which part of it, such as a layer."""
        self._places = (*self._places[:1], part)

    def doing(self, what: str, count: int = 0, done: int = 0) -> None:
        """What is done now, in how many steps, and how many of these an earlier run has done; 0 where none are told."""
        self._what, self._count, self._done, self._before = what, count, done, done
        self._since = time.monotonic()
        self._planned.pop(self.name(what), None)

    def over(self, items: Iterable[Step], what: str, count: int, done: int = 0) -> Iterator[Step]:
        """The items, each of which is a step of what is done.

        Args:
          items: those that are left.
          what: is done.
          count: of all steps.
          done: how many of them an earlier run has done.
        """
        self.doing(what, count, done)
        for item in items:
            yield item
            self._done += 1

    def name(self, what: str) -> str:
        """What is done where, for `plan`."""
        return ": ".join(filter(None, (", ".join(filter(None, self._places)), what)))

    def plan(self, seconds: Mapping[str, float]) -> None:
        """How long each work that is still to come will take, by its `name`."""
        self._planned = dict(seconds)

    @property
    def line(self) -> str:
        """How things stand; "" before anything is done."""
        if not self._what:
            return ""
        took, steps = time.monotonic() - self._since, self._done - self._before
        parts = [self.name(self._what)]
        if self._count > 1:
            parts.append(f"{self._done} of {self._count}")
        # Of work that tells no steps, nothing is known but what was planned after it.
        known = steps > 0 or (self._planned and not self._count)
        left = took / steps * (self._count - self._done) if steps else 0.0
        if known and (left := left + sum(self._planned.values())) >= 1:
            parts.append(f"about {clock(left)} left")
        return ", ".join(parts)

    def tick(self) -> None:
        """Say how things stand, where nothing was said for a while."""
        now = time.monotonic()
        if now - self._spoke >= SECONDS_BETWEEN_LINES and (line := self.line):
            self._spoke = now
            self._say(f"[{now - self._begun:6.1f} s] {line}")


SILENT = Progress()
"""Says nothing."""


@contextmanager
def telling(say: Callable[[str], Any]) -> Iterator[Progress]:
    """A `Progress` that a thread watches: a line tells how things stand, where nothing was said for a while.

    A thread, since one step may take minutes: a program that is compiled, a large product.
    """
    progress, ended = Progress(say), threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            progress.tick()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()
