"""The settings of JAX that decide bits, or stop a program: all networks are computed with these."""

import os
from typing import Any

import jax

__all__ = ["SETTINGS", "settle"]

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
