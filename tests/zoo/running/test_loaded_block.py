"""A block in memory is the one that the spec speaks of."""

import shutil
from pathlib import Path

import pytest

from tests.zoo.small_zoos import FOUR
from zoo import train


def test_a_block_of_other_members_is_refused(tmp_path: Path) -> None:
    copy = Path(train(FOUR, tmp_path / "zoo", quiet=True, block=2).path)
    first, second = sorted(copy.glob("cohorts/*/0*"))
    shutil.rmtree(first)
    second.rename(first)
    with pytest.raises(ValueError, match=r"holds members .* instead of"):
        train(FOUR, copy, quiet=True)
