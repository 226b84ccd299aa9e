"""The recipe of a cohort that none was tuned for."""

from tests.zoo.small_zoos import THREE
from zoo.devices.default_recipes import default_recipe
from zoo.devices.startup import lanes


def test_a_small_cohort_of_a_large_zoo_is_one_block() -> None:
    cohort = THREE.cohorts[0]
    devices = len(lanes())
    assert default_recipe(cohort, members=2).block == 1
    assert default_recipe(cohort, members=2 * 8 * devices).block == 2
    assert default_recipe(cohort, members=10**6).block == 2
