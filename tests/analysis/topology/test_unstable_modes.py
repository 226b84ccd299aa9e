"""What starts span about a saddle: at right angles in a plane of rotation, nearer along modes that grow sooner."""

import numpy as np
import pytest

from analysis.topology.unstable_modes import span_of


def test_a_conjugate_pair_is_spanned_by_two_directions_at_right_angles() -> None:
    values = np.array([1.2 * np.exp(0.3j), 1.2 * np.exp(-0.3j)])
    vector = np.array([1.0 + 0.5j, 2.0 - 1.0j, 0.3j])
    vectors = np.stack([vector, vector.conj()], 1)
    span = span_of(values, vectors.real, vectors.imag, decades=0.0)
    np.testing.assert_allclose(span.basis.T @ span.basis, np.eye(2), atol=1e-12)
    assert span.is_real.tolist() == [False, False]
    # What the pair spans is what its real and imaginary parts span.
    away = vectors.real[:, 0] - span.basis @ (span.basis.T @ vectors.real[:, 0])
    np.testing.assert_allclose(away, 0, atol=1e-12)


def test_starts_lie_nearer_along_what_grows_sooner_so_that_all_have_grown_at_one_time() -> None:
    values = np.array([1.2**2, 1.2])
    span = span_of(values, np.eye(2), np.zeros((2, 2)), decades=1.0)
    fast, slow = np.linalg.norm(span.basis, axis=0)
    steps = np.log(1 / slow) / np.log(1.2)
    assert fast * values[0] ** steps == pytest.approx(slow * values[1] ** steps)
