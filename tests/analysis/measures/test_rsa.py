"""RSA equals NumPy written from its formulas, for every kind of RDM under every comparison."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau, rankdata, spearmanr

from analysis.activations.types import RDMs, Repeats
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import _kendall, cka, rsa

DTYPES = pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(measure, a, b, dtype="float64"):
    """The value for two arrays (stimulus, time, unit)."""
    return similarities([prepare(measure, [a[None], b[None]], dtype)])[0].value[0, 1]


def cosine(a, b):
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def rsa_of(**choices):
    """With every time step a pattern of its own."""
    return rsa.Measure(**{"time": "samples", **choices})


def test_by_default_a_trajectory_is_one_pattern_time_and_units_together():
    a, b = normal(0, 9, 4, 5), normal(1, 9, 4, 7)
    entries = [pdist(x.reshape(9, -1), "correlation") for x in (a, b)]
    assert pair(rsa.Measure(), a, b) == pytest.approx(spearmanr(*entries).statistic, abs=1e-10)


# --- the formulas ----------------------------------------------------------------------------------------------------


def shrunk(samples, freedom):
    """Covariance of units of (sample, time, unit), by loops over samples and pairs of units (Schäfer & Strimmer 2005).

    The correlations and their squares are divided by one less than the samples whatever the degrees of freedom.
    """
    count, _, units = samples.shape
    each = [sample.T @ sample / len(sample) for sample in samples]
    covariance = sum(each) / freedom
    sd = np.sqrt(np.diag(covariance))
    above = below = 0.0
    for p in range(units):
        for q in range(units):
            if p != q:
                w = np.array([one[p, q] for one in each]) / (sd[p] * sd[q])
                above += count / freedom**2 * ((w**2).sum() / (count - 1) - (w.sum() / (count - 1)) ** 2)
                below += (w.sum() / (count - 1)) ** 2
    weight = min(1, max(0, above / below))
    return (1 - weight) * covariance + weight * np.diag(np.diag(covariance))


def bilinear(a, b, precision):
    """sum (a_x - a_y)' S (b_x - b_y) / units over rows x, y of (row, unit)."""
    k = a @ precision @ b.T
    return (np.diag(k)[:, None] + np.diag(k) - k - k.T) / a.shape[1]


def dense_rdm(x, rdm, center="time"):
    """RDM (stimulus, time, stimulus, time) of (stimulus, time, unit), or of (repeat, stimulus, time, unit)."""
    *repeats, n, times, units = x.shape
    rows = (x.mean(0) if repeats else x).reshape(n * times, units)
    if rdm == "correlation":
        values = 1 - np.corrcoef(rows)
    elif rdm == "cosine":
        values = 1 - rows @ rows.T / np.outer(*[np.linalg.norm(rows, axis=1)] * 2)
    elif rdm == "euclidean":
        values = ((rows[:, None] - rows) ** 2).mean(-1)
    elif rdm == "poisson":
        rate = (rows + 0.1) / 1.1
        values = ((rate[:, None] - rate) * (np.log(rate)[:, None] - np.log(rate))).mean(-1)
    elif not repeats:
        residuals = x - x.mean(0 if center == "time" else (0, 1))
        values = bilinear(rows, rows, np.linalg.inv(shrunk(residuals, n - 1)))
    else:
        count = repeats[0]
        residuals = (x - x.mean(0)).reshape(count * n, times, units)
        precision = np.linalg.inv(shrunk(residuals, (count - 1) * n))
        folds = [(x[k], np.delete(x, k, 0).mean(0)) for k in range(count)] if rdm == "crossnobis" else [[rows, rows]]
        folds = [[part.reshape(n * times, units) for part in fold] for fold in folds]
        values = np.mean([bilinear(*fold, precision) for fold in folds], 0)
    return values.reshape(n, times, n, times)


