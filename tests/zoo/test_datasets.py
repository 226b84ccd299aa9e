"""The image sets, their splits, and the shuffle that draws minibatches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.datasets import digits, epoch_indices, split


def _stream(key: jax.Array, steps: int, batch: int, size: int) -> np.ndarray:
    """The first `steps` minibatches, one after the other."""
    draw = jax.jit(jax.vmap(lambda step: epoch_indices(key, step, batch, size)))
    return np.asarray(draw(jnp.arange(steps))).reshape(-1)


@pytest.mark.parametrize(("size", "batch"), [(1, 3), (7, 3), (10, 25), (1438, 64)])
def test_each_epoch_is_a_permutation(size, batch):
    epochs = 4
    stream = _stream(jax.random.key(1), -(-epochs * size // batch), batch, size)[: epochs * size]
    for epoch in stream.reshape(epochs, size):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(size))


def test_epochs_and_keys_differ():
    size = 1438
    first, second = _stream(jax.random.key(0), 2, size, size).reshape(2, size)
    other = _stream(jax.random.key(1), 1, size, size)
    # Two independent permutations agree in one place on average.
    assert np.sum(first == second) < 8
    assert np.sum(first == other) < 8
    assert np.sum(first == np.arange(size)) < 8


@pytest.mark.parametrize("size", [5, 23])
def test_every_example_is_as_likely_at_every_position(size):
    draws = 4000
    keys = jax.random.split(jax.random.key(2), draws)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: epoch_indices(key, 0, size, size)))(keys))
    counts = np.stack([np.bincount(orders[:, place], minlength=size) for place in range(size)])
    expected = draws / size
    freedom = (size - 1) ** 2
    chi2 = np.sum((counts - expected) ** 2) / expected
    assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)


def test_neighbours_are_independent():
    """Pairs of examples meet in a minibatch as often as chance has it."""
    size, draws = 12, 6000
    keys = jax.random.split(jax.random.key(3), draws)
    pairs = np.asarray(jax.jit(jax.vmap(lambda key: epoch_indices(key, 0, 2, size)))(keys))
    counts = np.bincount(pairs[:, 0] * size + pairs[:, 1], minlength=size**2).reshape(size, size)
    apart = ~np.eye(size, dtype=bool)
    expected, freedom = draws / apart.sum(), apart.sum() - 1
    assert counts[~apart].sum() == 0
    assert abs(np.sum((counts[apart] - expected) ** 2) / expected - freedom) < 4 * np.sqrt(2 * freedom)


def test_swap_or_not_follows_its_definition():
    """Against a plain rendering of the paper's loop, with Python's unbounded integers."""
    key, size, batch, step = jax.random.key(4), 1000, 8, 124  # the last minibatch of epoch 0 ends at 1000

    def finaliser(x):
        x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
        x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
        return x ^ x >> 16

    words = np.asarray(jax.random.bits(jax.random.fold_in(key, 0), (60, 2))).tolist()  # 6 log2(1000) = 59.8
    expected = []
    for x in range(step * batch, step * batch + batch):
        for shift, salt in words:
            partner = (shift - x) % size
            x = partner if finaliser(max(x, partner) ^ salt) >> 31 else x
        expected.append(x)
    assert epoch_indices(key, step, batch, size).tolist() == expected


def test_shuffle_is_the_same_traced_mapped_and_late():
    key, size, batch = jax.random.key(5), 60_000, 32
    steps = jnp.array([0, 1874, 1875, 2_000_000])
    one = jax.jit(lambda step: epoch_indices(key, step, batch, size))
    single = jnp.stack([one(step) for step in steps])
    eager = epoch_indices(key, 1875, batch, size)
    mapped = jax.jit(lambda key: jax.lax.map(lambda step: epoch_indices(key, step, batch, size), steps))(key)
    np.testing.assert_array_equal(single, mapped)
    np.testing.assert_array_equal(eager, mapped[2])
    assert eager.dtype == mapped.dtype == jnp.int32
    assert 0 <= int(mapped.min()) <= int(mapped.max()) < size


def test_split_is_disjoint_complete_and_random():
    train, test = split(1797, 0.8, 0)
    assert (len(train), len(test)) == (1438, 359)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    np.testing.assert_array_equal(train[:5], split(1797, 0.8, 0)[0][:5])
    assert not np.array_equal(train, split(1797, 0.8, 1)[0])
    # A random fifth reaches into every tenth of the set; the mean index of the held-out part is that of the whole.
    assert set(test // 180) == set(range(10))
    assert abs(test.mean() - 898) < 4 * 519 / np.sqrt(359)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5, -0.2])
def test_split_refuses_a_part_that_is_none(fraction):
    with pytest.raises(ValueError, match=f"fraction={fraction}"):
        split(10, fraction, 0)


def test_split_refuses_an_empty_part():
    with pytest.raises(ValueError, match="leaves one part empty"):
        split(3, 0.9, 0)


def test_digits_are_bytes_from_0_to_255():
    images, labels = digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images)) == 17
    assert labels.dtype == np.int32
    assert set(labels) == set(range(10))
