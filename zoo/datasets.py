"""Image sets as uint8 arrays, their fixed splits, and minibatches without replacement.

Every set is `(image, height, width)` or `(image, height, width, channel)` uint8 from 0 to 255 with int32 labels.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's packaged 8 x 8 handwritten digits (Alpaydin & Kaynak 1998, UCI); nothing is downloaded.

    Returns:
      images: `(1797, 8, 8)` uint8. The set's 17 grey levels, 0 to 16, are spread over 0 to 255.
      labels: `(1797,)` int32, 0 to 9.
    """
    from sklearn.datasets import load_digits  # slow to import, and wanted only here

    images, labels = map(np.asarray, load_digits(return_X_y=True))
    return np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels.astype(np.int32)


def split(size: int, fraction: float, key: int) -> tuple[np.ndarray, np.ndarray]:
    """A random split of `range(size)` that depends on `key` alone: indices to train on, `fraction` of all, and others.

    Image sets are stored writer by writer, so that the first part is not a fair sample of the rest.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"split: fraction={fraction} must lie between 0 and 1.")
    # NumPy promises never to change the raw words of a bit generator; of its `permutation` it promises less.
    words = np.random.Philox(key=key).random_raw(size)
    order = np.argsort(words, kind="stable")
    count = round(size * fraction)
    if not 0 < count < size:
        raise ValueError(f"split: fraction={fraction} of {size} examples leaves one part empty.")
    return order[:count], order[count:]


def epoch_indices(key: jax.Array, step: Any, batch: int, size: int) -> jax.Array:
    """The examples of minibatch `step`: without replacement within an epoch, and without ever sorting one.

    Position p = step * batch + i of the endless stream belongs to epoch p // size, and holds the image of p % size
    under that epoch's own permutation of [0, size). The permutation is the swap-or-not shuffle (Hoang, Morris &
    Rogaway 2012, CRYPTO): in each round, with K uniform in [0, size) and F a random bit,

        x' = K - x mod size;    x <- x' where F(round, max(x, x')).

    x and x' share the bit, so each round is a bijection and so is the whole: every example comes exactly once per
    epoch, for any `size`, at the cost of the batch's positions only. There are 6 log2(size) rounds, at least 24.
    K and the rounds' keys are threefry's; F is murmur3's 32-bit finaliser (Appleby 2011): good enough to shuffle
    with, and not for secrets.

    Args:
      key: the stream's key, the same at every step.
      step: number of the minibatch, may be traced.
      batch: examples in a minibatch; it may straddle two epochs, or hold several.
      size: examples in an epoch, below 2^31.

    Returns:
      `(batch,)` int32 in [0, size). Positions wrap after 2^32 examples.
    """
    rounds = max(24, math.ceil(6 * math.log2(size)))
    position = jnp.uint32(step) * jnp.uint32(batch) + jnp.arange(batch, dtype=jnp.uint32)
    epoch, x = position // jnp.uint32(size), position % jnp.uint32(size)

    # The positions of a batch lie in this many neighbouring epochs at most.
    span = (batch + size - 2) // size + 1
    epochs = epoch[0] + jnp.arange(span, dtype=jnp.uint32)
    words = jax.vmap(lambda e: jax.random.bits(jax.random.fold_in(key, e), (rounds, 2)))(epochs)
    shifts, salts = words[..., 0] % jnp.uint32(size), words[..., 1]
    which = epoch - epoch[0]

    def swap_or_not(x, round_):
        shift, salt = (words_[which] for words_ in round_)
        partner = shift + jnp.uint32(size) - x
        partner = jnp.where(partner >= size, partner - jnp.uint32(size), partner)
        return jnp.where(_hash(jnp.maximum(x, partner) ^ salt) >> 31 == 1, partner, x), None

    x, _ = jax.lax.scan(swap_or_not, x, (shifts.T, salts.T))
    return x.astype(jnp.int32)


def _hash(x: jax.Array) -> jax.Array:
    """murmur3's finaliser: every input bit reaches every output bit."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
