"""The live view of a training run: a table on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from zoo.running.loaded_block import REPORTED, Progress
from zoo.spec.cohorts import Cohort
from zoo.training.status import DIVERGED, RUNNING
from zoo.wording import clock, plain

LINE_SECONDS = 10.0
"""Seconds between two plain lines."""

MOST_COHORTS = 20
"""Cohorts of the live table; of more, those at work and a line for all."""


class Display(Protocol):
    """What a run tells of its progress: to the terminal (`View`), or to the process that has handed out a share."""

    def expect(self, members: dict[str, int], /) -> object:
        """How many members of each cohort, by its id, are trained here."""

    def compiling(self, cohort: str, /) -> object:
        """A worker turns to a cohort."""

    def report(self, progress: Progress, /) -> object:
        """What a block has to tell after a call; workers call it, several at the same time."""

    def say(self, text: str, /) -> object:
        """A sentence that must be read."""

    def tick(self) -> object:
        """Called by the main thread a few times a second."""


class Counts(NamedTuple):
    """How the members of a cohort stand, as their blocks last said.

    Attributes:
      members: how many are trained here.
      trained, solved, diverged: how many have stopped, and of these have met the task's criterion, or have diverged.
      loss: the 10, 50 and 90 % quantiles over members with a finite loss; None where there is none.
      left: member-steps.
    """

    members: int
    trained: int
    solved: int
    diverged: int
    loss: np.ndarray | None
    left: int

    @property
    def shown(self) -> tuple[int, int, int, int]:
        """members, trained, solved, diverged: what may be added up over cohorts."""
        return self[:4]


class View:
    """Counts what workers report, and shows it; a `Display`.

    Args:
      cohorts: of the run.
      console: where to.
      quiet: count, but show nothing.
    """

    def __init__(self, cohorts: Sequence[Cohort], console: Console, quiet: bool):
        self.cohorts = {cohort.id: cohort for cohort in cohorts}
        self.console, self.quiet = console, quiet
        self.live: Live | None = None
        self._here = {cohort.id: len(cohort.members) for cohort in cohorts}
        self._last: dict[str, dict[int, Progress]] = {}
        self._phase: dict[str, str] = {}
        self._counted: dict[str, Counts] = {}  # of cohorts from which nothing was heard since
        self._taken: list[tuple[float, int]] = []  # when, and member-steps, of the last half minute
        self._begun = self._spoke = time.monotonic()
        self._lock = threading.Lock()

    def expect(self, members: dict[str, int]) -> None:
        """How many members of each cohort are trained here, where others train the rest."""
        with self._lock:
            self._here.update(members)
            self._counted.clear()  # a table may have been drawn before

    def compiling(self, cohort: str) -> None:
        """A worker turns to a cohort."""
        with self._lock:
            self._phase.setdefault(cohort, "compiling")

    def report(self, progress: Progress) -> None:
        """Take a block's report; called by the workers."""
        now = time.monotonic()
        with self._lock:
            running = (progress.status == RUNNING).any()
            if running and self._phase.get(progress.cohort) != "training":
                self._phase[progress.cohort] = "training"
                before = progress.step.max() > 0 and not progress.taken  # by another run than this one
                self._say(f"{progress.cohort}: compiled, {'going on' if before else 'training'}")
            self._last.setdefault(progress.cohort, {})[progress.block] = progress
            self._counted.pop(progress.cohort, None)
            self._taken.append((now, progress.taken))
            self._taken = [(t, n) for t, n in self._taken if now - t < 30]

    def tick(self) -> None:
        """Called by the main thread a few times a second."""
        if self.quiet:
            return
        if self.live is not None:
            self.live.update(self.table())
        elif time.monotonic() - self._spoke >= LINE_SECONDS:
            with self._lock:
                self._say(self._line())

    def say(self, text: str) -> None:
        """A sentence that must be read: a damaged checkpoint."""
        with self._lock:
            self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def _say(self, text: str) -> None:
        if not self.quiet and self.live is None:
            self._spoke = time.monotonic()
            self.console.print(
                f"[{self._spoke - self._begun:6.1f} s] {text}", markup=False, highlight=False, soft_wrap=True
            )

    def counts(self, cohort: str) -> Counts:
        """How the members of a cohort stand."""
        if cohort not in self._counted:
            self._counted[cohort] = self._count(cohort)
        return self._counted[cohort]

    def _count(self, cohort: str) -> Counts:
        reports = list(self._last.get(cohort, {}).values())
        members, here = self.cohorts[cohort].members, self._here[cohort]

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(report, name) for report in reports]) if reports else np.zeros(0)

        status, step, loss, score = (joined(name) for name in REPORTED)
        done, total = status != RUNNING, members[0].training.steps
        finite = loss[np.isfinite(loss)]
        return Counts(
            members=here,
            trained=int(done.sum()),
            solved=int((score >= members[0].task.solved).sum()),
            diverged=int((status == DIVERGED).sum()),
            loss=np.quantile(finite, [0.1, 0.5, 0.9]) if finite.size else None,
            left=int((total - step[~done]).sum()) + max(0, here - len(status)) * total,
        )

    def rate(self) -> float:
        """Member-steps per second over the last half minute."""
        if len(self._taken) < 2:
            return 0.0
        span = time.monotonic() - self._taken[0][0]
        return sum(n for _, n in self._taken[1:]) / max(span, 1e-3)

    def remaining(self) -> str:
        """Time left, at the present rate; at most, where members stop at a score."""
        left, rate = sum(self.counts(c).left for c in self.cohorts), self.rate()
        stops = any(cohort.members[0].training.target for cohort in self.cohorts.values())
        return "at most " * stops + clock(left / rate) if rate and left else "-" if left else "0 s"

    def _line(self) -> str:
        all_counts = [self.counts(c) for c in self.cohorts]
        members, trained, solved, diverged = np.sum([counts.shown for counts in all_counts], axis=0)
        losses = [counts.loss[1] for counts in all_counts if counts.loss is not None]
        loss = f", median loss {np.median(losses):.3g}" if losses else ""
        return (
            f"{trained}/{members} done, {solved} solved, {diverged} diverged"
            f"{loss}, {self.rate():.0f} member-steps/s, {self.remaining()} left"
        )

    def table(self) -> Table:
        """The live table."""
        columns = ("cohort", "members", "done", "solved", "diverged", "loss 10, 50, 90 %", "now")
        with self._lock:
            title = f"{self.rate():.0f} member-steps/s, {self.remaining()} left"
            table = Table(title=title, title_justify="left", box=None, pad_edge=False)
            for column in columns:
                table.add_column(column, no_wrap=True)
            rows = {cohort: self.counts(cohort) for cohort in self.cohorts}
            if len(rows) > MOST_COHORTS:
                total = np.sum([counts.shown for counts in rows.values()], axis=0)
                table.add_row(f"all {len(rows)} cohorts", *map(str, total), "", "")
                working = [c for c in rows if c in self._phase and rows[c].trained < rows[c].members]
                rows = {cohort: rows[cohort] for cohort in working[:MOST_COHORTS]}
            for cohort, counts in rows.items():
                loss = ", ".join(f"{x:.2g}" for x in counts.loss) if counts.loss is not None else ""
                phase = "done" if counts.trained == counts.members else self._phase.get(cohort, "waiting")
                table.add_row(cohort[:-6], *map(str, counts.shown), loss, phase)
        return table

    def finish(self) -> None:
        """The last word."""
        if not self.quiet:
            with self._lock:
                self._say(self._line())


@contextmanager
def view(cohorts: Sequence[Cohort], *, quiet: bool = False) -> Iterator[View]:
    """A view for the time of a run."""
    console = Console(stderr=False)
    shown = View(cohorts, console, quiet)
    if quiet or not console.is_terminal:
        yield shown
        shown.finish()
        return
    with Live(shown.table(), console=console, refresh_per_second=4, transient=False) as live:
        shown.live = live
        yield shown
        live.update(shown.table())
