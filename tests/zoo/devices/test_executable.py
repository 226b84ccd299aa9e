"""A cohort's compiled program: its bits, its precision, its memory."""

from typing import Any

import chex
import jax
import pytest

from models import cnn
from tests.zoo.small_zoos import FOUR
from zoo import Training, Zoo
from zoo.devices import startup
from zoo.devices.blocks import blocks_of
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.tasks import digits
from zoo.training import evaluation


@pytest.mark.parametrize("inner", ["map", "vmap"])
def test_a_diverged_members_curve_does_not_depend_on_how_steps_are_cut_into_calls(inner: str) -> None:
    zoo = FOUR.replace("learning_rate", 1e30)
    (cohort,) = zoo.cohorts
    recipe = Recipe(4, inner, "columns", startup.threads())
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    floats = jax.device_put(block.floats, device)
    ends = []
    for calls in ([(4, True)], [(1, False), (1, False), (2, True)]):
        state = program.advance(program.init(block, device), floats, device, 0, True)
        for steps, evaluate in calls:
            state = program.advance(state, floats, device, steps, evaluate)
        ends.append(jax.device_get(state))
    assert (ends[0].status == 2).all()
    chex.assert_trees_all_equal(*ends)


def test_products_are_at_the_precision_that_the_manifest_names() -> None:
    for precision, words in (("highest", "HIGHEST"), ("default", "DEFAULT")):
        (cohort,) = (FOUR.replace("precision", precision)).cohorts
        program = Executable(cohort, default_recipe(cohort))
        products = [
            line for line in program.traced()[0].lower().as_text().splitlines() if "stablehlo.dot_general" in line
        ]
        assert products
        asked = [line for line in products if f"precision = [{words}, {words}]" in line]
        assert len(asked) == len(products) if precision == "highest" else not [x for x in products if "HIGHEST" in x]


def test_evaluation_memory_does_not_grow_with_the_evaluation_set(monkeypatch: Any) -> None:
    cohort = Zoo("wide", task=digits.Task(), model=cnn.Model(channels=(32, 32)), training=Training(batch=4)).cohorts[0]

    def needed(at_once: int) -> int:
        monkeypatch.setattr(evaluation, "TRIALS_AT_ONCE", at_once)
        recipe = Recipe(1, "map", "columns", startup.threads())
        return Executable(cohort, recipe).bytes_needed(jax.local_devices()[0])

    assert needed(40) < needed(400) / 3
