"""The reservoir: its constants, its gains, and the readout that is fed back."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from models import reservoir
from tests.models.small_models import DATA, INIT, assert_close, one_by_one

UNITS = 300


@pytest.fixture(scope="module")
def network() -> Any:
    """A small one whose readout is trained, so to say."""
    model: Any = reservoir.Model(hidden=40, outputs=2, dt=1.0, feedback=1.5)
    x = jax.random.normal(DATA, (3, 50, 2))
    variables = jax.jit(model.init)({"params": INIT, "constants": DATA}, x)
    readout = {"kernel": 0.2 * jax.random.normal(INIT, (40, 2))}
    return model, {**variables, "params": {"readout": readout}}, x


def test_explicit_feedback_equals_the_merged_matrix(network):
    model, variables, x = network
    outputs, representations = jax.jit(model.apply)(variables, x)
    expected = jax.jit(partial(one_by_one, model))(variables, x)
    assert_close((outputs, representations["rate"]), expected, 1e-5)
    without = jax.jit(model.clone(feedback=0.0).apply)(variables, x)[0]
    assert jnp.abs(outputs - without).max() > 0.1


def test_a_step_is_its_equation(network):
    """x <- (1 - a) x + a (r J + y W_fb + u W_in), y of the rates before the step."""
    model, variables, x = network
    constants, W_out = variables["constants"], variables["params"]["readout"]["kernel"]
    state = jax.random.normal(INIT, (3, 40))
    r = jnp.tanh(state)
    received = r @ constants["recurrent"] * 1.5 / 40**0.5 + (r @ W_out) @ constants["feedback"] * 1.5
    expected = 0.9 * state + 0.1 * (received + x[:, 0] @ constants["input"]["kernel"])
    following, rate = model.apply(variables, state, x[:, 0], method="step")
    np.testing.assert_allclose(following, expected, atol=1e-5)
    np.testing.assert_allclose(rate, jnp.tanh(expected), atol=1e-5)


@pytest.mark.parametrize("dt", [2.0, 10.0])
def test_the_noise_of_a_step_settles_at_the_variance_of_a_linear_unit(dt):
    """Of x <- (1 - a) x + sigma sqrt(2 a) xi: sigma^2 / (1 - a / 2)."""
    gains: Any = dict(gain=0.0, input_gain=0.0, feedback=0.0)
    model: Any = reservoir.Model(hidden=50, activation="linear", noise=0.5, tau=20.0, dt=dt, **gains)
    variables, still = model.init(INIT, jnp.zeros((1, 2, 1))), jnp.zeros((20, 1))
    step = partial(model.apply, variables, method="step")
    first = model.apply(variables, 20, method="initial_state")
    rates = lax.scan(lambda x, xi: step(x, still, xi), first, jax.random.normal(DATA, (500, 20, 50)))[1]
    np.testing.assert_allclose(rates[100:].var(), 0.25 / (1 - dt / 20 / 2), rtol=0.03)


def test_only_the_readout_is_trained_and_it_starts_at_0(network):
    model, _, x = network
    variables = jax.jit(model.init)(INIT, x)
    assert jax.tree.map(jnp.shape, variables["params"]) == {"readout": {"kernel": (40, 2)}}
    assert not np.any(variables["params"]["readout"]["kernel"])
    assert set(variables["constants"]) == {"input", "recurrent", "feedback", "initial"}
    np.testing.assert_array_equal(model.apply(variables, x)[0], 0.0)


def test_the_constants_have_their_gains_and_every_trial_starts_alike():
    model: Any = reservoir.Model(hidden=UNITS, gain=1.4, input_gain=3.0, feedback=2.0, dt=1.0)
    variables = jax.jit(model.init)(INIT, jnp.zeros((1, 2, 4)))
    J = np.asarray(model.apply(variables, method="weight"))
    assert J.std() * UNITS**0.5 == pytest.approx(1.4, rel=0.02)
    assert np.abs(np.linalg.eigvals(J)).max() == pytest.approx(1.4, rel=0.1)
    state = np.asarray(model.apply(variables, 3, method="initial_state"))
    assert state.shape == (3, UNITS)
    np.testing.assert_array_equal(state, state[:1].repeat(3, axis=0))
    received = np.asarray(model.apply(variables, jnp.eye(4), method=lambda m, x: m.input(x)))
    fed_back = np.asarray(model.apply(variables, method=lambda m: m.fed_back))
    for values, most in [(state[0], 0.5), (received, 3.0), (fed_back, 2.0)]:
        assert np.abs(values).max() == pytest.approx(most, rel=0.05)
        assert np.abs(values).max() <= most
        assert values.std() == pytest.approx(most / 3**0.5, rel=0.1)
