"""Networks made linear: Jacobians of every model, modes of planted matrices, time constants, simulations."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.dynamics import linear
from analysis.dynamics.packing import at_places
from analysis.dynamics.states import flow_of, input_jacobian_of, layout_of
from models import gru, lstm, ugrnn, vanilla
from tests.analysis.dynamics.planted import Planted, runner
from zoo.devices.compilation import SOLVERS, solves

MODELS = [vanilla.Model(hidden=4), ugrnn.Model(hidden=4), gru.Model(hidden=4), lstm.Model(hidden=4)]
CURRENT = vanilla.Model(hidden=4, continuous=True, leak="current", tau=50.0, dt=10.0)


def variables_of(model: Any) -> Any:
    return model.init(jax.random.key(1, impl="threefry2x32"), jnp.zeros((1, 1, 2)))


def linearized(model: Any, variables: Any, states: np.ndarray, inputs: np.ndarray, **options: Any) -> Any:
    """One network about states under one input."""
    function = linear.linearizing(
        options.get("vectors", 2), options.get("noise", 0.01), options.get("steps", 5), options.get("rates", False)
    )
    run = runner(model, {"m": variables})
    return at_places(run, ["m"], function, {(0, 0): states}, inputs[None], [np.ones(1)])[0, 0]


def matrix_step(variables: Any, x: Any, inputs: Any) -> Any:
    """A linear network."""
    return x @ variables["j"].T + inputs @ variables["b"].T


def planted(eigenvalues: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of real eigenvalues, and its right eigenvectors as columns."""
    v = np.random.default_rng(seed).normal(size=(len(eigenvalues), len(eigenvalues)))
    v /= np.linalg.norm(v, axis=0)
    return v @ np.diag(eigenvalues) @ np.linalg.inv(v), v


def slopes(function: Any, at: np.ndarray) -> np.ndarray:
    """The derivative of what a function gives of a row, by finite differences, `(given, of)`."""
    steps = 1e-6 * np.eye(at.shape[1])[:, None]
    return np.concatenate([function(at + e) - function(at - e) for e in steps]).T / 2e-6


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__module__)
def test_jacobians_of_state_and_input_are_those_of_finite_differences(model: Any) -> None:
    variables = variables_of(model)
    draw = np.random.default_rng(1)
    width = 8 if isinstance(model, lstm.Model) else 4
    x, u = draw.normal(size=(2, width)), draw.normal(size=2)
    given = linearized(model, variables, x, u, vectors=width)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda w: np.asarray(w, np.float64), variables)
        assert layout_of(model, double).width == width
        flow = flow_of(model, double)
        for p in range(2):
            by_input = slopes(lambda row, p=p: flow(x[p : p + 1], row), u[None])
            np.testing.assert_allclose(given.inputs[p], by_input, atol=1e-8)
            by_state = slopes(lambda row: flow(row, u[None]), x[p : p + 1])
            rebuilt = np.einsum("vi,v,vj->ij", given.right[p], given.eigenvalues[p], given.left[p])
            np.testing.assert_allclose(rebuilt, by_state, atol=1e-6)
        one = input_jacobian_of(flow)(jnp.asarray(x), jnp.broadcast_to(u[None], (2, 2)))
    np.testing.assert_allclose(given.inputs, one, atol=1e-14)


def test_a_planted_line_attractor_has_exactly_one_eigenvalue_at_1_and_its_vectors() -> None:
    j, v = planted([1.0, 0.8, -0.5, 0.2])
    given = linearized(Planted(matrix_step, 4), {"j": j, "b": np.eye(4)[:, :2]}, np.zeros((1, 4)), np.zeros(2))
    assert (np.abs(given.eigenvalues - 1) < 1e-12).sum() == 1
    np.testing.assert_allclose(given.eigenvalues[0], [1.0, 0.8, -0.5, 0.2], atol=1e-12)
    cosine = np.abs(given.right[0] @ v[:, :2].astype(complex))
    np.testing.assert_allclose(np.diag(cosine), 1, atol=1e-12)
    sign = np.sign(np.real(given.right[0, 0] @ v[:, 0]))
    np.testing.assert_allclose(given.left[0, 0] * sign, np.linalg.inv(v)[0], atol=1e-10)


