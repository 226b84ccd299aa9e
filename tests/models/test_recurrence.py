"""The scan over time and its backward pass."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from models import _recurrence, gru, lstm, stp, vanilla
from tests.models.small_models import DATA, INIT, assert_close

CASES: dict[str, Any] = {
    "discrete": vanilla.Model(hidden=3),
    "rate": vanilla.Model(hidden=3, continuous=True, dt=20.0),
    "rectified": vanilla.Model(hidden=3, continuous=True, dt=20.0, leak="rectified"),
    "current": vanilla.Model(hidden=3, continuous=True, dt=20.0, leak="current", activation="softplus"),
    "gru": gru.Model(hidden=3),
    "lstm": lstm.Model(hidden=3),
    "stp": stp.Model(hidden=3, dt=20.0, activation="softplus"),
}


def plain(roles, weights, state, drive, noise=None, *, inside=()):
    """What `unroll` must equal."""
    weights = weights._replace(fixed=lax.stop_gradient(weights.fixed))  # hyperparameters: nobody trains them

    def body(state: Any, now: Any) -> Any:
        state = _recurrence.advance(roles, weights, state, *now)
        return state, _recurrence.shown(roles, weights.quantities, state)[0]

    return lax.scan(body, state, (_recurrence.split(drive, weights.recurrent.shape[0]), noise))[1]


@pytest.mark.parametrize("role", ["fixed", "trained"])
@pytest.mark.parametrize("case", CASES)
def test_every_argument_of_unroll_has_the_gradient_of_a_plain_scan(case, role):
    model = CASES[case]
    roles = model._roles()
    with jax.enable_x64(True):
        keys = iter(jax.random.split(DATA, 20))
        state = jax.tree.map(lambda x: x + 0.1 * jax.random.uniform(next(keys), x.shape), model.initial_state(2))
        shapes = [(3, 3 * model.gates), (3 * model.gates,), (5, 2, 3 * model.gates), (5, 2, 3)]
        recurrent, bias, drive, noise = (jax.random.normal(next(keys), shape) for shape in shapes)
        numbers = {"fixed": {}, "trained": {}, role: {"alpha": jnp.asarray(0.3)}}
        weights = _recurrence.Weights(recurrent, bias, **numbers)

        def gradients(run: Any) -> Any:
            def loss(*arguments: Any) -> Any:
                return sum((x**3).sum() for x in run(roles, *arguments, inside=model.inside).values())

            return jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(weights, state, drive, noise)

        unrolled = gradients(_recurrence.unroll)
        assert_close(unrolled, gradients(plain), 1e-11)
        uses = isinstance(model, stp.Model) or (isinstance(model, vanilla.Model) and model.continuous)
        assert bool(getattr(unrolled[0], role)["alpha"] != 0) == (role == "trained" and uses)


@pytest.mark.parametrize(("initial", "radius"), [("orthogonal", 1.5), ("identity", 1.5), ("normal", None)])
def test_initial_recurrent_weights(initial, radius):
    model: Any = vanilla.Model(hidden=200, gain=1.5, initial_weights=initial)
    weight = np.asarray(model.init(INIT, jnp.zeros((1, 2, 1)))["params"]["recurrent"])
    if radius is None:
        assert weight.std() * 200**0.5 == pytest.approx(1.5, rel=0.03)
    else:
        np.testing.assert_allclose(weight @ weight.T, radius**2 * np.eye(200), atol=1e-5)


def test_perturbed_rates_have_the_gradient_of_unperturbed_ones_where_nothing_is_perturbed():
    model = CASES["gru"]
    roles, run = model._roles(), partial(_recurrence.unroll, inside=model.inside)
    weights = _recurrence.Weights(jax.random.normal(INIT, (3, 9)), jnp.zeros(9), {}, {})
    drive, state = jax.random.normal(DATA, (5, 2, 9)), model.initial_state(2)

    def gradient(**settings: Any) -> Any:
        return jax.grad(lambda weights: (run(roles, weights, state, drive, **settings)["rate"] ** 2).sum())(weights)

    assert_close(gradient(perturb={"rate": (jnp.ones(3), jnp.zeros(3))}), gradient(), 1e-5)
