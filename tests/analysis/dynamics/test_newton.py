"""Newton's method: roots to the last digit, ghosts without one, spectra in order."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.dynamics.newton import polished, spectra
from models._layers import ACTIVATIONS


def test_a_root_is_exact_and_its_newton_step_short() -> None:
    with jax.enable_x64(True):
        roots = polished(lambda x, u: jnp.cos(x), jnp.array([[0.7]]), jnp.zeros((1, 1)))
    np.testing.assert_allclose(roots.states, [[0.7390851332151607]], atol=1e-15)
    assert float(roots.speeds[0]) < 1e-15
    assert float(roots.steps[0]) < 1e-15


def test_at_a_ghost_newtons_step_leads_away_however_slow_it_is() -> None:
    with jax.enable_x64(True):
        roots = polished(lambda x, u: x + 0.1 * (x**2 + 1e-10), jnp.array([[1e-4]]), jnp.zeros((1, 1)))
    assert float(roots.speeds[0]) < 1e-9
    assert float(roots.steps[0]) > 1e-6


def test_the_index_is_the_sign_of_the_determinant_of_what_a_step_takes_away() -> None:
    factors = jnp.array([[0.5, 0.5], [1.5, 0.5], [1.5, 2.0], [-1.5, 0.5]])
    with jax.enable_x64(True):
        roots = polished(lambda x, u: x * u, jnp.zeros((4, 2)), jnp.asarray(factors, jnp.float64))
    assert roots.indices.tolist() == [1, -1, 1, 1]


def test_no_two_factorisations_are_there_to_be_begun_at_once() -> None:
    """Of two on a pool of two threads each waits for the other's."""
    program = jax.make_jaxpr(lambda x: polished(lambda x, u: jnp.tanh(x), x, x))(jnp.zeros((4, 2)))
    assert [named.primitive.name for named in within(program.jaxpr)].count("lu") == 2  # in the loop, and after it


def within(jaxpr: Any) -> Iterator[Any]:
    """The equations of a program and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for part in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda part: hasattr(part, "eqns")):
            inside = getattr(part, "jaxpr", part)
            yield from within(inside) if hasattr(inside, "eqns") else ()


def test_spectra_are_the_jacobians_by_falling_modulus() -> None:
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(5, 5))

    def flow(x: Any, u: Any) -> Any:
        return x @ matrix.T

    with jax.enable_x64(True):
        found = np.asarray(spectra(flow, jnp.zeros((2, 5)), jnp.zeros((2, 1))).eigenvalues)
    assert (np.diff(np.abs(found), axis=1) <= 1e-12).all()
    np.testing.assert_allclose(np.sort_complex(found[1]), np.sort_complex(np.linalg.eigvals(matrix)), atol=1e-10)


HALVED = {"halved": lambda x: jnp.maximum(x, 0)}
"""ReLU with a slope of 1/2 at 0, as automatic derivatives have it."""


@pytest.mark.parametrize(
    ("activation", "place", "kinked"),
    [
        ("relu", 0.0, True),
        ("relu", 1e-9, True),
        ("halved", 0.0, True),
        ("relu", 0.3, False),
        ("relu", -3.0, False),
        ("retanh", 0.0, True),
        ("power", 0.0, False),
        ("elu", 0.0, False),
        ("tanh", 0.0, False),
        ("tanh", 30.0, False),
    ],
)
def test_a_place_on_a_kink_is_told_from_one_where_the_flow_is_smooth_or_merely_curved(
    activation: str, place: float, kinked: bool
) -> None:
    weights = 20 * np.random.default_rng(0).normal(size=(5, 5))

    def flow(x: Any, u: Any) -> Any:
        return (ACTIVATIONS | HALVED)[activation](x) @ weights.T

    with jax.enable_x64(True):
        at = jnp.full((1, 5), 40.0).at[0, 2].set(place)
        assert spectra(flow, at, jnp.zeros((1, 1))).kinked.tolist() == [kinked]
