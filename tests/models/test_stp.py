"""Short-term plasticity: where synapses settle, and what the second of two pulses finds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import stp
from models.stp import DEPRESSED, FACILITATING

UNITS, FIRST, DT = 6, 3, 10.0


def driven(rates):
    """What is observed of unconnected units that are given their rates `(time,)`, 1 / s: name -> `(time, unit)`."""
    model: Any = stp.Model(hidden=UNITS, tau=DT, gain=0.0, dt=DT)  # tau = dt: r_t is the input
    x = jnp.asarray(rates)[None, :, None]
    variables = jax.jit(model.init)(jax.random.key(0), x)
    params = {**variables["params"], "input": {"kernel": jnp.ones((1, UNITS)), "bias": jnp.zeros(UNITS)}}
    _, observed = jax.jit(model.apply)({"params": params}, x)
    np.testing.assert_allclose(observed["rate"][0], np.repeat(x[0], UNITS, axis=1))
    return {name: np.asarray(activity[0]) for name, activity in observed.items()}


def test_representations_are_rates_utilization_and_resources():
    model: Any = stp.Model(hidden=UNITS, dt=DT)
    x = jnp.zeros((1, 2, 1))
    representations = model.apply(model.init(jax.random.key(0), x), x)[1]
    assert next(iter(representations)) == "rate"
    assert set(representations) == {"rate", "utilization", "resources"}


@pytest.mark.parametrize("rate", [0.0, 5.0, 20.0, 60.0])
def test_synapses_settle_where_the_equations_say(rate):
    seen = driven(np.full(4000, rate, np.float32))  # 40 s, many of the longest time constants
    for units, (U, tau_u, tau_x) in [(slice(None, FIRST), FACILITATING), (slice(FIRST, None), DEPRESSED)]:
        tau_u, tau_x = tau_u / 1000, tau_x / 1000  # s, as rates count per second
        u = U * (1 + tau_u * rate) / (1 + U * tau_u * rate)
        x = 1 / (1 + tau_x * u * rate)
        np.testing.assert_allclose(seen["utilization"][-1, units], u, atol=1e-4)
        np.testing.assert_allclose(seen["resources"][-1, units], x, atol=1e-4)


@pytest.mark.parametrize("interval", [20.0, 50.0, 100.0])
def test_the_second_pulse_is_larger_for_facilitating_units_and_smaller_for_depressed_ones(interval):
    pulses = np.zeros(20, np.float32)
    second = 2 + round(interval / DT)
    pulses[[2, second]] = 1000.0 / DT  # one spike in one step
    seen = driven(pulses)
    sent = seen["utilization"] * seen["resources"] * seen["rate"]
    np.testing.assert_allclose(sent[2, :FIRST], 0.15 * pulses[2], rtol=1e-6)
    np.testing.assert_allclose(sent[2, FIRST:], 0.45 * pulses[2], rtol=1e-6)
    ratio = sent[second] / sent[2]
    assert (ratio[:FIRST] > 1).all()
    assert (ratio[FIRST:] < 1).all()


def test_synapses_stay_between_0_and_1():
    seen = driven(np.tile(np.array([3000.0, -50.0, 0.0], np.float32).clip(0.0), 30))
    for name in ("utilization", "resources"):
        assert seen[name].min() >= 0
        assert seen[name].max() <= 1


def test_what_is_sent_is_what_synapses_let_through():
    """A network whose synapses are spent, x = 0, is one without recurrent weights."""
    model: Any = stp.Model(hidden=UNITS, dt=DT)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 2, 3)))
    drive = jax.random.normal(jax.random.key(1), (2, 3))
    state = model.initial_state(2)
    spent = state._replace(rate=state.rate + 0.5, resources=0 * state.resources)
    alone = {"params": {**variables["params"], "recurrent": jnp.zeros((UNITS, UNITS))}}
    rates = [model.apply(v, spent, drive, method="step")[1] for v in (variables, alone)]
    np.testing.assert_array_equal(*rates)
    full = state._replace(rate=state.rate + 0.5)
    sent = full.rate * full.utilization
    expected = jax.nn.relu(
        0.9 * full.rate
        + 0.1 * (sent @ variables["params"]["recurrent"] + drive @ variables["params"]["input"]["kernel"])
    )
    np.testing.assert_allclose(model.apply(variables, full, drive, method="step")[1], expected, atol=1e-6)
