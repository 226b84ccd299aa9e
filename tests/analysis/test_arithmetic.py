"""Numbers are as wide as was asked for, and only there."""

import jax.numpy as jnp
import pytest

from analysis.arithmetic import in_precision


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_as_wide_as_asked_inside_the_context_and_single_after_it(dtype: str) -> None:
    with in_precision(dtype):
        assert jnp.linspace(0.0, 1.0, 3).dtype == dtype
    assert jnp.linspace(0.0, 1.0, 3).dtype == "float32"
