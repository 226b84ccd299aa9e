"""The directions in which saddles are left: what their unstable modes span, and how far from the saddle starts lie."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from analysis.dynamics.states import flow_of, jacobian_of

__all__ = ["MOST_MODES", "Span", "left_modes", "modes", "span_of"]

NEAR_START = 1e-3
"""Distance of starts from their saddle along its slowest unstable mode, of the range of visited states."""
MOST_DECADES = 3.0
"""Times as many decades nearer along a faster one, at most."""
MOST_MODES = 8
"""Unstable modes of a saddle that are followed, those of the largest eigenvalues."""


class Span(NamedTuple):
    """The unstable modes of a saddle, `(coordinate, mode)`, those of a pair at right angles to each other, as long as
    starts are far from it along them, of the range; and which are of real eigenvalues."""

    basis: np.ndarray
    is_real: np.ndarray


def span_of(values: np.ndarray, real: np.ndarray, imaginary: np.ndarray, decades: float) -> Span:
    """Modes of `values`; as long as `decades` times those of the module's text, 0 for all of unit length."""
    columns, is_real = [], []
    growth = np.log(np.abs(values))
    for k, value in enumerate(values):
        length = NEAR_START ** (decades * min(growth[k] / growth.min(), MOST_DECADES))
        if np.imag(value) == 0:
            columns.append(length * real[:, k] / np.linalg.norm(real[:, k]))
            is_real.append(True)
        elif np.imag(value) > 0:
            columns += [*(length * np.linalg.qr(np.stack([real[:, k], imaginary[:, k]], 1))[0].T)]
            is_real += [False, False]
    return Span(np.stack(columns, 1), np.array(is_real, bool))


def modes(bound: Any, variables: Any, key: Any, states: Any, inputs: Any) -> tuple[Any, Any, Any]:
    """The eigenvalues of the largest moduli, `(row, mode)`, and the real and imaginary parts of their eigenvectors,
    `(row, coordinate, mode)`; on the CPU alone. A function for `Assayed.map`."""
    return _leading(jacobian_of(flow_of(bound.model, variables))(states, inputs))


def left_modes(bound: Any, variables: Any, key: Any, states: Any, inputs: Any) -> tuple[Any, Any, Any]:
    """`modes`, of the transposed Jacobian."""
    return _leading(jnp.swapaxes(jacobian_of(flow_of(bound.model, variables))(states, inputs), 1, 2))


def _leading(jacobians: Any) -> tuple[Any, Any, Any]:
    eigenvalues, vectors = jnp.linalg.eig(jacobians)
    order = jnp.argsort(-jnp.abs(eigenvalues), axis=-1)[:, :MOST_MODES]
    vectors = jnp.take_along_axis(vectors, order[:, None, :], axis=-1)
    return jnp.take_along_axis(eigenvalues, order, axis=-1), jnp.real(vectors), jnp.imag(vectors)
