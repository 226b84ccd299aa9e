"""Recordings from files: what an array is follows from its shape or its names, and is refused where it could be two."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.io import savemat
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

from analysis.activations import baselines
from analysis.activations.recordings import Outside, Shown, halves, read_recordings
from analysis.activations.stimuli import read_stimuli
from analysis.activations.types import RDM, Repeats

DATA = Path(os.environ.get("ZOO_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
OBJECTS = DATA / "kriegeskorte92" / "Kriegeskorte_Neuron2008_supplementalData.mat"
SUBJECTS = DATA / "cichy" / "cichy2014_92images_fmri_rdms.npz"
CORTEX = DATA / "m1_reaching" / "hatsopoulos2007_m1_centerout.npz"
CHOICES = DATA / "cifar10h" / "cifar10h_counts.npz"

N = 6
DRAW = np.random.default_rng(0)
PATTERNS, SUBJECTS_OF = DRAW.normal(size=(N, 5)), DRAW.normal(size=(3, N, 5))
TRAJECTORIES = DRAW.normal(size=(N, 4, 5))
PAIRS = DRAW.uniform(size=(3, N * (N - 1) // 2))
MATRICES = np.stack([squareform(row) for row in PAIRS])
SIX = Shown(N, {"kind": np.array(list("aabbcc")), "place": np.arange(N)})
TIMED = Shown(N, {}, np.array([0.0, 20.0, 40.0]))


def read(path: Path, shown: Shown = SIX, **arrays: Any) -> list[Outside]:
    np.savez(path / "brain.npz", **arrays)
    return read_recordings(path / "brain.npz", shown)


def plain(member: Outside) -> np.ndarray:
    return member.array.array if isinstance(member.array, (RDM, Repeats)) else member.array


FORMS = {
    "patterns": (PATTERNS, PATTERNS, np.ndarray),
    "trajectories": (TRAJECTORIES, TRAJECTORIES, np.ndarray),
    "subjects": (SUBJECTS_OF, SUBJECTS_OF, np.ndarray),
    "an RDM": (MATRICES[0], MATRICES[0], RDM),
    "a triangle": (PAIRS[0], MATRICES[0], RDM),
    "RDMs": (MATRICES, MATRICES, RDM),
    "triangles": (PAIRS, MATRICES, RDM),
    "RDMs, subjects last": (MATRICES.transpose(1, 2, 0), MATRICES, RDM),
    "integers": (DRAW.integers(0, 9, (N, 5), np.uint8), None, np.ndarray),
}


@pytest.mark.parametrize("case", FORMS)
def test_an_array_is_what_its_shape_says(case, tmp_path):
    given, expected, kind = FORMS[case]
    found = read(tmp_path, x=given)
    assert all(isinstance(member.array, kind) for member in found)
    expected = given if expected is None else expected
    if "ubjects" in case or (case.endswith("s") and kind is RDM):
        assert [member.name for member in found] == ["brain/x/1", "brain/x/2", "brain/x/3", "brain/x/mean"]
        assert [member.labels["subject"] for member in found] == ["1", "2", "3", "mean"]
        expected = [*expected, expected.mean(0)]
    else:
        assert [member.name for member in found] == ["brain/x"]
        expected = [expected]
    for member, x in zip(found, expected, strict=True):
        np.testing.assert_allclose(plain(member), x, atol=1e-12)
        assert member.labels["recording"] == "brain/x"
        assert member.labels["source"] == "recording"


def test_what_could_be_two_things_is_refused_until_the_file_says_which(tmp_path):
    square = DRAW.normal(size=(N, N, 5))
    with pytest.raises(ValueError, match=r"x in .*brain.npz has shape \(6, 6, 5\), which can be .* or \(subject, sti"):
        read(tmp_path, x=square)
    found = read(tmp_path, x=square, x_dims=np.array(["subject", "stimulus", "unit"]))
    assert len(found) == N + 1
    (found,) = read(tmp_path, x=square, x_dims=np.array(["stimulus", "time", "unit"]))
    np.testing.assert_array_equal(found.array, square)
    (found,) = read(tmp_path, x=square, x_dims=np.array(["repeat", "stimulus", "unit"]))
    assert isinstance(found.array, Repeats)


def test_similarities_are_not_taken_for_patterns(tmp_path):
    with pytest.raises(
        ValueError, match=r"is symmetric with a diagonal up to 1: if these are similarities give dissim"
    ):
        read(tmp_path, x=np.corrcoef(PATTERNS))
    (found,) = read(tmp_path, x=np.corrcoef(PATTERNS), x_dims=np.array(["stimulus", "unit"]))
    np.testing.assert_array_equal(found.array, np.corrcoef(PATTERNS))


BAD = {
    "counts": (dict(x=DRAW.normal(size=(7, 5))), r"nothing of the 6 stimuli .* \(it holds x \(7, 5\)\); give one row"),
    "transposed": (
        dict(x=PATTERNS.T),
        r"x in .* has shape \(5, 6\) with its 6 stimuli on axis 1; bring it to \(stimul",
    ),
    "NaN": (dict(x=np.where(PATTERNS > 2, np.nan, PATTERNS) * [1, 1, 1, 1, np.nan]), "holds 6 NaN and 0 infinite"),
    "NaN in an RDM": (dict(x=np.where(MATRICES[0] > 0.9, np.nan, MATRICES[0])), "infinite"),
    "labels": (dict(x=PATTERNS, kind=np.array(list("aabcbc"))), "stimulus 3 has kind c and the networks' has b; bring"),
    "number labels": (dict(x=PATTERNS, place=np.arange(N)[::-1]), "stimulus 0 has place 5 and the networks' has 0"),
    "label counts": (dict(x=PATTERNS, kind=np.array(list("aab"))), "labels 3 stimuli by kind and the networks were sh"),
    "axes": (dict(x=PATTERNS, x_dims=np.array(["stimulus", "neurons?"])), r"called stimulus, neurons\?; allowed: sub"),
    "RDMs in time": (dict(x=MATRICES, time_ms=np.arange(3)), "has an RDM for each of 3 times; give that of one"),
    "complex": (dict(x=PATTERNS + 1j), "nothing of the 6 stimuli"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_in_one_sentence(case, tmp_path):
    arrays, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence) as caught:
        read(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path):
    (tmp_path / "brain.pkl").write_bytes(pickle.dumps(PATTERNS))
    np.save(tmp_path / "objects.npy", np.array([{}, {}]))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}]))
    for name, sentence in {
        "brain.pkl": r"is a pickle, which can run code when it is opened; save its arrays with np\.savez instead",
        "objects.npy": "cannot be read as a plain array: it holds objects; save arrays of numbers",
        "objects.npz": r"must be an \.npz file of plain arrays",
        "none.npz": "There is no recording at",
        "brain.txt": "cannot be read as a recording; allowed: .npz, .npy, .mat, .nc, .zarr",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            read_recordings(tmp_path / name, SIX)


def test_a_file_of_the_whole_held_out_set_is_read_at_the_images_shown(tmp_path):
    whole, image = DRAW.normal(size=(40, 3)), np.array([3, 1, 39, 7, 20, 0])
    kind = np.arange(40) % 2
    shown = Shown(N, {"image": image, "kind": kind[image]}, held_out=40)
    (found,) = read(tmp_path, shown, x=whole, kind=kind)
    np.testing.assert_array_equal(found.array, whole[image])
    full = squareform(DRAW.uniform(size=40 * 39 // 2))
    (found,) = read(tmp_path, shown, x=full)
    np.testing.assert_allclose(plain(found), full[np.ix_(image, image)])
    with pytest.raises(ValueError, match="stimulus 0 has kind 0 and the networks' has 1"):
        read(tmp_path, shown, x=whole, kind=1 - kind)


def test_trajectories_are_resampled_to_the_networks_steps_and_it_is_said(tmp_path):
    times = np.arange(-10.0, 55.0, 5.0)
    rates = DRAW.normal(size=(4, len(times), N))  # neurons first, as recordings are kept
    lines: list[str] = []
    np.savez(tmp_path / "m1.npz", firing_rate=rates, time_ms=times, hand=DRAW.normal(size=(N, 3)))
    (found,) = read_recordings(tmp_path / "m1.npz", TIMED, lines.append)
    np.testing.assert_allclose(found.array, rates.transpose(2, 1, 0)[:, [2, 6, 10]])
    assert lines == [
        "m1.npz: read firing_rate; left out hand (6, 3)",
        "m1.npz: resampled from 13 times to the networks' 3, 0 to 40 ms",
    ]
    (between,) = read(tmp_path, Shown(N, {}, np.array([1.0, 11.0])), x=rates, time_ms=times)
    expected = [[np.interp([1, 11], times, rates[u, :, s]) for u in range(4)] for s in range(N)]
    np.testing.assert_allclose(between.array, np.array(expected).transpose(0, 2, 1))
    with pytest.raises(
        ValueError, match="was recorded from -10 to 50 ms and the networks ran from 0 to 60 ms; a record"
    ):
        read(tmp_path, Shown(N, {}, np.arange(4) * 20.0), x=rates, time_ms=times)
    with pytest.raises(
        ValueError, match="has 4 time steps and the networks 3, from 0 to 40 ms; give its times as an arr"
    ):
        read(tmp_path, TIMED, x=TRAJECTORIES)
    same = Shown(N, {}, np.arange(4.0))
    np.testing.assert_array_equal(plain(read(tmp_path, same, x=TRAJECTORIES)[0]), TRAJECTORIES)


def test_the_names_of_axes_in_a_netcdf_file_decide(tmp_path):
    x = xr.DataArray(
        SUBJECTS_OF.transpose(2, 0, 1),
        dims=("neuroid", "subject", "stimulus"),
        coords={"subject": ["anna", "bea", "cleo"], "kind": ("stimulus", list("aabbcc"))},
    )
    xr.Dataset({"it": x}).to_netcdf(tmp_path / "brain.nc", engine="h5netcdf")
    found = read_recordings(tmp_path / "brain.nc", SIX)
    assert [member.labels["subject"] for member in found] == ["anna", "bea", "cleo", "mean"]
    np.testing.assert_array_equal(found[1].array, SUBJECTS_OF[1])
    xr.Dataset({"it": x.assign_coords(kind=("stimulus", list("abbbcc")))}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ValueError, match="stimulus 1 has kind b and the networks' has a"):
        read_recordings(tmp_path / "other.nc", SIX)


def test_rdms_whose_axes_have_names_are_rdms(tmp_path):
    x = xr.Dataset({"it": (("subject", "stimulus", "other_stimulus"), MATRICES)})
    x.to_netcdf(tmp_path / "rdms.nc", engine="h5netcdf")
    found = read_recordings(tmp_path / "rdms.nc", SIX)
    assert len(found) == 4
    np.testing.assert_allclose(plain(found[2]), MATRICES[2])


def test_zarr_reads_as_netcdf_does(tmp_path):
    pytest.importorskip("zarr")
    x = xr.Dataset({"it": (("unit", "stimulus"), PATTERNS.T)})
    x.to_zarr(tmp_path / "brain.zarr", consolidated=False)
    (found,) = read_recordings(tmp_path / "brain.zarr", SIX)
    np.testing.assert_array_equal(found.array, PATTERNS)


def test_structures_of_rdms_are_read_by_their_names(tmp_path):
    kind: Any = [("RDM", "O"), ("name", "O")]
    entries = np.empty((1, 4), kind)
    titles = ["IT | A | Session: 1", "IT | A | Session: 2", "IT | B | Session: 1", "model"]
    for i, (rdm, title) in enumerate(zip([MATRICES[0], MATRICES[1], MATRICES[2], PAIRS[0][None]], titles)):
        entries[0, i] = (rdm, title)
    savemat(tmp_path / "rdms.mat", {"RDMs": entries, "flags": np.ones((N, 2)), "other": PAIRS[1][None]})
    found = read_recordings(tmp_path / "rdms.mat", SIX)
    names = ["rdms/IT/A", "rdms/IT/B", "rdms/IT/mean", "rdms/model"]
    assert [member.name for member in found] == names
    np.testing.assert_allclose(plain(found[0]), MATRICES[:2].mean(0))
    np.testing.assert_allclose(plain(found[2]), (MATRICES[:2].mean(0) + MATRICES[2]) / 2)
    np.testing.assert_allclose(plain(found[3]), MATRICES[0])


def test_a_matlab_file_of_version_7_3_is_refused_with_the_fix(tmp_path):
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124, b" ") + (0x0200).to_bytes(2, "little") + b"IM"
    (tmp_path / "new.mat").write_bytes(header + bytes(400))
    with pytest.raises(ValueError, match=r"is a MATLAB v7\.3 file; save it again in MATLAB with save\(\.\.\., '-v7'\)"):
        read_recordings(tmp_path / "new.mat", SIX)


def test_halves_share_no_unit_and_hold_all_of_them():
    recording = Outside("m1", DRAW.normal(size=(N, 4, 21)), {"recording": "m1", "subject": "", "source": "recording"})
    one, other = halves(recording)
    both = np.concatenate([one.array, other.array], axis=-1)
    assert one.array.shape[-1] == 10
    np.testing.assert_array_equal(np.sort(both, axis=-1), np.sort(recording.array, axis=-1))
    assert one.labels == {"recording": "m1", "subject": "half 1", "source": "half"}
    np.testing.assert_array_equal(one.array, halves(recording)[0].array)
    assert halves(recording._replace(array=RDM(MATRICES[0]))) == []
    assert halves(recording._replace(array=PATTERNS)) == []


# Baselines


def test_an_outline_is_what_differs_from_the_colour_of_the_borders():
    images = np.full((4, 8, 8, 3), 128, np.uint8)
    for i in range(4):
        images[i, 2:6, 1 + i : 4 + i] = 10 * i
    masks = baselines.outlines(images)
    assert masks is not None
    np.testing.assert_array_equal(masks.sum((1, 2)), 12)
    assert baselines.outlines(DRAW.integers(0, 256, (4, 8, 8, 3), np.uint8)) is None


def test_edge_energy_prefers_its_orientation_and_not_the_sign_or_mean_of_contrast():
    x = np.arange(64)
    upright = 127.5 + 127.5 * np.broadcast_to(np.cos(2 * np.pi * x / 8), (64, 64))
    turned = upright.T
    energy = baselines.edge_energy(np.stack([upright, turned, 255 - upright, 0.5 * upright + 20]))
    places = [(64 // (w // 2)) ** 2 for w in baselines.WAVELENGTHS]
    blocks = np.split(energy, np.cumsum(np.repeat(places, baselines.ORIENTATIONS))[:-1], axis=1)
    mean = np.array([block.mean(1) for block in blocks]).reshape(4, 8, 4)  # scale, orientation, image
    assert np.unravel_index(mean[..., 0].argmax(), (4, 8)) == (1, 0)
    assert np.unravel_index(mean[..., 1].argmax(), (4, 8)) == (1, 4)
    np.testing.assert_allclose(energy[2], energy[0], atol=1e-5)
    np.testing.assert_allclose(energy[3], energy[0] / 2, atol=1e-5)


def test_conditions_with_classes_are_model_rdms():
    images = DRAW.integers(0, 256, (N, 9, 9), np.uint8)
    found = baselines.of_images(images[..., None] / 255, images, SIX.conditions)
    assert [member.name for member in found] == ["baseline/pixels", "baseline/V1 model", "baseline/kind"]
    kind = SIX.conditions["kind"]
    np.testing.assert_array_equal(plain(found[-1]), kind[:, None] != kind)


# Real data


def rank_score(x: Any, rdms: np.ndarray) -> float:
    """Mean over subjects of Spearman's correlation of RDM entries, by SciPy."""
    upper = np.triu_indices(len(rdms[0]), 1)
    entries = x.array[upper] if isinstance(x, RDM) else (1 - np.corrcoef(x))[upper]
    return float(np.mean([spearmanr(entries, rdm[upper])[0] for rdm in rdms]))


