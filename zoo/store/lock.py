"""Who holds a zoo directory: one run, be it one process or the shares of one run on many machines.

A lock of the operating system: it ends with its process, whatever ended that, and no clock is read. A bucket has none.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from zoo.buckets import is_remote

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl: Any = None


class DirectoryInUse(ValueError):
    """A directory, or a share of it, that somebody else is at work on."""


@contextmanager
def locked(path: Any, run: str = "", share: int | None = None, patience: float = 1.0) -> Iterator[None]:
    """Hold a directory while the `with` statement runs.

    Args:
      path: of the zoo directory.
      run: an identifier of the run that this process belongs to; "" of a run of one process.
      share: its number in the run; None of the process that hands shares out.
      patience: seconds to wait for what another holds.

    Raises:
      DirectoryInUse: another run holds it, or another process has the same share.
    """
    if is_remote(path) or fcntl is None:
        yield
        return
    who = f"process {os.getpid()} on {platform.node()}"
    deadline = time.monotonic() + patience
    with _opened(path / ".lock") as file:
        while not _joined(file, run, who):
            if time.monotonic() > deadline:
                raise DirectoryInUse(f"{path} is being trained by {_holder(path, file)}; wait, or stop it.")
            time.sleep(0.05)
        if share is None:
            yield
            return
        with _opened(path / f".lock.{share}") as share_file:
            while not _try_lock(share_file, fcntl.LOCK_EX):  # who waits for the others looks at it for a moment, too
                if time.monotonic() > deadline:
                    raise DirectoryInUse(
                        f"Share {share} of {path} is being trained by {_read(share_file)}; wait, or stop it."
                    )
                time.sleep(0.05)
            _write(share_file, who)
            yield


def _joined(file: TextIO, run: str, who: str) -> bool:
    """Whether this process holds the directory now: as the first, or as another of the same run."""
    if _try_lock(file, fcntl.LOCK_EX):
        _write(file, f"{run}\n{who}")
        # The first of a run holds it alone for the moment in which it writes who it is.
        return not run or _try_lock(file, fcntl.LOCK_SH)
    if not run or not _try_lock(file, fcntl.LOCK_SH):
        return False
    if _read(file).partition("\n")[0] == run:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _holder(path: Any, file: TextIO) -> str:
    """Who holds a directory: of a run in shares one that is at work now."""
    for share_file in sorted(path.glob(".lock.*")):
        if _is_locked(share_file):
            return share_file.read_text() or "another process"
    return _read(file).partition("\n")[2] or "another process"


def wait_for_others(path: Any, shares: int, done: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait until all is done, or until nobody has held a share for a while: who died does not come back.

    Args:
      path: of the zoo directory.
      shares: how many there are.
      done: whether all is done.
      patience: seconds without anyone at work; in a bucket, where that cannot be seen, all there is.
    """
    seen_at = time.monotonic()
    while not done() and time.monotonic() - seen_at < patience:
        if not is_remote(path) and any(_is_locked(path / f".lock.{i}") for i in range(shares)):
            seen_at = time.monotonic()
        time.sleep(1)


def _is_locked(file: Any) -> bool:
    """Whether another process holds a lock file alone; false where there is none."""
    try:
        with _opened(file) as opened:
            return fcntl is not None and not _try_lock(opened, fcntl.LOCK_SH)
    except OSError:
        return False


def _opened(path: Any) -> TextIO:
    """A lock file, made where there is none; what is in it stays."""
    return open(path, "a+")


def _try_lock(file: TextIO, kind: int) -> bool:
    """Take a lock, alone (`LOCK_EX`) or with others (`LOCK_SH`); whether it could be taken now."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _read(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _write(file: TextIO, text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()
