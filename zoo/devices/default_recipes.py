"""The recipe that a cohort is given where none was tuned: a table by device kind and model family."""

import jax

from zoo.devices.recipe import Recipe, with_block
from zoo.devices.startup import lanes, threads
from zoo.spec.cohorts import Cohort

# Measured with benchmarks/training.py and convolution.py --forms. On CPU one member after the other keeps its
# parameters in the cache and needs no batched product; on accelerators only a full device pays. The GPU and TPU rows
# are not measured yet: `--tune`.
TABLE: dict[tuple[str, str], tuple[int, str, str]] = {
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


def default_recipe(cohort: Cohort, block: int | None = None, members: int = 0, processes: int = 1) -> Recipe:
    """The table's recipe for a cohort on this machine's default device.

    Where members run one by one their bits do not depend on the block, so it is small enough to occupy every lane
    twice over, or, where the zoo has many `members` in other cohorts, not smaller than an eighth of a lane's share:
    a second block costs checkpoints of its own. Elsewhere the block is the table's, or the next power of two that
    holds the cohort.
    """
    family = type(cohort.members[0].model).family
    largest, inner, conv_form = TABLE[_platform(), family]
    count, blocks = len(cohort.members), len(lanes()) * processes
    if inner == "map":
        size = min(largest, max(-(-count // (2 * blocks)), min(count, members // (8 * blocks))))
    else:
        size = min(largest, 1 << (count - 1).bit_length())
    return with_block(Recipe(size, inner, conv_form, threads()), block or size)


def _platform() -> str:
    backend = jax.default_backend()
    return "gpu" if backend in ("cuda", "rocm") else backend
