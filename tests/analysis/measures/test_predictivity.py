"""Ridge and partial least squares in closed form equal loops over folds; what they promise of stimuli and chance."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import _crossvalidation as cv
from analysis.measures import predictivity
from analysis.measures._choice import measure as named
from analysis.measures.predictivity import Measure

EXACT = [("float64", 1e-10), ("float32", 1e-5)]


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def related(stimuli, times, units, targets, seed=0):
    """Two trajectories `(stimulus, time, unit)`, the second partly the first."""
    a, b = normal(seed, stimuli, times, units) + 3, normal(seed + 1, stimuli, times, targets)
    shared = min(units, targets)
    b[..., :shared] += a[..., :shared]
    return a, b


def run(measure, *members, dtype="float64"):
    alike = len({x.shape for x in members}) == 1
    groups = [np.stack(members)] if alike else [x[None] for x in members]
    return similarities([prepare(measure, groups, dtype)])[0]


def held_out(measure, a, b, model):
    """Predictions of `b` from `a`, every fold by a model that is fitted without it."""
    axis = 0 if measure.center == "time" else (0, 1)
    fold, predicted = cv.split(len(a), measure.folds).fold, np.zeros_like(b)
    for out in range(fold.max() + 1):
        train = fold != out
        at, level = (x[train].mean(axis, keepdims=True) for x in (a, b))
        x, y = ((part[train] - mean).reshape(-1, part.shape[2]) for part, mean in ((a, at), (b, level)))
        slopes = model.fit(x, y).coef_.reshape(b.shape[2], a.shape[2])
        predicted[~train] = (a[~train] - at) @ slopes.T + level
    return predicted


def ridge(measure, a, b):
    """R^2, penalty's multiple and predictions by scikit-learn's ridge in a loop."""
    axis = 0 if measure.center == "time" else (0, 1)
    scale = ((a - a.mean(axis)) ** 2).sum() / (a.shape[0] * a.shape[1])
    models = [Ridge(multiple * scale, fit_intercept=False, solver="svd") for multiple in cv.PENALTIES]
    found = [held_out(measure, a, b, model) for model in models]
    errors = [((b - predicted) ** 2).sum() for predicted in found]
    best = int(np.argmin(errors))
    return 1 - errors[best] / ((b - b.mean(axis)) ** 2).sum(), cv.PENALTIES[best], found[best]


def median_correlation(measure, predicted, b):
    fold, axis = cv.split(len(b), measure.folds).fold, 0 if measure.center == "time" else (0, 1)
    each = np.full((fold.max() + 1, b.shape[2]), np.nan)
    for out in range(len(each)):
        x, y = (part[fold == out] - part[fold == out].mean(axis) for part in (predicted, b))
        for unit in range(b.shape[2]):
            if (y[..., unit] ** 2).sum() > 1e-20:
                each[out, unit] = np.corrcoef(x[..., unit].ravel(), y[..., unit].ravel())[0, 1]
    kept = each[:, ~np.isnan(each).all(0)]
    return np.median(np.nanmean(kept, 0))


SHAPES = [  # stimuli, times, units, units of the target; held as factors, and as whole maps
    (41, 1, 5, 9),
    (26, 3, 6, 40),
]


@pytest.mark.parametrize(("dtype", "atol"), EXACT)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_ordered_pairs_equal_ridge_in_a_loop_and_carry_the_penalty(shape, dtype, atol):
    members = related(*shape)
    chosen = [Measure(), Measure(folds=5), Measure(center="grand")][: 2 if shape[1] == 1 else 3]
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [x[None] for x in members], dtype))):
        for i, j in ((0, 1), (1, 0), (1, 1)):
            value, penalty, _ = ridge(measure, members[i], members[j])
            assert result.value[i, j] == pytest.approx(value, abs=atol), measure.name
            # In single precision two penalties may be as good as each other: which one is taken is the processor's.
            if dtype == "float64":
                assert result.extras["penalty"][i, j] == pytest.approx(penalty), measure.name


def test_blocks_of_any_size_and_members_of_one_group_give_the_same():
    x = normal(0, 3, 23, 2, 4)
    for measure in (Measure(), Measure(folds=4)):
        whole = similarities([prepare(measure, [x], "float64")])[0].value
        parts = similarities([prepare(measure, [x[:1], x[1:]], "float64")], budget=2**12)[0].value
        np.testing.assert_allclose(whole, parts, atol=1e-12)


@pytest.mark.parametrize(("dtype", "atol"), EXACT)
@pytest.mark.parametrize("shape", [(41, 1, 8, 8), (26, 3, 40, 40)], ids=str)
def test_correlations_equal_ridge_in_a_loop(shape, dtype, atol):
    a, b = related(*shape)
    b[..., 2] = 0.7  # a unit that never varies
    fold = cv.split(len(b), 5).fold
    b[fold == 1, :, 3] = 0  # and one that is silent in a fold
    measure = Measure(score="correlation", folds=5, center="grand" if dtype == "float64" else "time")
    result = run(measure, a, b, dtype=dtype)
    _, penalty, predicted = ridge(measure, a, b)
    assert result.value[0, 1] == pytest.approx(median_correlation(measure, predicted, b), abs=atol)
    if dtype == "float64":
        assert result.extras["penalty"][0, 1] == pytest.approx(penalty)


@pytest.mark.parametrize("times", [1, 3])
def test_correlations_equal_partial_least_squares_of_scikit_learn(times):
    a, b = related(30, times, 8, 6)
    a, b = a * np.geomspace(1, 9, 8), b * np.geomspace(1, 9, 6)  # directions well apart, for its power iterations
    measure = Measure(score="correlation", method="pls", folds=3, components=4)
    model = PLSRegression(4, scale=False, tol=1e-24, max_iter=2000)
    expected = median_correlation(measure, held_out(measure, a, b, model), b)
    assert run(measure, a, b).value[0, 1] == pytest.approx(expected, abs=1e-8)
    assert run(measure, a, b, dtype="float32").value[0, 1] == pytest.approx(expected, abs=1e-5)


def test_partial_least_squares_ends_when_nothing_is_left():
    x, y = normal(0, 20, 3), normal(1, 20, 2)
    least_squares = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(cv.partial_least_squares(x, y, 25), least_squares, atol=1e-12)
    np.testing.assert_array_equal(cv.partial_least_squares(0 * x, y, 25), np.zeros((3, 2)))


def test_a_stimulus_far_from_all_others_costs_no_precision():
    x = normal(0, 2, 60, 1, 12)
    x[:, 3, :, 0] += 100
    chosen = [Measure(), Measure(folds=5)]
    both = (similarities(prepare_all(chosen, [x.astype("float32")], dtype)) for dtype in ("float64", "float32"))
    for measure, double, single in zip(chosen, *both):
        expected = ridge(measure, *x.astype("float32").astype(float))[0]
        assert double.value[0, 1] == pytest.approx(expected, abs=1e-10)
        np.testing.assert_allclose(single.value, double.value, atol=1e-5)


def test_whole_stimuli_are_held_out():
    """A level of its own for every stimulus is learnt from rows of the same stimulus, but not from other stimuli."""
    levels = normal(0, 12, 1, 30)
    a, b = levels + 0.1 * normal(1, 12, 10, 30), normal(2, 12, 1, 4) + 0.1 * normal(3, 12, 10, 4)
    assert run(Measure(), a, b).value[0, 1] < 0.1
    rows = run(Measure(), a.reshape(120, 1, 30), b.reshape(120, 1, 4)).value[0, 1]
    assert rows > 0.8, "the trap: rows of a trajectory taken for independent samples"


@pytest.mark.parametrize("center", ["time", "grand"])
@pytest.mark.parametrize("folds", [0, 5])
def test_chance_is_what_the_mean_of_the_other_stimuli_gives(folds, center):
    n = 23
    measure = Measure(folds=folds, center=center)
    b, axis, fold = normal(1, n, 2, 3), (0 if center == "time" else (0, 1)), cv.split(n, folds).fold
    draw = np.random.default_rng(2)
    values = []
    for _ in range(400 if folds else 1):
        shuffled = b[draw.permutation(n)]
        predicted = np.stack([shuffled[fold != own].mean(axis) * np.ones((2, 1)) for own in fold])
        values.append(1 - ((shuffled - predicted) ** 2).sum() / ((b - b.mean(axis)) ** 2).sum())
    state = measure.prepare(b[None])
    chance = np.asarray(measure.chance(state, state))
    assert chance.item() == pytest.approx(np.mean(values), abs=4 * np.std(values) / 20 if folds else 1e-10)
    if (folds, center) == (0, "time"):
        assert chance == pytest.approx(1 - (n / (n - 1)) ** 2)


def test_noise_scatters_around_chance():
    x = normal(0, 20, 60, 1, 10)
    apart = ~np.eye(20, dtype=bool)
    exact, folds, correlation = similarities(
        prepare_all([Measure(), Measure(folds=5), Measure(score="correlation", folds=5)], [x])
    )
    for result in (exact, folds):
        assert abs(result.value[apart].mean() - result.chance) < 0.006
        assert result.value[apart].min() < result.chance, "what is worse than the mean stays so"
    assert abs(correlation.value[apart].mean()) < 0.02
    assert correlation.chance == 0


def test_the_predictor_may_be_turned_moved_and_scaled_as_well():
    a, b = related(14, 2, 5, 5)
    turned = 7 * a @ np.linalg.qr(normal(2, 5, 5))[0] + normal(3, 5)
    for measure in (Measure(), Measure(score="correlation", folds=3)):
        value = run(measure, a, turned, b).value
        assert value[0, 2] == pytest.approx(value[1, 2], abs=1e-9)


def test_a_shared_time_course_is_no_success_unless_it_is_asked_for():
    course = 9 * normal(0, 1, 20, 1)
    a, b = (normal(seed, 16, 20, 6) + course * normal(seed + 5, 1, 1, 6) for seed in (1, 2))
    for score, folds in (("r2", 4), ("correlation", 4)):
        time, grand = (run(Measure(score=score, folds=folds, center=c), a, b).value[0, 1] for c in ("time", "grand"))
        assert time < 0.1
        assert grand > 0.7


@pytest.mark.parametrize("measure", [Measure(), Measure(score="correlation", folds=3)], ids=lambda m: m.name)
def test_a_constant_representation_neither_predicts_nor_is_predicted(measure):
    a, b = related(12, 1, 5, 5)
    flat = np.broadcast_to(normal(3, 1, 1, 5), (12, 1, 5)) * (1 + 1e-8 * normal(4, 12, 1, 1))
    result = run(measure, a, flat, b, dtype="float32")
    assert np.isnan(result.value[1]).all()
    assert np.isnan(result.value[:, 1]).all()
    assert np.isnan(result.extras["penalty"][1]).all()
    assert np.isfinite(result.value[0, 2])


def test_folds_are_even_random_and_always_the_same():
    folds = cv.split(23, 5)
    assert sorted(np.bincount(folds.fold)) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(folds.members[folds.fold, folds.place], np.arange(23))
    np.testing.assert_array_equal(cv.split(10, 3).fold, [0, 0, 1, 1, 0, 2, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (dict(folds=1), "folds=1, which leaves nothing to learn from"),
        (dict(folds=-2), "folds=-2; it must be at least 0"),
        (dict(method="pls"), "method='pls' with score='r2'; give score='correlation'"),
        (dict(components=3, score="correlation"), "components=3 with method='ridge'"),
        (dict(score="r"), "no score='r'; allowed: r2, correlation"),
    ],
)
def test_choices_that_make_no_sense_are_refused(choices, words):
    with pytest.raises(ValueError, match=words):
        Measure(**choices)


def test_too_few_stimuli_are_refused_with_the_number_needed():
    with pytest.raises(ValueError, match=r"folds=20\) needs at least 20 stimuli, but there are 12; give fewer folds"):
        run(Measure(folds=20), *related(12, 1, 3, 3))
    with pytest.raises(ValueError, match="needs at least 30 stimuli, but there are 12; give fewer folds"):
        run(Measure(score="correlation"), *related(12, 1, 3, 3))


def test_a_name_carries_what_matters_and_reads_back():
    names = {
        Measure(): "predictivity(score=r2, leave-one-out)",
        Measure(folds=5): "predictivity(score=r2, folds=5)",
        Measure(score="correlation"): "predictivity(score=correlation, method=ridge, folds=10)",
        Measure(score="correlation", method="pls"): (
            "predictivity(score=correlation, method=pls, folds=10, components=25)"
        ),
    }
    for measure, name in names.items():
        assert measure.name == name
        assert named(name) == measure
    assert predictivity.Measure.kind == "score"
