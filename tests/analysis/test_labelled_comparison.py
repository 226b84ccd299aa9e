"""A comparison's typed table and records leave the program as one Dataset, and come back as they were."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from analysis.artefacts import read_dataset, write_dataset
from analysis.labelled_comparison import (
    ComparedTask,
    Comparison,
    EarlierFormat,
    LeftOut,
    Measured,
    MeasureRecord,
    plain_columns,
    typed_column,
)

NAMES = pd.Index(["m0/a; b", "m1/rate", "m1/rate/untrained", "brain"])
LABELS = {
    "member": ["m0", "m1", "m1", None],
    "seed": [3, 4, 4, None],
    "hidden": [8, 16, 16, 32],
    "tau": [100.0, 50.0, 50.0, np.nan],
    "leak": [None, "rate", "rate", None],
    "gated": [True, False, False, None],
    "trained": [True, True, False, True],
    "layers": [(8, 16), (8,), (8,), None],
    "source": ["zoo", "zoo", "zoo", "recording"],
    "recording": [None, None, None, "brain"],
    "subject": [None, None, None, ""],
}
TYPES = {"seed": "Int64", "hidden": "int64", "tau": "float64", "gated": "boolean", "trained": "bool"}


def matrix(seed):
    return np.random.default_rng(seed).standard_normal((4, 4)).astype("float32")


def comparison():
    """Labels of every type with and without gaps, and records of every field."""
    cosine = MeasureRecord(
        name="cka(kernel=linear, biased)",
        kind="similarity",
        n_stimuli=20,
        estimator="biased",
        n_times=None,
        invariances=("permutation", "scaling"),
        cosine=True,
        chance_by_pair=True,
        undefined=("m0/a; b",),
        empty=("brain",),
        empty_because="of it only an RDM is known",
    )
    score = MeasureRecord(
        "predictivity", "score", 20, identity=float("nan"), symmetric=False, chance=-0.02, chance_sd=0.1, rdm_compare=""
    )
    measures = {
        "cka": Measured(cosine, matrix(0), matrix(1), {"z": matrix(2), "p": matrix(3)}),
        "predictivity": Measured(score, matrix(4), extras={"penalty": matrix(5)}),
    }
    items = pd.DataFrame({name: typed_column(labels, NAMES) for name, labels in LABELS.items()}, index=NAMES)
    of_task = ComparedTask("digits", "", 0.1, 0.95, 12)
    excluded = (LeftOut("m2/a; b", "m2", "a; b"), LeftOut("m3/rate/untrained", "m3", "rate", False))
    return Comparison(items, measures, "a1b2", "mean", 10.0, "all", excluded, of_task)


def assert_same(back, expected):
    pd.testing.assert_frame_equal(back.items, expected.items)
    assert list(back.measures) == list(expected.measures)
    for name, measured in expected.measures.items():
        ours = back.measures[name]
        fields = [dataclasses.asdict(each.record) for each in (ours, measured)]
        np.testing.assert_equal(fields[0], fields[1])
        assert {key: type(value) for key, value in fields[0].items()} == {
            key: type(value) for key, value in fields[1].items()
        }
        np.testing.assert_array_equal(ours.values, measured.values)
        assert (ours.chance is None) == (measured.chance is None)
        assert list(ours.extras) == list(measured.extras)
        for extra in measured.extras:
            np.testing.assert_array_equal(ours.extras[extra], measured.extras[extra])
    rest = [field.name for field in dataclasses.fields(Comparison) if field.name not in ("items", "measures")]
    assert {name: getattr(back, name) for name in rest} == {name: getattr(expected, name) for name in rest}


def test_columns_are_of_the_type_of_what_is_not_missing():
    items = comparison().items
    assert {name: str(items[name].dtype) for name in TYPES} == TYPES
    assert items["leak"].tolist() == ["", "rate", "rate", ""]
    assert items["layers"].tolist() == ["(8, 16)", "(8,)", "(8,)", ""]
    assert items["seed"].isna().tolist() == [False, False, False, True]


def test_a_comparison_read_back_is_the_one_that_was_written(tmp_path):
    comparison().save(tmp_path / "deep" / "digits.nc")
    assert_same(Comparison.load(tmp_path / "deep" / "digits.nc"), comparison())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["digits.nc"]


def test_what_was_left_out_has_its_name_alone_in_a_file_of_earlier_versions(tmp_path):
    whole = comparison()
    write_dataset(whole.dataset().assign_attrs(excluded='["m3/rate"]'), tmp_path / "x.nc")
    assert Comparison.load(tmp_path / "x.nc").excluded == (LeftOut("m3/rate"),)


def test_other_representations_are_of_no_task_when_read_back(tmp_path):
    alone = dataclasses.replace(comparison(), of_task=None, excluded=())
    alone.save(tmp_path / "x.nc")
    assert_same(Comparison.load(tmp_path / "x.nc"), alone)


def test_the_dataset_has_every_label_twice_and_lists_as_json():
    dataset = comparison().dataset()
    assert set(dataset.coords) == {"a", "b"} | {f"{name}_{side}" for name in LABELS for side in "ab"}
    assert list(dataset.data_vars) == ["cka_chance", "cka", "cka_z", "cka_p", "predictivity", "predictivity_penalty"]
    np.testing.assert_array_equal(dataset["seed_a"], [3.0, 4.0, 4.0, np.nan])
    assert dataset["gated_b"].to_numpy().tolist() == ["True", "False", "False", ""]
    assert json.loads(dataset.attrs["excluded"])[1] == ["m3/rate/untrained", "m3", "rate", False]
    attributes = dataset["cka"].attrs
    assert json.loads(attributes["undefined"]) == ["m0/a; b"], "a name may hold what would separate a list of text"
    assert (attributes["cosine"], attributes["symmetric"]) == (1, 1)
    assert "chance" not in attributes, "it is no one number"
    assert dataset["predictivity"].attrs["chance"] == -0.02


def test_networks_are_a_selection_in_which_whole_numbers_are_plain_again():
    alone = comparison().networks()
    assert alone.names == NAMES[:3].tolist()
    assert not {"source", "recording", "subject"} & set(alone.items)
    assert {name: str(alone.items[name].dtype) for name in ("seed", "gated", "tau")} == {
        "seed": "int64",
        "gated": "bool",
        "tau": "float64",
    }
    whole = comparison().measures["cka"]
    np.testing.assert_array_equal(alone.measures["cka"].values, whole.values[:3, :3])
    np.testing.assert_array_equal(alone.measures["cka"].extras["p"], whole.extras["p"][:3, :3])
    np.testing.assert_array_equal(alone.measures["cka"].chance, matrix(1)[:3, :3])


def test_tables_for_tests_and_pictures_hold_nan_and_no_na():
    table = plain_columns(comparison().items)
    assert table["seed"].tolist()[:3] == [3, 4, 4]
    assert np.isnan(table["seed"].tolist()[3])
    assert (table["seed"] == 4).tolist() == [False, True, True, False]
    assert table["gated"].dropna().tolist() == [True, False, False]


@pytest.mark.parametrize("form", [None, 1, 3])
def test_a_file_of_another_form_is_refused_with_what_to_do(tmp_path, form):
    dataset = comparison().dataset()
    dataset.attrs.pop("format")
    write_dataset(dataset.assign_attrs({} if form is None else {"format": form}), tmp_path / "digits.nc")
    with pytest.raises(EarlierFormat, match="digits was compared by an earlier version or in another zoo; compare it"):
        Comparison.load(tmp_path / "digits.nc")


def test_a_failed_save_leaves_the_old_file(tmp_path):
    old = comparison().dataset()
    write_dataset(old, tmp_path / "result.nc")
    with pytest.raises(TypeError):
        write_dataset(old.assign_attrs(bad=object()), tmp_path / "result.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["result.nc"]
    xr.testing.assert_identical(read_dataset(tmp_path / "result.nc"), old)


def test_an_unreadable_file_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"There is no comparison at .*none\.nc"):
        Comparison.load(tmp_path / "none.nc")
    (tmp_path / "cut.nc").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(ValueError, match=r"cut.nc is not a readable comparison"):
        Comparison.load(tmp_path / "cut.nc")
