"""A block that fits into a device's memory."""

from typing import Any

import jax

from zoo.devices.executable import Executable
from zoo.devices.memory import bytes_free, out_of_memory
from zoo.devices.recipe import Recipe, with_block
from zoo.spec.cohorts import Cohort

MEMORY_SHARE = 0.85
"""Of a device's free memory that one block may need; the rest is the allocator's."""


def fitted(cohort: Cohort, recipe: Recipe, device: Any, free: int | None = None, alone: bool = True) -> Executable:
    """The executable of a cohort, its block halved until the compiled program fits into the device's memory.

    Args:
      cohort: whose members run.
      recipe: how they would run.
      device: where.
      free: bytes that blocks may use there; default what is free now, so ask before anything else runs.
      alone: whether nothing runs there now. Else a compiler that runs out of memory says nothing about the block.

    Returns:
      The executable, compiled for the device; its `compile_seconds` count all that was tried.

    Raises:
      MemoryError: one member alone does not fit.
      JaxRuntimeError: the compiler ran out of memory beside something else.
    """
    free = bytes_free(device) if free is None else free
    spent = 0.0  # seconds, on compiling what did not fit
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
