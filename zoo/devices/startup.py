"""JAX set up before its first use: what decides bits, the thread pool, the compilation cache; and how many blocks run
side by side."""

import os
from typing import Any

import jax

from zoo.devices import compilation

SETTINGS: dict[str, Any] = {
    # What random numbers a key gives.
    "jax_threefry_partitionable": True,
    "jax_default_prng_impl": "threefry2x32",
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    # How wide numbers are, and how exact products.
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_default_matmul_precision": None,
    "jax_allow_f16_reductions": True,
    # Which program is made of a function.
    "jax_use_direct_linearize": True,
    "jax_softmax_custom_jvp": False,
    "jax_compiler_enable_remat_pass": True,
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    # What stops a program: members that diverge are expected, and blocks run in threads.
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_disable_jit": False,
    "jax_check_tracer_leaks": False,
    "jax_thread_guard": False,
    "jax_transfer_guard": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_transfer_guard_device_to_host": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_no_execution": False,
    "jax_no_tracing": False,
}
"""Setting -> its value, JAX's own default. A setting that this version of JAX does not have is passed over."""


def start(threads: int | None = None) -> None:
    """Set JAX up before its first use: what decides bits, the thread pool and the compilation cache.

    What the user has set (NPROC, JAX_COMPILATION_CACHE_DIR) stands, but for `SETTINGS`. Thread pool and
    cache stay as they are once a backend runs.

    Args:
      threads: of XLA's CPU pool, as a directory's manifest records it; default the number of cores.
    """
    settle()
    if _backend_runs():
        return
    if threads is not None:
        os.environ["NPROC"] = str(threads)
    os.environ.setdefault("NPROC", str(cores()))
    global _threads
    _threads = int(os.environ["NPROC"])  # what the backend will read; later changes do not count
    compilation.keep()


def settle() -> None:
    """Set what a shell has set otherwise back to `SETTINGS`: the same zoo has the same bits in every shell.

    Raises:
      ValueError: the program itself has chosen another value, which would change all that it computes besides.
    """
    for name, needed in SETTINGS.items():
        value = getattr(jax.config, name, needed)
        if value == needed:
            continue
        if name.upper() not in os.environ:
            raise ValueError(
                f"{name} is {value!r} in this program, and networks are computed with {needed!r}: "
                f"jax.config.update({name!r}, {needed!r}) before zoo is used."
            )
        jax.config.update(name, needed)


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
