"""Every measure of the folder keeps the contract; each family equals NumPy written from its formulas."""

import importlib
import pkgutil

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr

from analysis import measures
from analysis.measures import cka, rsa
from analysis.pairwise import similarities

FAMILIES = sorted(module.name for module in pkgutil.iter_modules(measures.__path__))
DEFAULTS = [importlib.import_module(f"analysis.measures.{family}").Measure() for family in FAMILIES]
MORE = [
    cka.Measure(debiased=False),
    cka.Measure(time="features"),
    cka.Measure(center="grand"),
    rsa.Measure(rdm="euclidean"),
    rsa.Measure(compare="pearson", center="grand"),
    rsa.Measure(rdm="euclidean", compare="pearson"),
    rsa.Measure(compare="cosine"),
    rsa.Measure(ranks="exact"),
]
EVERY = pytest.mark.parametrize("measure", DEFAULTS + MORE, ids=lambda measure: measure.name)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(measure, a, b, dtype="float64"):
    """The value for two arrays (stimulus, time, unit)."""
    return similarities([measure], [a[None], b[None]], dtype=dtype)[0].value[0, 1]


# --- the contract, over every file of the folder ---------------------------------------------------------------------


def transformed(x):
    """One representation, changed in the ways that a measure may claim not to see."""
    units = x.shape[-1]
    mix = normal(7, units, units)
    return {
        "permutation": x[..., np.random.default_rng(8).permutation(units)],
        "orthogonal": x @ np.linalg.qr(mix)[0],
        "scaling": 3.0 * x,
        "translation": x + 2 * normal(9, units),
        "invertible": x @ (mix * np.geomspace(1, 20, units)),
    }


@EVERY
def test_claimed_invariances_hold_and_unclaimed_ones_fail(measure):
    a = normal(0, 12, 3, 6)
    changed = transformed(a)
    members = np.stack([a + normal(1, 12, 3, 6), a, *changed.values()])
    values = similarities([measure], [members], dtype="float64")[0].value[0, 1:]
    for kind, value in zip(changed, values[1:]):
        difference = abs(value - values[0])
        if kind in measure.invariances:
            assert difference < 1e-9, kind
        else:
            assert difference > 1e-4, kind


@EVERY
def test_a_measure_is_symmetric_gives_its_identity_and_the_same_in_any_order(measure):
    x = normal(0, 7, 12, 3, 6)
    value = similarities([measure], [x], dtype="float64")[0].value
    np.testing.assert_allclose(value, value.T, atol=1e-12)
    np.testing.assert_allclose(value.diagonal(), measure.identity, atol=1e-12)
    back = similarities([measure], [np.concatenate([x[1::-1], normal(1, 5, 12, 3, 6)])], dtype="float64")[0].value
    np.testing.assert_allclose(back[0, 1], value[0, 1], atol=1e-12)


@EVERY
def test_a_name_carries_the_choices_and_the_parts_of_the_contract_are_there(measure):
    family = type(measure).__module__.rpartition(".")[2]
    assert measure.name.startswith(f"{family}(")
    assert measure.kind in ("similarity", "distance", "score")
    assert isinstance(measure.symmetric, bool)
    assert measure.estimator
    assert measure.takes
    assert measure.least >= 2
    assert len({other.name for other in DEFAULTS + MORE}) == len(DEFAULTS + MORE)


@pytest.mark.parametrize("measure", [m for m in DEFAULTS + MORE if getattr(m, "ranks", "") != "exact"], ids=str)
def test_a_state_has_the_member_axis_first_and_nothing_of_stimuli_squared(measure):
    """Exact ranks are asked for at the price of holding them."""
    x = normal(0, 2, 30, 2, 3).astype("float32")
    small = 4 * rsa.KNOTS  # 32,768 cells, whatever the number of stimuli
    for name, leaf in measure.prepare(x).items():
        assert leaf.shape[0] == 2, name
        assert leaf.size <= 2 * max(30 * 2 * 3 + 30 * 2 * 2, small), name


@EVERY
def test_chance_in_closed_form_is_the_mean_over_permuted_stimuli(measure):
    common = 2 * normal(3, 1, 3, 1) * normal(4, 1, 1, 6)  # a shared time course
    a, b = normal(0, 12, 3, 6) + common, normal(1, 12, 3, 6) + common
    draw = np.random.default_rng(2)
    values = []
    for _ in range(60):
        shuffled = np.stack([a, *(b[draw.permutation(12)] for _ in range(6))])
        result = similarities([measure], [shuffled], dtype="float64")[0]
        values.extend(result.value[0, 1:])
    chance = result.chance if np.ndim(result.chance) == 0 else result.chance[0, 1]
    assert abs(np.mean(values) - chance) < 4 * np.std(values) / 360**0.5


def test_an_unknown_choice_is_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match="cka has no kernel='rbf'; allowed: linear"):
        cka.Measure(kernel="rbf")
    with pytest.raises(ValueError, match="rsa has no compare='tau'; allowed: spearman, pearson, cosine"):
        rsa.Measure(compare="tau")


