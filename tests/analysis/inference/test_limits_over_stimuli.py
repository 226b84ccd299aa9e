"""The closed-form jackknife equals leaving out and computing again; intervals cover what they promise to."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from analysis.activations.types import RDMs
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.inference.limits_over_stimuli import jackknife
from analysis.measures import cca, cka, matching, predictivity, procrustes, rsa
from analysis.scoring.ceilings import compare_rdms

CASES = [
    (cka.Measure(), 3),
    (cka.Measure(), 1),
    (cka.Measure(debiased=False), 3),
    (rsa.Measure(rdm="euclidean", compare="pearson", time="samples"), 3),
    (rsa.Measure(rdm="euclidean", compare="pearson", time="samples", center="grand"), 3),
    (rsa.Measure(rdm="euclidean", compare="cosine", time="samples"), 3),
    (rsa.Measure(rdm="euclidean", ranks="exact", time="samples"), 2),
]


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def dissimilarities(x, ranked):
    """`(stimulus, stimulus, time, time)` of `(stimulus, time, unit)`; ranks are those of all entries."""
    n = len(x)
    found = ((x[:, None, :, None] - x[None, :, None]) ** 2).mean(4)
    if ranked:
        off = ~np.eye(n, dtype=bool)
        found[off] = rankdata(found[off].round(9)).reshape(found[off].shape)
    return found


def vector(measure, x, full):
    """The map that a measure compares, flat: of patterns `x`, or of the entries `full` that are left."""
    n = len(x)
    off = ~np.eye(n, dtype=bool)
    if isinstance(measure, rsa.Measure):
        kept = full[off]
        if measure.compare == "cosine":
            return kept.ravel()
        return (kept - kept.mean(0 if measure.center == "time" else None)).ravel()
    x = x - x.mean(0)
    gram = np.einsum("itp,jup->ijtu", x, x)
    if measure.debiased:  # Szekely & Rizzo 2014, for each pair of times
        own = gram[np.arange(n), np.arange(n)]
        shift = own / (n - 2) - own.sum(0) / (2 * (n - 1) * (n - 2))
        gram = (gram + shift[:, None] + shift[None])[off]
    return gram.ravel()


@pytest.mark.parametrize(("measure", "times"), CASES, ids=lambda case: getattr(case, "name", case))
def test_the_closed_form_equals_leaving_out_and_computing_again(measure, times):
    n = 7
    members = normal(9, n, times, 4) + normal(0, 3, n, times, 4)
    maps = [
        dissimilarities(x, measure.compare == "spearman") if isinstance(measure, rsa.Measure) else None for x in members
    ]

    def cosines(kept):
        vectors = []
        for x, full in zip(members, maps):
            vectors.append(vector(measure, x[kept], None if full is None else full[np.ix_(kept, kept)]))
        unit = [one / np.linalg.norm(one) for one in vectors]
        return np.array(unit) @ np.array(unit).T

    values = [cosines(np.delete(np.arange(n), i)) for i in range(n)]
    wanted = np.sqrt((n - 1) ** 2 / n * np.var(values, axis=0, ddof=1))
    found = jackknife(prepare(measure, [members[:2], members[2:]], "float64"))
    np.testing.assert_allclose(found.se, wanted, atol=1e-10)
    value, off = cosines(np.arange(n)), ~np.eye(3, dtype=bool)
    half = stats.t.ppf(0.975, n - 1) * wanted[off] / (1 - value[off] ** 2)  # on Fisher's scale
    for limit, sign in ((found.low, -1), (found.high, 1)):
        np.testing.assert_allclose(limit[off], np.tanh(np.arctanh(value[off]) + sign * half), atol=1e-10)
        np.testing.assert_allclose(limit.diagonal(), 1, atol=1e-10)


def test_limits_of_a_distance_lie_evenly_around_it():
    x = normal(0, 2, 7, 1, 4)
    found = jackknife(prepare(cka.Measure(angular=True), [x], "float64"))
    value = similarities([prepare(cka.Measure(angular=True), [x], "float64")])[0].value
    np.testing.assert_allclose((found.low + found.high) / 2, value, atol=1e-10)
    np.testing.assert_allclose((found.high - found.low) / 2, stats.t.ppf(0.975, 6) * found.se, atol=1e-10)


def test_a_measure_without_a_closed_form_is_computed_again_without_each_stimulus():
    groups = [normal(0, 3, 6, 1, 4)]
    measure = rsa.Measure(rdm="euclidean", compare="rho-a")
    values = [
        compare_rdms(*[[pdist(x[:, 0], "sqeuclidean") for x in np.delete(groups[0], i, 1)]] * 2, "rho-a")
        for i in range(6)
    ]
    wanted = np.sqrt(25 / 6 * np.var(values, axis=0, ddof=1))
    np.testing.assert_allclose(jackknife(prepare(measure, groups, "float64")).se, wanted, atol=1e-10)


def test_ready_rdms_and_patterns_stand_side_by_side():
    x = normal(0, 3, 8, 1, 4)
    measure = rsa.Measure(rdm="euclidean", compare="pearson")
    distances = ((x[:, :, None, 0] - x[:, None, :, 0]) ** 2).mean(3)
    mixed = jackknife(prepare(measure, [x[:1], RDMs(distances[1:])], "float64"))
    np.testing.assert_allclose(mixed.se, jackknife(prepare(measure, [x], "float64")).se, atol=1e-10)


def test_strips_of_any_length_and_single_precision_give_the_same():
    groups = [normal(0, 3, 23, 2, 5), normal(1, 2, 23, 2, 8)]
    measure = cka.Measure()
    whole = jackknife(prepare(measure, groups, "float64"))
    parts = jackknife(prepare(measure, groups, "float64"), budget=2**16)
    for one, other in zip(whole, parts):
        np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_allclose(jackknife(prepare(measure, groups)).se, whole.se, atol=1e-5)


def test_a_member_with_itself_is_certain_and_a_flat_one_unknown():
    x = normal(0, 3, 9, 1, 4)
    x[2] = 1
    found = jackknife(prepare(cka.Measure(), [x], "float64"))
    np.testing.assert_allclose(found.se.diagonal()[:2], 0, atol=1e-12)
    assert np.isnan(found.se[2]).all()
    assert np.isnan(found.low[:, 2]).all()


def test_too_few_stimuli_are_refused():
    with pytest.raises(ValueError, match="of 4 stimuli has no jackknife; it needs at least 5, so that 4 stay"):
        jackknife(prepare(cka.Measure(), [normal(0, 2, 4, 1, 3)]))


class Population:
    """Two linear readouts of common stimuli, and their similarity over all stimuli there are."""

    def __init__(self, measure, shared, units=20):
        self.measure, self.shared = measure, shared
        draw = np.random.default_rng(1)
        self.a, self.b = draw.standard_normal((2, 5, units))
        if isinstance(measure, cka.Measure):
            a, b = np.vstack([self.a, np.zeros_like(self.a)]), np.vstack([shared * self.a, self.b])
            norms = [np.linalg.norm(one.T @ one) for one in (a, b)]
            self.truth = np.linalg.norm(a.T @ b) ** 2 / np.prod(norms)
            return
        entries = []
        for x in self.sample(np.random.default_rng(4), 200_000):  # entries of pairs that share no stimulus
            x = x[0, :, 0] - x[0, :, 0].mean(1, keepdims=True)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            entries.append(-(x[::2] * x[1::2]).sum(1))
        self.truth = stats.spearmanr(*entries).statistic

    def sample(self, draw, n):
        latent = draw.standard_normal((n, 10))
        first = latent[:, :5] @ self.a
        second = self.shared * latent[:, :5] @ self.a + latent[:, 5:] @ self.b
        return first[None, :, None], second[None, :, None]

    def coverage(self, samples, n, interval):
        draw = np.random.default_rng(2)
        hits = [low <= self.truth <= high for low, high in (interval(*self.sample(draw, n)) for _ in range(samples))]
        return float(np.mean(hits))

    def by_jackknife(self, a, b):
        found = jackknife(prepare(self.measure, [a, b]))
        return found.low[0, 1], found.high[0, 1]

    def by_duplicates(self, a, b, draws=80):
        """The obvious bootstrap: stimuli with replacement, copies and all."""
        orders = np.random.default_rng(3).integers(a.shape[1], size=(draws, a.shape[1]))
        stacked = [np.stack([x[0, order] for order in orders]) for x in (a, b)]
        value = similarities([prepare(self.measure, stacked)])[0].value[np.arange(draws), np.arange(draws, 2 * draws)]
        return np.quantile(value, [0.025, 0.975])


def test_intervals_of_debiased_cka_cover_its_value_in_the_population():
    population = Population(cka.Measure(), shared=0.8)
    assert population.coverage(150, 50, population.by_jackknife) == pytest.approx(0.95, abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize("measure", [cka.Measure(), rsa.Measure()], ids=["debiased cka", "spearman rsa"])
@pytest.mark.parametrize("n", [20, 30, 50, 100])
def test_intervals_cover_95_percent(measure, n):
    for shared, most in [(0.8, 0.98), (2.0, 0.98), (0.0, 1.0)]:  # near 0 they are wider than they need be
        population = Population(measure, shared)
        assert 0.92 <= population.coverage(1000, n, population.by_jackknife) <= most, shared
    population = Population(measure, 6.0)  # a Spearman RSA of .97
    assert 0.89 <= population.coverage(1000, n, population.by_jackknife) <= 0.98


@pytest.mark.long
@pytest.mark.parametrize("measure", [cka.Measure(), rsa.Measure()], ids=["debiased cka", "spearman rsa"])
def test_a_bootstrap_with_duplicates_covers_far_less(measure):
    population = Population(measure, shared=0.0)
    assert population.coverage(200, 30, population.by_duplicates) < 0.85


OTHERS = [cka.Measure(debiased=False), procrustes.Measure(), cca.Measure(), matching.Measure(), predictivity.Measure()]


@pytest.mark.long
@pytest.mark.parametrize("measure", OTHERS, ids=lambda measure: measure.family)
def test_limits_of_measures_that_hang_on_the_number_of_stimuli_cover_their_mean_over_samples_of_as_many(measure):
    population, draw = Population(cka.Measure(), shared=0.8, units=6), np.random.default_rng(5)
    pairs, stimuli = 50, 30
    own = (
        np.arange(pairs),
        np.arange(pairs) + pairs,
    )  # a member of each pair is of one sample; across pairs they are not
    value, low, high = [], [], []
    for _ in range(4):
        sampled = [np.concatenate(side) for side in zip(*(population.sample(draw, stimuli) for _ in range(pairs)))]
        prepared = prepare(measure, [x + 0.5 * draw.standard_normal(x.shape) for x in sampled])
        found = jackknife(prepared)
        for part, values in ((value, similarities([prepared])[0].value), (low, found.low), (high, found.high)):
            part.append(values[own])
    covered = (np.array(low) <= np.mean(value)) & (np.mean(value) <= np.array(high))
    assert covered.mean() >= 0.92


def test_measures_with_folds_have_no_limits():
    for measure in (predictivity.Measure(folds=3), procrustes.Measure(folds=2)):
        with pytest.raises(ValueError, match="its folds are dealt anew where a stimulus is left out; take folds=0"):
            jackknife(prepare(measure, [normal(0, 2, 12, 1, 4)]))
