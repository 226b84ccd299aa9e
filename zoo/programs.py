"""Compiled programs are kept on the disk, and one device of a machine loads what another one has compiled."""

import functools
import inspect
from pathlib import Path
from typing import Any

import jax

from zoo.files import cache_folder, check_writable, is_remote


def keep() -> None:
    """Keep every compiled program in the user's cache directory; one that JAX_COMPILATION_CACHE_DIR names stands."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    _forget_cpu_devices()


def shared(device: Any) -> bool:
    """Whether a device loads what another one like it has compiled, instead of compiling it again.

    The name of a program in JAX's cache holds the device that it was compiled for, but not on GPUs; nor, since `keep`,
    on CPU.
    """
    config: Any = jax.config
    if not (config.jax_enable_compilation_cache and _kept_in(config.jax_compilation_cache_dir)):
        return False
    return device.platform == "gpu" or (device.platform == "cpu" and _forget_cpu_devices())


@functools.cache
def _kept_in(folder: str | None) -> bool:
    """Whether programs can be kept there: else the next device would find nothing, and wait for nothing."""
    if folder is None or is_remote(folder):
        return folder is not None
    try:
        check_writable(Path(folder))
    except OSError:
        return False
    return True


def _forget_cpu_devices() -> bool:
    """Leave the device out of the names of CPU programs that run on one, as JAX does on GPUs; whether this could be
    done. XLA compiles the same for all of them, and puts what it loads on the device that is asked for."""
    from jax._src import cache_key

    name = "_hash_serialized_compile_options"  # JAX has no public way; without this one every device compiles
    found: Any = getattr(cache_key, name, None)
    if found is None or "strip_device_assignment" not in inspect.signature(found).parameters:
        return False
    if not hasattr(found, "__wrapped__"):

        @functools.wraps(found)
        def hashed(hash_obj: Any, options: Any, strip_device_assignment: bool = False) -> Any:
            devices = options.device_assignment
            alone = devices is not None and devices.replica_count() * devices.computation_count() == 1
            return found(hash_obj, options, strip_device_assignment or (alone and jax.default_backend() == "cpu"))

        setattr(cache_key, name, hashed)
    return True