def test_a_linear_integrator_sums_its_input_along_the_leading_mode() -> None:
    j, _ = planted([1.0, 0.6, 0.3])
    b = np.random.default_rng(3).normal(size=(3, 1))
    given = linearized(Planted(matrix_step, 3), {"j": j, "b": b}, np.zeros((1, 3)), np.zeros(1))
    inputs = np.random.default_rng(4).normal(size=(200, 1))
    x = np.zeros(3)
    for u in inputs:
        x = j @ x + b @ u
    for _ in range(200):
        x = j @ x
    projection = given.left[0, 0] @ given.inputs[0, :, 0]
    np.testing.assert_allclose(x, np.real(projection * given.right[0, 0]) * inputs.sum(), atol=1e-10)


@pytest.mark.parametrize("vectors", [1, 2, 3])
def test_vectors_are_biorthonormal_of_complex_and_of_equal_eigenvalues(vectors: int) -> None:
    turn = np.kron(np.diag([0.9, 0.4]), [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    equal, _ = planted([0.9, 0.9, 0.9, 0.1])
    with jax.enable_x64(True):
        eigenvalues, right, left = linear.modes_of(jnp.asarray(np.stack([turn, equal])), vectors)
    product = np.einsum("pvc,pwc->pvw", left, right)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(vectors), product.shape), atol=1e-9)
    for matrix, values, r, s in zip((turn, equal), np.asarray(eigenvalues), np.asarray(right), np.asarray(left)):
        np.testing.assert_allclose(r @ matrix.T, values[:vectors, None] * r, atol=1e-12)
        np.testing.assert_allclose(s @ matrix, values[:vectors, None] * s, atol=1e-9)
        assert (np.diff(np.abs(values)) <= 1e-12).all()


