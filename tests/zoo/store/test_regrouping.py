"""Blocks made of rows of other blocks: each member as it was, the rest padding."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.zoo.small_zoos import tiny
from zoo import train
from zoo.store.checkpoints import BlockFolder
from zoo.store.regrouping import Place, save_gathered
from zoo.store.sealing import CheckpointCorrupt
from zoo.training.status import RUNNING, STOPPED


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[BlockFolder]:
    """Two blocks of two members."""
    path = train(tiny(), tmp_path_factory.mktemp("blocks") / "zoo", block=2, quiet=True).path
    return [BlockFolder(folder) for folder in sorted(path.glob("cohorts/*/*")) if folder.is_dir()]


def test_members_of_several_blocks_have_their_states_and_curves_in_the_order_that_is_asked_for(
    blocks: list[BlockFolder], tmp_path: Path
) -> None:
    places = [Place(blocks[1], 1), Place(blocks[0], 0), Place(blocks[1], 0)]
    new = BlockFolder(tmp_path / "0000")
    save_gathered(new, 4, places, ["x", "y", "z"], size=4)
    state, curves = new.rows(4, range(4)), new.curves(4)
    assert curves is not None
    assert curves["members"].tolist() == ["x", "y", "z"]
    assert state["status"].tolist() == [STOPPED] * 4
    for row, place in enumerate(places):
        old, known = place.folder.rows(4, [place.row]), place.folder.curves(4)
        assert known is not None
        np.testing.assert_array_equal(state["params"]["recurrent"][row], old["params"]["recurrent"][0])
        np.testing.assert_array_equal(curves["loss"][:, row], known["loss"][:, place.row])
        assert curves["member_score"][row] == known["member_score"][place.row]


def test_members_that_go_on_are_running_and_their_padding_is_not(blocks: list[BlockFolder], tmp_path: Path) -> None:
    new = BlockFolder(tmp_path / "0000")
    save_gathered(new, 4, [Place(blocks[0], 1)], ["x"], size=3, running=True)
    curves = new.curves(4)
    assert curves is not None
    assert new.rows(4, range(3))["status"].tolist() == [RUNNING, STOPPED, STOPPED]
    assert curves["member_status"].tolist() == [RUNNING]


def test_a_checkpoint_that_is_damaged_is_not_sealed_anew(blocks: list[BlockFolder], tmp_path: Path) -> None:
    copy = BlockFolder(Path(shutil.copytree(blocks[0].path, tmp_path / "old")))
    largest = max((copy.path / "4" / "state").rglob("*"), key=lambda file: file.stat().st_size * file.is_file())
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    with pytest.raises(CheckpointCorrupt, match="not as it was written"):
        save_gathered(BlockFolder(tmp_path / "new"), 4, [Place(copy, 0)], ["x"], size=2)
    assert not (tmp_path / "new").exists()
