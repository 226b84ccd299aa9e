"""The search finds planted points, all of them and no others, whatever the units are called."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.dynamics import search
from analysis.dynamics.search import Settings
from models import vanilla
from tests.analysis.dynamics.planted import Planted, everywhere, runner

SETTINGS = Settings(period=1, starts=64, spread=0.0, reach=10.0, rounds=4)


def cubic(variables: Any, x: Any, inputs: Any) -> Any:
    """x + .1 (x - x^3), turned: -1, 0 and 1 in every direction of the columns of `turn`."""
    y = x @ variables["turn"]
    return x + 0.1 * (y - y**3) @ variables["turn"].T


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("of_pairs", [False, True])
def test_every_root_of_a_planted_flow_is_found_once_with_its_unstable_modes(width: int, of_pairs: bool) -> None:
    if of_pairs and width % 2:
        pytest.skip("a pair has two halves")
    turns = {f"m{i}": {"turn": np.linalg.qr(np.random.default_rng(i).normal(size=(width, width)))[0]} for i in (0, 1)}
    where = everywhere(2, width, 64)
    model = Planted(cubic, width, of_pairs)
    found = search.fixed_points(runner(model, turns), list(turns), where, np.zeros((1, 1)), SETTINGS)
    for (one,), variables in zip(found, turns.values()):
        corners = np.array([*itertools.product([-1.0, 0.0, 1.0], repeat=width)]) @ variables["turn"].T
        if of_pairs:  # h, then c
            corners = np.concatenate([corners[:, ::2], corners[:, 1::2]], axis=1)
        distance = np.linalg.norm(one.states[:, None] - corners[None], axis=-1)
        assert len(one.states) == 3**width
        assert sorted(distance.argmin(1)) == list(range(3**width))
        assert distance.min(1).max() < 1e-9
        unstable = (np.abs(one.eigenvalues) > 1).sum(1)
        assert np.bincount(unstable).tolist() == {1: [2, 1], 2: [4, 4, 1], 3: [8, 12, 6, 1]}[width]
        assert one.ends.converged == 64


def test_a_ghost_is_slow_and_no_point() -> None:
    """x + .1 (x^2 + 1e-4): no root, and a speed of 1e-5 at 0."""
    model = Planted(lambda variables, x, inputs: x + 0.1 * (x**2 + 1e-4), 1)
    run = runner(model, {"m": {}})
    ((one,),) = search.fixed_points(run, ["m"], everywhere(1, 1, 64), np.zeros((1, 1)), SETTINGS)
    assert len(one.states) == 0
    assert one.ends.slow > 50


def test_a_flow_without_a_root_has_none_and_says_how_starts_ended() -> None:
    model = Planted(lambda variables, x, inputs: x + 1.0 + 0.1 * jnp.tanh(x), 2)
    ((one,),) = search.fixed_points(runner(model, {"m": {}}), ["m"], everywhere(1, 2, 16), np.zeros((1, 1)), SETTINGS)
    assert len(one.states) == 0
    assert one.ends.converged == one.ends.slow == 0
    assert sum(one.ends) == 16


def test_cycles_are_points_of_as_many_steps() -> None:
    """A quarter turn with a ring of radius 1: the middle, and after four steps the corners of a square."""

    def step(variables: Any, x: Any, inputs: Any) -> Any:
        radius = jnp.sqrt(jnp.sum(x**2, -1, keepdims=True) + 1e-12)
        grown = x * (1 + 0.2 * (1 - radius))
        turned = jnp.stack([-grown[:, 1], grown[:, 0]], -1)
        return turned - 0.1 * jnp.stack([x[:, 0] ** 3 * x[:, 1] ** 2, 0 * x[:, 1]], -1)

    def points(period: int) -> int:
        settings = SETTINGS._replace(period=period)
        run = runner(Planted(step, 2), {"m": {}})
        ((one,),) = search.fixed_points(run, ["m"], everywhere(1, 2, 64), np.zeros((1, 1)), settings)
        return len(one.states)

    assert points(1) == 1
    assert points(4) > 4
    assert (points(4) - 1) % 4 == 0


@pytest.mark.parametrize(("bounded", "sign", "is_more"), [(False, 1, True), (True, 1, False), (True, -1, True)])
def test_starts_a_third_of_the_way_follow_unless_the_indices_add_up_to_1(
    bounded: bool, sign: int, is_more: bool
) -> None:
    """-.5, 0 and .5, whose indices add up to 1 or -1, and near a third of the way a narrow bump with two more roots."""

    def step(variables: Any, x: Any, inputs: Any) -> Any:
        return x - sign * (0.3 * x * (x + 0.5) * (x - 0.5) + 0.1 * jnp.exp(-(((x - 0.1647) / 0.004) ** 2)))

    starts = np.tile([[[-0.5], [0.5], [0.0]]], (1, 5, 1))
    where = search.Range(starts, np.zeros((1, 1), np.float32), np.full(1, 0.5, np.float32), np.full(1, 0.5))
    settings = SETTINGS._replace(bounded=bounded)
    ((one,),) = search.fixed_points(runner(Planted(step, 1), {"m": {}}), ["m"], where, np.zeros((1, 1)), settings)
    assert (len(one.states) > 3) == is_more


def test_points_follow_the_input_that_stays() -> None:
    model = Planted(lambda variables, x, inputs: 0.5 * x + inputs, 2)
    inputs = np.array([[0.0, 0.0], [1.0, -2.0]])
    (found,) = search.fixed_points(runner(model, {"m": {}}), ["m"], everywhere(1, 2, 8), inputs, SETTINGS)
    np.testing.assert_allclose([one.states[0] for one in found], 2 * inputs, atol=1e-12)


def test_another_order_of_units_and_of_starts_finds_the_same_points() -> None:
    draw = np.random.default_rng(5)
    weights = draw.normal(size=(6, 6)) / np.sqrt(6) + 2 * np.eye(6)
    order = draw.permutation(6)
    step = Planted(lambda variables, x, inputs: jnp.tanh(x @ variables["w"]), 6)
    where = everywhere(1, 6, 64, scale=2.0)

    def found(w: np.ndarray, starts: np.ndarray) -> Any:
        run = runner(step, {"m": {"w": w}})
        ((one,),) = search.fixed_points(run, ["m"], where._replace(starts=starts), np.zeros((1, 1)), SETTINGS)
        return one

    one = found(weights, where.starts)
    other = found(weights[np.ix_(order, order)], where.starts[:, ::-1, order])
    assert len(one.states) == len(other.states) >= 3
    distance = np.linalg.norm(one.states[:, None, order] - other.states[None], axis=-1)
    assert distance.min(1).max() < 1e-8
    np.testing.assert_allclose(
        np.sort(np.abs(one.eigenvalues), None), np.sort(np.abs(other.eigenvalues), None), atol=1e-6
    )


def exact(weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """All fixed points of r = relu(r W + b), by trying every pattern of active units: `(point, unit)`."""
    units, points = len(bias), []
    for pattern in itertools.product([0.0, 1.0], repeat=units):
        active = np.diag(pattern)
        try:
            r = np.linalg.solve(np.eye(units) - active @ weights.T, active @ bias)
        except np.linalg.LinAlgError:
            continue
        if np.all((r > 1e-12) == (np.array(pattern) > 0)) and np.allclose(
            np.maximum(r @ weights + bias, 0), r, atol=1e-9
        ):
            points.append(r)
    return np.array(points).reshape(-1, units)


@pytest.mark.parametrize(("networks", "units"), [(4, 5), pytest.param(50, 9, marks=pytest.mark.long)])
def test_of_relu_networks_the_points_are_those_of_all_patterns_of_active_units(networks: int, units: int) -> None:
    model = vanilla.Model(hidden=units, activation="relu", outputs=1)
    variables = {}
    for i in range(networks):
        draw = np.random.default_rng(i)
        own = model.init(jax.random.key(i, impl="threefry2x32"), jnp.zeros((1, 1, 1)))
        params = {**own["params"], "recurrent": 1.6 * draw.normal(size=(units, units)) / np.sqrt(units)}
        params["input"] = {"kernel": np.zeros((1, units)), "bias": draw.normal(size=units)}
        variables[f"m{i}"] = {"params": params}
    where = everywhere(networks, units, 256, scale=4.0)
    where = where._replace(starts=np.abs(where.starts))
    settings = SETTINGS._replace(reach=1e6)
    found = search.fixed_points(runner(model, variables), list(variables), where, np.zeros((1, 1)), settings)
    there = right = false = 0
    for (one,), own in zip(found, variables.values()):
        known = exact(own["params"]["recurrent"], own["params"]["input"]["bias"])
        distance = np.linalg.norm(one.states[:, None] - known[None], axis=-1)
        there += len(known)
        right += int((distance.min(0, initial=np.inf) < 1e-6).sum())
        false += int((distance.min(1, initial=np.inf) > 1e-6).sum())
    assert there >= networks / 4
    assert false == 0
    assert right >= 0.99 * there


def test_slow_points_stay_spread_along_a_line_attractor_and_there_are_none_where_all_is_fast() -> None:
    def line(variables: Any, x: Any, inputs: Any) -> Any:
        """Along the first coordinate nothing moves; under an input everything does."""
        return x * jnp.array([[1.0, 0.5, 0.2]]) + 5 * inputs

    where = everywhere(1, 3, 64)
    run = runner(Planted(line, 3), {"m": {}})
    ((slow, fast),) = search.slow_points(run, ["m"], where, np.array([[0.0], [1.0]]), slow=0.01, reach=10.0)
    assert slow.shape == (64, 3)
    assert np.abs(slow[:, 1:]).max() < 0.02
    np.testing.assert_allclose(slow[:, 0], where.starts[0, :, 0], atol=1e-5)
    assert len(fast) == 0


@pytest.mark.parametrize(("back", "kinked"), [(0.0, False), (0.9, True)])
def test_a_kink_counts_where_it_changes_eigenvalues(back: float, kinked: bool) -> None:
    """A cell that decays whatever its output, ReLU of it, is; and one that the output makes grow."""

    def step(variables: Any, x: Any, inputs: Any) -> Any:
        cell, shown = x[:, :1], x[:, 1:]
        cell = 0.5 * cell + back * shown
        return jnp.concatenate([cell, jax.nn.relu(cell)], axis=1)

    ((one,),) = search.fixed_points(
        runner(Planted(step, 2), {"m": {}}), ["m"], everywhere(1, 2, 16), np.zeros((1, 1)), SETTINGS
    )
    np.testing.assert_allclose(one.states, 0, atol=1e-12)
    assert one.kinked.tolist() == [kinked] * len(one.states)
    assert np.isnan(one.eigenvalues).all() == kinked