def compared(x, y, compare, center="time"):
    """The comparison of two RDMs (stimulus, time, stimulus, time)."""
    n, times = x.shape[:2]
    other = (np.arange(n)[:, None, None, None] != np.arange(n)[:, None]) & np.ones(x.shape, bool)
    if compare.startswith("whitened"):
        moments = []
        for d in (x, y):
            g = d.copy()
            itself = np.eye(n * times, dtype=bool).reshape(g.shape)
            if compare == "whitened-pearson":
                for t in range(times):
                    of = (slice(None), t) * 2 if center == "time" else (slice(None),) * 4
                    g[:, t, :, t][np.eye(n, dtype=bool)] = d[of][~itself[of]].mean()
            axis = 0 if center == "time" else (0, 1)
            g = g - g.mean(axis, keepdims=True)
            axis = 2 if center == "time" else (2, 3)
            moments.append(-0.5 * (g - g.mean(axis, keepdims=True)))
        return cosine(*moments)
    if compare == "tau-a":
        once = [
            (i, t, j, u) for i, j in itertools.combinations(range(n), 2) for t in range(times) for u in range(times)
        ]
        sign = [], []
        for e, f in itertools.combinations(once, 2):
            if center == "time":  # between the same two times, where an entry may be read from either side
                if e[1::2] == f[1::2][::-1]:
                    f = (*f[2:], *f[:2])
                if e[1::2] != f[1::2]:
                    continue
            for d, own in zip((x, y), sign):
                own.append(np.sign(round(d[e] - d[f], 9)))
        return np.mean(np.multiply(*sign))
    maps = []
    for d in (x, y):
        d = d.copy()
        if compare in ("spearman", "rho-a"):
            d[other] = (rankdata(d[other].round(9)) + 0.5) / 2  # both halves of an RDM tie: 1 to the number of pairs
        if compare != "cosine":
            centre = (0, 2) if center == "time" else None
            d = d - np.where(other, d, 0).sum(centre, keepdims=True) / other.sum(centre, keepdims=True)
        maps.append(np.where(other, d, 0))
    if compare == "rho-a" and times == 1:
        m = n * (n - 1) / 2
        return 12 * (maps[0] * maps[1]).sum() / 2 / (m**3 - m)
    return cosine(*maps)


# --- every RDM under every comparison --------------------------------------------------------------------------------


def members(rdm, times=1, units=7):
    """Two representations that have something in common, in the form that the kind of RDM takes."""
    repeats = 3 if rdm == "crossnobis" else 1
    a, b = normal(0, 1, 14, times, 5), normal(1, 1, 14, times, units)
    b[..., :5] += a
    a, b = (x + 0.5 * normal(2, repeats, *x.shape[1:]) for x in (a, b))
    if rdm == "crossnobis":
        return a, b
    return (np.abs(a[0]) * 3, np.abs(b[0]) * 3) if rdm == "poisson" else (a[0], b[0])


def group(rdm, *x):
    return Repeats(np.stack(x)) if rdm == "crossnobis" else np.stack(x)


@DTYPES
@pytest.mark.parametrize("rdm", ["correlation", "cosine", "euclidean", "mahalanobis", "crossnobis", "poisson"])
def test_every_rdm_under_every_comparison_equals_its_formula(rdm, dtype, atol):
    a, b = (x.astype(dtype).astype(float) for x in members(rdm, units=5))
    chosen = [rsa_of(rdm=rdm, compare=compare) for compare in rsa.COMPARE]
    x, y = dense_rdm(a, rdm), dense_rdm(b, rdm)
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [group(rdm, a, b)], dtype))):
        assert result.value[0, 1] == pytest.approx(compared(x, y, measure.compare), abs=atol), measure.name


@pytest.mark.parametrize(
    ("rdm", "center"),
    [("correlation", "time"), ("correlation", "grand"), ("mahalanobis", "grand"), ("crossnobis", "time")],
)
def test_rsa_of_trajectories_equals_the_dense_rdm(rdm, center):
    a, b = (x[..., :6, :, :] for x in members(rdm, times=3))
    chosen = [rsa_of(rdm=rdm, compare=compare, center=center) for compare in rsa.COMPARE]
    chosen.append(rsa_of(rdm=rdm, center=center, ranks="exact"))
    x, y = dense_rdm(a, rdm, center), dense_rdm(b, rdm, center)
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [group(rdm, a), group(rdm, b)], "float64"))):
        assert result.value[0, 1] == pytest.approx(compared(x, y, measure.compare, center), abs=1e-10), measure.name


def test_mahalanobis_of_repeats_is_whitened_by_their_residuals():
    a, b = members("crossnobis", units=5)
    expected = compared(dense_rdm(a, "mahalanobis"), dense_rdm(b, "mahalanobis"), "cosine")
    measure = rsa_of(rdm="mahalanobis", compare="cosine")
    value = similarities([prepare(measure, [Repeats(np.stack([a, b]))], "float64")])[0].value
    assert value[0, 1] == pytest.approx(expected, abs=1e-10)


