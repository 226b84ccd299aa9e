"""Components are NumPy's, axes and variables that were planted come back, and chance is chance."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import special_ortho_group

from analysis import artefacts
from analysis.assays import _decoding, state_space
from analysis.assays._components import components_of, joint_components, participation_ratio
from analysis.assays._decoding import Variable
from analysis.assays._regression_axes import regression_axes, z_scored
from analysis.zoo_assays import read_result
from tests.analysis.assayed_zoo import assayed, population


@pytest.fixture(scope="module")
def of_zoo() -> Any:
    return state_space.Assay().run(population("vanilla"))


def test_components_and_projections_are_those_of_numpys_singular_vectors(of_zoo: Any) -> None:
    given = population("vanilla")
    _, activity = given.trained.apply(given.members, given.probe.inputs)
    labels = given.probe.conditions["state"]
    for i, x in enumerate(np.asarray(activity["rate"], np.float64)):
        rows = x.reshape(-1, 5)
        _, singular, axes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
        axes = axes * np.sign(axes[np.arange(5), np.abs(axes).argmax(1)])[:, None]  # scikit-learn's svd_flip
        one = of_zoo.isel(member=i).sel(layer="rate")
        np.testing.assert_allclose(one["explained"], (singular**2 / (singular**2).sum())[:3], atol=1e-5)
        np.testing.assert_allclose(
            one["participation_ratio"], (singular**2).sum() ** 2 / (singular**4).sum(), rtol=1e-5
        )
        for k, value in enumerate(np.unique(labels)):
            expected = (x[labels == value].mean(0) - rows.mean(0)) @ axes[:3].T
            np.testing.assert_allclose(one["projection"][k], expected, atol=1e-5)
    assert of_zoo["time"].to_numpy().tolist() == [10.0 * t for t in range(8)]


def test_the_participation_ratio_is_that_of_the_assay_dimensionality() -> None:
    _, mine = read_result(artefacts.assay_path(assayed(), "state_space"))
    _, other = read_result(artefacts.assay_path(assayed(), "dimensionality"))
    for state in (True, False):
        one, two = (r.isel(member=np.flatnonzero(r["trained"] == state)) for r in (mine, other))
        expected = two["participation_ratio"].sel(layer="rate").sel(member=one["member"].to_numpy())
        np.testing.assert_allclose(one["participation_ratio"].sel(layer="rate"), expected, rtol=1e-4)
    np.testing.assert_allclose(participation_ratio(np.array([[0.25] * 4, [0.5, 0.5, 0, 0]])), [4, 2])


def test_what_is_constant_or_not_finite_has_no_components_and_does_not_enter_the_joint_ones() -> None:
    assert np.isnan(components_of(np.full((20, 3), 0.1)).shares).all()
    assert np.isnan(components_of(np.full((20, 3), np.inf)).shares).all()
    draw = np.random.default_rng(0).normal(size=(20, 4))
    found = joint_components([draw, np.full((20, 3), np.nan), np.ones((20, 2))], 3)
    assert np.isnan(found.shares[1:]).all()
    np.testing.assert_allclose(found.shares[0], joint_components([draw], 3).shares[0])
    np.testing.assert_allclose(found.shares[0], components_of(draw).shares[:3])


def test_joint_components_are_those_of_all_units_side_by_side() -> None:
    draw = np.random.default_rng(1)
    own = [scale * draw.normal(size=(30, units)) for scale, units in ((1.0, 4), (20.0, 6), (0.1, 3))]
    whole = np.concatenate([(x - x.mean(0)) / np.linalg.norm(x - x.mean(0)) for x in own], axis=1)
    left, singular, _ = np.linalg.svd(whole, full_matrices=False)
    found = joint_components(own, 2)
    np.testing.assert_allclose(found.shares.mean(0), (singular**2 / 3)[:2], atol=1e-12)
    signs = np.sign(left[np.abs(left[:, :2]).argmax(0), [0, 1]])
    np.testing.assert_allclose(found.projections.sum(0), (left * singular)[:, :2] * signs, atol=1e-12)


def test_networks_that_are_rotations_of_each_other_share_all_of_their_joint_components() -> None:
    patterns = np.random.default_rng(2).normal(size=(25, 2)) @ np.diag([3.0, 1.0])
    turned = [patterns @ special_ortho_group.rvs(7, random_state=i)[:2] for i in range(4)]
    np.testing.assert_allclose(joint_components(turned, 2).shares.sum(1), 1.0, atol=1e-12)


def planted_axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activity that is made of two variables along two axes, the second late; the variables; the axes."""
    draw = np.random.default_rng(3)
    variables = draw.normal(size=(200, 2))
    axes = special_ortho_group.rvs(12, random_state=4)[:2]
    course = np.stack([np.exp(-((np.arange(10) - peak) ** 2) / 4) for peak in (2, 7)])
    signal = np.einsum("sv,vt,vu->stu", variables, course, axes)
    return 3 * signal + 0.3 * draw.normal(size=signal.shape), variables, axes


