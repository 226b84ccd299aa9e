"""Universality of components: planted shared directions are found, private ones are not, whatever the sizes."""

import numpy as np
import pytest

from analysis.studies._dimensions import FOLDS, PENALTY, universality


def planted(units: int, stimuli: int = 60, networks: int = 5, shared: int = 3, times: int = 0) -> list[np.ndarray]:
    """Networks with some large directions in common, and as many small ones of their own."""
    draw = np.random.default_rng(0)
    shape = (stimuli, times) if times else (stimuli,)
    common = draw.normal(size=(*shape, shared)) * 3
    patterns = []
    for _ in range(networks):
        own = draw.normal(size=(*shape, shared))
        mixing = np.linalg.qr(draw.normal(size=(units, 2 * shared)))[0].T
        patterns.append(np.concatenate([common, own], -1) @ mixing)
    return patterns


@pytest.mark.parametrize(("units", "times"), [(8, 0), (90, 0), (8, 3), (300, 3)])
def test_shared_directions_are_universal_and_private_ones_are_not(units, times):
    found = universality(planted(units, times=times), components=6)
    assert found.index[:, :3].min() > 0.8
    assert np.abs(found.index[:, 3:]).max() < 0.45
    assert found.share.sum(1) == pytest.approx(np.ones(5))


def test_the_index_is_that_of_ridge_regression_on_unseen_stimuli():
    patterns = planted(8)
    found = universality(patterns, components=2)
    rows = [x - x.mean(0) for x in patterns]
    u, s, _ = np.linalg.svd(rows[0], full_matrices=False)
    order = np.random.default_rng(0).permutation(60)
    values = []
    for x in rows[1:]:
        of_folds = []
        for test in np.array_split(order, FOLDS):
            train = np.setdiff1d(np.arange(60), test)
            mu = PENALTY * (x**2).sum() / 60
            y = u[:, 0] * s[0]
            # As an ordinary regression with rows of the penalty's root below.
            below = np.concatenate([x[train], np.sqrt(mu) * np.eye(8)])
            weights = np.linalg.lstsq(below, np.concatenate([y[train] - y[train].mean(), np.zeros(8)]), rcond=None)[0]
            of_folds.append(np.corrcoef(x[test] @ weights, y[test])[0, 1])
        values.append(np.mean(of_folds))
    assert found.index[0, 0] == pytest.approx(np.mean(values), abs=1e-9)


def test_a_rotation_of_units_changes_nothing():
    patterns, draw = planted(12), np.random.default_rng(1)
    turned = [x @ np.linalg.qr(draw.normal(size=(12, 12)))[0] for x in patterns]
    first, second = universality(patterns, 4), universality(turned, 4)
    np.testing.assert_allclose(first.index, second.index, atol=1e-9)
    np.testing.assert_allclose(first.kept, second.kept, atol=1e-9)


def test_universal_directions_of_much_variance_keep_the_geometry_and_others_do_not():
    assert universality(planted(8), 6, few=3).kept.min() > 0.9
    rest = planted(8)
    alone = [rest[0] * 1, *(np.random.default_rng(i).normal(size=(60, 8)) for i in range(4))]
    assert universality(alone, 6, few=1).kept[0] < 0.9


@pytest.mark.parametrize(
    ("networks", "stimuli", "sentence"), [(2, 60, "There are 2 networks"), (4, 8, "has 8 stimuli")]
)
def test_what_cannot_be_predicted_is_one_sentence(networks, stimuli, sentence):
    with pytest.raises(ValueError, match=sentence):
        universality(planted(8, stimuli, networks))


def test_a_network_of_fewer_directions_has_no_more_components():
    patterns = planted(8)
    patterns[0] = patterns[0][:, :2]
    found = universality(patterns, components=5)
    assert np.isfinite(found.index[0]).tolist() == [True, True, False, False, False]
