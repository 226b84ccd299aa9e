"""Shape distances equal SciPy written from the formulas of Williams et al. 2021; both ways to a nuclear norm agree."""

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial import procrustes as scipy_procrustes

from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import _spectra, cca, procrustes

PRECISIONS = pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def two(rows=40, units=(9, 6), times=1):
    """Two related representations (stimulus, time, unit), with offsets and spectra of their own."""
    a = normal(0, rows, times, units[0]) * np.geomspace(1, 8, units[0])
    b = normal(1, rows, times, units[1]) + a @ normal(2, *units)
    return a + 3, b - 1


def pair(measure, a, b, dtype="float64"):
    """The value for two arrays (stimulus, time, unit)."""
    return similarities([prepare(measure, [a[None], b[None]], dtype)])[0].value[0, 1]


def whitened(x, alpha):
    """Centred rows of (row, unit), partly whitened with their total variance kept."""
    x = x - x.mean(0)
    power = linalg.sqrtm(np.linalg.inv(x.T @ x)) if alpha < 1 else 0
    changed = x @ (alpha * np.eye(x.shape[1]) + (1 - alpha) * power)
    return changed * np.linalg.norm(x) / np.linalg.norm(changed)


def oracle(a, b, alpha, distance):
    """The distance after the alignment that SciPy finds, of (row, unit) padded to one width."""
    a, b = whitened(a, alpha), whitened(b, alpha)
    width = max(a.shape[1], b.shape[1])
    a, b = (np.pad(x, [(0, 0), (0, width - x.shape[1])]) for x in (a, b))
    a = a @ linalg.orthogonal_procrustes(a, b)[0]
    if distance == "euclidean":
        return np.linalg.norm(a - b)
    return np.arccos((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


@PRECISIONS
@pytest.mark.parametrize("alpha", [1.0, 0.6, 0.0])
@pytest.mark.parametrize("distance", ["angular", "euclidean"])
def test_partly_whitened_shape_distances_equal_the_aligned_ones(distance, alpha, dtype, atol):
    a, b = two()
    expected = oracle(a[:, 0], b[:, 0], alpha, distance)
    scale = np.linalg.norm(a) if distance == "euclidean" else 1
    value = pair(procrustes.Measure(distance=distance, alpha=alpha), a, b, dtype)
    assert value / scale == pytest.approx(expected / scale, abs=atol)


@PRECISIONS
def test_the_squared_sine_is_the_disparity_of_scipy(dtype, atol):
    a, b = two(units=(6, 6))
    value = pair(procrustes.Measure(), a, b, dtype)
    assert np.sin(value) ** 2 == pytest.approx(scipy_procrustes(a[:, 0], b[:, 0])[2], abs=atol)


@PRECISIONS
@pytest.mark.parametrize("rank", [3, 20])
def test_more_units_than_rows_and_few_directions_change_nothing(rank, dtype, atol):
    a, b = normal(0, 20, 1, rank) @ normal(1, rank, 50), normal(2, 20, 1, rank) @ normal(3, rank, 35)
    expected = oracle(a[:, 0], b[:, 0], 1.0, "angular")
    assert pair(procrustes.Measure(), a, b, dtype) == pytest.approx(expected, abs=atol)
    bases = [linalg.orth(x[:, 0] - x[:, 0].mean(0)) for x in (a, b)]
    cosines = np.cos(linalg.subspace_angles(*bases))
    assert np.cos(pair(procrustes.Measure(alpha=0.0), a, b, dtype)) == pytest.approx(cosines.mean(), abs=atol)


@PRECISIONS
def test_rows_of_trajectories_are_centred_at_each_time_or_at_all(dtype, atol):
    a, b = two(rows=11, times=4)
    for center, axes in (("time", 0), ("grand", (0, 1))):
        x, y = ((z - z.mean(axes, keepdims=True)).reshape(44, -1) for z in (a, b))
        value = pair(procrustes.Measure(center=center), a, b, dtype)
        assert value == pytest.approx(oracle(x, y, 1.0, "angular"), abs=atol)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("distance", ["angular", "euclidean"])
def test_a_representation_is_at_0_from_itself_and_close_ones_keep_their_small_distance(distance, dtype):
    a = normal(0, 40, 1, 9)
    a /= np.linalg.norm(a - a.mean(0))
    turned = np.stack([a, a, a @ linalg.qr(normal(1, 9, 9))[0], a + 1e-3 * normal(2, 40, 1, 9) / 360**0.5])
    value = similarities([prepare(procrustes.Measure(distance=distance), [turned], dtype)])[0].value
    assert (value.diagonal() == 0).all()
    assert value[0, 1] == 0
    assert value[0, 2] < (1e-6 if dtype == "float32" else 5e-8)
    expected = oracle(a[:, 0], turned[3][:, 0], 1.0, distance)
    assert value[0, 3] == pytest.approx(expected, abs=1e-6 if dtype == "float32" else 1e-10)


@pytest.mark.parametrize("measure", [procrustes.Measure(distance=d) for d in ("angular", "euclidean")], ids=str)
def test_no_detour_is_shorter(measure):
    groups = [normal(0, 6, 12, 1, 5), normal(1, 6, 12, 1, 20), normal(2, 2, 12, 1, 1)]
    d = similarities([prepare(measure, groups, "float64")])[0].value
    assert (d[:, None] <= d[:, :, None] + d[None] + 1e-12).all()


# --- the nuclear norm ------------------------------------------------------------------------------------------------


def test_matrix_products_alone_find_the_nuclear_norm_from_below_whatever_the_spectrum():
    x = np.stack([normal(0, 300, 128) / np.arange(1, 129) ** power for power in (0, 1, 1.5, 2, 3)])
    x = (x / np.linalg.norm(x, axis=(1, 2), keepdims=True)).astype("float32")
    y = x + 0.1 * x[::-1]  # what lies close by has the widest range of singular values
    m = x.swapaxes(1, 2)[:, :100] @ y
    short = np.linalg.svd(m.astype("float64"), compute_uv=False).sum(-1) - _spectra.newton_schulz(m)
    assert short.max() < 2e-6
    assert short.min() > -5e-7
    assert _spectra.newton_schulz(np.zeros((2, 3, 3), "float32")).tolist() == [0, 0]


@pytest.mark.parametrize("choices", [{}, {"alpha": 0.3}, {"distance": "euclidean"}, {"folds": 4}], ids=str)
def test_an_accelerator_gives_what_the_host_gives(monkeypatch, choices):
    groups = [normal(0, 3, 24, 1, 12), normal(1, 3, 24, 1, 7)]
    measure = procrustes.Measure(**choices)
    on_host = similarities([prepare(measure, groups)])[0].value
    monkeypatch.setattr(_spectra, "host", lambda: False)
    in_program = similarities([prepare(measure, groups)])[0].value
    np.testing.assert_allclose(in_program, on_host, atol=1e-5 * np.nanmax(on_host))


# --- held out --------------------------------------------------------------------------------------------------------


def held_out(a, b, alpha, folds):
    """Alignment and whitening from the other stimuli; arrays (stimulus, time, unit), units fewer than stimuli."""
    cosines = []
    for fold in range(folds):
        out = np.arange(len(a)) % folds == fold
        parts = []
        for x in (a, b):
            x = x - x[~out].mean(0)
            train, test = (x[some].reshape(-1, x.shape[2]) for some in (~out, out))
            power = linalg.sqrtm(np.linalg.inv(train.T @ train)) if alpha < 1 else 0
            whiten = alpha * np.eye(x.shape[2]) + (1 - alpha) * power
            parts.append((train @ whiten, test @ whiten))
        (train_a, test_a), (train_b, test_b) = parts
        u, _, vt = np.linalg.svd(train_a.T @ train_b, full_matrices=False)
        cosines.append((test_a @ u @ vt * test_b).sum() / (np.linalg.norm(test_a) * np.linalg.norm(test_b)))
    return np.mean(cosines)


@PRECISIONS
@pytest.mark.parametrize("alpha", [1.0, 0.4, 0.0])
def test_held_out_stimuli_are_aligned_by_the_others(alpha, dtype, atol):
    a, b = two(rows=23, times=3)
    value = pair(procrustes.Measure(folds=5, alpha=alpha), a, b, dtype)
    assert value == pytest.approx(held_out(a, b, alpha, 5), abs=atol)


@PRECISIONS
def test_a_held_out_alignment_leaves_out_what_the_others_do_not_span(dtype, atol):
    a, b = normal(0, 20, 1, 4) @ normal(1, 4, 30), normal(2, 20, 1, 5) @ normal(3, 5, 40)
    b[..., :30] += a
    basis_a, basis_b = (np.linalg.qr((x[:, 0] - x[:, 0].mean(0)).T)[0] for x in (a, b))
    few = [linalg.svd(x[:, 0] - x[:, 0].mean(0))[2][:rank].T for x, rank in ((a, 4), (b, 9))]
    expected = held_out(a @ few[0], b @ few[1], 1.0, 5)
    assert pair(procrustes.Measure(folds=5), a @ basis_a, b @ basis_b, dtype) == pytest.approx(expected, abs=atol)
    assert pair(procrustes.Measure(folds=5), a, b, dtype) == pytest.approx(expected, abs=atol)


def test_held_out_noise_scatters_around_0_where_the_fitted_cosine_is_high():
    groups = [normal(0, 12, 40, 1, 60)]
    pairs = np.triu_indices(12, 1)
    fitted, tested = similarities(prepare_all([procrustes.Measure(), procrustes.Measure(folds=5)], groups))
    assert np.cos(fitted.value[pairs]).mean() > 0.7
    assert abs(tested.value[pairs].mean()) < 0.02
    assert tested.value[pairs].min() < 0
    assert procrustes.Measure(folds=5).kind == "score"


# --- at the door -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{}, {"alpha": 0.5}, {"distance": "euclidean"}, {"folds": 3}], ids=str)
def test_silence_and_rounding_noise_have_no_distance(choices):
    a = normal(0, 4, 12, 1, 6).astype("float32")
    a[1], a[2] = 0, np.float32(0.1) * (1 + np.float32(1e-7) * normal(1, 12, 1, 6))
    value = similarities([prepare(procrustes.Measure(**choices), [a])])[0].value
    assert np.isnan(value[1:3]).all()
    assert np.isnan(value[:, 1:3]).all()
    assert np.isfinite(value[np.ix_([0, 3], [0, 3])]).all()


def test_what_has_no_answer_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"procrustes has no alpha=1\.5; it must be at most 1\.0"):
        procrustes.Measure(alpha=1.5)
    with pytest.raises(ValueError, match="procrustes has no folds=1; it must be 0 or at least 2"):
        procrustes.Measure(folds=1)
    with pytest.raises(ValueError, match="no folds=5 with distance='euclidean'; only with 'angular'"):
        procrustes.Measure(distance="euclidean", folds=5)
    assert procrustes.Measure().fault(12, 1, 500) == ""
    assert "500 features fits any 12 centred stimuli exactly; choose alpha above 0" in procrustes.Measure(
        alpha=0.0
    ).fault(12, 1, 500)
    assert procrustes.Measure(alpha=0.0).fault(12, 1, 10) == ""


def test_partial_whitening_sees_the_scale_of_activations_and_says_so():
    x = normal(0, 2, 20, 1, 5) * np.geomspace(1, 8, 5)
    scaled = x * np.array([1.0, 10.0])[:, None, None, None]
    for alpha, sees in ((0.0, False), (0.5, True), (1.0, False)):
        measure = procrustes.Measure(alpha=alpha)
        values = [similarities([prepare(measure, [of], "float64")])[0].value[0, 1] for of in (x, scaled)]
        assert (abs(values[0] - values[1]) > 1e-3) == sees
        assert ("sees the scale of activations" in measure.estimator) == sees
        assert ("scaling" in measure.invariances) != sees


@pytest.mark.parametrize("ranks", [(5, 5), (5, 8), (3, 12)])
def test_at_alpha_0_the_cosine_is_mean_cca_of_equal_ranks_and_less_by_the_root_of_their_ratio_of_others(ranks):
    groups = [normal(seed, 1, 30, 1, rank) for seed, rank in enumerate(ranks)]
    angle, mean = (
        similarities([prepare(measure, groups, "float64")])[0].value[0, 1]
        for measure in (procrustes.Measure(alpha=0.0), cca.Measure())
    )
    assert np.cos(angle) == pytest.approx(mean * (ranks[0] / ranks[1]) ** 0.5, rel=1e-6)