@DTYPES
def test_a_ready_rdm_gives_what_the_patterns_it_was_made_of_give(dtype, atol):
    a, b = members("euclidean")
    ready = RDMs(dense_rdm(b, "euclidean")[None, :, 0, :, 0])
    chosen = [rsa_of(rdm="euclidean", compare=compare) for compare in rsa.COMPARE]
    chosen.append(rsa_of(rdm="euclidean", ranks="exact"))
    both = zip(
        similarities(prepare_all(chosen, [a[None], b[None]], dtype)),
        similarities(prepare_all(chosen, [a[None], ready], dtype)),
    )
    for measure, (patterns, mixed) in zip(chosen, both):
        np.testing.assert_allclose(mixed.value, patterns.value, atol=atol, err_msg=measure.name)
        np.testing.assert_allclose(mixed.chance, patterns.chance, atol=atol, err_msg=measure.name)


# --- ranks and ties --------------------------------------------------------------------------------------------------


def test_ranks_of_a_large_rdm_are_exact_or_read_off_a_table():
    a = normal(0, 150, 1, 9) * np.r_[np.ones(140), 30 * np.ones(10)][:, None, None]  # few stimuli far out
    b = a + normal(1, 150, 1, 9)
    expected = spearmanr(*(pdist(z[:, 0], "sqeuclidean") for z in (a, b)))[0]
    for ranks, atol in (("exact", 1e-10), ("table", 2e-6)):
        assert pair(rsa_of(rdm="euclidean", ranks=ranks), a, b) == pytest.approx(expected, abs=atol)


