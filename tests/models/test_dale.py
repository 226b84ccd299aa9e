"""Signs, mask, readout and balance of the network under Dale's law."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models import dale
from tests.models.small_models import DATA, INIT, start

N, EXCITATORY = 20, 16


@pytest.fixture(scope="module")
def network() -> Any:
    model: Any = dale.Model(hidden=N, density=0.6, outputs=2, dt=20.0)
    return model, *start(model)


def gradient_of(model, variables, x, l2=0.0):
    def loss(params: Any) -> Any:
        outputs, _ = model.apply({**variables, "params": params}, x)
        return ((outputs - 1.0) ** 2).mean() + l2 * optax.tree.norm(params, squared=True)

    return jax.grad(loss)(variables["params"])


def test_every_row_keeps_its_sign_and_no_unit_reaches_itself_after_training(network):
    model, variables, x = network
    optimizer = optax.adam(0.05)  # fast: many weights cross 0 on their way

    @jax.jit
    def trained(params: Any) -> Any:
        def step(now: Any, _: Any) -> Any:
            params, moments = now
            updates, moments = optimizer.update(gradient_of(model, {**variables, "params": params}, x, 1e-3), moments)
            return (optax.apply_updates(params, updates), moments), None

        return jax.lax.scan(step, (params, optimizer.init(params)), length=100)[0][0]

    params = trained(variables["params"])
    assert (np.sign(params["recurrent"]) != np.sign(variables["params"]["recurrent"])).any()
    for some in (variables["params"], params):
        weight = np.asarray(model.apply({**variables, "params": some}, method="weight"))
        assert (weight[:EXCITATORY] >= 0).all()
        assert (weight[EXCITATORY:] <= 0).all()
        assert (weight.diagonal() == 0).all()
        assert (weight[np.asarray(variables["constants"]["mask"]) == 0] == 0).all()


def test_a_masked_weight_acts_as_0_and_gets_no_gradient(network):
    model, variables, x = network
    masked = variables["constants"]["mask"] == 0
    assert 0.3 < float(masked.mean()) < 0.6
    gradient = gradient_of(model, variables, x)["recurrent"]
    assert (gradient[masked] == 0).all()
    assert (gradient[~masked] != 0).mean() > 0.5
    other = jnp.where(masked, 7.0, variables["params"]["recurrent"])
    changed = {**variables, "params": {**variables["params"], "recurrent": other}}
    np.testing.assert_array_equal(model.apply(changed, x)[0], model.apply(variables, x)[0])


def test_the_mask_has_its_density():
    model: Any = dale.Model(hidden=300, density=0.3, dt=20.0)
    mask = np.asarray(jax.jit(model.init)(INIT, jnp.zeros((1, 2, 1)))["constants"]["mask"])
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask.sum() / (300 * 299) == pytest.approx(0.3, abs=0.01)


def test_the_readout_reads_excitatory_units_only(network):
    model, variables, _ = network
    assert model.excitatory_units == EXCITATORY
    rates = jax.random.uniform(DATA, (3, 4, N))
    silent = jnp.where((jnp.arange(N) < EXCITATORY)[None, None], rates, 0.0)

    def read(rates: Any) -> Any:
        return model.apply(variables, {"rate": rates}, method="readout_of")

    np.testing.assert_array_equal(read(rates), read(silent))
    np.testing.assert_array_equal(jax.grad(lambda r: read(r).sum())(rates)[..., EXCITATORY:], 0.0)
    assert (jax.grad(lambda r: read(r).sum())(rates)[..., :EXCITATORY] != 0).all()


@pytest.mark.parametrize("excitatory", [0.8, 0.5, 0.9])
def test_initial_excitation_and_inhibition_of_a_unit_are_balanced(excitatory):
    """The mean of |normal| is sd sqrt(2 / pi), and N_I inhibitory units send gain / sqrt(N) of it."""
    units, gain = 1000, 1.5
    model: Any = dale.Model(hidden=units, excitatory=excitatory, gain=gain, dt=20.0)
    variables = jax.jit(model.init)(INIT, jnp.zeros((1, 2, 1)))
    weight = np.asarray(model.apply(variables, method="weight"))
    into = weight[: model.excitatory_units].sum(0), -weight[model.excitatory_units :].sum(0)
    expected = gain / units**0.5 * (2 / np.pi) ** 0.5 * (units - model.excitatory_units)
    for amount in into:
        assert amount.mean() == pytest.approx(expected, rel=0.02)


def test_there_is_a_unit_of_either_kind():
    for excitatory in (0.01, 0.99):
        model: Any = dale.Model(hidden=3, excitatory=excitatory)
        assert 1 <= model.excitatory_units <= 2
