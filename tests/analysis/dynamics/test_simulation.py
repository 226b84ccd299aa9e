"""A network that runs step by step is the network that was trained, and nothing that begins later changes what was."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.dynamics.simulation import Intervention, linearised, simulated, within
from analysis.dynamics.states import flow_of, layout_of
from models import gru, lstm, vanilla

KINDS: dict[str, Any] = {
    "vanilla": vanilla.Model(hidden=5, outputs=2),
    "gru": gru.Model(hidden=5, outputs=2),
    "lstm": lstm.Model(hidden=5, outputs=2),
}
INPUTS = jax.random.normal(jax.random.key(0, impl="threefry2x32"), (3, 9, 2))
NONE, ONES = jnp.zeros(5), jnp.ones(5)
NOTHING = Intervention(ONES, NONE, NONE, 0)


def variables_of(model: Any) -> Any:
    key = jax.random.key(1, impl="threefry2x32")
    return model.init({"params": key, "constants": key}, INPUTS)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_the_network_and_what_is_done_to_all_steps_is_a_perturbed_pass(name: str) -> None:
    model, variables = KINDS[name], variables_of(KINDS[name])
    outputs, shown = model.apply(variables, INPUTS)
    for given in (None, within((2, 5), NOTHING, 3)):
        found = simulated(model, variables, INPUTS, given)
        np.testing.assert_allclose(found[0], outputs, atol=1e-6)
        np.testing.assert_allclose(found[1], shown["rate"], atol=1e-6)
    scale, shift = jnp.linspace(0, 1, 5), jnp.linspace(-1, 1, 5)
    found = simulated(model, variables, INPUTS, within((0, 9), Intervention(scale, shift, NONE, 0), 3))
    outputs, shown = model.apply(variables, INPUTS, perturb={"rate": (scale, shift)})
    np.testing.assert_allclose(found[0], outputs, atol=1e-6)
    np.testing.assert_allclose(found[1], shown["rate"], atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", [None, 7])
def test_before_the_window_all_is_as_it_was_to_the_last_bit(name: str, seed: int | None) -> None:
    model, variables = KINDS[name], variables_of(KINDS[name])

    @jax.jit
    def run(what: Intervention) -> Any:
        return simulated(model, variables, INPUTS, within((4, 6), what, 3, seed))

    plain, silenced = run(NOTHING), run(Intervention(NONE, NONE, NONE + 0.1, 0))
    for before, after in zip(plain, silenced):
        np.testing.assert_array_equal(before[:, :4], after[:, :4])
        assert (np.abs(before[:, 4:] - after[:, 4:]).max((0, 2)) > 1e-6).all()
    if seed is None:
        assert (np.asarray(silenced[1])[:, 4:6] == 0).all()
        assert (np.asarray(silenced[1])[:, 6:] != 0).all()


def test_a_rate_that_is_silenced_at_a_time_is_not_sent_from_there_and_what_was_sent_before_arrives() -> None:
    model, variables = KINDS["vanilla"], variables_of(KINDS["vanilla"])
    params = variables["params"]
    _, rates = simulated(model, variables, INPUTS, within((4, 5), Intervention(NONE, NONE, NONE, 0), 3))
    _, plain = simulated(model, variables, INPUTS)
    drive = INPUTS @ params["input"]["kernel"] + params["input"]["bias"][None, None]
    np.testing.assert_allclose(rates[:, 5], jnp.tanh(drive[:, 5]), atol=1e-6)
    outputs, _ = simulated(model, variables, INPUTS, within((4, 5), Intervention(NONE, NONE, NONE, 0), 3))
    np.testing.assert_allclose(outputs[:, 4], jnp.broadcast_to(params["readout"]["bias"], (3, 2)), atol=1e-7)
    # Two programs, so the last bit may differ: one program with both is compared above.
    np.testing.assert_allclose(rates[:, 3], plain[:, 3], atol=1e-6)


def test_noise_has_the_deviation_that_is_asked_for_and_is_independent_over_units_trials_and_steps() -> None:
    many, deviation = 4000, jnp.array([0.5, 2.0])
    at = within((0, 2), Intervention(jnp.ones(2), jnp.zeros(2), deviation, 3), many, seed=1)
    first, second = np.asarray(at(jnp.int32(0))[1]), np.asarray(at(jnp.int32(1))[1])
    np.testing.assert_allclose(first.std(0), deviation, rtol=0.05)
    assert np.abs(np.corrcoef(np.concatenate([first, second], axis=1).T) - np.eye(4)).max() < 0.06
    assert (np.asarray(at(jnp.int32(2))[1]) == 0).all()


@pytest.mark.parametrize("name", ["vanilla", "lstm"])
def test_about_its_point_the_linearised_step_is_the_step_to_first_order(name: str) -> None:
    model, variables = KINDS[name], variables_of(KINDS[name])
    flow, width = flow_of(model, variables), layout_of(model, variables).width
    point, at = jnp.linspace(-0.3, 0.4, width), jnp.array([0.2, -0.1])
    linear, draw = linearised(model, variables, point, at), np.random.default_rng(0)
    errors = []
    for size in (1e-1, 1e-2):
        x = point[None] + size * jnp.asarray(draw.normal(size=(4, width)), jnp.float32)
        u = at[None] + size * jnp.asarray(draw.normal(size=(4, 2)), jnp.float32)
        errors.append(float(jnp.abs(linear(x, u) - flow(x, u)).max()))
    assert errors[1] < errors[0] / 30
    outputs, _ = simulated(model, variables, INPUTS, flow=flow)
    np.testing.assert_allclose(outputs, model.apply(variables, INPUTS)[0], atol=1e-6)