def test_a_mode_without_an_eigenvector_of_its_own_takes_none_from_the_leading_one() -> None:
    jordan = np.array([[0.9, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    with jax.enable_x64(True):
        _, right, left = linear.modes_of(jnp.asarray(jordan)[None], 3)
    np.testing.assert_allclose(np.abs(np.stack([right[0, 0], left[0, 0]])), [[1, 0, 0], [1, 0, 0]], atol=1e-12)


def test_time_constants_are_those_of_a_known_system() -> None:
    tau, dt = np.array([20.0, 500.0]), 10.0
    np.testing.assert_allclose(linear.time_constants(np.exp(-dt / tau), dt), tau)
    np.testing.assert_allclose(linear.time_constants(np.exp(dt / tau), dt), -tau)
    np.testing.assert_allclose(linear.time_constants(np.array([-np.exp(-0.1), 1j]), dt), [100.0, np.inf])
    assert linear.time_constants(np.zeros(1), dt).tolist() == [0.0]
    assert linear.time_constants(np.array([1.0, -1.0]), dt).tolist() == [np.inf, np.inf]


def test_frequencies_are_those_of_a_known_oscillation() -> None:
    dt, hertz = 5.0, 4.0
    pair = 0.9 * np.exp(2j * np.pi * hertz * dt / 1000 * np.array([1, -1]))
    np.testing.assert_allclose(linear.frequencies(pair, dt), [hertz, hertz])
    np.testing.assert_allclose(linear.frequencies(np.array([0.5, -0.5]), dt), [0.0, 100.0])


def test_a_linear_simulation_is_exact_of_a_linear_network_and_off_by_the_curvature_of_another() -> None:
    j, _ = planted([0.9, 0.5])
    exact = linearized(Planted(matrix_step, 2), {"j": j, "b": np.eye(2)}, np.ones((1, 2)), np.zeros(2))
    assert exact.error[0] < 1e-12

    def curved(variables: Any, x: Any, inputs: Any) -> Any:
        return 0.5 * x + 0.3 * x**2

    errors = [
        linearized(Planted(curved, 1), {"k": np.zeros(1)}, np.zeros((1, 1)), np.zeros(1), noise=noise, steps=1).error[0]
        for noise in (1e-3, 1e-2)
    ]
    np.testing.assert_allclose(errors[1] / errors[0], 10, rtol=0.02)  # of second order over first
    assert 0.3 * 1e-2 / 0.5 < errors[1] < 3 * 0.3 * 1e-2 / 0.5


@pytest.mark.parametrize("orthogonal", [True, False])
def test_turning_or_permuting_the_units_leaves_eigenvalues_and_projections(orthogonal: bool) -> None:
    draw = np.random.default_rng(5)
    w, b = 1.3 * draw.normal(size=(4, 4)) / 2, draw.normal(size=(4, 2))
    turn = np.linalg.qr(draw.normal(size=(4, 4)))[0] if orthogonal else np.eye(4)[draw.permutation(4)]

    def step(variables: Any, x: Any, inputs: Any) -> Any:
        back = x @ variables["turn"]
        return jnp.tanh(back @ variables["w"].T + inputs @ variables["b"].T) @ variables["turn"].T

    x, u = draw.normal(size=(3, 4)), draw.normal(size=2)
    one, other = (linearized(Planted(step, 4), {"turn": t, "w": w, "b": b}, x @ t.T, u) for t in (np.eye(4), turn))
    np.testing.assert_allclose(np.sort_complex(one.eigenvalues), np.sort_complex(other.eigenvalues), atol=1e-12)
    first, second = (np.abs(np.einsum("pc,pcu->pu", each.left[:, 0], each.inputs)) for each in (one, other))
    np.testing.assert_allclose(first, second, atol=1e-10)
    np.testing.assert_allclose(one.error, other.error, rtol=0.5)


def test_a_network_of_currents_is_seen_through_its_rates() -> None:
    assert [linear.has_rates_of_its_own(model, variables_of(model), 2) for model in (*MODELS, CURRENT)] == [
        *[False] * 4,
        True,
    ]
    variables = variables_of(CURRENT)
    run = np.zeros((1, 4))
    u = np.array([0.8, -0.4])
    double = jax.tree.map(lambda w: np.asarray(w, np.float64), variables)
    with jax.enable_x64(True):
        flow = jax.jit(flow_of(CURRENT, double))
        for _ in range(3000):
            run = np.asarray(flow(run, u[None]))
    given = linearized(CURRENT, variables, run, u, rates=True)
    right, left, inputs = (part[0] for part in given.leading)
    gain = 1 - np.tanh(run[0]) ** 2
    parallel = gain * given.right[0, 0]
    np.testing.assert_allclose(right, parallel / np.linalg.norm(parallel), atol=1e-9)
    np.testing.assert_allclose(inputs, gain[:, None] * given.inputs[0], atol=1e-12)
    np.testing.assert_allclose(left @ right, 1, atol=1e-9)
    np.testing.assert_allclose(left * gain, given.left[0, 0] * np.linalg.norm(parallel), atol=1e-9)


def solvers_of(jaxpr: Any) -> list[tuple[Any, bool]]:
    """The equations of a program that solve, and those inside of them, each with whether it needs the one before."""
    found, needs = [], {}
    for equation in jaxpr.eqns:
        before = set().union(*(needs.get(v, set()) for v in equation.invars if not hasattr(v, "val")))
        inside = [getattr(part, "jaxpr", part) for part in equation.params.values()]
        inside = [part for part in inside if hasattr(part, "eqns")]
        if equation.primitive.name in SOLVERS or any(solves(part) for part in inside):
            found.append((equation, not found or found[-1][0] in before))
            found += [each for part in inside for each in solvers_of(part)[1:]]
            before = before | {equation}
        needs |= dict.fromkeys(equation.outvars, before)
    return found


def test_of_the_solvers_of_the_program_each_needs_the_one_before() -> None:
    """Else two can run at once, and wait for each other's threads for ever."""
    variables, function = variables_of(CURRENT), linear.linearizing(2, 0.01, 5, True)
    given = np.zeros((3, 4)), np.zeros((3, 2)), np.float64(1)
    bound = SimpleNamespace(model=CURRENT)
    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda *at: function(bound, variables, jax.random.key(0, impl="threefry2x32"), *at))(
            *given
        )
    solvers = solvers_of(program.jaxpr)
    assert len(solvers) >= 3
    assert all(in_turn for _, in_turn in solvers)


def test_the_participation_ratio_is_the_number_of_directions_that_vary_alike() -> None:
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0][:3]
    assert linear.participation_ratio(corners @ turn + 7) == pytest.approx(3)
    assert linear.participation_ratio(np.linspace(0, 1, 9)[:, None] * turn[:1]) == pytest.approx(1)
    assert np.isnan(linear.participation_ratio(np.ones((4, 2))))
    assert np.isnan(linear.participation_ratio(np.eye(2)))  # two points are always on a line
