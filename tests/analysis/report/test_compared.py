"""What pages take of a comparison: the field that groups members, and slices without what nothing is known of."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import artefacts
from analysis.comparison_files import Slice
from analysis.report import compared as module
from analysis.report.compared import read_comparisons
from tests.analysis.report.pictures import RECORD, compared, with_guests, zoo


@pytest.mark.parametrize(("levels", "field"), [(1, "gain"), (2, "hidden"), (24, "hidden"), (25, "model")])
def test_members_are_grouped_by_the_first_field_that_varies_unless_a_legend_could_not_name_its_levels(
    levels: int, field: str
) -> None:
    table = pd.DataFrame({"model": "gru", "hidden": np.arange(50) % levels, "gain": np.arange(50) // 25})
    assert compared(table).colouring() == field


def test_networks_without_any_value_are_left_out_and_recordings_without_one_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, values = with_guests(*zoo())
    values[[3, -2]] = values[:, [3, -2]] = np.nan
    monkeypatch.setattr(module, "slices", lambda comparison: [Slice("cka", "rate", table, values)])
    comparison = SimpleNamespace(measures={"cka": SimpleNamespace(record=RECORD)})
    (shown,) = compared(table, comparison=comparison, fields=["model", "hidden", "status"]).shown
    assert shown.table["item"].tolist() == table["item"].drop(3).tolist()
    np.testing.assert_array_equal(shown.values, np.delete(np.delete(values, 3, 0), 3, 1))
    assert (shown.stem, shown.title, shown.fields) == ("rate-cka", "digits, firing rates", ["model", "hidden"])


def test_what_is_told_is_of_the_first_measure_at_the_deepest_layer_that_the_most_networks_have(tmp_path: Path) -> None:
    items = pd.DataFrame({"layer": ["conv1", "dense1"] * 3 + ["dense2"], "layer_depth": [0, 1] * 3 + [2]})
    comparison = SimpleNamespace(networks=lambda: SimpleNamespace(items=items))
    of = compared(pd.DataFrame(), tmp_path, comparison=comparison)
    of.path(artefacts.MEANS).parent.mkdir()
    pd.DataFrame({"measure": ["rsa", "cka"]}).to_csv(of.path(artefacts.MEANS), index=False)
    assert of.told == ("rsa", "dense1")


def test_a_directory_that_was_not_compared_has_no_comparison_and_no_refusal(tmp_path: Path) -> None:
    trained: Any = SimpleNamespace(path=tmp_path, members=pd.DataFrame({"member": []}))
    assert read_comparisons(trained) == ({}, [])
