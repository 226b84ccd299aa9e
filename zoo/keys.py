"""Keys of random numbers, all of one kind: what a seed gives must not follow how JAX is configured."""

import jax

__all__ = ["threefry_key"]


def threefry_key(seed: int | jax.Array) -> jax.Array:
    """The key of a seed of 32 bits; a seed may differ between the members of a program."""
    return jax.random.key(seed, impl="threefry2x32")