@pytest.mark.parametrize("ranks", ["exact", "table"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ties_get_average_ranks_whatever_the_rounding(ranks, dtype):
    a = np.random.default_rng(0).integers(0, 2, (120, 1, 4)) / 3  # binary codes: five distances
    b = a + 0.3 * normal(1, 120, 1, 4)
    x = rankdata(pdist(a[:, 0], "sqeuclidean").round(9))
    y = rankdata(pdist(b[:, 0], "sqeuclidean").round(9))
    value = pair(rsa_of(rdm="euclidean", ranks=ranks), a, b, dtype)
    assert value == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)


def test_values_that_single_precision_cannot_tell_apart_do_not_leave_their_place_in_the_table():
    a = np.repeat(normal(0, 12, 1, 6), 10, 0)
    a += 1e-9 * normal(1, *a.shape)  # clusters of entries, each narrower than rounding
    b = a + 0.3 * normal(2, *a.shape)
    exact = spearmanr(*(pdist(z[:, 0], "sqeuclidean") for z in (a, b)))[0]
    measure = rsa_of(rdm="euclidean")
    state = jax.tree.map(jnp.asarray, measure.prepare(a[None].astype("float32")))
    ranks = np.asarray(measure.left(state, np.arange(120), np.arange(120)))
    assert np.abs(ranks).max() <= 0.5
    assert pair(measure, a, b, "float32") == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("compare", ["rho-a", "tau-a"])
def test_with_ties_rho_a_and_tau_a_are_below_one_with_itself_and_equal_their_formula(compare):
    a = np.random.default_rng(0).integers(0, 2, (9, 1, 4)) / 3
    b = a + 0.3 * normal(1, 9, 1, 4)
    measure = rsa_of(rdm="euclidean", compare=compare)
    value = similarities([prepare(measure, [np.stack([a, b])], "float64")])[0].value
    x, y = (dense_rdm(z, "euclidean") for z in (a, b))
    np.testing.assert_allclose(value[0], [compared(x, x, compare), compared(x, y, compare)], atol=1e-10)
    assert value[0, 0] < 0.95
    assert value[1, 1] == pytest.approx(1, abs=1e-12)
    assert np.isnan(measure.identity)
    assert "below 1 with itself where entries tie" in measure.estimator


def test_all_comparisons_are_kendalls_tau_where_nothing_ties():
    x = normal(0, 3, 25, 1, 6) + normal(1, 1, 25, 1, 6)
    value = similarities([prepare(rsa_of(compare="tau-a", comparisons=0), [x], "float64")])[0].value
    entries = [pdist(one[:, 0], "correlation") for one in x]
    expected = [[kendalltau(a, b)[0] for b in entries] for a in entries]
    np.testing.assert_allclose(value, expected, atol=1e-12)


def test_sampled_comparisons_err_by_their_stated_standard_error_and_are_the_same_for_all_members():
    x = normal(0, 30, 40, 1, 6) + normal(1, 1, 40, 1, 6)
    both = [rsa_of(compare="tau-a", comparisons=count) for count in (0, 10_000)]
    exact, sampled = (result.value for result in similarities(prepare_all(both, [x])))
    off = np.triu_indices(30, 1)
    error = (sampled - exact)[off] / np.sqrt((1 - exact[off] ** 2) / 10_000)
    assert 0.8 < error.std() < 1.25
    np.testing.assert_array_equal(sampled.diagonal(), 1)
    parts = similarities(prepare_all(both[1:], [x[:10], x[10:]]))[0].value
    np.testing.assert_array_equal(parts, sampled)


def test_comparisons_of_trajectories_stay_within_two_times_when_sampled_too():
    course = 5 * normal(3, 1, 4, 1)  # a shared time course in the size of patterns alone
    a, b = (np.exp(course) * normal(seed, 24, 4, 5) for seed in (0, 1))
    sampled = dict(rdm="euclidean", compare="tau-a", comparisons=20_000)
    chosen = [rsa_of(center=center, **sampled) for center in ("time", "grand")]
    within, across = (result.value[0, 1] for result in similarities(prepare_all(chosen, [a[None], b[None]])))
    assert abs(within) < 0.1 < 0.5 < across
    counts = [sum(rows * entries for rows, entries in _kendall._sets(24, 4, w).values()) for w in (True, False)]
    assert counts[0] == counts[1], "every entry stands in one set"


@pytest.mark.parametrize("compare", ["whitened-cosine", "whitened-pearson"])
def test_whitening_is_by_the_covariance_of_entries_under_independent_noise(compare):
    a, b = members("euclidean")
    x, y = (pdist(z[:, 0], "sqeuclidean") for z in (a, b))
    contrasts = np.array([np.eye(14)[i] - np.eye(14)[j] for i, j in itertools.combinations(range(14), 2)])
    inverse = np.linalg.inv((contrasts @ contrasts.T) ** 2)  # Diedrichsen et al. 2021, eq. 14, up to a factor
    if compare == "whitened-pearson":
        x, y = x - x.mean(), y - y.mean()
    expected = x @ inverse @ y / np.sqrt((x @ inverse @ x) * (y @ inverse @ y))
    assert pair(rsa_of(rdm="euclidean", compare=compare), a, b) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("center", ["time", "grand"])
def test_the_whitened_cosine_of_euclidean_rdms_is_biased_cka(center):
    a, b = members("euclidean", times=3)
    whitened = rsa_of(rdm="euclidean", compare="whitened-cosine", center=center)
    one, other = similarities(
        prepare_all([whitened, cka.Measure(debiased=False, center=center)], [a[None], b[None]], "float64")
    )
    np.testing.assert_allclose(one.value, other.value, atol=1e-12)
    np.testing.assert_allclose(one.chance, other.chance, atol=1e-12)


@pytest.mark.parametrize("center", ["time", "grand"])
@pytest.mark.parametrize("times", [1, 2])
def test_chance_is_the_mean_over_all_permutations_of_the_stimuli(times, center):
    a, b = normal(0, 4, times, 5) + 2 * normal(3, 1, times, 5), normal(1, 4, times, 5) + 2 * normal(4, 1, times, 5)
    shuffled = [b[list(order)] for order in itertools.permutations(range(4))]
    chosen = [rsa_of(compare=compare, center=center) for compare in rsa.COMPARE if times == 1 or compare != "tau-a"]
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [np.stack([a, *shuffled])], "float64"))):
        chance = np.broadcast_to(result.chance, result.value.shape)[0, 1:]
        assert result.value[0, 1:].mean() == pytest.approx(chance.mean(), abs=1e-10), measure.name
    unknown = similarities([prepare(rsa_of(compare="tau-a"), [np.stack([a, b])])])[0].chance
    assert np.isnan(unknown).all() == (times > 1)


# --- what the RDMs are -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rdm", rsa._rdms.RDMS)
def test_an_rdm_has_the_invariances_that_it_claims_and_no_others(rdm):
    x = np.abs(normal(0, 3, 10, 2, 6)) + 0.5
    mix = np.linalg.qr(normal(7, 6, 6))[0]
    mix = mix if rdm != "poisson" else np.abs(mix)
    changed = {"permutation": x[..., ::-1], "orthogonal": x @ mix, "scaling": 3 * x, "translation": x + np.arange(6)}
    other = normal(1, 10, 2, 6) ** 2 * np.arange(1, 4)[:, None, None, None]
    given = np.stack([other, x, *changed.values()])
    measure = rsa_of(rdm=rdm, compare="cosine")
    groups = [Repeats(given) if rdm == "crossnobis" else given[:, 0]]
    value = similarities([prepare(measure, groups, "float64")])[0].value[0, 1:]
    for kind, of_changed in zip(changed, value[1:]):
        assert (abs(of_changed - value[0]) < 1e-9) == (kind in measure.invariances), kind


