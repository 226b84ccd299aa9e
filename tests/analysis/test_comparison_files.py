"""The files of a comparison: written whole or not at all; what a new one does not make goes with the old."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import artefacts
from analysis.comparison_files import remove_comparison, slices, write_comparison
from analysis.labelled_comparison import Comparison, Measured, MeasureRecord


def comparison(kind: str = "distance") -> Comparison:
    """Four trained networks of two widths at two layers."""
    labels = [(member, layer) for layer in ("rate", "dense1") for member in "abcd"]
    members, layers = zip(*labels)
    items = pd.DataFrame(
        {
            "member": members,
            "layer": layers,
            "trained": True,
            "model": "gru",
            "cohort": [f"gru-{'ab'.find(m) >= 0}" for m in members],
            "seed": [0, 1, 0, 1] * 2,
            "hidden": [3, 3, 5, 5] * 2,
            "status": "solved",
        },
        index=pd.Index([f"{member}/{layer}" for member, layer in labels]),
    )
    where = np.arange(8.0)
    return Comparison(items, {"far": Measured(MeasureRecord("far", kind, 0), np.abs(where[:, None] - where[None]))})


def files(zoo: Path) -> set[str]:
    return {path.name for path in (zoo / artefacts.FOLDER).iterdir()}


def test_a_comparison_is_written_with_its_tests_and_means_and_the_rest_of_an_earlier_one_goes(tmp_path: Path) -> None:
    def beside(parts: Mapping[str, Path]) -> None:
        parts[artefacts.SCORES].write_text("scores")

    write_comparison(tmp_path, "sine", comparison(), ["hidden"], beside=beside)
    assert files(tmp_path) == {"sine.nc", "sine-fields.csv", "sine-means.csv", "sine-scores.csv"}
    means = pd.read_csv(artefacts.path_of(tmp_path, "sine", artefacts.MEANS))
    within: Any = means[(means["pairs_of"] == "within") & (means["layer"] == "rate") & (means["state"] == "trained")]
    assert within["mean"].tolist() == [1.0]
    write_comparison(tmp_path, "sine", comparison("score"), ["hidden"])
    assert files(tmp_path) == {"sine.nc", "sine-fields.csv", "sine-means.csv"}
    assert pd.read_csv(artefacts.path_of(tmp_path, "sine", artefacts.FIELDS)).empty, "a score is no distance"
    remove_comparison(tmp_path, "sine")
    assert files(tmp_path) == set()


def test_where_writing_ends_early_the_earlier_comparison_stays(tmp_path: Path) -> None:
    write_comparison(tmp_path, "sine", comparison(), ["hidden"])
    before = {name: (tmp_path / artefacts.FOLDER / name).read_bytes() for name in files(tmp_path)}

    def full(parts: Mapping[str, Path]) -> Any:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_comparison(tmp_path, "sine", comparison("score"), ["hidden"], beside=full)
    assert {name: (tmp_path / artefacts.FOLDER / name).read_bytes() for name in files(tmp_path)} == before


def test_a_slice_is_one_measure_at_one_layer() -> None:
    found = slices(comparison())
    assert [(each.variable, each.layer) for each in found] == [("far", "rate"), ("far", "dense1")]
    for each in found:
        assert each.table["item"].tolist() == [f"{member}/{each.layer}" for member in "abcd"]
        np.testing.assert_array_equal(each.values, np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0))))
