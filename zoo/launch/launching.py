"""A zoo in shares on many machines, which see the same directory: `--on slurm`, `--on ray`.

Every share is the same call of `train` with another number. What is finished is never trained again, so a share can be
started as often as it dies; it loses what its blocks had done since their last checkpoints.
"""

import ast
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from zoo import files
from zoo.launch.backends import BACKENDS, Backend
from zoo.launch.share_progress import PROGRESS_FOLDER, Listener, Teller
from zoo.running.additions import grow
from zoo.running.progress import Display, view
from zoo.running.run import check_zoo, train_with
from zoo.running.run_settings import Settings
from zoo.running.shares import Cluster, Share
from zoo.running.signals import Stopped
from zoo.spec.zoo import Zoo
from zoo.store import manifest
from zoo.store.directory import Store, check_place
from zoo.store.lock import DirectoryInUse, locked
from zoo.store.reader import Trained

MOST_SHARES = 10_000
"""More is taken for a mistake."""

ATTEMPTS = 3
"""How often in a row a share may end without a single block saved."""

LOCK_PATIENCE = 120.0
"""Seconds that a share waits for the lock of the one before it: of a machine that is gone it stays for a while."""

SHARES_TICK = 0.5
"""Seconds between two looks at the shares."""

SHARED_TABLE_SECONDS = 30.0
"""The member table is written again at most this often."""


def launch(
    zoo: Zoo, out: str | os.PathLike[str], engine: str, shares: int, options: Sequence[str] = (), **settings: Any
) -> Trained:
    """Train a zoo in shares.

    Args:
      zoo: what to train.
      out: the zoo directory, which all machines see under the same name.
      engine: "slurm" or "ray".
      shares: how many.
      options: "key=value" for the engine.
      **settings: of `zoo.running.run_settings.Settings`.

    Returns:
      The directory, opened for reading.

    Raises:
      ValueError: the spec, the directory or an option is bad, here or on a machine.
      OSError: shares failed again and again; what they saved stands.
      Stopped: SIGTERM or Ctrl-C; the shares were asked to save.
    """
    if not 1 <= shares <= MOST_SHARES:
        raise ValueError(f"--shares is {shares}; it must be from 1 to {MOST_SHARES}.")
    chosen, path = Settings(**settings), files.directory(out)
    check_place(path)
    if not (path / "zoo.json").exists():
        check_zoo(zoo, path, chosen.keep)
    store, run = Store(path, zoo, chosen.keep), os.urandom(8).hex()
    grown = ""
    if store.absent:
        with locked(path):
            store.read()
            grown = grow(store, Share())
    shares = min(shares, sum(len(cohort.members) for cohort in store.cohorts))  # one without a member has nothing to do
    stop, parsed = threading.Event(), _parsed(options)
    with locked(path, run), view(store.cohorts) as display, _signals_set(stop):
        if grown:
            display.say(grown)
        backend: Backend = BACKENDS[engine](parsed, display.say)
        launched = _Launch(backend, store, [Share(i, shares, run) for i in range(shares)], chosen, display)
        launched.run(stop)
        store.write_table()
    if stop.is_set():
        raise Stopped("Stopped; the shares were asked to save, and the same command goes on from there.")
    if launched.failed:
        raise OSError(f"{len(launched.failed)} of {shares} shares failed: {'; '.join(launched.failed)[:600]}.")
    if launched.refused:
        raise ValueError(launched.refused[0])
    return Trained(out)


def train_share(out: str, share: Share, attempt: str, settings: Settings) -> str:
    """Train one share: what runs on the other machine.

    Args:
      out: the zoo directory.
      share: which part of it.
      attempt: a word that no other attempt at a share has.
      settings: how to train it.

    Returns:
      "" when it is done, or the sentence of what is bad and would be bad again.

    Raises:
      RuntimeError: it did not end well, and may the next time.
    """
    path = files.directory(out)
    try:
        content = manifest.read_manifest(path)
        zoo = manifest.zoo_of({name: content[name] for name in ("spec", "parts", "own") if name in content}, path)
        teller = Teller(path, share.index, f"{attempt} {os.getpid()}")
        train_with(zoo, out, settings, cluster=Cluster(share), shown=lambda cohorts: teller, patience=LOCK_PATIENCE)
    except (Stopped, DirectoryInUse, OSError) as error:
        raise RuntimeError(str(error)) from None  # which may not be so the next time
    except ValueError as error:
        return str(error)
    return ""


