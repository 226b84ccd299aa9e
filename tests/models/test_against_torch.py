"""Outputs, representations and gradients equal torch's; the fixtures come from make_torch_fixtures.py."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from models import cnn, gru, lstm, resnet, vanilla

FOLDER = Path(__file__).parent / "fixtures"
CNN: dict[str, Any] = dict(outputs=2, channels=(3, 4), dense=(5,))
STRIDED: dict[str, Any] = dict(CNN, kernel=(5, 1), stride=(2, 1), pooling="mean")
RESNET: dict[str, Any] = dict(outputs=2, channels=(3, 5), blocks=1)
MODELS: dict[str, Any] = {
    "rnn_tanh": vanilla.Model(hidden=5, outputs=2),
    "rnn_relu": vanilla.Model(hidden=5, outputs=2, activation="relu"),
    "gru": gru.Model(hidden=5, outputs=2),
    "lstm": lstm.Model(hidden=5, outputs=2),
    "cnn": cnn.Model(**CNN),
    "cnn_native": cnn.Model(**CNN, conv_form="native"),
    "cnn_layer": cnn.Model(**CNN, normalization="layer"),
    "cnn_batch": cnn.Model(**CNN, normalization="batch"),
    "cnn_batch_native": cnn.Model(**CNN, normalization="batch", conv_form="native"),
    "cnn_strided": cnn.Model(**STRIDED),
    "cnn_strided_native": cnn.Model(**STRIDED, conv_form="native"),
    "resnet": resnet.Model(**RESNET),
    "resnet_native": resnet.Model(**RESNET, conv_form="native"),
}


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("name", MODELS)
def test_equals_torch(name, dtype, atol):
    model = MODELS[name]
    with np.load(FOLDER / f"torch_{name.removesuffix('_native')}.npz") as file:
        fixture = dict(file)
    with jax.enable_x64(dtype == "float64"):
        arrays = {k: jnp.asarray(v, dtype) for k, v in fixture.items()}

        def part(prefix):
            return {tuple(k.split("/")[1:]): v for k, v in arrays.items() if k.startswith(prefix + "/")}

        params = unflatten_dict(part("params"))

        @jax.jit
        def run(params, inputs):
            # Training passes do not read the running statistics.
            shapes = jax.eval_shape(model.init, jax.random.key(0), inputs)
            variables = {**jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes), "params": params}
            (outputs, representations), _ = model.apply(variables, inputs, train=True, mutable=["batch_stats"])
            return (outputs * arrays["cotangent"]).sum(), (outputs, representations)

        grads, (outputs, representations) = jax.grad(run, has_aux=True)(params, arrays["inputs"])
        assert outputs.dtype == dtype
        close = dict(atol=atol, rtol=atol)
        np.testing.assert_allclose(outputs, fixture["outputs"], **close)
        for (layer,), value in part("representations").items():
            np.testing.assert_allclose(representations[layer], value, **close)
        expected, flat = part("grads"), dict[Any, Any](flatten_dict(grads))
        assert flat.keys() == expected.keys()
        for path, value in flat.items():
            np.testing.assert_allclose(value, expected[path], **close, err_msg="/".join(path))
