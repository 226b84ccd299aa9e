"""What a killed comparison goes on from: sums and finished values, written now and then, atomically."""

import hashlib
import io
import time
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from analysis.engine.sources import source_hash
from zoo.files import write_atomically

__all__ = ["NO_JOURNAL", "Journal", "fingerprint", "result_key"]

SECONDS = 30.0
"""At least so much time passes between two writings."""

SHARE = 20
"""At least so many times what the last writing took passes until the next."""


class Journal:
    """Arrays of a computation in progress, in a file named by a hash of all that decides them.

    Args:
      folder: where files are kept; None keeps nothing.
    """

    def __init__(self, folder: Path | None):
        self.folder, self.last, self.took = folder, time.monotonic(), 0.0

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
        """Whether it is time to write; a large file, that takes seconds, is written less often."""
        wait = max(SECONDS, SHARE * self.took)
        return self.folder is not None and time.monotonic() - self.last >= wait

    def write(self, key: str, **arrays: Any) -> None:
        """Replaces what stands under this key; where that fails, the journal ends, and not the computation."""
        if self.folder is None:
            return
        begin = time.monotonic()
        content: Any = io.BytesIO()
        np.savez(content, **arrays)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / f"{key}.npz", content.getbuffer())
        except OSError as error:
            warnings.warn(f"{self.folder} cannot be written ({error}): killed, this would start anew.", stacklevel=2)
            self.folder = None
        self.last = time.monotonic()
        self.took = self.last - begin


NO_JOURNAL = Journal(None)
"""Keeps nothing."""


def fingerprint(measure: Any) -> str:
    """What decides a measure's values beside its data: its name, its code, and JAX's version."""
    return f"{measure.name} {source_hash(type(measure).__module__)} {jax.__version__}"


def result_key(words: Iterable[object], arrays: Iterable[np.ndarray]) -> str:
    """A key from all that decides a result."""
    of = hashlib.sha256("\x1f".join(map(str, words)).encode())
    for array in arrays:
        of.update(f"{array.shape} {array.dtype}".encode())
        of.update(np.ascontiguousarray(array).data)
    return of.hexdigest()[:32]
