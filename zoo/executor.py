"""Blocks onto devices: recipes, compilation, memory.

Members never talk to each other, so there is no mesh and no collective. A cohort's program advances one block of
members on one device; every local device runs the same program on other blocks.
"""

import dataclasses
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import SingleDeviceSharding

from zoo import programs, training
from zoo.memory import bytes_free, out_of_memory
from zoo.spec import Cohort
from zoo.training import STOPPED, Floats, State

MEMORY_SHARE = 0.85
"""Of a device's free memory that one block may need; the rest is the allocator's."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What decides the bits of a result beside the spec.

    Attributes:
      block: members that one call advances on one device; a cohort is padded to whole blocks.
      inner: how a block runs inside: "map" (one by one), "vmap" (all at once), or the size of vmapped groups.
      conv_form: how convolutions are written: "native", or "columns" (shifted slices and one matrix product).
      threads: size of XLA's CPU thread pool, which decides how a product is split; 0 on other devices.
      llvm: optimisation level of XLA's CPU compiler; other devices ignore it. Level 1 takes a fifth off the compilation
        of a training program, more than half off that of initial parameters, and the program is as fast within 3 %.
    """

    block: int
    inner: str | int
    conv_form: str
    threads: int
    llvm: int = 1


# Measured with benchmarks/training.py and convolution.py --forms. On CPU one member after the other keeps its
# parameters in the cache and needs no batched product; on accelerators only a full device pays. The GPU and TPU rows
# are not measured yet: `--tune`.
_TABLE: dict[tuple[str, str], tuple[int, str, str]] = {
    ("cpu", "recurrent"): (32, "map", "columns"),
    ("cpu", "feedforward"): (32, "map", "columns"),
    ("cpu", "convolutional"): (32, "map", "columns"),
    ("gpu", "recurrent"): (256, "vmap", "columns"),
    ("gpu", "feedforward"): (256, "vmap", "columns"),
    ("gpu", "convolutional"): (64, "vmap", "columns"),
    ("tpu", "recurrent"): (256, "vmap", "columns"),
    ("tpu", "feedforward"): (256, "vmap", "columns"),
    ("tpu", "convolutional"): (64, "vmap", "columns"),
}


def start(threads: int | None = None) -> None:
    """Set JAX up before its first use: one virtual CPU device per core, the thread pool, the compilation cache.

    What the user has set (JAX_NUM_CPU_DEVICES, NPROC, JAX_COMPILATION_CACHE_DIR) stands. Does nothing once a backend
    runs.

    Args:
      threads: of XLA's CPU pool, as a directory's manifest records it; default the number of cores.
    """
    config: Any = jax.config
    count = config.jax_num_cpu_devices
    if count < 0 and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        count = cores()
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # a backend runs already
        return
    if threads is not None:
        os.environ["NPROC"] = str(threads)
    os.environ.setdefault("NPROC", str(cores()))
    global _threads
    _threads = int(os.environ["NPROC"])  # what the backend will read; later changes do not count
    programs.keep()


