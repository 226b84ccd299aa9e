"""Who holds a zoo directory: one run, be it one process or the shares of one run on many machines.

A lock of the operating system: it ends with its process, whatever ended that, and no clock is read. A bucket has none.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zoo.files import is_remote

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl: Any = None


@contextmanager
def held(path: Any, run: str = "", share: int | None = None) -> Iterator[None]:
    """Hold a directory for the time of a block.

    Args:
      path: of the zoo directory.
      run: an identifier of the run that this process belongs to; "" of a run of one process.
      share: its number in the run; None of the process that hands shares out.

    Raises:
      ValueError: another run holds it, or another process has the same share.
    """
    if is_remote(path) or fcntl is None:
        yield
        return
    who = f"process {os.getpid()} on {platform.node()}"
    with _opened(path / ".lock") as file:
        if _locked(file, fcntl.LOCK_EX):
            _write(file, f"{run}\n{who}")
            if run:
                _locked(file, fcntl.LOCK_SH)
        else:
            # The first of a run holds it alone for the moment in which it writes who it is.
            alike = bool(run) and any(_locked(file, fcntl.LOCK_SH) or _pause() for _ in range(20))
            file.seek(0)
            theirs, _, holder = file.read().partition("\n")
            if not alike or theirs != run:
                raise ValueError(f"{path} is being trained by {holder or 'another process'}; wait, or stop it.")
        if share is None:
            yield
            return
        with _opened(path / f".lock.{share}") as own:
            # Who waits for the others looks at this lock for a moment.
            if not any(_locked(own, fcntl.LOCK_EX) or _pause() for _ in range(20)):
                own.seek(0)
                raise ValueError(f"Share {share} of {path} is being trained by {own.read()}; wait, or stop it.")
            _write(own, who)
            yield


def wait_for_others(path: Any, shares: int, done: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait until all is done, or until nobody has held a share for a while: who died does not come back.

    Args:
      path: of the zoo directory.
      shares: how many there are.
      done: whether all is done.
      patience: seconds without anyone at work; in a bucket, where that cannot be seen, all there is.
    """
    seen = time.monotonic()
    while not done() and time.monotonic() - seen < patience:
        if not is_remote(path) and any(_taken(path / f".lock.{i}") for i in range(shares)):
            seen = time.monotonic()
        time.sleep(1)


def _taken(file: Any) -> bool:
    try:
        with _opened(file) as opened:
            return fcntl is not None and not _locked(opened, fcntl.LOCK_SH)
    except OSError:
        return False


def _opened(path: Any) -> Any:
    return open(path, "a+")


def _locked(file: Any, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _pause() -> bool:
    time.sleep(0.05)
    return False


def _write(file: Any, text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()
