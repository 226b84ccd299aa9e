"""A recipe with another block: its groups still divide it."""

import pytest

from zoo.devices.recipe import Recipe, with_block


@pytest.mark.parametrize(
    ("inner", "block", "expected"), [(4, 8, 4), (4, 6, 3), (4, 7, 1), (4, 2, 2), ("map", 7, "map")]
)
def test_groups_divide_the_block_for_a_remainder_would_change_bits(
    inner: str | int, block: int, expected: str | int
) -> None:
    assert with_block(Recipe(64, inner, "columns", 1), block) == Recipe(block, expected, "columns", 1)
