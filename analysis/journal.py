"""What a killed comparison goes on from: sums and finished values, written now and then, atomically."""

import hashlib
import io
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.checkpoints import write_atomically

__all__ = ["Journal", "digest"]

SECONDS = 30.0
"""Between two writings."""


class Journal:
    """Arrays of a computation in progress, in a file named by a hash of all that decides them.

    Args:
      folder: where files are kept; None keeps nothing.
      seconds: between two writings.
    """

    def __init__(self, folder: Path | None, seconds: float = SECONDS):
        self.folder, self.seconds, self.last = folder, seconds, time.monotonic()

    def read(self, key: str) -> dict[str, np.ndarray]:
        """What was last written under this key; nothing where there is none, or what there is was torn."""
        if self.folder is None or not (path := self.folder / f"{key}.npz").exists():
            return {}
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return {}

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return self.folder is not None and time.monotonic() - self.last >= self.seconds

    def write(self, key: str, **arrays: Any) -> None:
        """Replaces what stands under this key."""
        if self.folder is None:
            return
        content: Any = io.BytesIO()
        np.savez(content, **arrays)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / f"{key}.npz", content.getbuffer())
        self.last = time.monotonic()


def digest(words: Iterable[object], arrays: Iterable[np.ndarray]) -> str:
    """A key from all that decides a result."""
    of = hashlib.sha256("\x1f".join(map(str, words)).encode())
    for array in arrays:
        of.update(f"{array.shape} {array.dtype}".encode())
        of.update(np.ascontiguousarray(array).data)
    return of.hexdigest()[:32]
