"""The data that a directory was begun with are those that it goes on with."""

from pathlib import Path

import numpy as np
import pytest

from models import mlp
from zoo import Training, Zoo, train
from zoo.tasks import images


def test_other_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(file, images=pixels, labels=np.arange(40) % 2)
    zoo = Zoo(
        "mine", task=images.Task(file=str(file)), model=mlp.Model(layers=(3,)), training=Training(steps=2, batch=4)
    )
    train(zoo, tmp_path / "zoo", quiet=True)
    np.savez(file, images=255 - pixels, labels=np.arange(40) % 2)
    with pytest.raises(ValueError, match=r"was begun with other data of the task .*mine\.npz.*: their hash was"):
        train(zoo, tmp_path / "zoo", quiet=True)