class _Launch:
    """The shares of one run.

    Args:
      backend: where they are sent.
      store: the directory that they train.
      shares: all of them.
      settings: how they train.
      display: what is told of the progress.

    Attributes:
      failed: a sentence for each share that died too often.
      refused: a sentence for each share that was asked for what cannot be.
    """

    def __init__(self, backend: Backend, store: Store, shares: Sequence[Share], settings: Settings, display: Display):
        self._backend, self._store, self._shares = backend, store, shares
        self._settings, self._display = settings, display
        self._listener = Listener(store.path, display)
        self._jobs: dict[int, Any] = {}  # share -> what the backend calls it, while it runs
        self._fruitless = [0] * len(shares)  # attempts at each share since it has last saved a step, that one included
        self._saved = [0] * len(shares)  # steps of each share's blocks, added up, when its last attempt had ended
        self._started = 0
        self.failed: list[str] = []
        self.refused: list[str] = []

    def run(self, stop: threading.Event) -> None:
        """Start all shares, and again those that die, until all have ended or `stop` is set."""
        written_at = time.monotonic()
        files.remove(self._store.path / PROGRESS_FOLDER)
        try:
            waiting = list(self._shares)
            while (waiting or self._jobs) and not stop.is_set():
                while waiting and len(self._jobs) < (self._backend.at_once or len(self._shares)):
                    self._start(waiting.pop(0))
                self._display.tick()
                time.sleep(SHARES_TICK)
                for index, job in list(self._jobs.items()):
                    self._listener.listen(index)
                    if self._backend.ended(job):
                        self._end(index)
                if time.monotonic() - written_at > SHARED_TABLE_SECONDS:
                    self._store.write_table()
                    written_at = time.monotonic()
        finally:
            self._cancel()

    def _start(self, share: Share) -> None:
        self._started += 1
        files.unlink(self._store.path / PROGRESS_FOLDER / f"{share.index}.json")  # of the attempt before
        arguments = (str(self._store.path), share, str(self._started), self._settings)
        self._jobs[share.index] = self._backend.submit(train_share, *arguments)

    def _end(self, index: int) -> None:
        """A share has ended: it is done, or is started again, or what is to be said of it is kept."""
        job = self._jobs.pop(index)
        try:
            refusal = self._backend.result(job)
        except RuntimeError as error:
            self._listener.listen(index)
            before, self._saved[index] = self._saved[index], self._steps(index)
            self._fruitless[index] = 1 if self._saved[index] > before else self._fruitless[index] + 1
            if self._fruitless[index] >= ATTEMPTS:
                self.failed.append(f"share {index}: {str(error).rstrip('.')}")
                return
            self._display.say(f"Share {index} ended ({error}); it is started again.")
            self._start(self._shares[index])
            return
        self._listener.listen(index)
        if refusal:
            self.refused.append(refusal)

    def _steps(self, index: int) -> int:
        """The newest steps of a share's blocks, added up: what it has saved is what counts as progress."""
        blocks = [key.rpartition("/") for key in self._listener.blocks.get(index, ())]
        return sum((self._store.block(cohort, int(number)).steps() or [0])[-1] for cohort, _, number in blocks)

    def _cancel(self) -> None:
        """Ask what still runs to save, and wait for it."""
        for job in self._jobs.values():
            self._backend.cancel(job)
        deadline = time.monotonic() + self._settings.grace + 5
        while time.monotonic() < deadline and not all(self._backend.ended(job) for job in self._jobs.values()):
            time.sleep(SHARES_TICK)


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C set an event; a second one ends at once."""

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    is_main = threading.current_thread() is threading.main_thread()
    heard = (signal.SIGTERM, signal.SIGINT) if is_main else ()
    previous = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    """ "key=value" each, as a dictionary: values that Python reads as such are numbers, lists ..., others words."""
    parsed = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--engine has {option!r}; it must be KEY=VALUE.")
        try:
            parsed[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed[name] = value
    return parsed
