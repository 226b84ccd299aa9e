"""A data set lies on a device once."""

import jax
import jax.numpy as jnp

from tests.zoo.small_zoos import THREE
from zoo.devices import task_data
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable


def test_a_data_set_lies_on_a_device_once_for_all_cohorts() -> None:
    device = jax.local_devices()[0]
    arrays = [Executable(c, default_recipe(c)).data for c in THREE.cohorts]
    placed = [task_data.on_device(data, device)["images"] for data in arrays]
    assert placed[0] is placed[1] is placed[2]
    other = task_data.on_device(arrays[0], jax.local_devices()[1])["images"]
    assert other is not placed[0]
    assert placed[0].dtype == jnp.uint8
