"""How a zoo is trained: what cannot be is refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from tests.zoo.small_zoos import FOUR
from zoo import train

BAD_SETTINGS = [
    ({"save_every": 0}, "save_every is 0"),
    ({"save_every": float("nan")}, "is nan"),
    ({"block": 0}, "block is 0"),
]


@pytest.mark.parametrize(("settings", "words"), BAD_SETTINGS)
def test_bad_settings_are_refused_before_anything_is_written(settings: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        train(FOUR, tmp_path / "zoo", quiet=True, **settings)
    assert not (tmp_path / "zoo").exists()
