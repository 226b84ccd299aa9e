"""Forms of convolution, normalisations and layers of the convolutional network."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import _maps, cnn
from tests.models.small_models import DATA, INIT, assert_close, inputs_of, make, outputs_and_gradients, start, train


@pytest.mark.parametrize(
    "fields",
    [
        dict(kernel=1, stride=2, pool=1),
        dict(kernel=2, pooling="mean"),
        dict(kernel=3, normalization="batch"),
        dict(kernel=3, normalization="divisive", activation="linear"),
        dict(kernel=4, normalization="layer"),
        dict(kernel=5, stride=2),
        dict(kernel=7, stride=3, pool=1),
    ],
    ids=str,
)
def test_convolution_forms_agree(fields):
    x = inputs_of("convolutional")
    model: Any = cnn.Model(channels=(3,), dense=(5,), **fields)
    variables, _ = start(model)
    native, columns = (outputs_and_gradients(model.clone(conv_form=f), variables, x) for f in ("native", "columns"))
    assert_close(native, columns, 1e-5)


def test_batch_statistics():
    model = make("cnn")
    x = 3.0 * inputs_of("convolutional") + 1.0
    variables = jax.jit(model.init)(INIT, x)
    _, updated = jax.jit(partial(train, model))(variables, x)
    map1 = _maps.convolve(_maps.to_maps(x), variables["params"]["conv1"]["kernel"], "columns")
    expected = {"mean": 0.1 * map1.mean((1, 2, 3)), "var": 0.9 + 0.1 * map1.var((1, 2, 3))}
    assert_close(dict(updated["batch_stats"]["norm1"]), expected, 1e-5)


def test_every_layer_can_have_its_own_kernel_stride_pooling_activation_and_normalization():
    model: Any = cnn.Model(
        channels=(3, 4, 5), kernel=(3, 1, 2), stride=(1, 2, 1), pool=(1, 1, 2), pooling=("max", "max", "mean"),
        activation=("relu", "linear", "tanh"), normalization=("none", "layer", "divisive"), dense=(),
    )  # fmt: skip
    x = jax.random.normal(DATA, (4, 8, 6, 2))
    variables, representations = jax.jit(model.init)(INIT, x), None
    _, representations = model.apply(variables, x)
    assert {k: v.shape[1:] for k, v in representations.items() if not k.endswith(".pre")} == {
        "conv1": (8, 6, 3), "conv2": (4, 3, 4), "conv3": (4, 3, 5),
    }  # fmt: skip
    assert set(variables["params"]) == {"conv1", "conv2", "conv3", "norm2", "norm3", "readout"}
    np.testing.assert_array_equal(representations["conv1"], jax.nn.relu(representations["conv1.pre"]))
    np.testing.assert_array_equal(representations["conv2"], representations["conv2.pre"])
    np.testing.assert_allclose(representations["conv3"], jnp.tanh(representations["conv3.pre"]), atol=1e-6)


def test_divisive_normalization_ignores_contrast_and_saturates():
    """Carandini & Heeger 2012: R = gamma I / (sum I + sigma); with sigma -> 0 it does not change under I -> c I."""
    x = jax.random.normal(DATA, (3, 5, 5, 2))

    def response(contrast, sigma):
        model: Any = cnn.Model(
            channels=(4,), dense=(), normalization="divisive", activation="linear", semisaturation=sigma
        )
        return model.apply(model.init(INIT, x), contrast * x)[1]["conv1"]

    np.testing.assert_allclose(response(1.0, 1e-9), response(7.0, 1e-9), atol=1e-3)
    low, middle, high, higher = (float(response(c, 1.0).mean()) for c in (0.01, 0.1, 100.0, 1000.0))
    assert middle / low == pytest.approx(10.0, rel=0.2)  # in proportion to a weak input
    assert higher / high == pytest.approx(1.0, abs=0.02)  # and no more with a strong one
    gradient = jax.grad(lambda c: response(c, 1.0).sum())(0.0)
    assert np.isfinite(gradient)


def test_a_lesioned_channel_is_one_that_the_next_layer_does_not_read():
    model: Any = cnn.Model(channels=(3, 4), dense=(5,))
    variables, x = start(model)
    kept = jnp.array([1.0, 0.0, 1.0])
    outputs, representations = model.apply(variables, x, perturb={"conv1": (kept, jnp.zeros(3))})
    params = variables["params"]
    conv2 = {**params["conv2"], "kernel": params["conv2"]["kernel"] * kept[None, None, :, None]}
    expected, without = model.apply({"params": {**params, "conv2": conv2}}, x)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    np.testing.assert_allclose(representations["conv2"], without["conv2"], atol=1e-6)
    np.testing.assert_array_equal(representations["conv1"], without["conv1"] * kept[None, None, None])
