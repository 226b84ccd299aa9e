"""The low-rank network: its weights, their span, and their gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import low_rank, vanilla
from tests.models.small_models import NOISE, start


@pytest.mark.parametrize("tau", [100.0, 20.0])
def test_it_is_the_vanilla_network_with_a_product_for_its_weights(tau: float) -> None:
    model: Any = low_rank.Model(hidden=7, rank=2, outputs=2, tau=tau, dt=20.0)
    variables, x = start(model)
    params = variables["params"]
    weights = params["n"] @ params["m"].T / 7
    plain = {name: params[name] for name in ("input", "readout")} | {"recurrent": weights}
    fields: dict[str, Any] = dict(hidden=7, outputs=2, tau=tau, dt=20.0, continuous=True, leak="current")
    outputs, shown = model.apply(variables, x)
    expected, rates = vanilla.Model(**fields).apply({"params": plain}, x)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    np.testing.assert_allclose(shown["rate"], rates["rate"], atol=1e-6)
    np.testing.assert_allclose(model.apply(variables, method="weight"), weights, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 3])
def test_recurrent_input_lies_in_the_span_of_m(rank: int) -> None:
    model: Any = low_rank.Model(hidden=9, rank=rank, tau=20.0, dt=20.0)
    variables, _ = start(model)
    m = np.float64(variables["params"]["m"])
    state = jax.random.normal(NOISE, (50, 9))
    input = jnp.zeros((50, 3))
    received = np.float64(model.apply(variables, state, input, method="step")[0])
    outside = received - received @ m @ np.linalg.pinv(m)
    assert np.abs(outside).max() < 1e-5 < np.abs(received).max()
    assert np.linalg.matrix_rank(received, tol=1e-4) == rank
    assert np.linalg.matrix_rank(np.float64(model.apply(variables, method="weight")), tol=1e-5) == rank


def test_the_spectrum_is_that_of_the_overlaps_of_m_and_n() -> None:
    """The eigenvalues of n m' / N other than 0 are those of m' n / N."""
    model: Any = low_rank.Model(hidden=30, rank=2, dt=20.0)
    params = start(model)[0]["params"]
    m, n = np.float64(params["m"]), np.float64(params["n"])
    largest = np.sort(np.abs(np.linalg.eigvals(n @ m.T / 30)))[-2:]
    np.testing.assert_allclose(largest, np.sort(np.abs(np.linalg.eigvals(m.T @ n / 30))), rtol=1e-6)


def test_the_backward_weights_of_m_and_n_are_those_of_two_products_in_turn() -> None:
    """r n, then times m' / N: dr goes back through both backward weights, dn through that of m, dm through none."""
    model: Any = low_rank.Model(hidden=5, rank=2, outputs=1, tau=20.0, dt=20.0)
    variables, x = start(model)
    first = x[:, :1]
    state = jax.random.normal(NOISE, (len(x), 5))
    b_m, b_n = jax.random.normal(jax.random.key(5), (2, 5, 2))

    def received(params: Any, state: Any) -> Any:
        given = {"params": params, "backward": {"m": b_m, "n": b_n}}
        return model.apply(given, state, first[:, 0], method="step")[0].sum()

    params = variables["params"]
    gradients, _ = jax.grad(received, argnums=(0, 1))(params, state)
    rate, ones = jnp.tanh(state), jnp.ones((len(x), 5))
    np.testing.assert_allclose(gradients["m"], ones.T @ (rate @ params["n"]) / 5, rtol=1e-5)
    np.testing.assert_allclose(gradients["n"], rate.T @ (ones @ b_m) / 5, rtol=1e-5)
    sent = jax.grad(received, argnums=1)(params, state)
    np.testing.assert_allclose(sent, (ones @ b_m / 5) @ b_n.T * (1 - rate**2), rtol=1e-4, atol=1e-6)
