"""What this machine has: memory, and a folder of the user's for what is kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where compiled programs, tuned recipes and jobs are kept between runs: the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-zoo"


def memory_size() -> int | None:
    """Bytes of memory that this machine has, used or not; None where the system does not say."""
    known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else None
