"""The member table: a row per member, from the spec and the blocks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models import vanilla
from zoo import Training, Zoo, load, product, train
from zoo.store.members import full_id
from zoo.tasks import flipflop


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


def test_a_member_that_ends_with_a_loss_of_millions_is_labelled_diverged(tmp_path: Path) -> None:
    task, model = flipflop.Task(steps=8, eval_trials=8), vanilla.Model(hidden=3, activation="relu")
    training = product(Training, learning_rate=[1e-3, 1e6], steps=2, batch=4)
    members = train(Zoo("wild", task=task, model=model, training=training), tmp_path / "zoo").members
    assert np.isfinite(members["loss"]).all()
    assert members["status"].tolist() == ["unsolved", "diverged"]


def test_a_member_is_found_by_the_start_or_the_end_of_its_id_where_only_one_has_it() -> None:
    known = ["flipflop-gru-a258d5b872", "flipflop-gru-a2dc23a678", "digits-cnn-dc23a67827"]
    for piece in (known[0], "a258d5b872", "flipflop-gru-a25"):
        assert full_id("zoo", known, piece) == known[0]
    assert full_id("zoo", known, "digits") == known[2]
    with pytest.raises(ValueError, match=r"zoo has 2 members 'flipflop-gru-a2': .*; give more of the id"):
        full_id("zoo", known, "flipflop-gru-a2")
    for unknown in ("nothing", ""):
        with pytest.raises(ValueError, match=f"zoo has no member '{unknown}'; "):
            full_id("zoo", known, unknown)
