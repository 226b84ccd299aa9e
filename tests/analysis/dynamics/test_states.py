"""States as rows: the network's own step, Jacobians that finite differences confirm, the states that it passes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.dynamics.states import flow_of, jacobian_of, layout_of, visited_states
from models import gru, lstm, vanilla

MODELS = [vanilla.Model(hidden=3), gru.Model(hidden=3), lstm.Model(hidden=3)]


def variables_of(model: Any) -> Any:
    return model.init(jax.random.key(1, impl="threefry2x32"), jnp.zeros((1, 1, 2)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__module__)
def test_a_row_is_the_state_and_back(model: Any) -> None:
    variables = variables_of(model)
    layout = layout_of(model, variables)
    row = jnp.arange(2.0 * layout.width).reshape(2, -1)
    np.testing.assert_array_equal(layout.row(layout.tree(row)), row)
    assert len(layout.coordinates) == len(set(layout.coordinates)) == layout.width
    if isinstance(model, lstm.Model):
        assert layout.coordinates[:4] == ["h[0]", "h[1]", "h[2]", "c[0]"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__module__)
def test_visited_states_are_those_of_the_networks_own_rates(model: Any) -> None:
    variables, inputs = variables_of(model), np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32)
    visited = visited_states(model, variables, inputs)
    rate = model.apply(variables, inputs)[1]["rate"]
    np.testing.assert_allclose(visited[..., :3], jnp.swapaxes(rate, 0, 1), atol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__module__)
@pytest.mark.parametrize("period", [1, 3])
def test_jacobians_are_those_of_finite_differences(model: Any, period: int) -> None:
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda x: np.asarray(x, np.float64), variables_of(model))
        flow = flow_of(model, variables, period)
        draw = np.random.default_rng(1)
        x, inputs = draw.normal(size=(2, layout_of(model, variables).width)), draw.normal(size=(2, 2))
        found = np.asarray(jacobian_of(flow)(jnp.asarray(x), jnp.asarray(inputs)))
        for j in range(x.shape[1]):
            step = 1e-6 * np.eye(x.shape[1])[j]
            slope = (flow(x + step, inputs) - flow(x - step, inputs)) / 2e-6
            np.testing.assert_allclose(found[:, :, j], slope, atol=1e-8)
