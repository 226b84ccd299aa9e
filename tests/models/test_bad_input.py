"""What a model cannot be gets one sentence that names the thing, its value and what is allowed."""

import jax
import jax.numpy as jnp
import pytest

from models import cnn, mlp, resnet, vanilla
from tests.models.small_models import INIT


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (cnn.Model(kernel=5), (1, 8, 8, 1), "kernel is 5, but the map of conv2 is only 4 x 4"),
        (cnn.Model(kernel=1, channels=(2,), pool=9), (1, 8, 8, 1), "pool is 9, which leaves nothing of conv1's 8 x 8"),
        (cnn.Model(), (1, 8, 8), r"need \(trial, height, width, channel\)"),
        (cnn.Model(kernel=(3, 5, 3)), (1, 8, 8, 1), r"kernel has 3 values, \(3, 5, 3\), for 2 convolutions"),
        (resnet.Model(channels=(8, 4)), (1, 8, 8, 1), "A stage has 4 channels after one of 8"),
        (resnet.Model(channels=()), (1, 8, 8, 1), r"channels is \(\); a residual network needs at least one stage"),
        (resnet.Model(), (1, 2, 8, 1), "the map of stem is only 2 x 8"),
        (resnet.Model(), (1, 7, 8, 1), r"the map of stage3_block1_conv2 is only 2 x 2"),
        (vanilla.Model(), (1, 8), r"needs \(trial, time, unit\)"),
        (vanilla.Model(continuous=True), (1, 8, 2), "dt is 0.0 ms"),
        (mlp.Model(activation="rleu"), (1, 8), "activation is 'rleu', but must be one of tanh, relu"),
    ],
)
def test_bad_input_gets_one_sentence(model, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.init, INIT, jnp.zeros(shape))
