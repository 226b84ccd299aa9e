"""A key follows from its seed alone."""

import jax
import numpy as np

from zoo.keys import threefry_key


def test_a_key_is_the_same_however_jax_is_configured() -> None:
    with jax.default_prng_impl("rbg"):
        key = threefry_key(7)
    assert jax.random.key_impl(key) == "threefry2x32"
    np.testing.assert_array_equal(jax.random.key_data(key), [0, 7])
