"""The fixed parts of a cohort that one call advances."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from zoo.devices.recipe import Recipe
from zoo.spec.cohorts import Cohort
from zoo.training.binding import Floats, floats_of


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


def blocks_of(cohort: Cohort, recipe: Recipe) -> list[Block]:
    """The blocks of a cohort; the last is padded with copies of its first member, whose results are never kept."""
    floats = floats_of(cohort)
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
