"""Compiled programs, kept on the disk between runs; and what they are compiled with."""

import functools
from pathlib import Path
from typing import Any

import jax

from zoo.buckets import is_remote
from zoo.files import check_writable
from zoo.machine import cache_folder

SOLVERS = frozenset(
    {"cholesky", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "qr", "schur", "svd"}
    | {"triangular_solve", "tridiagonal", "tridiagonal_solve"}
)
"""Primitives that XLA computes on a CPU by LAPACK, a batch in parts: it waits for the threads that run programs. Two
programs on a pool of two threads wait for each other, for ever (jaxlib 0.10.2), and so do two primitives of one program
neither of which needs what the other gives."""


def keep() -> None:
    """Keep every compiled program in the user's cache directory; one that JAX_COMPILATION_CACHE_DIR names stands."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def compiler_options(llvm: int = 1) -> dict[str, Any]:
    """What a program is compiled with; see `zoo.devices.recipe.Recipe.llvm`."""
    return {"xla_backend_optimization_level": llvm} if jax.default_backend() == "cpu" else {}


def compiler_of(device: Any) -> Any:
    """What compiles for a device: devices with one compiler wait for the first of them, and load what it has kept.

    JAX names the program of a GPU without its number, and that of any other device with it.
    """
    config: Any = jax.config
    kept = config.jax_enable_compilation_cache and _can_keep(config.jax_compilation_cache_dir)
    return device.platform if kept and device.platform == "gpu" else device


@functools.cache
def _can_keep(folder: str | None) -> bool:
    """Whether programs can be kept there: else the next device would find nothing, and wait for nothing."""
    if folder is None or is_remote(folder):
        return folder is not None
    try:
        check_writable(Path(folder))
    except OSError:
        return False
    return True


def solves(jaxpr: Any) -> bool:
    """Whether a program, or one inside it, has one of `SOLVERS`."""
    for equation in jaxpr.eqns:
        inside = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda part: hasattr(part, "eqns"))
        parts = [getattr(part, "jaxpr", part) for part in inside]
        if equation.primitive.name in SOLVERS or any(solves(part) for part in parts if hasattr(part, "eqns")):
            return True
    return False
