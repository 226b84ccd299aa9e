"""A cohort cut into blocks of one size, and a function mapped over one."""

import jax.numpy as jnp
import numpy as np
import pytest

from models import vanilla
from zoo import Training, Zoo, product
from zoo.devices.blocks import blocks_of, over_members
from zoo.devices.recipe import Recipe
from zoo.tasks import flipflop

ZOO = Zoo(
    "blocks",
    task=flipflop.Task(),
    model=vanilla.Model(hidden=3),
    training=product(Training, learning_rate=[1e-3, 2e-3, 3e-3]),
    seeds=3,
)


@pytest.mark.parametrize("size", [1, 4, 9, 16])
def test_every_member_is_in_one_block_and_the_rest_is_padding(size: int) -> None:
    (cohort,) = ZOO.cohorts
    blocks = blocks_of(cohort, Recipe(size, "map", "columns", 1))
    rates = np.concatenate([block.floats.training["learning_rate"][: block.rows] for block in blocks])
    seeds = np.concatenate([block.floats.seed[: block.rows] for block in blocks])
    assert rates.tolist() == [np.float32(member.training.learning_rate) for member in cohort.members]
    assert seeds.tolist() == [member.seed for member in cohort.members]
    assert [block.index for block in blocks] == list(range(len(blocks)))
    assert {len(block.floats.seed) for block in blocks} == {size}


@pytest.mark.parametrize("inner", ["map", "vmap", 2])
def test_a_function_of_one_member_is_mapped_and_further_arguments_are_shared(inner: str | int) -> None:
    mapped = over_members(lambda x, y, shared: x * y + shared, Recipe(4, inner, "columns", 1), stacked=2)
    x, y = jnp.arange(4.0), jnp.arange(4.0) + 1
    np.testing.assert_array_equal(mapped(x, y, jnp.float32(10)), x * y + 10)
