"""How much memory a block may take, and how much a run took."""

import sys
from pathlib import Path
from typing import Any

import jax

from zoo.devices.startup import lanes
from zoo.machine import memory_size

try:
    import resource
except ImportError:  # Windows
    resource = None

GROUPS = Path("/sys/fs/cgroup")
"""Where control groups lie."""

OWN_GROUPS = Path("/proc/self/cgroup")
"""Which of them this process is in."""


def bytes_free(device: Any) -> int:
    """Memory that blocks may use on one device: what an accelerator has, whatever runs there now and will be gone when
    the block comes; or, on CPU, a lane's share of what machine and container leave."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    return min(_machine(), container(GROUPS, OWN_GROUPS)) // len(lanes())


def _machine() -> int:
    """What the machine can give without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        size = memory_size()
        return size // 2 if size is not None else 4 * 2**30


def container(groups: Path, own: Path) -> int:
    """What the control groups leave, the tightest of them; endless where there is no limit.

    Args:
      groups: where control groups lie.
      own: the list of those that the process is in; a limit may stand at any of their ancestors.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        lines = []
    left = [sys.maxsize]  # bytes, by group
    for _, controllers, path in [line for line in lines if len(line) == 3] or [("", "", "/"), ("", "memory", "/")]:
        if controllers and "memory" not in controllers.split(","):
            continue
        root = groups / "memory" if controllers else groups
        place = root / path.lstrip("/")
        left += [_left(each, bool(controllers)) for each in (place, *place.parents) if each.is_relative_to(root)]
    return min(left)


def _left(group: Path, first_version: bool) -> int:
    """What one group leaves; file cache, which the kernel drops before it kills, counts as free."""
    limit, usage, prefix = ("memory.max", "memory.current", "")
    if first_version:
        limit, usage, prefix = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    try:
        most, used = int((group / limit).read_text()), int((group / usage).read_text())
        pages = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        cache = sum(int(pages.get(f"{prefix}{state}_file", 0)) for state in ("active", "inactive"))
        return max(0, most - used + cache)
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize


def peak(devices: list[Any]) -> int:
    """Bytes that this process held at most: on its fullest accelerator, or in memory on CPU."""
    stats = [device.memory_stats() or {} for device in devices if device.platform != "cpu"]
    if any("peak_bytes_in_use" in each for each in stats):
        return max(int(each.get("peak_bytes_in_use", 0)) for each in stats)
    if resource is None:
        return 0
    in_bytes = 1 if sys.platform == "darwin" else 1024  # Linux tells KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * in_bytes


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, and not the disk, ran full: both say RESOURCE_EXHAUSTED."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