# --- cka -------------------------------------------------------------------------------------------------------------


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
    for measure, result in zip(chosen, similarities(chosen, [a[None], b[None]], dtype=dtype)):
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
    debiased, biased = similarities([cka.Measure(), cka.Measure(debiased=False)], groups)
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
    assert abs(similarities([cka.Measure()], [x])[0].value[pairs].mean()) < 0.02
    by_row = similarities([cka.Measure()], [x.reshape(30, 800, 1, 20)])[0].value[pairs]
    assert by_row.mean() > 0.3, "the trap: rows of a trajectory taken for independent samples"


def test_a_geometry_without_structure_is_not_given_a_value():
    same = np.eye(30)[:, None]  # all stimuli equally far apart: nothing is left after U-centring
    assert np.isnan(pair(cka.Measure(), same, normal(0, 30, 1, 5), "float32"))
    assert np.isnan(pair(rsa.Measure(rdm="euclidean"), same, normal(0, 30, 1, 5), "float32"))


# --- rsa -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("rdm", ["correlation", "euclidean"])
def test_rsa_without_time_equals_scipy(rdm, dtype, atol):
    a, b = normal(0, 40, 1, 9), normal(1, 40, 1, 30)
    b[..., :9] += a
    x, y = (pdist(z[:, 0], "sqeuclidean" if rdm == "euclidean" else rdm) for z in (a, b))
    expected = {"spearman": spearmanr(x, y)[0], "pearson": np.corrcoef(x, y)[0, 1], "cosine": cosine(x, y)}
    chosen = [rsa.Measure(rdm=rdm, compare=compare) for compare in expected]
    for result, value in zip(similarities(chosen, [a[None], b[None]], dtype=dtype), expected.values()):
        assert result.value[0, 1] == pytest.approx(value, abs=atol)


@pytest.mark.parametrize(("ranks", "atol"), [("exact", 1e-10), ("table", 2e-6)])
def test_ranks_of_a_large_rdm_are_exact_or_read_off_a_table(ranks, atol):
    a = normal(0, 150, 1, 9) * np.r_[np.ones(140), 30 * np.ones(10)][:, None, None]  # few stimuli far out
    b = a + normal(1, 150, 1, 9)
    x, y = (pdist(z[:, 0], "sqeuclidean") for z in (a, b))
    value = pair(rsa.Measure(rdm="euclidean", ranks=ranks), a, b)
    assert value == pytest.approx(spearmanr(x, y)[0], abs=atol)


@pytest.mark.parametrize("ranks", ["exact", "table"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ties_get_average_ranks_whatever_the_rounding(ranks, dtype):
    a = np.random.default_rng(0).integers(0, 2, (120, 1, 4)) / 3  # binary codes: five distances
    b = a + 0.3 * normal(1, 120, 1, 4)
    x = rankdata(pdist(a[:, 0], "sqeuclidean").round(9))
    y = rankdata(pdist(b[:, 0], "sqeuclidean").round(9))
    value = pair(rsa.Measure(rdm="euclidean", ranks=ranks), a, b, dtype)
    assert value == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)


def dense_rdm(x, rdm):
    """RDM (stimulus, time, stimulus, time) of (stimulus, time, unit), NaN for a stimulus with itself."""
    n, times, units = x.shape
    rows = x.reshape(n * times, units)
    values = 1 - np.corrcoef(rows) if rdm == "correlation" else ((rows[:, None] - rows) ** 2).mean(-1)
    values = values.reshape(n, times, n, times)
    values[np.arange(n), :, np.arange(n)] = np.nan
    return values


@pytest.mark.parametrize("center", ["time", "grand"])
@pytest.mark.parametrize("rdm", ["correlation", "euclidean"])
def test_rsa_of_trajectories_equals_the_dense_rdm(rdm, center):
    a, b = normal(0, 6, 3, 5), normal(1, 6, 3, 7)
    b[..., :5] += a
    choices = [("spearman", "table"), ("spearman", "exact"), ("pearson", "table"), ("cosine", "table")]
    chosen = [rsa.Measure(rdm=rdm, compare=compare, ranks=ranks, center=center) for compare, ranks in choices]
    results = similarities(chosen, [a[None], b[None]], dtype="float64")
    for (compare, _), result in zip(choices, results):
        maps = []
        for x in (a, b):
            values = dense_rdm(x, rdm)
            if compare == "spearman":
                values = values.round(12)  # both halves of an RDM tie
                kept = ~np.isnan(values)
                values[kept] = rankdata(values[kept])
            if compare != "cosine":
                values = values - np.nanmean(values, (0, 2) if center == "time" else None, keepdims=True)
            maps.append(np.nan_to_num(values))
        assert result.value[0, 1] == pytest.approx(cosine(*maps), abs=1e-10)


def test_silent_patterns_count_as_uncorrelated():
    a, b = normal(0, 12, 1, 5), normal(1, 12, 1, 5)
    a[3:5] = 0.7  # no variance over units
    expected = 1 - np.corrcoef(np.delete(a[:, 0], [3, 4], 0))
    rdm = np.ones((12, 12))
    rdm[np.ix_(*[np.delete(np.arange(12), [3, 4])] * 2)] = expected
    x, y = rdm[np.triu_indices(12, 1)], pdist(b[:, 0], "correlation")
    assert pair(rsa.Measure(compare="pearson"), a, b) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-10)
