"""Dropout and lesions of the multilayer perceptron."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import mlp
from tests.models.small_models import INIT, NOISE, assert_close, start


def test_dropout_keeps_the_mean_and_drops_its_share():
    x = jnp.ones((200, 30))
    model: Any = mlp.Model(layers=(100,), activation="linear", dropout=0.25)
    variables = model.init(INIT, x)
    rest = jax.tree.map(jnp.ones_like, variables)
    outputs, _ = model.apply(rest, x, train=True, rngs={"noise": NOISE})
    share = (np.asarray(outputs) - 1.0) / 31.0 * 0.75 / 100.0  # kept units: each gives 31 / .75
    assert share.mean() == pytest.approx(0.75, abs=0.01)


def test_a_lesion_is_the_loss_of_a_units_outgoing_weights():
    model: Any = mlp.Model(layers=(6, 5))
    variables, x = start(model)
    kept = jnp.ones(6).at[jnp.array([0, 3])].set(0.0)
    outputs, representations = model.apply(variables, x, perturb={"dense1": (kept, jnp.zeros(6))})
    params = variables["params"]
    dense2 = {**params["dense2"], "kernel": params["dense2"]["kernel"] * kept[:, None]}
    expected, without = model.apply({"params": {**params, "dense2": dense2}}, x)
    assert_close((outputs, representations["dense2"]), (expected, without["dense2"]))
    np.testing.assert_array_equal(representations["dense1.pre"], without["dense1.pre"])


def test_members_can_have_lesions_of_their_own():
    model: Any = mlp.Model(layers=(6,))
    variables, x = start(model)
    masks = 1.0 - jnp.eye(6)

    def lesioned(mask: Any) -> Any:
        return model.apply(variables, x, perturb={"dense1": (mask, jnp.zeros(6))})

    together = jax.vmap(lesioned)(masks)
    for i in range(6):
        assert_close(jax.tree.map(lambda v, i=i: v[i], together), lesioned(masks[i]))
