"""The member table: a row per member, from the spec and the blocks."""

from pathlib import Path

import numpy as np
import pandas as pd

from zoo import load


def test_the_table_has_one_row_a_member_with_every_varied_field(path: Path) -> None:
    table = load(path).members
    assert table.columns.tolist() == [
        *("member", "cohort", "task", "model", "seed", "status", "steps", "loss", "score"),
        "learning_rate",
    ]
    assert len(table) == 12
    assert set(table["status"]) <= {"solved", "unsolved"}
    assert (table["steps"] == 6).all()
    assert np.isfinite(table[["loss", "score"]]).all(axis=None)


def test_a_lost_member_table_is_read_from_the_blocks(four: Path, four_copy: Path) -> None:
    (four_copy / "members.csv").unlink()
    pd.testing.assert_frame_equal(load(four_copy).members, load(four).members, check_dtype=False)
