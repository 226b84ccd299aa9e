"""JAX set up before its first use: the CPU thread pool, the compilation cache; and how many blocks run side by side."""

import os
from typing import Any

import jax

from zoo.devices import compilation, jax_settings


def start(threads: int | None = None) -> None:
    """Set JAX up before its first use: what decides bits, the thread pool and the compilation cache.

    What the user has set (NPROC, JAX_COMPILATION_CACHE_DIR) stands, but for `zoo.devices.jax_settings.SETTINGS`. Thread
    pool and cache stay as they are once a backend runs.

    Args:
      threads: of XLA's CPU pool, as a directory's manifest records it; default the number of cores.
    """
    jax_settings.settle()
    if _backend_runs():
        return
    if threads is not None:
        os.environ["NPROC"] = str(threads)
    os.environ.setdefault("NPROC", str(cores()))
    global _threads
    _threads = int(os.environ["NPROC"])  # what the backend will read; later changes do not count
    compilation.keep()


def _backend_runs() -> bool:
    """Whether it is too late. JAX says so only of a setting that would change: it is changed, and put back."""
    config: Any = jax.config
    asked = config.jax_num_cpu_devices
    try:
        jax.config.update("jax_num_cpu_devices", 1 if asked != 1 else 2)
        jax.config.update("jax_num_cpu_devices", asked)
    except RuntimeError:
        return True
    return False


def start_as(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """`start` with the threads of a zoo directory's manifest; the first recipe in it, where there is one."""
    recipe = next((entry["asked"] for entry in manifest["cohorts"].values() if entry["asked"]), None)
    start(recipe["threads"] or None if recipe else None)
    return recipe


def lanes() -> list[Any]:
    """The device of each block that is trained at the same time: every accelerator; or the CPU once per core.

    Threads that call programs on one CPU device run side by side, as fast as on virtual devices of their own, with the
    same bits. Those would have to compile every program again, since JAX names a program by its device.
    JAX_NUM_CPU_DEVICES, where it is set, says how many blocks run on the CPU.
    """
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return devices
    config: Any = jax.config
    asked = config.jax_num_cpu_devices
    return devices[:1] * (asked if asked > 0 else len(devices) if len(devices) > 1 else cores())


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads: int | None = None


def threads() -> int:
    """The size of XLA's CPU pool in this process; 0 where the default backend is not the CPU."""
    return (_threads or int(os.environ.get("NPROC") or cores())) if jax.default_backend() == "cpu" else 0
