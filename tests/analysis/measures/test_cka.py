"""CKA equals NumPy written from its formulas, and shows the failures that are known of it."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import cka, rsa


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(measure, a, b, dtype="float64"):
    """The value for two arrays (stimulus, time, unit)."""
    return similarities([prepare(measure, [a[None], b[None]], dtype)])[0].value[0, 1]


def song_cka(a, b):
    """Debiased CKA of (stimulus, unit) by the three-term estimator of HSIC (Song et al. 2012, eq. 5)."""

    def hsic(k, m):
        n = len(k)
        k, m = k - np.diag(k.diagonal()), m - np.diag(m.diagonal())
        terms = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
        return terms / (n * (n - 3))

    k, m = a @ a.T, b @ b.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def dense_map(x, center, debiased):
    """The map of (stimulus, time, unit) as (stimulus, time, stimulus, time), solved from the centring conditions."""
    n, times, _ = x.shape
    x = x - x.mean(0 if center == "time" else (0, 1), keepdims=True)
    k = np.einsum("itp,jup->itju", x, x)
    if not debiased:
        return k
    off = 1 - np.eye(n)[:, None, :, None] * np.ones((1, times, 1, times))
    if center == "grand":  # least squares fit of alpha_it + alpha_ju on the kept entries leaves rows of sum zero
        index = np.arange(n * times).reshape(n, times)
        i, t, j, u = np.nonzero(off)
        design = np.zeros((len(i), n * times))
        np.add.at(design, (np.arange(len(i)), index[i, t]), 1)
        np.add.at(design, (np.arange(len(i)), index[j, u]), 1)
        alpha = np.linalg.lstsq(design, k[i, t, j, u], rcond=None)[0].reshape(n, times)
        return off * (k - alpha[:, :, None, None] - alpha)
    result = np.zeros_like(k)
    for t in range(times):
        for u in range(times):  # U-centring (Szekely & Rizzo 2014, eq. 2.1), of the block without its diagonal
            block = k[:, t, :, u] * (1 - np.eye(n))
            rows, columns = block.sum(1, keepdims=True), block.sum(0)
            block = block - (rows + columns) / (n - 2) + block.sum() / ((n - 1) * (n - 2))
            result[:, t, :, u] = block * (1 - np.eye(n))
    return result


def cosine(a, b):
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
def test_debiased_cka_without_time_is_the_three_term_estimator(dtype, atol):
    a, b = normal(0, 40, 1, 9) + 3, normal(1, 40, 1, 30)
    b[..., :9] += a
    assert pair(cka.Measure(), a, b, dtype) == pytest.approx(song_cka(a[:, 0], b[:, 0]), abs=atol)


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
def test_cka_of_trajectories_equals_the_dense_map(dtype, atol):
    a, b = normal(0, 7, 4, 5), normal(1, 7, 4, 6)
    b[..., :5] += a
    chosen = [
        cka.Measure(center=center, debiased=debiased) for center in ("time", "grand") for debiased in (True, False)
    ]
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [a[None], b[None]], dtype))):
        expected = cosine(*(dense_map(x, measure.center, measure.debiased) for x in (a, b)))
        assert result.value[0, 1] == pytest.approx(expected, abs=atol), measure.name


@pytest.mark.parametrize("center", ["time", "grand"])
def test_rows_of_the_debiased_map_sum_to_zero_over_the_other_stimuli(center):
    n, times = 7, 4
    measure = cka.Measure(center=center)
    x = normal(0, 2, n, times, 5).astype("float32")
    entries = np.asarray(measure.left(measure.prepare(x), np.arange(n), np.arange(n)))
    axes = 3 if center == "time" else (3, 4)  # for each pair of times, or over the other's times too
    np.testing.assert_allclose(entries.reshape(2, n, times, n, times).sum(axes), 0, atol=1e-4)


@pytest.mark.parametrize("time", ["features", "mean", "last"])
def test_time_enters_as_named(time):
    a, b = normal(0, 9, 4, 5), normal(1, 9, 4, 6)
    enters = {"features": lambda x: x.reshape(9, -1), "mean": lambda x: x.mean(1), "last": lambda x: x[:, -1]}[time]
    assert pair(cka.Measure(time=time), a, b) == pytest.approx(song_cka(enters(a), enters(b)), abs=1e-10)


def test_noise_has_debiased_cka_of_zero_and_biased_cka_of_its_chance_level():
    groups = [normal(0, 20, 50, 1, 1000)]
    debiased, biased = similarities(prepare_all([cka.Measure(), cka.Measure(debiased=False)], groups))
    pairs = np.triu_indices(20, 1)
    assert abs(debiased.value[pairs].mean()) < 0.005
    assert debiased.value[pairs].min() < 0, "values below 0 are kept"
    assert debiased.value[pairs].std() == pytest.approx(debiased.chance_sd, rel=0.2)
    assert biased.value[pairs].mean() == pytest.approx(0.95, abs=0.01)
    assert biased.value[pairs].mean() == pytest.approx(biased.chance[pairs].mean(), abs=0.002)


def test_unrelated_autocorrelated_networks_have_debiased_cka_of_zero():
    steps = normal(0, 30, 8, 100, 20)
    x = np.cumsum(steps, 2) + 10 * np.cumsum(normal(1, 1, 1, 100, 20), 2)  # random walks and a common time course
    pairs = np.triu_indices(30, 1)
    assert abs(similarities([prepare(cka.Measure(), [x])])[0].value[pairs].mean()) < 0.02
    by_row = similarities([prepare(cka.Measure(), [x.reshape(30, 800, 1, 20)])])[0].value[pairs]
    assert by_row.mean() > 0.3, "the trap: rows of a trajectory taken for independent samples"


def test_a_geometry_without_structure_is_not_given_a_value():
    same = np.eye(30)[:, None]  # all stimuli equally far apart: nothing is left after U-centring
    assert np.isnan(pair(cka.Measure(), same, normal(0, 30, 1, 5), "float32"))
    assert np.isnan(pair(rsa.Measure(rdm="euclidean"), same, normal(0, 30, 1, 5), "float32"))


def gram(x, kernel, degree=3):
    """The kernel matrix of centred (stimulus, unit)."""
    x = x - x.mean(0)
    if kernel == "polynomial":
        return (1 + x @ x.T / (x**2).sum(1).mean()) ** degree
    distance = cdist(x, x)
    sigma = np.median(distance[np.triu_indices(len(x), 1)])
    return np.exp(-(distance**2) / (2 * sigma**2))


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
def test_kernels_equal_numpy_biased_and_debiased(kernel, dtype, atol):
    a, b = normal(0, 40, 1, 9) + 3, normal(1, 40, 1, 30)
    b[..., :9] += a
    k, m = gram(a[:, 0], kernel), gram(b[:, 0], kernel)
    centring = np.eye(40) - 1 / 40
    biased = cosine(centring @ k @ centring, centring @ m @ centring)
    debiased = cosine(*(u_centred(one) for one in (k, m)))
    chosen = [cka.Measure(kernel=kernel, debiased=False), cka.Measure(kernel=kernel)]
    for result, expected in zip(similarities(prepare_all(chosen, [a[None], b[None]], dtype)), (biased, debiased)):
        assert result.value[0, 1] == pytest.approx(expected, abs=atol)


def u_centred(k):
    """Szekely & Rizzo 2014, eq. 2.1."""
    n = len(k)
    k = k * (1 - np.eye(n))
    k = k - (k.sum(0) + k.sum(1)[:, None]) / (n - 2) + k.sum() / ((n - 1) * (n - 2))
    return k * (1 - np.eye(n))


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("center", ["time", "grand"])
def test_a_kernel_of_trajectories_is_centred_over_the_other_stimuli(center, debiased):
    measure = cka.Measure(kernel="rbf", center=center, debiased=debiased)
    n, times = 7, 4
    entries = np.asarray(
        measure.left(measure.prepare(normal(0, 1, n, times, 5).astype("float32")), *[np.arange(n)] * 2)
    )
    axes = 3 if center == "time" else (3, 4)
    np.testing.assert_allclose(entries.reshape(1, n, times, n, times).sum(axes), 0, atol=1e-4)


def test_one_minus_cka_breaks_the_triangle_inequality_and_the_angle_does_not():
    x = normal(0, 12, 2)
    line, other = np.linalg.qr(x - x.mean(0))[0].T[:, :, None, None]
    groups = [np.stack([line, other]), np.concatenate([line, other], -1)[None]]
    similarity, angle = (
        similarities([prepare(cka.Measure(debiased=False, angular=a), groups, "float64")])[0].value
        for a in (False, True)
    )
    distance = 1 - similarity
    assert distance[0, 1] > distance[0, 2] + distance[2, 1] + 0.2, "1 > .29 + .29: two lines, and the plane of both"
    assert angle[0, 1] <= angle[0, 2] + angle[2, 1] + 1e-9


@pytest.mark.parametrize(("stimuli", "debiased_one"), [(1, 0.02), (5, 0.96)])
def test_a_few_outlying_stimuli_make_unrelated_networks_alike_for_cka_and_not_for_rank_rsa(stimuli, debiased_one):
    """Davari et al. 2023: debiasing takes the effect of one stimulus out, not that of five."""
    x = normal(0, 2, 400, 1, 100)
    x[:, :stimuli, :, 0] += 100
    biased, debiased, ranks = (
        similarities([prepare(m, [x], "float64")])[0].value[0, 1]
        for m in (cka.Measure(debiased=False), cka.Measure(), rsa.Measure())
    )
    assert biased > 0.6
    assert debiased == pytest.approx(debiased_one, abs=0.06)
    assert abs(ranks) < 0.03


def test_rounding_of_a_large_mean_is_taken_out_before_the_product():
    a, b = normal(0, 30, 1, 8), normal(1, 30, 1, 8)
    b += a
    shifted = pair(cka.Measure(), a + 300, b - 200, "float32")
    assert shifted == pytest.approx(pair(cka.Measure(), a, b), abs=2e-5)
