"""A cohort's compiled program: it advances one block of members on one device.

Members never talk to each other, so there is no mesh and no collective; every lane runs the same program on other
blocks.
"""

import functools
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import SingleDeviceSharding

from zoo.devices.blocks import Block, over_members
from zoo.devices.compilation import compiler_of, compiler_options, solves
from zoo.devices.recipe import Recipe
from zoo.devices.task_data import on_device
from zoo.spec.cohorts import Cohort
from zoo.training import evaluation, program
from zoo.training.binding import Floats, floats_of
from zoo.training.program import State
from zoo.training.status import STOPPED

_SOLVING = threading.Lock()
"""Held by the one program that solves equations on this CPU; see `zoo.devices.compilation.SOLVERS`."""


class Executable:
    """The compiled program of one cohort under one recipe, on as many devices as ask for it.

    Args:
      cohort: whose members run.
      recipe: how they run.
    """

    def __init__(self, cohort: Cohort, recipe: Recipe):
        self.cohort, self.recipe = cohort, recipe
        member = cohort.members[0]
        self.data = member.task.data()
        self.program = program.program_of(cohort, conv_form=recipe.conv_form)
        self.evaluate_every = evaluation.evaluate_every(member.task, member.training, self.data)
        self._chunk = jax.jit(over_members(self.program.advance, recipe, 2), donate_argnums=0)
        self._init = jax.jit(self._initial)
        self.compile_seconds = 0.0
        self._compiled: dict[Any, tuple[Any, Any]] = {}
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}
        self._solves = False

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
        return floats_of(self.cohort)

    def compiled(self, device: Any) -> tuple[Any, Any]:
        """The programs of training and of initial states for one device; `compile_seconds` adds up what they took."""
        with self._lock:
            lock = self._locks.setdefault(compiler_of(device), threading.Lock())
        with lock:
            if device not in self._compiled:
                begin = time.perf_counter()
                self._compiled[device] = tuple(
                    lowered.compile(compiler_options=compiler_options(self.recipe.llvm))
                    for lowered in (traced.lower() for traced in self.traced(SingleDeviceSharding(device)))
                )
                with self._lock:
                    self.compile_seconds += time.perf_counter() - begin
            return self._compiled[device]

    def traced(self, sharding: Any = None) -> tuple[Any, Any]:
        """The programs of training and of initial states before they are lowered, for arrays with a sharding or any."""

        def abstract(tree: Any, rows: int | None = None) -> Any:
            return jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(
                    (rows, *x.shape[1:]) if rows else x.shape, jax.dtypes.canonicalize_dtype(x.dtype), sharding=sharding
                ),
                tree,
            )

        number, truth = (jax.ShapeDtypeStruct((), t, sharding=sharding) for t in (jnp.int32, jnp.bool))
        floats = abstract(self._floats, self.recipe.block)
        chunk = self._chunk.trace(abstract(self.shape()), floats, abstract(self.data), number, truth)
        self._solves = solves(chunk.jaxpr.jaxpr)
        return chunk, self._init.trace(floats, number)

    def init(self, block: Block, device: Any) -> State:
        """A block's state before the first step, on the device."""
        return self.compiled(device)[1](*jax.device_put((block.floats, np.int32(block.rows)), device))

    def advance(self, state: State, floats: Floats, device: Any, steps: int, evaluate: bool) -> State:
        """Up to `steps` steps of every running member, then an evaluation if asked. Gives `state` away."""
        data = on_device(self.data, device)
        scalars = jax.device_put((np.int32(steps), np.bool_(evaluate)), device)
        run = self.compiled(device)[0]
        if not (self._solves and device.platform == "cpu"):
            return run(state, floats, data, *scalars)
        with _SOLVING:
            return jax.block_until_ready(run(state, floats, data, *scalars))

    def bytes_needed(self, device: Any) -> int:
        """Memory of one block on a device, by the compiler's own account."""
        stats = self.compiled(device)[0].memory_analysis()
        total = stats.temp_size_in_bytes + stats.argument_size_in_bytes + stats.output_size_in_bytes
        return int(total - stats.alias_size_in_bytes)
