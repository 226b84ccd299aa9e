"""Which recipe is fastest for a cohort: measured here, once."""

import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from zoo.devices.blocks import blocks_of
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.fitting import MEMORY_SHARE
from zoo.devices.memory import bytes_free, out_of_memory
from zoo.devices.recipe import Recipe, with_block
from zoo.devices.startup import lanes
from zoo.files import write_atomically
from zoo.machine import cache_folder
from zoo.spec.cohorts import Cohort


def tuned(
    cohort: Cohort, block: int | None = None, members: int = 0, processes: int = 1, seconds: float = 1.0
) -> Recipe:
    """The fastest of a few recipes for a cohort, measured here, or remembered from an earlier measurement.

    Only the way a block runs inside and the form of convolutions are chosen, and kept in the user's cache by (cohort,
    device kind, versions), so that two directories agree; the block follows from the cohort as ever.

    Args:
      cohort: whose members run.
      block, members, processes: as for `zoo.devices.default_recipes.default_recipe`.
      seconds: about how long each recipe is timed.

    Returns:
      The default recipe with the fastest inside and form of convolutions.
    """
    default = default_recipe(cohort, block, members, processes)
    key = f"{cohort.id} {jax.local_devices()[0].device_kind} {jax.__version__} {default.threads}"
    file = cache_folder() / "recipes.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    if key not in known:
        alternatives = _alternatives(cohort, default)
        rates = {recipe: steps_per_second(Executable(cohort, recipe), seconds) for recipe in alternatives}
        best = max(rates, key=lambda recipe: rates[recipe])
        known[key] = {
            "inner": best.inner,
            "conv_form": best.conv_form,
            "member_steps_per_second": round(rates[best], 1),
        }
        write_atomically(file, json.dumps(known, indent=1).encode())
    winner = dataclasses.replace(default, inner=known[key]["inner"], conv_form=known[key]["conv_form"])
    return with_block(winner, default.block)


def _alternatives(cohort: Cohort, default: Recipe) -> list[Recipe]:
    inners = dict.fromkeys([default.inner, "map", "vmap", *([4] if default.block % 4 == 0 else [])])
    convolutional = type(cohort.members[0].model).family == "convolutional"
    forms = ("columns", "native") if convolutional else (default.conv_form,)
    return [dataclasses.replace(default, inner=i, conv_form=f) for i in inners for f in forms]


def steps_per_second(executable: Executable, seconds: float) -> float:
    """Member-steps per second, a block in every lane at once, compilation left out; 0 if it does not fit."""
    devices = lanes()
    cohort = executable.cohort
    block = blocks_of(cohort, executable.recipe)[0]
    total, steps = cohort.members[0].training.steps, 1

    def started(device: Any) -> tuple[Any, Any]:
        return jax.block_until_ready((executable.init(block, device), jax.device_put(block.floats, device)))

    def run(begun: tuple[Any, Any], device: Any) -> None:
        jax.block_until_ready(executable.advance(*begun, device, steps, False))

    try:
        if executable.bytes_needed(devices[0]) > MEMORY_SHARE * bytes_free(devices[0]):
            return 0.0
        with ThreadPoolExecutor(len(devices)) as pool:
            list(pool.map(executable.compiled, devices))
            while True:
                begun = [started(device) for device in devices]
                begin = time.perf_counter()
                list(pool.map(run, begun, devices))
                elapsed = time.perf_counter() - begin
                if elapsed >= seconds or steps == total:
                    return steps * block.rows * len(devices) / elapsed
                steps = min(2 * steps, total)
    except jax.errors.JaxRuntimeError as error:
        if out_of_memory(error):
            return 0.0
        raise
