"""Baselines: outlines, edge energy and classes of images, and how they score on published recordings."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.activations import baselines
from analysis.activations.stimuli import read_stimuli
from analysis.activations.types import RDM
from analysis.recordings.matching import ShownStimuli
from tests.analysis.recordings.recorded import DRAW, OBJECTS, SIX, SUBJECTS, N, members, plain


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


def rank_score(x: Any, rdms: np.ndarray) -> float:
    """Mean over subjects of Spearman's correlation of RDM entries, by SciPy."""
    upper = np.triu_indices(len(rdms[0]), 1)
    entries = x.array[upper] if isinstance(x, RDM) else (1 - np.corrcoef(x))[upper]
    return float(np.mean([spearmanr(entries, rdm[upper])[0] for rdm in rdms]))


@pytest.mark.skipif(not SUBJECTS.exists(), reason="the recordings are not here")
def test_baselines_score_on_early_visual_cortex_and_it_what_is_known_of_them():
    stimuli = read_stimuli(OBJECTS)
    people = members(SUBJECTS, ShownStimuli(92, {}))
    evc, it = (
        np.stack([plain(m) for m in people if m.labels["recording"].endswith(f"/{region}")][:15])
        for region in ("evc", "it")
    )
    found = {m.name: m.array for m in baselines.of_images(stimuli.images / 255, stimuli.images, stimuli.conditions)}
    monkey = members(OBJECTS, ShownStimuli(92, {}))[0].array
    expected = {"baseline/silhouette": (0.21, 0.14), "baseline/animate": (0.02, 0.26)}
    for name, (in_evc, in_it) in expected.items():
        assert rank_score(found[name], evc) == pytest.approx(in_evc, abs=0.006)
        assert rank_score(found[name], it) == pytest.approx(in_it, abs=0.006)
    assert rank_score(monkey, it) == pytest.approx(0.272, abs=0.001)
    assert abs(rank_score(found["baseline/pixels"], evc)) < 0.05
