"""Lyapunov exponents are those of linear maps, of Henon's, the logistic and the cat map, in whatever coordinates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import special_ortho_group

from analysis.dynamics.lyapunov import exponents, kaplan_yorke


def of(flow: Any, start: Any, steps: int, count: int, settle: int = 100) -> np.ndarray:
    states = np.atleast_2d(np.float64(start))
    with jax.enable_x64():
        run = jax.jit(lambda x, u: exponents(flow, x, u, count, settle))
        return np.asarray(run(states, np.zeros((steps, len(states), 1))))


def henon(x: Any, inputs: Any) -> Any:
    return jnp.stack([1 - 1.4 * x[:, 0] ** 2 + x[:, 1], 0.3 * x[:, 0]], 1)


def test_of_a_linear_map_they_are_the_logarithms_of_the_moduli_of_its_eigenvalues() -> None:
    draw = np.random.default_rng(0)
    turn = special_ortho_group.rvs(4, random_state=1)
    values = np.array([1.2, 0.9, 0.5, 0.1])
    matrix = turn @ (np.diag(values) + np.triu(draw.normal(size=(4, 4)), 1)) @ turn.T
    found = of(lambda x, inputs: x @ matrix.T, draw.normal(size=(3, 4)), 2000, 4)
    np.testing.assert_allclose(found, [np.log(values)] * 3, atol=2e-3)
    np.testing.assert_allclose(of(lambda x, inputs: x @ matrix.T, np.ones(4), 2000, 2), [np.log(values[:2])], atol=2e-3)


def test_a_turn_has_equal_exponents() -> None:
    angle, size = 0.7, 0.95
    matrix = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(of(lambda x, inputs: x @ matrix.T, [1.0, 0.0], 500, 2), [[np.log(size)] * 2], atol=1e-9)


def test_of_henons_map_they_and_the_dimension_are_the_published_ones() -> None:
    found = of(henon, [[0.1, 0.1], [0.3, 0.0]], 20000, 2)
    np.testing.assert_allclose(found.mean(0), [0.419, -1.623], atol=5e-3)
    np.testing.assert_allclose(found.sum(1), np.log(0.3), atol=1e-9)
    np.testing.assert_allclose(kaplan_yorke(found.mean(0)[None], 2), [1.258], atol=3e-3)


def test_of_the_logistic_map_the_exponent_is_log_2_and_of_a_stable_cycle_it_is_that_of_its_derivative() -> None:
    assert of(lambda x, inputs: 4 * x * (1 - x), [0.3], 20000, 1)[0, 0] == pytest.approx(np.log(2), abs=1e-2)
    rate = 3.2
    cycle = [(rate + 1 + s * np.sqrt((rate - 3) * (rate + 1))) / (2 * rate) for s in (1, -1)]
    expected = np.mean([np.log(abs(rate * (1 - 2 * x))) for x in cycle])
    assert of(lambda x, inputs: rate * x * (1 - x), [0.3], 2001, 1, 1001)[0, 0] == pytest.approx(expected, abs=1e-9)


def test_another_basis_of_the_state_changes_nothing() -> None:
    turn = special_ortho_group.rvs(2, random_state=3)
    turned = lambda x, inputs: henon(x @ turn, inputs) @ turn.T  # noqa: E731
    start = np.array([[0.1, 0.1]])
    np.testing.assert_allclose(of(turned, start @ turn.T, 4000, 2), of(henon, start, 4000, 2), atol=2e-2)


def test_inputs_are_those_of_each_time_and_trajectory() -> None:
    flow = lambda x, inputs: inputs * x  # noqa: E731
    inputs = np.random.default_rng(0).uniform(0.1, 2, (50, 3, 1))
    with jax.enable_x64():
        found = exponents(flow, jnp.ones((3, 1)), jnp.asarray(inputs), 1, settle=10)
    np.testing.assert_allclose(found[:, 0], np.log(inputs[10:, :, 0]).mean(0))


def test_a_direction_that_vanishes_has_an_exponent_of_minus_infinity_and_what_overflows_has_none() -> None:
    found = of(lambda x, inputs: x * jnp.array([[0.5, 0.0]]), [1.0, 1.0], 20, 2, 2)
    np.testing.assert_allclose(found, [[np.log(0.5), -np.inf]], rtol=1e-6)
    assert np.isnan(of(lambda x, inputs: x**2 * 1e200, [1e200], 20, 1, 0)).all()


@pytest.mark.parametrize(
    ("spectrum", "width", "dimension"),
    [
        ([0.419, -1.623], 2, 1 + 0.419 / 1.623),
        ([-0.1, -0.2], 2, 0.0),
        ([0.5, 0.0, -1.0, -2.0], 4, 2.5),
        ([0.0, -1.0], 2, 1.0),
        ([0.5, 0.2], 2, 2.0),
        ([0.5, 0.2], 9, np.nan),
        ([0.5, np.nan], 9, np.nan),
        ([-np.inf, -np.inf], 2, 0.0),
        ([0.5, -np.inf], 2, 1.0),
        ([-3e-6, -1.0], 2, 1.0),  # of a cycle, in single precision
    ],
)
def test_the_kaplan_yorke_dimension_is_that_of_its_formula(spectrum: list[float], width: int, dimension: float) -> None:
    np.testing.assert_allclose(kaplan_yorke(np.array([spectrum]), width), [dimension])
