"""How much memory a block may take, and how much a run took."""

import os
import resource
import sys
from pathlib import Path
from typing import Any

import jax

_GROUP = Path("/sys/fs/cgroup")


def bytes_free(device: Any) -> int:
    """Memory that one device may use: its own limit, or its share of what the process may still take on CPU."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return min(_machine(), _container(_GROUP)) // len(jax.local_devices())


def _machine() -> int:
    """What the machine can give without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 if known else 4 * 2**30


def _container(group: Path) -> int:
    """What the control group leaves, file cache that it would drop counted as free; endless where there is no limit."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, used = int((group / limit).read_text()), int((group / usage).read_text())
            pages = dict(line.split() for line in (group / limit).with_name("memory.stat").read_text().splitlines())
            return max(0, most - used + int(pages.get(cache, 0)))
        except (OSError, ValueError):  # another version, or "max"
            continue
    return sys.maxsize


def peak(devices: list[Any]) -> int:
    """Bytes that this process held at most: on its fullest accelerator, or in memory on CPU."""
    stats = [device.memory_stats() or {} for device in devices if device.platform != "cpu"]
    if any("peak_bytes_in_use" in each for each in stats):
        return max(int(each.get("peak_bytes_in_use", 0)) for each in stats)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def out_of_memory(error: Exception) -> bool:
    """Whether a device, and not the disk, ran full: both say RESOURCE_EXHAUSTED."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
