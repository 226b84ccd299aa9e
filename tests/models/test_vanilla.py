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


def test_mup_is_the_standard_network_at_the_start_but_for_the_size_of_its_outputs():
    standard: Any = vanilla.Model(hidden=16, outputs=2)
    mup: Any = standard.clone(parametrization="mup", gamma=2.5)
    (variables, x), (others, _) = start(standard), start(mup)
    outputs, shown = standard.apply(variables, x)
    smaller, same = mup.apply(others, x)
    np.testing.assert_allclose(same["rate"], shown["rate"], atol=1e-6)
    np.testing.assert_allclose(smaller * 2.5 * 16**0.5, outputs, atol=1e-5)
    np.testing.assert_allclose(mup.apply(others, method="weight"), variables["params"]["recurrent"], atol=1e-6)


def test_mup_has_the_readout_over_gamma_n_and_the_recurrent_weights_over_n():
    model: Any = vanilla.Model(hidden=16, outputs=2, parametrization="mup", gamma=2.5, activation="relu")
    variables, x = start(model)
    params = variables["params"]
    outputs, shown = model.apply(variables, x)
    readout = params["readout"]
    expected = shown["rate"] @ readout["kernel"] / (2.5 * 16) + readout["bias"][None, None]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    plain = {**params, "recurrent": params["recurrent"] / 16}
    standard: Any = vanilla.Model(hidden=16, outputs=2, activation="relu")
    np.testing.assert_allclose(shown["rate"], standard.apply({"params": plain}, x)[1]["rate"], atol=1e-6)


def test_at_its_base_width_mup_is_the_standard_network():
    standard: Any = vanilla.Model(hidden=16, outputs=2)
    (variables, x), (others, _) = start(standard), start(standard.clone(parametrization="mup", base_width=16))
    jax.tree.map(np.testing.assert_array_equal, variables, others)
    same = standard.clone(parametrization="mup", base_width=16).apply(others, x)
    jax.tree.map(np.testing.assert_array_equal, same, standard.apply(variables, x))
    wide: Any = vanilla.Model(hidden=32, outputs=2, parametrization="mup", base_width=16, gamma=3.0)
    weights = start(wide)[0]
    np.testing.assert_allclose(wide.apply(weights, method="weight"), weights["params"]["recurrent"] / 2)


def test_under_mup_one_step_of_adam_changes_the_rates_alike_at_every_width():
    """A step of Adam is the sign of the gradient; without muP the change grows with the width."""

    def change(model: Any) -> float:
        variables, x = start(model)
        run = jax.jit(lambda params: model.apply({"params": params}, x))
        params = variables["params"]
        # The sum of all rates: every weight onto every unit has a gradient of one sign over trials.
        signs = jax.tree.map(jnp.sign, jax.grad(lambda p: run(p)[0].sum())(params))
        moved = {**params, "recurrent": params["recurrent"] - 0.01 * signs["recurrent"]}
        return float(jnp.abs(run(moved)[1]["rate"] - run(params)[1]["rate"]).mean())

    grows = {}
    for parametrization in ("standard", "mup"):
        small, large = (
            change(vanilla.Model(hidden=n, outputs=1, parametrization=parametrization, activation="sigmoid"))
            for n in (32, 512)
        )
        grows[parametrization] = large / small
    assert grows["standard"] > 6
    assert 0.5 < grows["mup"] < 2


@pytest.mark.parametrize(
    ("name", "bound"), [("uniform", 1 / 64**0.5), ("xavier", (3 / 64) ** 0.5)], ids=["uniform", "xavier"]
)
def test_uniform_initial_weights_fill_their_interval(name, bound):
    model: Any = vanilla.Model(hidden=64, outputs=2, initial_weights=name, initial_projections=name)
    params = start(model)[0]["params"]
    ends = {"recurrent": bound, "input": bound, "readout": bound}
    if name == "xavier":
        ends.update(input=(6 / (3 + 64)) ** 0.5, readout=(6 / (2 + 64)) ** 0.5)
    for weight, end in ends.items():
        values = np.asarray(params[weight] if weight == "recurrent" else params[weight]["kernel"])
        assert 0.9 * end < np.abs(values).max() <= end
        assert values.std() == pytest.approx(end / 3**0.5, rel=0.12)


def test_without_an_initial_diagonal_units_begin_without_weights_to_themselves_and_all_else_is_as_with_it():
    with_it, without = (
        start(vanilla.Model(hidden=7, initial_weights="xavier", initial_diagonal=diagonal))[0]["params"]["recurrent"]
        for diagonal in (True, False)
    )
    np.testing.assert_array_equal(without, with_it * (1 - jnp.eye(7)))
    assert (jnp.diag(with_it) != 0).all()


def test_noise_of_the_initial_state_has_its_size_and_is_gone_where_the_leak_takes_it():
    """With no weights and no input a linear unit decays from where it began, by 1 - a each step."""
    model: Any = vanilla.Model(
        hidden=64, activation="linear", continuous=True, tau=100.0, dt=20.0, gain=0.0, initial_noise=0.3
    )
    x = jnp.zeros((64, 3, 1))
    variables = jax.jit(model.init)(INIT, x)
    rates = np.asarray(model.apply(variables, x, train=True, rngs={"noise": NOISE})[1]["rate"])
    np.testing.assert_allclose(rates[:, 1:], 0.8 * rates[:, :-1], rtol=1e-5)
    assert rates[:, 0].std() == pytest.approx(0.8 * 0.3, rel=0.05)
    np.testing.assert_array_equal(model.apply(variables, x)[1]["rate"], 0)