@pytest.mark.skipif(not SUBJECTS.exists(), reason="the recordings are not here")
def test_published_recordings_are_read_without_conversion():
    shown = Shown(92, {})
    found = read_recordings(SUBJECTS, shown)
    assert len(found) == 2 * 16
    folder = OBJECTS.parent
    counts = {"92_brainRDMs": 5, "92_behavRDMs": 17, "92_modelRDMs": 8, "rdm92_V1model": 4, OBJECTS.stem: 2}
    for name, count in counts.items():
        assert len(read_recordings(folder / f"{name}.mat", shown)) == count, name
    image = DRAW.permutation(10_000)[:50]
    (choices,) = read_recordings(CHOICES, Shown(50, {"image": image}, held_out=10_000))
    assert choices.array.shape == (50, 10)
    assert choices.array.sum(1).min() >= 47
    (rates,) = read_recordings(CORTEX, Shown(8, {}, np.arange(-800.0, 401.0, 50.0)))
    assert rates.array.shape == (8, 25, 141)


@pytest.mark.skipif(not SUBJECTS.exists(), reason="the recordings are not here")
def test_baselines_score_on_early_visual_cortex_and_it_what_is_known_of_them():
    stimuli = read_stimuli(OBJECTS)
    members = read_recordings(SUBJECTS, Shown(92, {}))
    evc, it = (
        np.stack([plain(m) for m in members if m.labels["recording"].endswith(f"/{region}")][:15])
        for region in ("evc", "it")
    )
    found = {m.name: m.array for m in baselines.of_images(stimuli.images / 255, stimuli.images, stimuli.conditions)}
    monkey = read_recordings(OBJECTS, Shown(92, {}))[0].array
    expected = {"baseline/silhouette": (0.21, 0.14), "baseline/animate": (0.02, 0.26)}
    for name, (in_evc, in_it) in expected.items():
        assert rank_score(found[name], evc) == pytest.approx(in_evc, abs=0.006)
        assert rank_score(found[name], it) == pytest.approx(in_it, abs=0.006)
    assert rank_score(monkey, it) == pytest.approx(0.272, abs=0.001)
    assert abs(rank_score(found["baseline/pixels"], evc)) < 0.05
