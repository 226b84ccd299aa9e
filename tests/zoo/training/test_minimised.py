"""What is minimised, against the same sums in NumPy."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import cnn, dale, gru, vanilla
from zoo import Training
from zoo.training.minimised import objective

IMAGES = cnn.Model(channels=(2,), dense=(3,), normalization="batch", outputs=2)
RECURRENT = vanilla.Model(hidden=3, outputs=2, dt=20.0, tau=50.0, continuous=True)


def minimised(model: Any, shape: tuple[int, ...], **settings: Any) -> Any:
    """Total, loss and new statistics of some trials, with the variables and the layers that they come from."""
    task = SimpleNamespace(loss=lambda outputs, trials: jnp.mean(jnp.square(outputs - trials.targets)))
    bound = SimpleNamespace(task=task, model=model, training=Training(**settings))

    @jax.jit
    def program(inputs: jax.Array) -> Any:
        variables = model.init({"params": jax.random.key(0), "constants": jax.random.key(3)}, inputs)
        trials = SimpleNamespace(inputs=inputs, targets=1.0)
        (outputs, layers), _ = model.apply(variables, inputs, train=True, mutable=["batch_stats"])
        return *objective(bound, variables, trials, jax.random.key(2)), variables, outputs, layers

    total, (loss, stats), variables, outputs, layers = program(jax.random.normal(jax.random.key(1), shape))
    np.testing.assert_allclose(loss, np.square(np.asarray(outputs) - 1).mean(), rtol=1e-6)
    return float(total), float(loss), stats, variables, layers


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_l2_is_of_the_squared_weights_without_biases_unless_the_optimizer_decays_them(optimizer: str) -> None:
    total, loss, stats, variables, _ = minimised(RECURRENT, (2, 4, 3), l2=0.1, optimizer=optimizer)
    params = variables["params"]
    weights = params["recurrent"], params["input"]["kernel"], params["readout"]["kernel"]
    expected = 0.1 * sum(np.square(weight).sum() for weight in weights) if optimizer == "adam" else 0.0
    np.testing.assert_allclose(total - loss, expected, rtol=1e-5)
    assert stats == {}


def test_rate_l2_of_a_recurrent_network_is_of_its_rates_alone() -> None:
    total, loss, _, _, layers = minimised(RECURRENT, (2, 4, 3), rate_l2=0.1)
    np.testing.assert_allclose(total - loss, 0.1 * np.square(layers["rate"]).mean(), rtol=1e-5)


def test_rate_l2_of_layers_is_the_mean_over_them_after_their_nonlinearity_and_statistics_are_new() -> None:
    total, loss, stats, variables, layers = minimised(IMAGES, (2, 6, 6, 1), rate_l2=0.1)
    assert "conv1.pre" in layers
    expected = 0.1 * (np.square(layers["conv1"]).mean() + np.square(layers["dense1"]).mean()) / 2
    np.testing.assert_allclose(total - loss, expected, rtol=1e-4)
    assert stats.keys() == {"batch_stats"}
    changed = jax.tree.map(lambda new, old: bool((new != old).any()), stats["batch_stats"], variables["batch_stats"])
    assert all(jax.tree.leaves(changed))


@pytest.mark.parametrize(
    "model", [RECURRENT, dale.Model(hidden=4), gru.Model(hidden=4)], ids=["vanilla", "dale", "gru"]
)
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_recurrent_l1_and_nuclear_are_of_the_recurrent_weights_as_they_act_gate_by_gate(
    model: Any, optimizer: str
) -> None:
    settings: Any = dict(optimizer=optimizer, l2=0.0)
    model = model.clone(outputs=2, **({"dt": 20.0} if hasattr(model, "dt") else {}))
    total, loss, _, variables, _ = minimised(model, (2, 4, 3), recurrent_l1=0.1, **settings)
    weights = np.asarray(model.apply(variables, method="weight"))
    np.testing.assert_allclose(total - loss, 0.1 * np.abs(weights).sum(), rtol=1e-4)
    total, loss, _, _, _ = minimised(model, (2, 4, 3), recurrent_nuclear=0.1, **settings)
    gates = np.split(weights, weights.shape[1] // len(weights), axis=1)
    expected = sum(np.linalg.svd(gate, compute_uv=False).sum() for gate in gates)
    np.testing.assert_allclose(total - loss, 0.1 * expected, rtol=1e-3)


def test_a_regulariser_that_is_off_is_not_in_the_program() -> None:
    def program(**settings: Any) -> str:
        task = SimpleNamespace(loss=lambda outputs, trials: jnp.mean(outputs**2))
        bound = SimpleNamespace(task=task, model=RECURRENT, training=Training(**settings))
        inputs = jnp.zeros((2, 4, 3))
        variables = RECURRENT.init({"params": jax.random.key(0)}, inputs)
        trials = SimpleNamespace(inputs=inputs)
        return str(jax.make_jaxpr(lambda v: objective(bound, v, trials, jax.random.key(2))[0])(variables))

    without = program()
    assert program(recurrent_l1=0.0, recurrent_nuclear=0.0) == without
    assert len(program(recurrent_l1=0.1)) > len(without)
    assert program(recurrent_nuclear=0.1).count("dot_general") > without.count("dot_general")
