"""The nuclear norm and its gradient, against the singular value decomposition of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.training.singular_values import LEAST_SINGULAR, nuclear_norm, polar_factor


def with_singular_values(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A square matrix with these, and random singular vectors."""
    random = np.random.default_rng(seed)
    u, v = (np.linalg.qr(random.standard_normal((len(values),) * 2))[0] for _ in range(2))
    return np.float32(u * values @ v.T)


SPECTRA = {
    "orthogonal": np.ones(12),
    "one large": np.array([5.0, *np.linspace(0.1, 1, 11)]),
    "over a hundred": np.geomspace(1e-2, 1, 12),
    "of large weights": 100 * np.linspace(0.5, 2, 12),
    "of small weights": 1e-4 * np.linspace(0.5, 2, 12),
}


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_it_is_the_sum_of_the_singular_values_and_its_gradient_their_vectors(spectrum: str) -> None:
    weight = with_singular_values(SPECTRA[spectrum])
    u, _, vt = np.linalg.svd(np.float64(weight))
    value, gradient = jax.jit(jax.value_and_grad(nuclear_norm))(weight)
    np.testing.assert_allclose(value, SPECTRA[spectrum].sum(), rtol=1e-4)
    np.testing.assert_allclose(gradient, u @ vt, atol=2e-4)


@pytest.mark.parametrize("rank", [1, 3])
def test_of_a_matrix_of_low_rank_the_gradient_is_that_of_its_singular_vectors_and_none_beside(rank: int) -> None:
    values = np.where(np.arange(12) < rank, np.linspace(1, 2, 12), 0.0)
    weight = with_singular_values(values)
    u, _, vt = np.linalg.svd(np.float64(weight))
    gradient = np.asarray(jax.grad(nuclear_norm)(weight))
    np.testing.assert_allclose(gradient, u[:, :rank] @ vt[:rank], atol=2e-3)


def test_below_the_least_singular_value_the_gradient_goes_to_0_in_proportion() -> None:
    sizes = LEAST_SINGULAR * np.array([0.001, 0.01, 0.1])
    weight = with_singular_values(np.array([1.0, *sizes]))
    u, _, vt = np.linalg.svd(np.float64(weight))
    along = np.diag(u.T @ np.asarray(jax.jit(polar_factor)(weight)) @ vt.T)
    np.testing.assert_allclose(along[0], 1, atol=1e-3)
    assert 0 < along[3] < along[2] < along[1] < 1
    np.testing.assert_allclose(along[2] / along[3], 10, rtol=0.2)


def test_no_weights_have_the_norm_0_and_no_gradient() -> None:
    value, gradient = jax.value_and_grad(nuclear_norm)(jnp.zeros((4, 4)))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_several_matrices_at_once_are_as_each_alone() -> None:
    weights = jnp.stack([with_singular_values(SPECTRA["one large"], seed) for seed in range(3)])
    np.testing.assert_allclose(nuclear_norm(weights), [nuclear_norm(w) for w in weights], rtol=1e-5)


def test_proximal_steps_bring_down_the_rank() -> None:
    """Descent of |W - M|^2 / 2 + c |W|_*: the singular values of M, each less c, and 0 where that is below 0."""
    target, c = with_singular_values(np.array([3.0, 2.0, 0.5, 0.2])), 1.0

    @jax.jit
    def step(weight: jax.Array) -> jax.Array:
        return weight - 0.02 * jax.grad(lambda w: jnp.sum((w - target) ** 2) / 2 + c * nuclear_norm(w))(weight)

    weight = jnp.asarray(target)
    for _ in range(800):
        weight = step(weight)
    np.testing.assert_allclose(np.linalg.svd(weight)[1], [2, 1, 0, 0], atol=0.025)  # a step is 0.02
