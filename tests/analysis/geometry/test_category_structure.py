"""The category index: a plain loop's values, its invariances, and what digit networks learn."""

import jax.numpy as jnp
import numpy as np
import pytest

from analysis.geometry.category_structure import classes_of, dissimilarities, usable

LABELS = np.array(["a", "b", "a", "c", "b", "c", "c", "a"])


def patterns(seed=0, units=12):
    draw = np.random.default_rng(seed)
    return draw.standard_normal((8, units)) + 2 * (LABELS == "a")[:, None] * draw.standard_normal(units)


def within_and_between(x, labels):
    return dissimilarities(np.asarray(x), classes_of(labels), np)


def test_within_and_between_are_those_of_a_loop_over_pairs():
    x = patterns()
    within, between = [], []
    for i in range(8):
        for j in range(i):
            (within if LABELS[i] == LABELS[j] else between).append(1 - np.corrcoef(x[i], x[j])[0, 1])
    found = within_and_between(x, LABELS)
    assert found[0] == pytest.approx(np.mean(within), abs=1e-12)
    assert found[1] == pytest.approx(np.mean(between), abs=1e-12)
    assert found[1] - found[0] > 0.1


def test_the_device_computes_what_the_host_does():
    x = patterns(1, 300).astype("float32") + 5
    found = dissimilarities(jnp.asarray(x), classes_of(LABELS), jnp)
    np.testing.assert_allclose(found, within_and_between(x, LABELS), atol=1e-5)


def test_each_patterns_scale_and_offset_and_the_order_of_units_do_not_matter():
    x, draw = patterns(), np.random.default_rng(2)
    changed = (x * draw.uniform(0.5, 3, (8, 1)) + draw.normal(size=(8, 1)))[:, draw.permutation(12)]
    np.testing.assert_allclose(within_and_between(changed, LABELS), within_and_between(x, LABELS), atol=1e-12)


def test_identical_patterns_within_opposite_classes_give_the_largest_index():
    one = np.array([1.0, -1.0, 0.0, 2.0])
    found = within_and_between(np.stack([one, 3 * one, -one, -one]), [0, 0, 1, 1])
    np.testing.assert_allclose(found, [0, 2], atol=1e-12)


def test_a_silent_pattern_is_unlike_all_others():
    x = patterns()
    x[0] = 0.3
    r = np.zeros((8, 8))
    r[1:, 1:] = np.corrcoef(x[1:])
    same, different = LABELS[:, None] == LABELS, ~np.eye(8, dtype=bool)
    within, between = within_and_between(x, LABELS)
    assert within == pytest.approx(1 - r[same & different].mean(), abs=1e-12)
    assert between == pytest.approx(1 - r[~same].mean(), abs=1e-12)


def test_patterns_that_are_the_same_for_all_stimuli_have_no_index():
    dead = np.tile(patterns()[:1], (8, 1))
    assert np.isnan(within_and_between(dead, LABELS)).all()
    assert np.isnan(within_and_between(0 * dead, LABELS)).all()


def test_too_few_classes_or_stimuli_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="All 8 stimuli are of one class; a category index needs at least 2"):
        classes_of(["a"] * 8)
    with pytest.raises(ValueError, match="Class c has 1 stimulus; a category index needs at least 2 in every class"):
        classes_of(["a"] * 4 + ["b"] * 3 + ["c"])


def test_conditions_without_pairs_within_and_between_classes_are_not_used():
    many = np.repeat(np.arange(51), 2)
    conditions = {"good": many % 2, "one": many * 0, "lone": np.arange(102), "many": many, "fifty": many % 50}
    assert list(usable(conditions)) == ["good", "fifty"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_training_turns_the_fall_of_category_structure_along_depth_into_a_rise(tmp_path):
    """16 seeds: every trained network rises from its first to its last layer, every untrained one falls."""
    from analysis import representations
    from models import cnn
    from zoo import Training, Zoo, train
    from zoo.tasks import digits

    model = cnn.Model(channels=(16, 32), dense=(32,), dropout=0.2)
    training = Training(learning_rate=3e-3, l2=1e-5, steps=800, batch=64, schedule="cosine")
    spec = Zoo("digits", task=digits.Task(), model=model, training=training, seeds=range(16))
    table = representations(train(spec, tmp_path / "zoo"), untrained=True).categories
    assert (table["condition"] == "label").all()
    ends = table.sort_values("depth").groupby(["trained", "member"])["index"].agg(["first", "last"])
    trained, untrained = ends.loc[True], ends.loc[False]
    assert len(trained) == len(untrained) == 16
    assert (trained["last"] > trained["first"] + 0.1).all()
    assert (untrained["last"] < untrained["first"] - 0.1).all()
    assert trained["last"].min() > untrained["last"].max() + 0.3
