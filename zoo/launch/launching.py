"""A zoo in shares on many machines, which see the same directory: `--on slurm`, `--on ray`.

Every share is the same call of `train` with another number. What is finished is never trained again, so a share can be
started as often as it dies; it loses what its blocks had done since their last checkpoints.
"""

import ast
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from zoo import files
from zoo.launch.backends import BACKENDS
from zoo.launch.share_progress import FOLDER, Listener, Teller
from zoo.running.progress import view
from zoo.running.run import check, check_settings, train
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

PATIENCE = 120.0
"""Seconds that a share waits for the lock of the one before it: of a machine that is gone it stays for a while."""

TICK = 0.5
"""Seconds between two looks at the shares."""


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
      **settings: of `train`.

    Returns:
      The directory, opened for reading.

    Raises:
      ValueError: the spec, the directory or an option is bad, here or on a machine.
      OSError: shares failed again and again; what they saved stands.
      Stopped: SIGTERM or Ctrl-C; the shares were asked to save.
    """
    if not 1 <= shares <= MOST_SHARES:
        raise ValueError(f"--shares is {shares}; it must be from 1 to {MOST_SHARES}.")
    check_settings(**settings)
    path = files.directory(out)
    check_place(path)
    if not (path / "zoo.json").exists():
        check(zoo, path, settings["keep"])
    store, run = Store(path, zoo, settings["keep"]), os.urandom(8).hex()
    shares = min(shares, sum(len(cohort.members) for cohort in store.cohorts))  # one without a member has nothing to do
    stop, parsed = threading.Event(), _parsed(options)
    with locked(path, run), view(store.cohorts) as shown, _stopping(stop):
        launched = _Launch(BACKENDS[engine](parsed, shown.say), store, shares, run, settings, shown)
        launched.run(stop)
        store.write_table()
    if stop.is_set():
        raise Stopped("Stopped; the shares were asked to save, and the same command goes on from there.")
    if launched.failed:
        raise OSError(f"{len(launched.failed)} of {shares} shares failed: {'; '.join(launched.failed)[:600]}.")
    if launched.bad:
        raise ValueError(launched.bad[0])
    return Trained(out)


def work(out: str, share: Share, attempt: str, settings: dict[str, Any]) -> str:
    """Train one share: what runs on the other machine.

    Returns:
      "" when it is done, or the sentence of what is bad and would be bad again.
    """
    path = files.directory(out)
    try:
        zoo = Zoo.from_json(manifest.read_manifest(path)["spec"])
        teller = Teller(path, share.index, f"{attempt} {os.getpid()}")
        train(zoo, out, cluster=Cluster(share), shown=lambda cohorts: teller, patience=PATIENCE, **settings)
    except (Stopped, DirectoryInUse, OSError) as error:
        raise RuntimeError(str(error)) from None  # which may not be so the next time
    except ValueError as error:
        return str(error)
    return ""


class _Launch:
    """The shares of one run."""

    def __init__(self, engine: Any, store: Store, shares: int, run: str, settings: dict[str, Any], shown: Any):
        self._engine, self._path, self._view, self._settings = engine, store.path, shown, settings
        self._shares = [Share(i, shares, run) for i in range(shares)]
        self._listener = Listener(store.path, shown)
        self._jobs: dict[int, Any] = {}
        self._attempts, self._saved = [0] * shares, [0] * shares
        self._store, self._number = store, 0
        self.failed: list[str] = []
        self.bad: list[str] = []

    def run(self, stop: threading.Event) -> None:
        """Start all shares, and again those that die; `failed` and `bad` have a sentence for each that does not end
        well: that died too often, or was asked for what cannot be."""
        written = time.monotonic()
        files.remove(self._path / FOLDER)
        try:
            waiting = list(self._shares)
            while (waiting or self._jobs) and not stop.is_set():
                while waiting and len(self._jobs) < (self._engine.at_once or len(self._shares)):
                    self._start(waiting.pop(0))
                self._view.tick()
                time.sleep(TICK)
                for index, job in list(self._jobs.items()):
                    self._listener.listen(index)
                    if self._engine.ended(job):
                        self._end(index)
                if time.monotonic() - written > 30:
                    self._store.write_table()
                    written = time.monotonic()
        finally:
            self._cancel()

    def _start(self, share: Share) -> None:
        self._number += 1
        files.unlink(self._path / FOLDER / f"{share.index}.json")  # of the attempt before
        args = (str(self._path), share, str(self._number), self._settings)
        self._jobs[share.index] = self._engine.submit(work, *args)

    def _end(self, index: int) -> None:
        """A share has ended: it is done, or is started again, or what is to be said of it is kept."""
        job = self._jobs.pop(index)
        try:
            bad = self._engine.result(job)
        except RuntimeError as error:
            self._listener.listen(index)
            before, self._saved[index] = self._saved[index], self._steps(index)
            self._attempts[index] = 1 if self._saved[index] > before else self._attempts[index] + 1
            if self._attempts[index] >= ATTEMPTS:
                self.failed.append(f"share {index}: {str(error).rstrip('.')}")
                return
            self._view.say(f"Share {index} ended ({error}); it is started again.")
            self._start(self._shares[index])
            return
        self._listener.listen(index)
        if bad:
            self.bad.append(bad)

    def _steps(self, index: int) -> int:
        """The newest steps of a share's blocks, added up: what it has saved is what counts as progress."""
        blocks = [key.rpartition("/") for key in self._listener.blocks.get(index, ())]
        return sum((self._store.block(cohort, int(number)).steps() or [0])[-1] for cohort, _, number in blocks)

    def _cancel(self) -> None:
        """Ask what still runs to save, and wait for it."""
        for job in self._jobs.values():
            self._engine.cancel(job)
        deadline = time.monotonic() + self._settings["grace"] + 5
        while time.monotonic() < deadline and not all(self._engine.ended(job) for job in self._jobs.values()):
            time.sleep(TICK)


class _stopping:
    """SIGTERM and Ctrl-C set an event; a second one ends at once."""

    def __init__(self, stop: threading.Event):
        self._stop, self._previous = stop, {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        if self._stop.is_set():
            os._exit(128 + number)
        self._stop.set()

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _parsed(options: Sequence[str]) -> dict[str, Any]:
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
