"""The live view of a training run: a table on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from zoo.running.loaded_block import Progress
from zoo.spec.cohorts import Cohort
from zoo.training.status import DIVERGED, RUNNING
from zoo.wording import plain

LINE_SECONDS = 10.0
"""Seconds between two plain lines."""

MOST_ROWS = 20
"""Cohorts of the live table; of more, those at work and a line for all."""


class View:
    """Counts what workers report, and shows it.

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
        self._counted: dict[str, dict[str, Any]] = {}
        self._taken: list[tuple[float, int]] = []
        self._begun = self._spoke = time.monotonic()
        self._lock = threading.Lock()

    def expect(self, members: dict[str, int]) -> None:
        """How many members of each cohort are trained here, where others train the rest."""
        with self._lock:
            self._here.update(members)

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

    def counts(self, cohort: str) -> dict[str, Any]:
        """Members trained, solved and diverged, loss quantiles and steps left of a cohort, as last reported."""
        if cohort not in self._counted:
            self._counted[cohort] = self._count(cohort)
        return self._counted[cohort]

    def _count(self, cohort: str) -> dict[str, Any]:
        reports = list(self._last.get(cohort, {}).values())
        members, here = self.cohorts[cohort].members, self._here[cohort]
        total = members[0].training.steps
        status = np.concatenate([p.status for p in reports]) if reports else np.zeros(0)
        loss = np.concatenate([p.loss for p in reports]) if reports else np.zeros(0)
        score = np.concatenate([p.score for p in reports]) if reports else np.zeros(0)
        step = np.concatenate([p.step for p in reports]) if reports else np.zeros(0)
        done = status != RUNNING
        left = int((total - step[~done]).sum()) + max(0, here - len(status)) * total
        finite = loss[np.isfinite(loss)]
        return {
            "members": here,
            "trained": int(done.sum()),
            "solved": int((score >= members[0].task.solved).sum()),
            "diverged": int((status == DIVERGED).sum()),
            "loss": np.quantile(finite, [0.1, 0.5, 0.9]) if finite.size else None,
            "left": left,
        }

    def rate(self) -> float:
        """Member-steps per second over the last half minute."""
        if len(self._taken) < 2:
            return 0.0
        span = time.monotonic() - self._taken[0][0]
        return sum(n for _, n in self._taken[1:]) / max(span, 1e-3)

    def remaining(self) -> str:
        """Time left, at the present rate."""
        left, rate = sum(self.counts(c)["left"] for c in self.cohorts), self.rate()
        return _clock(left / rate) if rate and left else "-" if left else "0 s"

    def _line(self) -> str:
        all_counts = [self.counts(c) for c in self.cohorts]
        total = {k: sum(c[k] for c in all_counts) for k in ("members", "trained", "solved", "diverged")}
        losses = [c["loss"][1] for c in all_counts if c["loss"] is not None]
        loss = f", median loss {np.median(losses):.3g}" if losses else ""
        return (
            f"{total['trained']}/{total['members']} done, {total['solved']} solved, {total['diverged']} diverged"
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
            if len(rows) > MOST_ROWS:
                total = {k: sum(c[k] for c in rows.values()) for k in ("members", "trained", "solved", "diverged")}
                table.add_row(f"all {len(rows)} cohorts", *map(str, total.values()), "", "")
                working = [c for c in rows if c in self._phase and rows[c]["trained"] < rows[c]["members"]]
                rows = {cohort: rows[cohort] for cohort in working[:MOST_ROWS]}
            for cohort, c in rows.items():
                loss = ", ".join(f"{x:.2g}" for x in c["loss"]) if c["loss"] is not None else ""
                phase = "done" if c["trained"] == c["members"] else self._phase.get(cohort, "waiting")
                row = (cohort[:-6], c["members"], c["trained"], c["solved"], c["diverged"], loss, phase)
                table.add_row(*map(str, row))
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


def _clock(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
