"""What a share of a run tells the process that handed it out: a small file each, in the zoo directory."""

import threading
import time
from typing import Any

import numpy as np

from zoo import files, wording
from zoo.running.loaded_block import REPORTED, Progress
from zoo.running.progress import Display

PROGRESS_FOLDER = ".progress"
EVERY_SECONDS = 2.0


class Teller:
    """A `zoo.running.progress.Display` that writes what a run tells into the share's file, now and then.

    Args:
      path: of the zoo directory.
      share: its number.
      attempt: which attempt at this share this is.
    """

    def __init__(self, path: Any, share: int, attempt: str):
        self._file = path / PROGRESS_FOLDER / f"{share}.json"
        self._told: dict[str, Any] = {"attempt": attempt, "blocks": {}, "said": [], "compiling": []}
        self._lock, self._written, self._changed = threading.Lock(), 0.0, True

    def expect(self, members: dict[str, int]) -> None:
        """Who hands shares out knows how many members there are."""

    def compiling(self, cohort: str) -> None:
        """A worker turns to a cohort."""
        with self._lock:
            if cohort not in self._told["compiling"]:
                self._told["compiling"].append(cohort)
                self._changed = True

    def report(self, progress: Progress) -> None:
        """Take a block's report."""
        key = f"{progress.cohort}/{progress.block}"
        with self._lock:
            taken = self._told["blocks"].get(key, {"taken": 0})["taken"] + progress.taken
            rows = {n: _plain(getattr(progress, n)) for n in REPORTED}
            self._told["blocks"][key] = {"taken": taken, **rows}
            self._changed = True

    def say(self, text: str) -> None:
        """A sentence that must be read."""
        with self._lock:
            self._told["said"].append(text)
            self._changed = True

    def tick(self) -> None:
        """Write, if it is time."""
        if self._changed and time.monotonic() - self._written >= EVERY_SECONDS:
            self._write()

    def __enter__(self) -> "Teller":
        self._write()
        return self

    def __exit__(self, *_: Any) -> None:
        self._write()

    def _write(self) -> None:
        with self._lock:
            files.write_atomically(self._file, files.to_json(self._told))
            self._written, self._changed = time.monotonic(), False


class Listener:
    """Reads what the shares tell, and shows it.

    Args:
      path: of the zoo directory.
      display: where it is shown.

    Attributes:
      blocks: share -> the blocks that it has told of, "cohort/index", in all its attempts.
    """

    def __init__(self, path: Any, display: Display):
        self._path, self._display = path, display
        self._known: dict[int, dict[str, Any]] = {}
        self.blocks: dict[int, set[str]] = {}

    def listen(self, share: int) -> None:
        """Show what is new of one share."""
        try:
            told = files.read_json(self._path / PROGRESS_FOLDER / f"{share}.json")
            self._show(share, told)
        except (FileNotFoundError, NotADirectoryError):
            return
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            self._display.say(f"What share {share} tells cannot be read ({wording.first_line(error)}).")

    def _show(self, share: int, told: dict[str, Any]) -> None:
        before = self._known.get(share, {"blocks": {}, "said": [], "compiling": []})
        if before.get("attempt") not in (None, told["attempt"]):
            self._display.say(f"Share {share} has begun again.")
            before = {"blocks": {}, "said": [], "compiling": []}
        for cohort in told["compiling"][len(before["compiling"]) :]:
            self._display.compiling(cohort)
        for text in told["said"][len(before["said"]) :]:
            self._display.say(f"Share {share}: {text}")
        for key, block in told["blocks"].items():
            if (old := before["blocks"].get(key)) != block:
                cohort, _, index = key.rpartition("/")
                new = block["taken"] - (old["taken"] if old else 0)
                rows = (np.asarray(block[n], float if n in ("loss", "score") else int) for n in REPORTED)
                self._display.report(Progress(cohort, int(index), new, *rows))
        self._known[share] = told
        self.blocks.setdefault(share, set()).update(told["blocks"])


def _plain(values: np.ndarray) -> list[Any]:
    """Numbers as JSON has them: none for what is not finite."""
    return [value if np.isfinite(value) else None for value in np.asarray(values).tolist()]
