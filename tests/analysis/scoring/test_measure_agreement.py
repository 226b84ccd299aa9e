"""Agreement of measures over pairs, and similarities with a third representation taken out, against plain NumPy."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import rankdata, spearmanr

from analysis.engine.all_pairs import similarities
from analysis.measures import cka, rsa
from analysis.scoring.ceilings import subject_scores
from analysis.scoring.measure_agreement import agreement, partial, partial_score


def symmetric(seed, n):
    x = np.random.default_rng(seed).standard_normal((n, n))
    return x + x.T


UPPER = np.triu_indices(7, 1)


def test_agreement_is_the_spearman_correlation_over_pairs_with_distances_turned():
    a, b = symmetric(0, 7), symmetric(1, 7) + symmetric(0, 7)
    found = agreement({"x": a, "y": -b, "z": a}, {"x": "similarity", "y": "distance", "z": "score"})
    wanted = spearmanr(a[UPPER], b[UPPER]).statistic
    matrix = found["rho"].unstack()
    assert matrix.loc["x", "y"] == pytest.approx(wanted)
    assert matrix.loc["y", "x"] == matrix.loc["x", "y"]
    assert matrix.loc["x", "z"] == pytest.approx(1)
    np.testing.assert_allclose(np.diagonal(matrix), 1)
    assert set(found["pairs"]) == {21}
    assert set(found["left_out"]) == {7}


@pytest.mark.parametrize("groups", [None, ["a", "a", "b", "b", "b", "c", "d"]])
def test_the_interval_is_the_jackknife_over_members_or_groups(groups):
    a, b = symmetric(0, 7), symmetric(1, 7) + symmetric(0, 7)
    a[2, 5] = a[5, 2] = np.nan
    found = agreement({"x": a, "y": b}, {"x": "similarity", "y": "similarity"}, groups).loc[("x", "y")]
    labels = np.arange(7) if groups is None else np.array(groups)
    first, second = (index[~np.isnan(a[UPPER])] for index in UPPER)
    x, y = rankdata(a[first, second]), rankdata(b[first, second])
    values = []
    for label in np.unique(labels):
        kept = (labels[first] != label) & (labels[second] != label)
        values.append(np.corrcoef(x[kept], y[kept])[0, 1])
    count = len(values)
    se = np.sqrt((count - 1) ** 2 / count * np.var(values, ddof=1))
    assert found["rho"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found["se"] == pytest.approx(se)
    half = stats.t.ppf(0.975, count - 1) * se / (1 - found["rho"] ** 2)
    assert np.arctanh(found["high"]) - np.arctanh(found["rho"]) == pytest.approx(half), "on Fisher's scale"
    assert found["pairs"] == 20


def test_directions_are_averaged_and_members_without_a_measure_are_left_out():
    a, b = np.random.default_rng(0).standard_normal((2, 8, 8))
    b = b + b.T
    a[3], a[:, 3] = np.nan, np.nan
    found = agreement({"x": a, "y": b}, {"x": "score", "y": "similarity"}).loc[("x", "y")]
    kept = np.delete(np.arange(8), 3)
    first, second = (kept[index] for index in UPPER)
    assert found["rho"] == pytest.approx(spearmanr((a + a.T)[first, second], b[first, second]).statistic)
    assert found["left_out"] == 7


def test_measures_that_do_not_vary_or_share_no_pair_are_unknown():
    kinds = dict.fromkeys("xyz", "similarity")
    found = agreement({"x": symmetric(0, 5), "y": np.ones((5, 5)), "z": np.full((5, 5), np.nan)}, kinds)
    assert np.isnan(found.loc[("x", "y"), "rho"])
    assert np.isnan(found.loc[("x", "z"), "rho"])
    assert found.loc[("x", "z"), "pairs"] == 0


def test_wrong_values_are_refused():
    with pytest.raises(ValueError, match=r"Values of y have shape \(3, 3\); all must be \(4, 4\)"):
        agreement({"x": np.eye(4), "y": np.eye(3)}, {"x": "score", "y": "score"})
    with pytest.raises(ValueError, match="Measure x is of kind None"):
        agreement({"x": np.eye(4)}, {})
    with pytest.raises(ValueError, match="2 group labels for 4 members"):
        agreement({"x": np.eye(4)}, {"x": "score"}, ["a", "b"])
    with pytest.raises(ValueError, match="1 on the diagonal"):
        partial(np.zeros((3, 3)), [0])
    with pytest.raises(ValueError, match=r"confounds .* have no similarity"):
        partial(np.eye(3), [])


# --- a third representation taken out --------------------------------------------------------------------------------


def residual(x, others):
    return x - others @ np.linalg.lstsq(others, x, rcond=None)[0]


@pytest.mark.parametrize("confounds", [[2], [2, 5], [2, 5, -4]])
def test_partial_similarity_is_the_cosine_of_what_is_left_of_the_maps(confounds):
    maps = np.random.default_rng(0).standard_normal((6, 40)) + np.random.default_rng(1).standard_normal(40)
    unit = maps / np.linalg.norm(maps, axis=1, keepdims=True)
    found = partial(unit @ unit.T, confounds)
    left = np.stack([residual(row, maps[confounds].T) for row in maps])
    kept = np.delete(np.arange(6), confounds)
    left = left[kept] / np.linalg.norm(left[kept], axis=1, keepdims=True)
    np.testing.assert_allclose(found[np.ix_(kept, kept)], left @ left.T, atol=1e-10)
    assert np.isnan(found[confounds]).all()


def test_what_two_networks_share_only_with_their_input_is_gone():
    draw = np.random.default_rng(0)
    stimuli = draw.standard_normal((60, 5))
    members = [stimuli @ draw.standard_normal((5, 400)) + draw.standard_normal((60, 400)) for _ in range(2)]
    groups = [np.stack(members)[:, :, None], stimuli[None, :, None]]
    for measure in (cka.Measure(), rsa.Measure(rdm="euclidean", compare="pearson")):
        value = similarities([measure], groups)[0].value
        left = partial(value, [2])
        assert value[0, 1] > 0.5
        assert abs(left[0, 1]) < 0.25 * value[0, 1]
        assert left[0, 0] == pytest.approx(1)


def test_members_without_a_value_stay_unknown_and_harm_no_other():
    g = np.corrcoef(np.random.default_rng(0).standard_normal((5, 30)))
    with_gap = g.copy()
    with_gap[4], with_gap[:, 4] = np.nan, np.nan
    np.testing.assert_allclose(partial(with_gap, [0])[:4, :4], partial(g, [0])[:4, :4])
    assert np.isnan(partial(with_gap, [0])[4]).all()


@pytest.mark.parametrize("compare", ["pearson", "spearman"])
def test_partial_scores_are_partial_correlations_of_each_subject(compare):
    draw = np.random.default_rng(0)
    confounds = draw.standard_normal((2, 45))
    subjects = draw.standard_normal((4, 45)) + confounds.sum(0)
    models = draw.standard_normal((3, 45)) + confounds[0]
    found = partial_score(models, subjects, confounds, compare)
    rank = rankdata if compare == "spearman" else np.asarray
    others = np.column_stack([np.ones(45), *(rank(c) for c in confounds)])
    for i, model in enumerate(models):
        for j, subject in enumerate(subjects):
            wanted = np.corrcoef(residual(rank(model), others), residual(rank(subject), others))[0, 1]
            assert found.each[i, j] == pytest.approx(wanted)
    np.testing.assert_allclose(found.mean, found.each.mean(1))
    np.testing.assert_allclose(found.se, found.each.std(1, ddof=1) / 2)


@pytest.mark.parametrize("compare", ["cosine", "rho-a", "tau-a", "whitened-cosine"])
def test_a_confound_that_is_like_nothing_changes_little_and_a_model_that_is_one_is_unknown(compare):
    draw = np.random.default_rng(0)
    shared = draw.standard_normal(190)
    confound = draw.standard_normal((1, 190))
    subjects, models = (shared + draw.standard_normal((count, 190)) for count in (4, 2))
    plain = subject_scores(models, subjects, compare).mean
    own = [subject_scores(m[None], m[None], compare).mean[0] for m in models]
    found = partial_score(np.concatenate([models, confound]), subjects, confound, compare)
    np.testing.assert_allclose(found.mean[:2], plain, atol=0.06)
    assert np.isnan(found.mean[2])
    assert max(own) <= 1 + 1e-12
