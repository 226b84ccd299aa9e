"""Image sets: downloaded once, checked, and read."""

import os
from pathlib import Path

__all__ = ["use_data"]


def use_data(directory: Path | None) -> None:
    """Image sets are looked for in this directory from now on; nothing changes where there is none.

    Raises:
      ValueError: it is no directory.
    """
    if directory is None:
        return
    if not directory.is_dir():
        raise ValueError(f"--data-dir is {directory}, which is no directory.")
    os.environ["ZOO_DATA"] = str(directory.resolve())
