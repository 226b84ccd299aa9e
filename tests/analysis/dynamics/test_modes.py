"""What is taken out of a linear system is one mode, and no other; at random it is a mode of the same norm elsewhere."""

import numpy as np

from analysis.dynamics.modes import modes_of, turned


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Jacobian that is not normal, its eigenvalues by falling modulus, and its right vectors."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(6, 6)) + 2 * np.eye(6)
    blocks = np.diag([1.1, 0.0, 0.0, 0.5, -0.4, 0.1])
    blocks[1:3, 1:3] = 0.9 * np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    return vectors @ blocks @ np.linalg.inv(vectors), np.array([1.1, 0.9 * np.exp(0.6j), 0.5, -0.4, 0.1]), vectors


def test_modes_are_by_falling_modulus_and_a_complex_pair_is_one() -> None:
    jacobian, eigenvalues, _ = planted()
    found = modes_of(jacobian, 7)
    np.testing.assert_allclose(found.eigenvalues[:5], eigenvalues, atol=1e-12)
    assert np.isnan(found.norms[5:]).all()
    assert (found.norms[:5] >= 1 - 1e-12).all()


def test_a_projection_onto_a_mode_commutes_with_the_jacobian_and_leaves_the_others() -> None:
    jacobian, _, vectors = planted()
    found = modes_of(jacobian, 5)
    projections = [right.T @ left for right, left in zip(found.right, found.left)]
    np.testing.assert_allclose(sum(projections), np.eye(6), atol=1e-9)
    for k, p in enumerate(projections):
        np.testing.assert_allclose(p @ p, p, atol=1e-9)
        np.testing.assert_allclose(jacobian @ p, p @ jacobian, atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(p), found.norms[k])
    np.testing.assert_allclose(projections[0] @ vectors[:, 0], vectors[:, 0], atol=1e-9)
    np.testing.assert_allclose(projections[1] @ vectors[:, 1:3], vectors[:, 1:3], atol=1e-9)


def test_a_random_mode_is_a_projection_of_the_same_norm_and_rank() -> None:
    jacobian, _, _ = planted()
    found = modes_of(jacobian, 2)
    right, left = turned(found, 3, seed=1)
    for k in range(2):
        for time in range(3):
            p = right[k, time].T @ left[k, time]
            np.testing.assert_allclose(p @ p, p, atol=1e-9)
            np.testing.assert_allclose(np.linalg.norm(p), found.norms[k])
            assert np.linalg.matrix_rank(p) == 1 + k
            assert np.abs(p - found.right[k].T @ found.left[k]).max() > 0.05


def test_what_has_no_mode_of_its_own_gives_none() -> None:
    block = modes_of(np.array([[0.9, 1.0], [0.0, 0.9]]), 2)
    assert np.isnan(block.right).all()
    assert np.isnan(modes_of(np.full((2, 2), np.nan), 2).eigenvalues).all()
