"""A comparison in other programs' formats: nothing is lost, and what they read back is what was computed."""

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial.distance import squareform

from analysis.activations.types import RDM, Group, Outside, Representations
from analysis.comparison import Choices, comparison_of
from analysis.exports import check_formats, export

N = 8
DRAW = np.random.default_rng(0)
KIND = np.array(list("aabbaabb"))
RECORDED = RDM(squareform(DRAW.uniform(size=N * (N - 1) // 2)))


def made() -> tuple[Representations, list[Outside]]:
    """Two networks at two layers of their own widths, one RDM of a recording."""
    groups = []
    for layer, width in (("first", 5), ("sécond", 7)):
        names = (f"m1/{layer}", f"m2/{layer}")
        labels = pd.DataFrame({"member": ["m1", "m2"], "layer": layer, "seed": [0, 1], "trained": True})
        groups.append(Group(names, labels, DRAW.normal(size=(2, N, width)).astype(np.float32)))
    labels = {"recording": "brain", "subject": "", "source": "recording"}
    return Representations(tuple(groups), "probe", {"kind": KIND}), [Outside("brain", RECORDED, labels)]


FOUND, OTHERS = made()
RESULT = comparison_of(FOUND, ["cka", "rsa"], OTHERS)


def test_a_row_per_measure_and_pair_carries_the_labels_of_both(tmp_path):
    (path,) = export(tmp_path / "zoo", ["csv"], RESULT, FOUND, OTHERS)
    assert path.name == "zoo-pairs.csv"
    table: Any = pd.read_csv(path, keep_default_na=False, na_values=[""]).set_index(["measure", "a", "b"])
    assert len(table) == 2 * (2 + 4), "of equal layers, and of each with the recording"
    for measure in ("cka", "rsa"):
        for a, b in (("m1/first", "m2/first"), ("m2/sécond", "brain")):
            row = table.loc[(measure, a, b)]
            np.testing.assert_allclose(row["value"], float(RESULT.dataset()[measure].sel(a=a, b=b)), rtol=1e-6)
            assert row["member_a"] == a[:2]
            assert row["units_a"] == (5 if "first" in a else 7)
            assert row["chance"] == 0
            assert row["seed_a"] in (0, 1)
    assert table.loc[("rsa", "m1/first", "brain"), "recording_b"] == "brain"
    assert np.isnan(table.loc[("cka", "m1/first", "brain"), "value"]), "undefined, and empty"


def test_what_stands_beside_a_value_stands_in_its_row(tmp_path):
    result = comparison_of(FOUND, ["cka", "predictivity"], [], Choices(nulls=19, intervals=True))
    beside = {name: set(measured.extras) for name, measured in result.measures.items()}
    assert {"z", "p", "low", "high"} <= beside["cka"]
    assert "penalty" in beside["predictivity"]
    (path,) = export(tmp_path / "zoo", ["csv"], result, FOUND)
    table: Any = pd.read_csv(path).set_index(["measure", "a", "b"])
    for measure, extras in beside.items():
        for name in set().union(*beside.values()):
            found = table.loc[(measure, "m1/first", "m2/first"), name]
            if name in extras:
                wanted = float(result.dataset()[f"{measure}_{name}"].sel(a="m1/first", b="m2/first"))
                np.testing.assert_allclose(found, wanted, rtol=1e-6)
            else:
                assert np.isnan(found), "this measure has none"


def test_whole_numbers_stay_whole_beside_items_that_have_none(tmp_path):
    (path,) = export(tmp_path / "zoo", ["csv"], RESULT, FOUND, OTHERS)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert set(table["seed_a"]) | set(table["seed_b"]) == {"0", "1", ""}


def test_pairs_of_a_measure_that_is_not_symmetric_stand_both_ways(tmp_path):
    measured = RESULT.measures["rsa"]
    directed = dataclasses.replace(measured, record=dataclasses.replace(measured.record, symmetric=False))
    result = dataclasses.replace(RESULT, measures={"rsa": directed})
    (path,) = export(tmp_path / "zoo", ["csv"], result, FOUND)
    table: Any = pd.read_csv(path)
    assert len(table) == 2 * (2 + 4)
    assert not table.duplicated(["a", "b"]).any()


def test_rdms_have_the_layout_of_rsatoolbox(tmp_path):
    (path,) = export(tmp_path / "zoo", ["rsatoolbox"], RESULT, FOUND, OTHERS)
    with h5py.File(path) as file:
        assert set(file) == {"dissimilarities", "descriptors", "rdm_descriptors", "pattern_descriptors"}
        assert file.attrs["dissimilarity_measure"] == "correlation"
        rdms, texts = np.array(file["dissimilarities"]), file["rdm_descriptors"]
        names = [name.decode() for name in np.array(texts["name"])]
        assert [kind.decode() for kind in np.array(file["pattern_descriptors"]["kind"])] == KIND.tolist()
        assert np.array(texts["source"]).astype(str).tolist() == ["zoo"] * 4 + ["recording"]
        assert np.array(texts["trained"]).tolist() == [True] * 4 + [False]  # a recording is no trained network
    assert names[::2] == ["m1/first", "m1/s\\xe9cond", "brain"]
    upper = np.triu_indices(N, 1)
    np.testing.assert_allclose(rdms[1], (1 - np.corrcoef(FOUND.groups[0].array[1]))[upper], atol=1e-6)
    np.testing.assert_allclose(rdms[4], RECORDED.array[upper])


def test_zarr_keeps_every_label_and_attribute(tmp_path):
    pytest.importorskip("zarr")
    for _ in range(2):  # the second replaces the first
        (path,) = export(tmp_path / "zoo", ["zarr"], RESULT, FOUND, OTHERS)
    assert (path / ".zmetadata").is_file(), "one read for all metadata"
    found = xr.open_zarr(path).load()  # without asking for it, and without a warning
    xr.testing.assert_identical(found, RESULT.dataset())
    assert [entry.name for entry in tmp_path.iterdir()] == ["zoo.zarr"]


def test_an_unknown_format_or_a_missing_package_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="There is no export 'excel'; there are zarr, csv, rsatoolbox"):
        check_formats(["csv", "excel"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"The export zarr needs the package zarr: pip install"):
        check_formats(["zarr"])


def test_a_failed_export_leaves_what_was_there(tmp_path, monkeypatch):
    (path,) = export(tmp_path / "zoo", ["csv"], RESULT, FOUND)
    before = path.read_bytes()

    def full(self: Path, target: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        export(tmp_path / "zoo", ["csv"], RESULT, FOUND)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