@pytest.mark.parametrize("denoised", [0, 4])
def test_planted_axes_come_back_at_the_times_at_which_they_were_strongest(denoised: int) -> None:
    activity, variables, axes = planted_axes()
    scored = z_scored(activity)
    found = regression_axes(scored, 5 * variables + 3, denoised)
    assert found.peaks.tolist() == [2, 7]
    expected = axes / activity.reshape(-1, 12).std(0)  # in z-scored units
    first = expected[0] / np.linalg.norm(expected[0])
    second = expected[1] - (expected[1] @ first) * first
    cosines = [found.axes[0] @ first, found.axes[1] @ second / np.linalg.norm(second)]
    assert min(cosines) > 0.99
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(2), atol=1e-12)


def test_a_variable_that_is_made_of_those_before_it_has_no_axis_of_its_own() -> None:
    activity, variables, _ = planted_axes()
    found = regression_axes(z_scored(activity[:, :3]), np.concatenate([variables[:, :1]] * 2, axis=1), 0)
    assert np.isfinite(found.axes[0]).all()
    assert np.isnan(found.axes[1]).all()
    assert (z_scored(np.full((9, 4, 2), 0.1)) == 0).all()


@pytest.mark.parametrize("units", [3, 60])
def test_predictions_are_ridge_regression_in_closed_form_of_the_other_folds(units: int) -> None:
    draw = np.random.default_rng(5)
    x, y = draw.normal(size=(31, 2, units)) + 2, draw.normal(size=31)
    folds = _decoding.folds_of(31, {}, 4, 0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(31))
    found = _decoding.predicted(x, y[:, None], folds, 0.2)[..., 0]
    for t in range(2):
        for held_out in folds:
            rest = np.setdiff1d(np.arange(31), held_out)
            a = x[rest, t] - x[rest, t].mean(0)
            ridge = 0.2 * np.trace(a.T @ a) / units
            rows = np.concatenate([a, np.sqrt(ridge) * np.eye(units)])
            weights = np.linalg.lstsq(rows, np.concatenate([y[rest] - y[rest].mean(), np.zeros(units)]))[0]
            expected = (x[held_out, t] - x[rest, t].mean(0)) @ weights + y[rest].mean()
            np.testing.assert_allclose(found[t, held_out], expected, atol=1e-9)


def test_of_two_classes_the_direction_is_that_of_the_linear_discriminant() -> None:
    draw = np.random.default_rng(6)
    classes = np.arange(60) % 2.0
    x = draw.normal(size=(60, 1, 4)) @ np.diag([3.0, 1.0, 0.5, 2.0]) + classes[:, None, None] * np.array([1, 1, 0, 0])
    fold, far = [np.arange(60)], np.concatenate([x, 1e6 * np.eye(4)[:, None]])
    variable = Variable(np.concatenate([classes, np.zeros(4)]), 2)
    rest = [np.arange(60, 64), *fold]  # the first fold: predictions of far points from all 60
    predicted = _decoding.predicted(far, variable.columns(np.arange(64)), rest, 1e-9)[0, 60:]
    weights = predicted[:, 1] / np.linalg.norm(predicted[:, 1])
    within = sum(np.cov(x[classes == k, 0].T, bias=True) for k in (0, 1))
    fisher = np.linalg.solve(within, x[classes == 1, 0].mean(0) - x[classes == 0, 0].mean(0))
    np.testing.assert_allclose(weights, fisher / np.linalg.norm(fisher), atol=1e-4)


def test_what_is_in_the_activity_is_decoded_when_it_is_there_and_at_chance_before() -> None:
    draw = np.random.default_rng(7)
    number, classes = draw.normal(size=80), np.arange(80) % 3
    x = 0.1 * draw.normal(size=(80, 6, 10))
    x[:, 3:, 0] += number[:, None]
    x[:, 3:, 1:4] += np.eye(3)[classes][:, None]
    variables = {"number": Variable(number, 0), "class": Variable(classes.astype(float), 3)}
    folds = _decoding.folds_of(80, variables, 5, 0)
    found = _decoding.decoded(x, variables, folds, 0.1, _decoding.shuffles_of(folds, 40, 1))
    assert (found["number"].score[3:] > 0.9).all()
    assert (found["class"].score[3:] == 1).all()
    assert (found["number"].score[:3] < 0.1).all()
    assert (np.abs(found["class"].score[:3] - 1 / 3) < 0.2).all()
    assert np.abs(np.median(found["class"].shuffled) - 1 / 3) < 0.08
    assert np.median(found["number"].shuffled) < 0.05
    assert variables["class"].chance == 27 / 80