def start_as(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """`start` with the threads of a zoo directory's manifest; the first recipe in it, where there is one."""
    recipe = next((entry["asked"] for entry in manifest["cohorts"].values() if entry["asked"]), None)
    start(recipe["threads"] or None if recipe else None)
    return recipe


def compiler_options(llvm: int = 1) -> dict[str, Any]:
    """What a program is compiled with; see `Recipe.llvm`."""
    return {"xla_backend_optimization_level": llvm} if jax.default_backend() == "cpu" else {}


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads: int | None = None


def threads() -> int:
    """The size of XLA's CPU pool in this process; 0 where the default backend is not the CPU."""
    return (_threads or int(os.environ.get("NPROC") or cores())) if jax.default_backend() == "cpu" else 0


def default_recipe(cohort: Cohort, block: int | None = None, members: int = 0, processes: int = 1) -> Recipe:
    """The table's recipe for a cohort on this machine's default device.

    Where members run one by one their bits do not depend on the block, so it is small enough to occupy every device
    twice over, or, where the zoo has many `members` in other cohorts, not smaller than an eighth of a device's share:
    a second block costs checkpoints of its own. Elsewhere the block is the table's, or the next power of two that
    holds the cohort.
    """
    family = type(cohort.members[0].model).family
    largest, inner, conv_form = _TABLE[_platform(), family]
    count, devices = len(cohort.members), jax.local_device_count() * processes
    if inner == "map":
        size = min(largest, max(-(-count // (2 * devices)), min(count, members // (8 * devices))))
    else:
        size = min(largest, 1 << (count - 1).bit_length())
    return with_block(Recipe(size, inner, conv_form, threads()), block or size)


def _platform() -> str:
    backend = jax.default_backend()
    return "gpu" if backend in ("cuda", "rocm") else backend


# -------------------------------------------------------------------------------------------------------- programs


class Block(NamedTuple):
    """A fixed part of a cohort.

    Attributes:
      index: its place in the cohort.
      rows: number of members; the rest, up to the recipe's block, is padding.
      floats: stacked over the block, padding included.
    """

    index: int
    rows: int
    floats: Floats


def blocks(cohort: Cohort, recipe: Recipe) -> list[Block]:
    """The blocks of a cohort; the last is padded with copies of its first member, whose results are never kept."""
    floats = training.floats_of(cohort)
    result = []
    for index, start_row in enumerate(range(0, len(cohort.members), recipe.block)):
        rows = np.arange(start_row, start_row + recipe.block)
        count = int((rows < len(cohort.members)).sum())
        rows = np.where(rows < len(cohort.members), rows, start_row)
        result.append(Block(index, count, jax.tree.map(lambda x, rows=rows: x[rows], floats)))
    return result


def over_members(function: Callable[..., Any], recipe: Recipe, stacked: int) -> Callable[..., Any]:
    """`function` of one member's first `stacked` arguments, over a block; further arguments are shared."""

    def mapped(*args: Any) -> Any:
        shared = args[stacked:]
        if recipe.inner == "vmap":
            return jax.vmap(function, in_axes=(0,) * stacked + (None,) * len(shared))(*args)
        batch = None if recipe.inner == "map" else int(recipe.inner)
        return lax.map(lambda row: function(*row, *shared), args[:stacked], batch_size=batch)

    return mapped


class Executable:
    """The compiled program of one cohort under one recipe, on as many devices as ask for it.

    Args:
      cohort: whose members run.
      recipe: how they run.
    """

    def __init__(self, cohort: Cohort, recipe: Recipe):
        self.cohort, self.recipe = cohort, recipe
        self.data = cohort.members[0].task.data()
        self.program = training.program(cohort, conv_form=recipe.conv_form)
        self.evaluate_every = training.evaluate_every(cohort, self.data)
        self._chunk = jax.jit(over_members(self.program.advance, recipe, 2), donate_argnums=0)
        self._init = jax.jit(self._initial)
        self.compile_seconds = 0.0
        self._compiled: dict[Any, tuple[Any, Any]] = {}
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}

    def _initial(self, floats: Floats, rows: jax.Array) -> State:
        state = lax.map(self.program.init, floats)
        padding = jnp.arange(self.recipe.block) >= rows
        return state._replace(status=jnp.where(padding, STOPPED, state.status))

    def shape(self) -> State:
        """Shapes of a block's state."""
        floats = jax.tree.map(lambda x: jax.ShapeDtypeStruct((self.recipe.block, *x.shape[1:]), x.dtype), self._floats)
        return jax.eval_shape(self._initial, floats, 0)

    @functools.cached_property
    def _floats(self) -> Floats:
        return training.floats_of(self.cohort)

    def compiled(self, device: Any) -> tuple[Any, Any]:
        """The programs of training and of initial states for one device; `compile_seconds` adds up what they took."""
        with self._lock:
            lock = self._locks.setdefault(_compiler(device), threading.Lock())
        with lock:
            if device not in self._compiled:
                begin = time.perf_counter()
                self._compiled[device] = tuple(
                    lowered.compile(compiler_options=compiler_options(self.recipe.llvm))
                    for lowered in self._lower(device)
                )
                with self._lock:
                    self.compile_seconds += time.perf_counter() - begin
            return self._compiled[device]

    def _lower(self, device: Any) -> tuple[Any, Any]:
        sharding = SingleDeviceSharding(device)

        def abstract(tree: Any, rows: int | None = None) -> Any:
            return jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(
                    (rows, *x.shape[1:]) if rows else x.shape, jax.dtypes.canonicalize_dtype(x.dtype), sharding=sharding
                ),
                tree,
            )

        number, truth = (jax.ShapeDtypeStruct((), t, sharding=sharding) for t in (jnp.int32, jnp.bool))
        floats = abstract(self._floats, self.recipe.block)
        chunk = self._chunk.lower(abstract(self.shape()), floats, abstract(self.data), number, truth)
        return chunk, self._init.lower(floats, number)

    def init(self, block: Block, device: Any) -> State:
        """A block's state before the first step, on the device."""
        return self.compiled(device)[1](*jax.device_put((block.floats, np.int32(block.rows)), device))

    def advance(self, state: State, floats: Floats, device: Any, steps: int, evaluate: bool) -> State:
        """Up to `steps` steps of every running member, then an evaluation if asked. Gives `state` away."""
        data = on_device(self.data, device)
        scalars = jax.device_put((np.int32(steps), np.bool_(evaluate)), device)
        return self.compiled(device)[0](state, floats, data, *scalars)

    def bytes_needed(self, device: Any) -> int:
        """Memory of one block on a device, by the compiler's own account."""
        stats = self.compiled(device)[0].memory_analysis()
        total = stats.temp_size_in_bytes + stats.argument_size_in_bytes + stats.output_size_in_bytes
        return int(total - stats.alias_size_in_bytes)


def _compiler(device: Any) -> Any:
    """Devices that share a compilation: one compiles, and the next load it from the cache. Others compile for
    themselves, side by side."""
    return device.platform if programs.shared(device) else device


_placed: dict[Any, tuple[Any, Any]] = {}
_placing = threading.Lock()


def on_device(data: Any, device: Any) -> Any:
    """A task's arrays on a device: one copy for all cohorts that learn from it, as tasks hand out the same arrays."""
    key = (tuple(map(id, jax.tree.leaves(data))), device)
    with _placing:
        if key not in _placed:
            _placed[key] = (data, jax.device_put(data, device))  # the first holds on to what the key names
        return _placed[key][1]


def forget_data() -> None:
    """Give back what `on_device` holds."""
    with _placing:
        _placed.clear()


def fitted(cohort: Cohort, recipe: Recipe, device: Any, free: int | None = None, alone: bool = True) -> Executable:
    """The executable of a cohort, its block halved until the compiled program fits into the device's memory.

    Args:
      cohort: whose members run.
      recipe: how they would run.
      device: where.
      free: bytes that blocks may use there; default what is free now, so ask before anything else runs.
      alone: whether nothing runs there now. Else a compiler that runs out of memory says nothing about the block.

    Raises:
      MemoryError: one member alone does not fit.
      JaxRuntimeError: the compiler ran out of memory beside something else.
    """
    free = bytes_free(device) if free is None else free
    spent = 0.0
    while True:
        executable = Executable(cohort, recipe)
        executable.compile_seconds = spent
        try:
            needed = executable.bytes_needed(device)
        except jax.errors.JaxRuntimeError as error:
            if not (alone and out_of_memory(error)):
                raise
            needed = free  # some compilers refuse what does not fit
        if needed <= MEMORY_SHARE * free:
            return executable
        if recipe.block == 1:
            raise MemoryError(
                f"One member of cohort {cohort.id} needs {needed / 2**20:.0f} MiB on {device}, "
                f"which has {free / 2**20:.0f} MiB: make its batch, its steps in time or its layers smaller."
            )
        recipe, spent = with_block(recipe, recipe.block // 2), executable.compile_seconds


def with_block(recipe: Recipe, block: int) -> Recipe:
    """The recipe with another block; groups become the largest that divide it: a remainder would change bits."""
    inner = recipe.inner
    if isinstance(inner, int):
        inner = next(g for g in range(min(inner, block), 0, -1) if block % g == 0)
    return dataclasses.replace(recipe, block=block, inner=inner)
