"""Keys do not follow how JAX is configured."""

import jax
import numpy as np

from zoo.keys import threefry_key


def test_a_seed_gives_the_same_numbers_whatever_kind_of_keys_is_the_default() -> None:
    words = jax.random.key_data(threefry_key(7))
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(jax.random.key_data(threefry_key(7)), words)
        assert jax.random.key_data(jax.random.key(7)).shape != words.shape, "the default is another kind here"
    np.testing.assert_array_equal(words, [0, 7])
