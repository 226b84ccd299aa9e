"""Recordings from files: what an array is follows from its shape or its names, and is refused where it could be two."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from analysis.activations.types import RDM, Outside, Repeats
from analysis.recordings.matching import ShownStimuli
from tests.analysis.recordings.recorded import (
    DATA,
    DRAW,
    MATRICES,
    OBJECTS,
    PAIRS,
    PATTERNS,
    SIX,
    SUBJECTS,
    SUBJECTS_OF,
    TRAJECTORIES,
    N,
    members,
    plain,
)

CORTEX = DATA / "m1_reaching" / "hatsopoulos2007_m1_centerout.npz"
CHOICES = DATA / "cifar10h" / "cifar10h_counts.npz"

TIMED = ShownStimuli(N, {}, np.array([0.0, 20.0, 40.0]))


def read(path: Path, shown: ShownStimuli = SIX, **arrays: Any) -> list[Outside]:
    np.savez(path / "brain.npz", **arrays)
    return members(path / "brain.npz", shown)


FORMS = {
    "patterns": (PATTERNS, PATTERNS, np.ndarray),
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
    in_time = SIX._replace(times=np.arange(N) * 1.0)
    (found,) = read(tmp_path, in_time, x=square, x_dims=np.array(["stimulus", "time", "unit"]))
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
    "infinite": (dict(x=np.where(PATTERNS > 1, np.inf, PATTERNS)), r"holds \d infinite values; leave such units or"),
    "NaN": (
        dict(x=np.where(np.eye(N, 5) > 0, np.nan, PATTERNS)),
        "holds 5 NaN values, and no unit was measured a",
    ),
    "NaN in an RDM": (dict(x=np.where(MATRICES[0] > 0.9, np.nan, MATRICES[0])), "NaN for 2 pairs of stimuli, such as"),
    "labels": (dict(x=PATTERNS, kind=np.array(list("aabcbc"))), "stimulus 3 has kind c and the networks' has b; bring"),
    "label counts": (dict(x=PATTERNS, kind=np.array(list("aab"))), "labels 3 stimuli by kind, and brain/x is of 6; gi"),
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


def test_a_file_of_the_whole_held_out_set_is_read_at_the_images_shown(tmp_path):
    whole, image = DRAW.normal(size=(40, 3)), np.array([3, 1, 39, 7, 20, 0])
    kind = np.arange(40) % 2
    shown = ShownStimuli(N, {"image": image, "kind": kind[image]}, held_out=40)
    (found,) = read(tmp_path, shown, x=whole, kind=kind)
    np.testing.assert_array_equal(found.array, whole[image])
    full = squareform(DRAW.uniform(size=40 * 39 // 2))
    (found,) = read(tmp_path, shown, x=full)
    np.testing.assert_allclose(plain(found), full[np.ix_(image, image)])
    with pytest.raises(ValueError, match="stimulus 0 has kind 1 and the networks' has 0"):
        read(tmp_path, shown, x=whole, kind=1 - kind)


def test_trajectories_are_resampled_to_the_networks_steps_and_it_is_said(tmp_path):
    times = np.arange(-10.0, 55.0, 5.0)
    rates = DRAW.normal(size=(4, len(times), N))  # neurons first, as recordings are kept
    lines: list[str] = []
    np.savez(tmp_path / "m1.npz", firing_rate=rates, time_ms=times, hand=DRAW.normal(size=(N, 3)))
    (found,) = members(tmp_path / "m1.npz", TIMED, lines.append)
    np.testing.assert_allclose(found.array, rates.transpose(2, 1, 0)[:, [2, 6, 10]])
    assert lines == [
        "m1.npz: left out hand (firing_rate beside it)",
        "m1/firing_rate: patterns (stimulus 6, time 13, unit 4); order not checked; resampled from 13 times to the "
        "networks' 3, 0 to 40 ms",
    ]
    (between,) = read(tmp_path, ShownStimuli(N, {}, np.array([1.0, 11.0])), x=rates, time_ms=times)
    expected = [[np.interp([1, 11], times, rates[u, :, s]) for u in range(4)] for s in range(N)]
    np.testing.assert_allclose(between.array, np.array(expected).transpose(0, 2, 1))
    with pytest.raises(ValueError, match="recorded from -10 to 50 ms and the networks ran from 60 to 90 ms, with 0 "):
        read(tmp_path, ShownStimuli(N, {}, 60 + np.arange(4) * 10.0), x=rates, time_ms=times)
    with pytest.raises(ValueError, match="if these are seconds call the array time_s; they must share two"):
        read(tmp_path, ShownStimuli(N, {}, np.arange(4) * 10.0), x=rates, time_ms=times / 1000)
    with pytest.raises(
        ValueError, match="has 4 time steps and the networks 3, from 0 to 40 ms; give its times as an arr"
    ):
        read(tmp_path, TIMED, x=TRAJECTORIES)
    same = ShownStimuli(N, {}, np.arange(4.0))
    np.testing.assert_array_equal(plain(read(tmp_path, same, x=TRAJECTORIES)[0]), TRAJECTORIES)


@pytest.mark.skipif(not SUBJECTS.exists(), reason="the recordings are not here")
def test_published_recordings_are_read_without_conversion():
    shown = ShownStimuli(92, {})
    found = members(SUBJECTS, shown)
    assert len(found) == 2 * 16
    folder = OBJECTS.parent
    counts = {"92_brainRDMs": 5, "92_behavRDMs": 17, "92_modelRDMs": 8, "rdm92_V1model": 4, OBJECTS.stem: 2}
    for name, count in counts.items():
        assert len(members(folder / f"{name}.mat", shown)) == count, name
    image = DRAW.permutation(10_000)[:50]
    (choices,) = members(CHOICES, ShownStimuli(50, {"image": image}, held_out=10_000))
    assert choices.array.shape == (50, 10)
    assert choices.array.sum(1).min() >= 47
    (rates,) = members(CORTEX, ShownStimuli(8, {}, np.arange(-800.0, 401.0, 50.0)))
    assert rates.array.shape == (8, 25, 141)
