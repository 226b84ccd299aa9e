"""Agreement of measures over pairs of members, against plain NumPy."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import rankdata, spearmanr

from analysis.scoring.measure_agreement import agreement


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
