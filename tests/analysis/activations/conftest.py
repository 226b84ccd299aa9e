"""A zoo that is trained once for all tests of activations."""

import pytest

from models import cnn, vanilla
from zoo import Training, Zoo, train
from zoo.tasks import digits, flipflop


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """Networks of two convolutional models and a recurrent one, trained once for all tests of this folder."""
    images = Zoo(
        "small",
        task=digits.Task(probe_images=20),
        model=[cnn.Model(channels=(2, 3), dense=(4,)), cnn.Model(channels=(3,), dense=(5,))],
        training=Training(steps=2, batch=4),
        seeds=range(3),
    )
    recurrent = Zoo(
        "small",
        task=flipflop.Task(steps=6, eval_trials=4, probe_trials=4),
        model=vanilla.Model(hidden=3),
        training=Training(steps=2, batch=4),
        seeds=range(1),
    )
    return train(images + recurrent, tmp_path_factory.mktemp("small") / "zoo")
