"""Which recipe is fastest is measured once."""

from pathlib import Path
from typing import Any

import pytest

from tests.zoo.small_zoos import FOUR
from zoo.devices import tuning


def test_tuning_remembers_its_winner(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (cohort,) = FOUR.cohorts
    first = tuning.tuned(cohort, seconds=0.01)
    monkeypatch.setattr(tuning, "steps_per_second", lambda *args: pytest.fail("timed again"))
    assert tuning.tuned(cohort) == first
