"""The base class of recurrent models: learned quantities, what is shown, and its methods under vmap and jit."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from models import off
from models._recurrent import Recurrent
from tests.models.small_models import (
    DATA,
    INIT,
    RECURRENT,
    assert_close,
    inputs_of,
    make,
    one_by_one,
    traced_fields,
    trained,
    two_values,
)


class LearnedLeak(Recurrent):
    """r <- (1 - a) r + a tanh(z), a = sigmoid(leak) a trained number, or one per unit; it adapts, which is shown."""

    hidden: int = 5
    gain: float = 1.0
    noise: float = off(0.0)
    outputs: int = 2
    per_unit: bool = False
    starts: bool = False

    def setup(self) -> None:
        super().setup()
        self.leak = self.param("leak", nn.initializers.normal(), (self.hidden,) if self.per_unit else ())
        self.first = self.param("first", nn.initializers.normal(), (self.hidden,)) if self.starts else None

    def quantities(self) -> dict[str, Any]:
        alpha = jax.nn.sigmoid(self.leak)
        return {"alpha": alpha[None] if self.per_unit else alpha}

    def cell(self, q: Any, state: Any, drive: Any, recurrent: Any, noise: Any) -> Any:
        return (1 - q["alpha"]) * state + q["alpha"] * jnp.tanh(drive[0] + recurrent[0])

    def observe(self, q: Any, state: Any) -> dict[str, Any]:
        return {"rate": jax.nn.softplus(state), "adaptation": state * q["alpha"]}

    def transmit(self, q: Any, state: Any, rate: Any) -> Any:
        return rate * (1 - q["alpha"])

    def initial_state(self, trials: int) -> Any:
        return super().initial_state(trials) if self.first is None else jnp.tile(self.first[None], (trials, 1))


LEARNED: dict[str, Any] = {
    "of_the_network": LearnedLeak(),
    "per_unit": LearnedLeak(per_unit=True),
    "per_unit_and_the_initial_state": LearnedLeak(per_unit=True, starts=True),
}


def gradients(model: Any, run: Any) -> tuple[Any, Any, Any]:
    """A loss, the parameters, and its gradient; call it in float64."""
    variables, x = trained(model)

    @jax.jit
    def loss(params: Any) -> Any:
        outputs, rates = run({"params": params}, x)
        return (outputs**2).sum() + (rates**3).sum()

    return loss, variables["params"], jax.jit(jax.grad(loss))(variables["params"])


def whole(model: Any) -> Any:
    def run(variables: Any, x: Any) -> Any:
        outputs, representations = model.apply(variables, x)
        return outputs, representations["rate"]

    return run


@pytest.mark.parametrize("case", LEARNED)
def test_a_learned_time_constant_has_the_gradient_of_a_plain_scan_and_of_finite_differences(case):
    model = LEARNED[case]
    with jax.enable_x64(True):
        loss, params, gradient = gradients(model, whole(model))
        assert_close(gradient, gradients(model, partial(one_by_one, model))[2], 1e-11)
        for name in {"leak", "first"} & set(params):
            assert (gradient[name] != 0).all()
            for at in np.ndindex(params[name].shape):
                up, down = ({**params, name: params[name].at[at].add(h)} for h in (1e-6, -1e-6))
                assert (loss(up) - loss(down)) / 2e-6 == pytest.approx(float(gradient[name][at]), rel=1e-6, abs=1e-7)


def test_what_else_is_shown_has_its_gradient():
    model: Any = LEARNED["per_unit"]
    with jax.enable_x64(True):
        variables, x = trained(model)

        def loss(params: Any, perturb: Any) -> Any:
            return (model.apply({"params": params}, x, perturb=perturb)[1]["adaptation"] ** 2).sum()

        nothing = {"rate": (jnp.ones(5), jnp.zeros(5))}  # with it the scan is a plain one
        gradient, plain = (jax.jit(jax.grad(loss))(variables["params"], by) for by in (None, nothing))
        assert_close(gradient, plain, 1e-11)
        assert (gradient["leak"] != 0).all()


def test_the_rate_is_first_whatever_else_is_shown_is_called():
    model: Any = LEARNED["per_unit"]
    x = inputs_of("recurrent")
    assert list(model.apply(model.init(INIT, x), x)[1]) == ["rate", "adaptation"]


def test_a_perturbed_rate_is_what_is_sent():
    """With no rate left, nothing is sent: the others are as without recurrent weights, the outputs are the bias."""
    model: Any = LEARNED["per_unit"]
    x = inputs_of("recurrent")
    params = model.init(INIT, x)["params"]
    outputs, shown = model.apply({"params": params}, x, perturb={"rate": (jnp.zeros(5), jnp.zeros(5))})
    alone = {**params, "recurrent": jnp.zeros((5, 5))}
    np.testing.assert_allclose(shown["adaptation"], model.apply({"params": alone}, x)[1]["adaptation"], atol=1e-6)
    np.testing.assert_array_equal(shown["rate"], 0.0)
    assert_close(outputs, jnp.broadcast_to(params["readout"]["bias"], outputs.shape))


@pytest.mark.parametrize("file", RECURRENT)
def test_every_method_of_a_member_works_under_vmap_with_traced_fields_and_under_jit(file):
    model = make(file)
    x = inputs_of("recurrent")
    floats = {name: jnp.asarray(two_values(field)) for name, field in traced_fields(model).items()}

    def asked(key: Any, floats: Any) -> Any:
        member = model.clone(**floats)
        variables = member.init({"params": key, "constants": DATA}, x)
        state = member.apply(variables, len(x), method="initial_state")
        weights = {name: member.apply(variables, method=name) for name in ("_weights", "weight", "quantities")}
        moves = {name: member.apply(variables, state, x[:, 0], method=name) for name in ("step", "respond")}
        return state, weights, moves

    keys = jax.random.split(INIT, 2)
    together = jax.jit(jax.vmap(asked))(keys, floats)
    for i in range(2):
        alone = jax.jit(asked)(keys[i], {name: v[i] for name, v in floats.items()})
        assert_close(jax.tree.map(lambda v, i=i: v[i], together), alone, 1e-5)
        assert_close(asked(keys[i], {name: float(v[i]) for name, v in floats.items()}), alone, 1e-5)
