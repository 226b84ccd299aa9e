"""Every test runs on four virtual CPU devices, with implicit rank promotion an error and a cache of its own."""

import os
from pathlib import Path

# Before JAX starts. The pool's size decides bits: it is fixed, whatever machine runs the tests.
CACHE = Path(__file__).parent.parent / ".pytest_cache"
os.environ["NPROC"] = "4"
os.environ["JAX_NUM_CPU_DEVICES"] = "4"
os.environ["XDG_CACHE_HOME"] = str(CACHE)
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What training programs are compiled with anyhow: the rest of the suite compiles in half the time, too.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")

from collections.abc import Iterator

import jax
import pytest

import tests.typecheck  # noqa: F401, the checker that addopts names has to be there before the packages
from zoo.devices import startup

jax.config.update("jax_numpy_rank_promotion", "raise")
startup.start()


MOST_MAPS = 15_000
"""Memory maps at which compiled programs are let go: Linux allows a process 65,530, and LLVM crashes beyond that."""


@pytest.fixture(autouse=True, scope="module")
def _few_programs() -> Iterator[None]:
    """Compiled programs, each of which holds memory maps, are shared by the modules of a worker while there is room."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