def test_a_trajectory_that_tells_its_stimulus_does_not_tell_a_label_that_has_nothing_to_do_with_it() -> None:
    """Were time steps of one stimulus on both sides, the label would be remembered with the stimulus."""
    draw = np.random.default_rng(8)
    x = draw.normal(size=(60, 1, 30)) + 0.01 * draw.normal(size=(60, 8, 30))
    variables = {"label": Variable(draw.permutation(np.arange(60) % 2).astype(float), 2)}
    folds = _decoding.folds_of(60, variables, 5, 0)
    found = _decoding.decoded(x, variables, folds, 0.1, _decoding.shuffles_of(folds, 20, 1))["label"]
    assert found.score.max() < np.quantile(found.shuffled, 0.99) + 0.1 < 0.85


def test_every_class_is_in_all_folds_alike_and_shuffles_leave_it_so() -> None:
    labels = np.repeat(np.arange(4.0), [13, 13, 14, 8])
    folds = _decoding.folds_of(48, {"state": Variable(labels, 4)}, 5, 0)
    counts = np.array([np.bincount(labels[fold].astype(int), minlength=4) for fold in folds])
    assert (np.ptp(counts, axis=0) <= 1).all()
    for order in _decoding.shuffles_of(folds, 5, 0):
        assert sorted(order.tolist()) == list(range(48))
        assert not (order == np.arange(48)).all()
        for fold, row in zip(folds, counts):
            assert np.bincount(labels[order][fold].astype(int), minlength=4).tolist() == row.tolist()


def test_activity_that_is_constant_at_a_time_predicts_the_mean() -> None:
    folds = _decoding.folds_of(10, {}, 5, 0)
    found = _decoding.predicted(np.full((10, 1, 3), 0.1), np.arange(10.0)[:, None], folds, 0.1)[0, :, 0]
    for fold in folds:
        np.testing.assert_allclose(found[fold], np.setdiff1d(np.arange(10.0), fold).mean())


def test_few_whole_numbers_and_texts_are_classes_and_others_numbers() -> None:
    of = _decoding.variable_of
    assert of(np.array([0, 1, 1, 5, 5, 0]), 8) == (pytest.approx([0, 1, 1, 2, 2, 0]), 3)
    assert of(np.array(["b", "a", "b", "a"]), 8) == (pytest.approx([1, 0, 1, 0]), 2)
    assert of(np.array(["b", "a", "b"]), 8) is None, "nothing to learn a class from"
    assert of(np.array([0.5, 1.5, 0.5]), 8) == (pytest.approx([0.5, 1.5, 0.5]), 0)
    assert of(np.arange(20), 8) == (pytest.approx(np.arange(20)), 0)
    assert of(np.zeros(5, int), 8) is None
    assert of(np.array([str(i) for i in range(20)]), 8) is None


def test_trajectories_are_by_the_condition_that_is_asked_for_and_many_values_are_put_together() -> None:
    given = population("vanilla")
    found = state_space.Assay(by="pulses", time_step=20.0).run(given)
    assert all("pulses" in name for name in found["condition"].to_numpy().tolist())
    assert found["time"].to_numpy().tolist() == [10.0, 30.0, 50.0, 70.0], "the last step is one of them"
    names, groups = state_space._groups("hz", np.arange(30.0), lambda by, value: f"{value:g}")
    assert len(names) == 12
    assert names[0] == "hz 0 to hz 2"
    assert np.bincount(groups).tolist() == [3] * 6 + [2] * 6
    with pytest.raises(ValueError, match="The probe of flipflop has no condition 'stat'; the nearest is 'state'"):
        state_space.Assay(by="stat").run(given)
    few = given.probe._replace(inputs=given.probe.inputs[:3])
    with pytest.raises(ValueError, match="has 3 stimuli; state_space needs 4 or more"):
        state_space.Assay().run(dataclasses.replace(given, probe=few))


def test_the_table_has_a_row_per_network_state_and_layer() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "state_space"))
    table = pd.read_csv(artefacts.assay_table(assayed(), "flipflop", "state_space"))
    assert len(table) == result.sizes["member"]
    best = result["decoding"].sel(layer="rate", task_variable="state").max("time")
    np.testing.assert_allclose(table["state_best"], best)
    assert {
        "member",
        "trained",
        "layer",
        "participation_ratio",
        "explained_1",
        "state_best_time",
        "state_chance",
    } <= set(table)


def test_networks_of_fewer_units_than_components_have_a_share_of_those_that_there_are() -> None:
    labels = {"trained": True, "probe_name": "flipflop", "probe": "a"}
    found = state_space.Assay(components=99).run(population("vanilla"))
    count = found.sizes["member"]
    labelled = found.assign_coords({name: ("member", [value] * count) for name, value in labels.items()})
    (line, *_) = state_space.Assay(components=99).lines(labelled)
    assert "variance in up to 99 principal components: trained 100.0%" in line
