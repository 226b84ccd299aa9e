"""Stimuli from files: images and what is known of them, and one sentence for anything else."""

import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.activations.stimuli import read_stimuli
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.reading import read_recordings

DATA = Path(os.environ.get("ZOO_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
OBJECTS = DATA / "kriegeskorte92" / "Kriegeskorte_Neuron2008_supplementalData.mat"
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), np.uint8)


def test_arrays_with_one_entry_per_image_are_conditions(tmp_path):
    path = tmp_path / "my set.npz"
    kind = np.array(["a", "b"] * 3)
    np.savez(path, images=IMAGES, kind=kind, place=np.arange(6), other=np.arange(5), matrix=np.zeros((6, 2)))
    found = read_stimuli(path)
    np.testing.assert_array_equal(found.images, IMAGES)
    assert list(found.conditions) == ["kind", "place"]
    np.testing.assert_array_equal(found.conditions["kind"], kind)
    assert found.name == "my_set"


def test_the_only_array_of_a_file_is_its_images(tmp_path):
    np.savez(tmp_path / "grey.npz", IMAGES[..., 0])
    found = read_stimuli(tmp_path / "grey.npz")
    np.testing.assert_array_equal(found.images, IMAGES[..., 0])
    assert found.conditions == {}


BAD = {
    "two arrays": (
        dict(a=IMAGES, b=IMAGES),
        "must hold an array called images or inputs, or one array only; its arrays: a, b",
    ),
    "floats": (dict(images=IMAGES / 255), r"images must be uint8 of shape .*; found float64 \(6, 5, 4, 3\)"),
    "channels": (dict(images=IMAGES[..., :2]), r"images must be uint8 of shape .*; found uint8 \(6, 5, 4, 2\)"),
    "one": (dict(images=IMAGES[:1]), "has 1 images; it must have from 2 to 2000"),
    "objects": (
        dict(images=IMAGES, kind=np.array([{}] * 6)),
        "must be an .npz file of plain arrays; it cannot be read",
    ),
}


def test_an_archive_with_something_else_than_arrays_is_refused_in_one_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as file:
        file.writestr("README.txt", "images follow")
    with pytest.raises(ValueError, match=r"must be an \.npz file of plain arrays; .*: README.txt in it is no array"):
        read_stimuli(tmp_path / "bad.npz")


@pytest.mark.parametrize("case", BAD)
def test_a_file_without_plain_images_is_refused_in_one_sentence(case, tmp_path):
    arrays, sentence = BAD[case]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_stimuli(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)


def test_missing_broken_and_foreign_files_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"There is no probe at .*none\.npz"):
        read_stimuli(tmp_path / "none.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"cut\.npz must be an \.npz file of plain arrays; it cannot be read"):
        read_stimuli(tmp_path / "cut.npz")
    (tmp_path / "cut.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(ValueError, match=r"cut\.mat cannot be read as a MATLAB file"):
        read_stimuli(tmp_path / "cut.mat")
    with pytest.raises(ValueError, match=r"images\.png must be a file of images or inputs \(.*\.npz.*\), such as"):
        read_stimuli(tmp_path / "images.png")


def test_what_was_shown_may_stand_beside_what_was_recorded_in_any_form(tmp_path):
    names = np.array([f"object_{i}" for i in range(6)])
    np.savez(tmp_path / "both.npz", images=IMAGES, stimulus_id=names, it=np.arange(54.0).reshape(6, 9))
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file.update(images=IMAGES, stimulus_id=names.astype("S"), it=np.arange(54.0).reshape(6, 9))
    for form in ("npz", "h5"):
        found = read_stimuli(tmp_path / f"both.{form}")
        np.testing.assert_array_equal(found.images, IMAGES)
        np.testing.assert_array_equal(found.conditions["stimulus_id"], names)
    found = read_recordings(tmp_path / "both.npz", ShownStimuli(6, {"stimulus_id": names}))
    assert [member.name for member in found.members] == ["both/it"]  # what was shown is no recording


def test_inputs_over_time_are_a_probe_too(tmp_path):
    inputs = np.random.default_rng(1).normal(size=(4, 30, 2))
    np.savez(tmp_path / "pulses.npz", inputs=inputs, size=np.arange(4))
    found = read_stimuli(tmp_path / "pulses.npz")
    np.testing.assert_allclose(found.inputs, inputs, rtol=1e-6)
    assert found.images is None
    assert list(found.conditions) == ["size"]
    np.savez(tmp_path / "flat.npz", inputs=inputs[:, 0])
    with pytest.raises(ValueError, match=r"inputs of .*flat\.npz have shape \(4, 2\); they must be finite numbers"):
        read_stimuli(tmp_path / "flat.npz")


@pytest.mark.skipif(not OBJECTS.exists(), reason="the 92 objects are not here")
def test_the_92_objects_come_with_their_categories():
    found = read_stimuli(OBJECTS)
    assert found.images.shape == (92, 175, 175, 3)
    assert found.images.dtype == np.uint8
    assert list(found.conditions) == ["animate", "human", "face", "natural", "category", "object"]
    assert [int(found.conditions[name].sum()) for name in ("animate", "human", "face", "natural")] == [48, 24, 24, 71]
    assert found.conditions["category"][12] == "human face"
    np.testing.assert_array_equal(found.conditions["object"], np.arange(92))
