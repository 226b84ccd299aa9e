"""The leak forms, noise forms and lesions of the vanilla network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import vanilla
from tests.models.small_models import INIT, NOISE, assert_close, start


def test_leak_forms_agree_at_alpha_1_and_differ_below():
    discrete: Any = vanilla.Model(hidden=7)
    variables, x = start(discrete)
    expected = discrete.apply(variables, x)[1]["rate"]
    rates = {}
    for leak in ("rate", "rectified", "current"):
        model: Any = vanilla.Model(hidden=7, continuous=True, leak=leak, dt=20.0)
        for tau in (10.0, 20.0):  # at or below dt
            np.testing.assert_allclose(model.clone(tau=tau).apply(variables, x)[1]["rate"], expected, atol=1e-6)
        rates[leak] = model.clone(tau=100.0).apply(variables, x)[1]["rate"]
    for a, b in [("rate", "rectified"), ("rate", "current"), ("rectified", "current")]:
        assert jnp.abs(rates[a] - rates[b]).max() > 0.01


@pytest.mark.parametrize("leak", ["rate", "rectified", "current"])
@pytest.mark.parametrize("noise_form", ["state", "inside", "raw"])
def test_stationary_variance_of_a_linear_unit(leak, noise_form):
    """r <- (1 - a) r + s xi has variance s^2 / (1 - (1 - a)^2): 2 sigma^2 / (2 - a) for the scaled forms."""
    a, sigma = 0.1, 0.3
    model: Any = vanilla.Model(
        hidden=64, activation="linear", continuous=True, leak=leak, tau=100.0, dt=100.0 * a, gain=0.0,
        noise=sigma, noise_form=noise_form,
    )  # fmt: skip
    x = jnp.zeros((64, 150, 1))
    _, representations = model.apply(jax.jit(model.init)(INIT, x), x, train=True, rngs={"noise": NOISE})
    s = sigma if noise_form == "raw" else sigma * (2 * a) ** 0.5
    variance = float(representations["rate"][:, 80:].var())
    assert variance == pytest.approx(s**2 / (1 - (1 - a) ** 2), rel=0.03)


@pytest.mark.parametrize("fields", [{}, dict(continuous=True, leak="current", dt=20.0)], ids=["discrete", "current"])
def test_a_lesion_is_the_loss_of_a_units_outgoing_weights(fields):
    model: Any = vanilla.Model(hidden=7, activation="softplus", outputs=2, **fields)  # at rest it is not silent
    variables, x = start(model)
    kept = (jnp.arange(7) != 3).astype(jnp.float32)
    params = variables["params"]
    kernel = params["readout"]["kernel"] * kept[:, None]
    cut = {**params, "recurrent": params["recurrent"] * kept[:, None]}
    cut["readout"] = {**params["readout"], "kernel": kernel}
    outputs, representations = model.apply(variables, x, perturb={"rate": (kept, jnp.zeros(7))})
    expected, without = model.apply({"params": cut}, x)
    assert_close((outputs, representations["rate"]), (expected, without["rate"] * kept[None, None]))
    assert (representations["rate"][..., 3] == 0).all()


def test_a_drive_enters_what_the_others_receive():
    """A shift s of unit j adds s W_j to the input of all units, and s W_out,j to the outputs."""
    model: Any = vanilla.Model(hidden=7, activation="linear", outputs=2)
    variables, x = start(model)
    params, shift = variables["params"], 0.5 * jnp.arange(7.0)
    outputs, representations = model.apply(variables, x, perturb={"rate": (jnp.ones(7), shift)})
    moved = {**params, "input": {**params["input"], "bias": params["input"]["bias"] + shift @ params["recurrent"]}}
    readout = params["readout"]
    moved["readout"] = {**readout, "bias": readout["bias"] + shift @ readout["kernel"]}
    expected, unshifted = model.apply({"params": moved}, x)
    assert_close((outputs, representations["rate"]), (expected, unshifted["rate"] + shift[None, None]), 1e-5)
