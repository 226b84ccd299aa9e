"""Noise ceilings equal their definition, rsatoolbox's and the published ones; a model is scored on the same scale."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import squareform
from scipy.stats import rankdata, spearmanr

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.measures import cka, rsa
from analysis.scoring.ceilings import (
    compare_rdms,
    map_ceiling,
    noise_ceiling,
    scores,
    spearman_brown,
    split_half,
)

COMPARE = ["cosine", "pearson", "spearman", "rho-a", "tau-a", "whitened-cosine", "whitened-pearson"]


def subjects(seed, count=5, n=8, ties=False):
    """RDM entries of subjects who share something."""
    draw = np.random.default_rng(seed)
    patterns = draw.standard_normal((n, 12)) + 0.8 * draw.standard_normal((count, n, 12))
    distances = ((patterns[:, :, None] - patterns[:, None]) ** 2).mean(3)
    found = distances[(slice(None), *np.triu_indices(n, 1))]
    return found.round(1) if ties else found


def one_pair(a, b, compare):
    """Written from the formulas, one pair at a time."""
    count = len(a)
    n = round((1 + (1 + 8 * count) ** 0.5) / 2)
    if compare == "tau-a":
        signs = [np.sign(x[:, None] - x) for x in (a, b)]
        return (signs[0] * signs[1]).sum() / (count * (count - 1))
    if compare in ("spearman", "rho-a"):
        a, b = rankdata(a), rankdata(b)
    if compare not in ("cosine", "whitened-cosine"):
        a, b = a - a.mean(), b - b.mean()
    if compare == "rho-a":
        return 12 * a @ b / (count**3 - count)
    weight = np.eye(count)
    if compare.startswith("whitened"):
        contrast = np.zeros((count, n))
        for row, (i, j) in enumerate(zip(*np.triu_indices(n, 1))):
            contrast[row, [i, j]] = 1, -1
        weight = np.linalg.inv((contrast @ contrast.T) ** 2)  # covariance of entries, Diedrichsen et al. 2021
    return a @ weight @ b / np.sqrt((a @ weight @ a) * (b @ weight @ b))


def pooled(vectors, compare):
    if compare in ("cosine", "whitened-cosine"):
        return np.mean([v / np.sqrt((v**2).mean()) for v in vectors], 0)
    if compare in ("pearson", "whitened-pearson"):
        return np.mean([(v - v.mean()) / v.std() for v in vectors], 0)
    return np.mean([rankdata(v) for v in vectors], 0)


@pytest.mark.parametrize("compare", COMPARE)
@pytest.mark.parametrize("ties", [False, True])
def test_comparisons_and_ceilings_equal_their_formulas(compare, ties):
    vectors = subjects(0, ties=ties)
    wanted = [[one_pair(a, b, compare) for b in vectors] for a in vectors]
    np.testing.assert_allclose(compare_rdms(vectors, vectors, compare), wanted, atol=1e-10)
    found = noise_ceiling(vectors, compare)
    lower = [one_pair(pooled(np.delete(vectors, i, 0), compare), v, compare) for i, v in enumerate(vectors)]
    upper = [one_pair(pooled(vectors, compare), v, compare) for v in vectors]
    np.testing.assert_allclose(found.each, np.stack([lower, upper], 1), atol=1e-10)
    assert (found.lower, found.upper) == pytest.approx((np.mean(lower), np.mean(upper)))
    assert found.lower < found.upper


@pytest.mark.parametrize("compare", ["cosine", "pearson", "spearman"])
def test_no_rdm_beats_the_upper_ceiling(compare):
    vectors = subjects(1)
    upper = noise_ceiling(vectors, compare).upper
    rivals = np.concatenate([vectors, subjects(2, 50), pooled(vectors, "cosine") + 0.1 * subjects(3, 50)])
    assert compare_rdms(rivals, vectors, compare).mean(1).max() <= upper + 1e-12


@pytest.mark.parametrize("compare", [name for name in COMPARE if name != "tau-a"])
def test_comparisons_are_those_of_the_rsa_measure(compare):
    x = np.random.default_rng(0).standard_normal((4, 9, 1, 6))
    distances = ((x[:, :, None, 0] - x[:, None, :, 0]) ** 2).mean(3)
    measure = rsa.Measure(rdm="euclidean", compare=compare)
    value = similarities([prepare(measure, [x], "float64")])[0].value
    np.testing.assert_allclose(compare_rdms(distances, distances, compare), value, atol=1e-10)


def test_square_rdms_and_their_entries_are_the_same():
    vectors = subjects(0)
    square = np.stack([squareform(v) for v in vectors])
    np.testing.assert_array_equal(compare_rdms(square, vectors), compare_rdms(vectors, vectors))


def test_a_subjects_own_rdms_are_left_out_together():
    vectors = subjects(0, 6)
    found = noise_ceiling(vectors, subjects=["s1", "s1", "s2", "s2", "s3", "s3"])
    lower = [spearmanr(pooled(vectors[2:], "spearman"), v).statistic for v in vectors[:2]]
    assert found.each.shape == (3, 2)
    assert found.each[0, 0] == pytest.approx(np.mean(lower))
    assert noise_ceiling(vectors).lower > found.lower - 0.2


def test_a_score_is_the_mean_over_subjects_with_its_standard_error():
    vectors, models = subjects(0), subjects(1, 3)
    found = scores(compare_rdms(models, vectors))
    wanted = np.array([[spearmanr(m, v).statistic for v in vectors] for m in models])
    np.testing.assert_allclose(found.each, wanted, atol=1e-12)
    np.testing.assert_allclose(found.mean, wanted.mean(1), atol=1e-12)
    np.testing.assert_allclose(found.se, wanted.std(1, ddof=1) / 5**0.5, atol=1e-12)
    again = scores(np.repeat(wanted, 2, 1), np.repeat(np.arange(5), 2))
    np.testing.assert_allclose(again.se, found.se, atol=1e-12)
    assert np.isnan(scores(wanted[:, :1]).se).all()


def test_the_ceiling_of_maps_follows_from_the_similarities_alone():
    draw = np.random.default_rng(0)
    patterns = [
        draw.standard_normal((10, 1, 4)) @ np.eye(4, 3 + k) + 0.5 * draw.standard_normal((10, 1, 3 + k))
        for k in range(4)
    ]
    measure = cka.Measure()
    value = similarities([prepare(measure, [p[None] for p in patterns], "float64")])[0].value
    found = map_ceiling(value)
    maps = []
    for pattern in patterns:
        full = pattern[:, 0] - pattern[:, 0].mean(0)
        hollow = full @ full.T
        np.fill_diagonal(hollow, 0)
        rows = hollow.sum(1)
        hollow += -rows[:, None] / 8 - rows / 8 + rows.sum() / 72
        np.fill_diagonal(hollow, 0)
        maps.append(hollow / np.linalg.norm(hollow))
    for i, own in enumerate(maps):
        others, everyone = sum(maps) - own, sum(maps)
        wanted = [np.vdot(own, mean) / np.linalg.norm(mean) for mean in (others, everyone)]
        np.testing.assert_allclose(found.each[i], wanted, atol=1e-10)


def test_split_half_reliability_is_that_of_the_construction():
    draw = np.random.default_rng(0)
    noise = np.array([0.5, 1.0, 3.0])
    signal = draw.standard_normal((2000, 3))
    repeats = signal + noise * draw.standard_normal((9, 2000, 3))
    found = split_half(repeats, splits=20)
    wanted = 1 / (1 + noise**2 / 9)
    np.testing.assert_allclose(found.units, wanted, atol=0.04)
    assert found.median == pytest.approx(wanted[1], abs=0.04)
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    repeats[:, :, 0] = 1
    found = split_half(repeats, splits=2)
    assert np.isnan(found.units[0])
    assert found.median > 0


def test_bad_rdms_are_refused_in_one_sentence():
    vectors = subjects(0)
    broken = vectors.copy()
    broken[3, :2] = np.nan
    for call, words in [
        (lambda: noise_ceiling(vectors[:1]), "1 subject has no noise ceiling"),
        (lambda: noise_ceiling(broken), "RDM 3 has 2 NaN entries"),
        (lambda: noise_ceiling(vectors, "spearmen"), "cannot be compared by 'spearmen'; the nearest is 'spearman'"),
        (lambda: noise_ceiling(vectors, subjects=[1, 2]), "2 subject labels for 5 RDMs"),
        (lambda: noise_ceiling(vectors[:, :20]), r"\(5, 20\) is no shape of RDMs"),
        (lambda: compare_rdms(vectors, subjects(0, n=7)), "RDMs of 8 and of 7 stimuli"),
        (lambda: map_ceiling(np.eye(3) * 2), "1 on the diagonal"),
        (lambda: map_ceiling(np.ones((2, 3))), "must be subject x subject"),
        (lambda: split_half(np.ones((1, 5, 3))), "at least 2 repeats"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    assert np.isnan(compare_rdms(np.full((1, 28), 0.1), vectors, "pearson")).all()


# --- real data, where they are at hand --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cichy():
    folder = Path(os.environ.get("ZOO_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
    file = folder / "cichy" / "cichy2014_92images_fmri_rdms.npz"
    if not file.exists():
        return pytest.skip(f"{file} is not there")
    with np.load(file) as data:
        return {name: data[name] for name in ("evc", "it")}


def test_the_ceilings_of_early_visual_cortex_and_it_are_the_published_ones(cichy):
    evc, it = noise_ceiling(cichy["evc"]), noise_ceiling(cichy["it"])
    assert (evc.lower, evc.upper) == pytest.approx((0.242, 0.392), abs=5e-4)
    assert (it.lower, it.upper) == pytest.approx((0.453, 0.542), abs=5e-4)
    unranked = map_ceiling(compare_rdms(cichy["evc"], cichy["evc"]))  # the mean of ranks, not ranked anew
    assert (unranked.lower, unranked.upper) == pytest.approx((0.247, 0.399), abs=5e-4)