def test_crossnobis_is_unbiased_and_its_negative_values_are_kept():
    noise = Repeats(normal(0, 1, 3, 60, 1, 200))
    measure = rsa_of(rdm="crossnobis", compare="cosine")
    entries = np.asarray(measure.left(measure.prepare_repeats(noise.array), np.arange(60), np.arange(60)))
    entries = entries.reshape(60, 60)[np.triu_indices(60, 1)]
    assert entries.min() < -entries.std()
    assert abs(entries.mean()) < 0.15 * entries.std()
    assert rsa_of(rdm="mahalanobis").prepare_repeats(noise.array)["length"].min() > 0


def test_a_unit_without_noise_is_left_out_if_it_is_silent_and_undefined_if_it_has_signal():
    a, b = members("crossnobis")
    measure = rsa_of(rdm="crossnobis", compare="pearson")
    silent, noiseless = a.copy(), a.copy()
    silent[..., 0] = 0.3
    noiseless[..., 0] = normal(5, 14, 1)
    groups = [Repeats(np.stack([b[..., :5], silent, noiseless]))]
    value = similarities([prepare(measure, groups, "float64")])[0].value
    x, y = dense_rdm(b[..., :5], "crossnobis"), dense_rdm(silent[..., 1:], "crossnobis")
    assert value[0, 1] == pytest.approx(compared(x, y, "pearson"), abs=1e-10)
    assert np.isnan(value[2]).all()
    assert not np.isnan(value[:2, :2]).any()


def test_silent_patterns_count_as_uncorrelated():
    a, b = normal(0, 12, 1, 5), normal(1, 12, 1, 5)
    a[3:5] = 0.7  # no variance over units
    rdm = np.ones((12, 12))
    rdm[np.ix_(*[np.delete(np.arange(12), [3, 4])] * 2)] = 1 - np.corrcoef(np.delete(a[:, 0], [3, 4], 0))
    np.fill_diagonal(rdm, 0)
    x, y = (d[:, None, :, None] for d in (rdm, 1 - np.corrcoef(b[:, 0])))
    for compare in ("pearson", "whitened-cosine", "whitened-pearson"):
        value = pair(rsa_of(compare=compare), a, b)
        assert value == pytest.approx(compared(x, y, compare), abs=1e-10), compare


@pytest.mark.parametrize("compare", rsa.COMPARE)
def test_an_rdm_without_structure_is_not_given_a_value(compare):
    same = normal(0, 1, 1, 6) + np.zeros((14, 1, 1))  # all stimuli alike
    value = similarities([prepare(rsa_of(rdm="euclidean", compare=compare), [np.stack([same, normal(1, 14, 1, 6)])])])[
        0
    ].value
    assert np.isnan(value[0]).all()
    assert value[1, 1] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("stimuli", [20, 120])
@pytest.mark.parametrize("compare", ["spearman", "rho-a", "tau-a", "pearson", "cosine"])
def test_entries_that_differ_by_rounding_only_are_not_ranked(compare, stimuli):
    along = np.exp(normal(0, stimuli, 1, 1)) * np.arange(1, 8)  # all patterns in one direction
    measure = rsa_of(rdm="cosine", compare=compare)
    value = similarities([prepare(measure, [np.stack([along, normal(1, stimuli, 1, 7)])])])[0].value
    assert np.isnan(value[0]).all()
    assert value[1, 1] == pytest.approx(1, abs=1e-5)


def test_what_an_rdm_cannot_be_made_of_is_refused():
    with pytest.raises(
        ValueError, match=r"rsa\(rdm=poisson, compare=spearman\) takes rates of 0 or more; the lowest here"
    ):
        rsa.Measure(rdm="poisson").prepare(normal(0, 2, 5, 1, 3))
    with pytest.raises(
        ValueError, match=r"rsa\(rdm=crossnobis, compare=spearman\) needs at least 2 repeats; there is 1\."
    ):
        rsa.Measure(rdm="crossnobis").prepare_repeats(normal(0, 2, 1, 5, 1, 3))
    assert rsa.Measure(rdm="crossnobis").takes == ("repeats", "rdms")
