"""Similarities with a third representation taken out, against plain NumPy."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.activations.probes import Probe, kept_every
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare
from analysis.labelled_comparison import Comparison, Measured, MeasureRecord
from analysis.measures import cka, procrustes, rsa
from analysis.scoring.partialling import check_control, confound, partial, with_partial


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
        value = similarities([prepare(measure, groups)])[0].value
        left = partial(value, [2])
        assert value[0, 1] > 0.5
        assert abs(left[0, 1]) < 0.25 * value[0, 1]
        assert left[0, 0] == pytest.approx(1)


CONTROLLED = [cka.Measure(), cka.Measure(debiased=False), cka.Measure(kernel="rbf"), cka.Measure(kernel="polynomial")]
CONTROLLED += [
    rsa.Measure(rdm=rdm, compare=compare)
    for rdm in ("correlation", "euclidean", "cosine", "mahalanobis", "poisson")
    for compare in ("spearman", "pearson", "cosine", "whitened-cosine", "whitened-pearson")
]


@pytest.mark.parametrize("measure", CONTROLLED, ids=lambda measure: measure.name)
def test_what_is_left_without_the_input_sees_the_scale_of_activations_only_where_the_measure_does(measure):
    draw = np.random.default_rng(0)
    shown = np.abs(draw.standard_normal((20, 5)))
    x, y = np.abs(shown @ draw.standard_normal((5, 30)) + draw.standard_normal((2, 20, 30)))
    assert measure.cosine

    def left(factor):
        groups = [np.stack([factor * x, y])[:, :, None], shown[None, :, None]]
        return partial(similarities([prepare(measure, groups, "float64")])[0].value, [2])[0, 1]

    assert (left(10.0) == pytest.approx(left(1.0), abs=1e-6)) == ("scaling" in measure.invariances)


def test_members_without_a_value_stay_unknown_and_harm_no_other():
    g = np.corrcoef(np.random.default_rng(0).standard_normal((5, 30)))
    with_gap = g.copy()
    with_gap[4], with_gap[:, 4] = np.nan, np.nan
    np.testing.assert_allclose(partial(with_gap, [0])[:4, :4], partial(g, [0])[:4, :4])
    assert np.isnan(partial(with_gap, [0])[4]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_a_map_that_is_the_confounds_but_for_rounding_nothing_is_left(dtype):
    """In single precision 1 - r^2 of such a map is a few units in the last place: a number, and not one to be told."""
    draw = np.random.default_rng(0)
    confound_map, other = draw.standard_normal((2, 200))
    collinear = confound_map + 5e-4 * draw.standard_normal(200)
    maps = np.stack([collinear, other, confound_map])
    unit = maps / np.linalg.norm(maps, axis=1, keepdims=True)
    similarity = (unit @ unit.T).astype(dtype)
    assert 0 < 1 - np.float64(similarity[0, 2]) ** 2 < 1e-5
    left = partial(similarity, [2])
    assert np.isnan(left[0]).all()
    assert left[1, 1] == pytest.approx(1)


def test_what_cannot_be_taken_out_is_refused():
    with pytest.raises(ValueError, match="1 on the diagonal"):
        partial(np.zeros((3, 3)), [0])
    with pytest.raises(ValueError, match=r"confounds .* have no similarity"):
        partial(np.eye(3), [])
    with pytest.raises(ValueError, match=r"Nothing can be taken out of procrustes.*; of cka and rsa it can"):
        check_control("input", [procrustes.Measure()], [])


def probe():
    angle = np.repeat(np.arange(30.0, dtype=np.float32), 2)
    conditions = {"side": np.repeat([0, 1], 30), "angle": angle}
    return Probe("id", (), np.random.default_rng(0).standard_normal((60, 51, 3)), conditions, 10.0, np.full(60, 51))


def test_a_confound_has_the_time_steps_that_are_kept_of_the_networks():
    steps = -(-51 // kept_every(probe()))
    assert kept_every(probe()) > 1
    assert confound("input", probe()).array.shape == (60, steps, 3)
    assert confound("side", probe()).array.shape == (60, steps, 2)
    assert confound("angle", probe()).array.shape == (60, steps, 1), "30 levels of a number are a number"
    with pytest.raises(ValueError, match="There is no condition 'sides' to take out; the nearest is 'side'"):
        confound("sides", probe())


def test_only_of_cosines_is_something_taken_out_and_the_record_says_what():
    values = np.corrcoef(np.random.default_rng(0).standard_normal((3, 30))).astype("float32")
    names = pd.Index(["m0", "m1", "control/input"])
    items = pd.DataFrame({"source": ["zoo", "zoo", "control"]}, index=names)
    record = MeasureRecord("cka(kernel=linear, debiased)", "similarity", 30, cosine=True, chance=0.0, chance_sd=0.1)
    distance = MeasureRecord("procrustes(distance=angular)", "distance", 30)
    measures = {"cka": Measured(record, values), "procrustes": Measured(distance, np.arccos(values))}
    result = with_partial(Comparison(items, measures), "input")
    assert list(result.measures) == ["cka", "procrustes", "cka_given_input"]
    left = result.measures["cka_given_input"]
    assert left.values.dtype == values.dtype
    np.testing.assert_array_equal(left.values, partial(values, [2]).astype("float32"))
    expected = dict(name="cka(kernel=linear, debiased) given input", control="input", chance=None, chance_sd=None)
    assert left.record == dataclasses.replace(record, **expected)
