"""A block fits into the memory of its device."""

from typing import Any

import jax
import pytest

from tests.zoo.small_zoos import FOUR
from zoo.devices import fitting, startup
from zoo.devices.executable import Executable
from zoo.devices.fitting import fitted
from zoo.devices.recipe import Recipe


def test_a_block_that_does_not_fit_is_halved_before_it_starts(monkeypatch: Any) -> None:
    (cohort,) = FOUR.cohorts
    device = jax.local_devices()[0]
    recipe = Recipe(4, "vmap", "columns", startup.threads())
    needed = Executable(cohort, recipe).bytes_needed(device)
    monkeypatch.setattr(fitting, "bytes_free", lambda device: int(needed / fitting.MEMORY_SHARE) - 1)
    assert fitted(cohort, recipe, device).recipe.block == 2
    monkeypatch.setattr(fitting, "bytes_free", lambda device: 1)
    with pytest.raises(MemoryError, match=f"One member of cohort {cohort.id} needs .* MiB"):
        fitted(cohort, recipe, device)
