"""Shortcuts and forms of convolution of the residual network."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import resnet
from tests.models.small_models import DATA, INIT, assert_close, outputs_and_gradients, start, train


def test_convolution_forms_agree_in_a_residual_network():
    x = jax.random.normal(DATA, (4, 9, 8, 2))
    model: Any = resnet.Model(channels=(3, 5), blocks=2)
    variables = jax.tree.map(lambda v: v + 0.1, jax.jit(model.init)(INIT, x))
    native, columns = (outputs_and_gradients(model.clone(conv_form=f), variables, x) for f in ("native", "columns"))
    assert_close(native, columns, 2e-5)


def test_a_residual_network_starts_as_its_shortcuts():
    for normalization in ("batch", "layer", "none"):
        model: Any = resnet.Model(channels=(4,), blocks=3, normalization=normalization, activation="relu")
        variables, x = start(model)
        _, representations = jax.jit(partial(train, model))(variables, x)[0]
        for block in (1, 2, 3):
            np.testing.assert_array_equal(representations[f"stage1_block{block}"], representations["stem"])


def test_a_lesioned_stem_is_one_whose_kernel_is_0():
    model: Any = resnet.Model(channels=(3, 4), blocks=1, normalization="none")
    variables, x = start(model)
    params = jax.tree.map(lambda v: v + 0.1, variables["params"])
    outputs, representations = model.apply({"params": params}, x, perturb={"stem": (jnp.zeros(3), jnp.zeros(3))})
    nothing = {**params, "stem": jax.tree.map(jnp.zeros_like, params["stem"])}
    expected, without = model.apply({"params": nothing}, x)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    np.testing.assert_allclose(representations["stage1_block1"], without["stage1_block1"], atol=1e-6)
