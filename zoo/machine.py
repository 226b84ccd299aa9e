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


VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
"""Of the environment, which a compiler reads once and which decide bits."""

HARMLESS = ("--xla_force_host_platform_device_count", "--xla_dump_", "--xla_hlo_profile", "--xla_gpu_cuda_data_dir")
"""What flags that change no bit begin with."""


def environment() -> dict[str, str]:
    """What the environment asks of compilers that decides bits: variable -> its flags, sorted; none that is empty.

    Of a flag that stands twice the last counts, as it does for the compilers.
    """
    found = {}
    for name in VARIABLES:
        flags = [flag for flag in os.environ.get(name, "").split() if not flag.startswith(HARMLESS)]
        if last := {flag.partition("=")[0]: flag for flag in flags}:
            found[name] = " ".join(last[flag] for flag in sorted(last))
    return found
