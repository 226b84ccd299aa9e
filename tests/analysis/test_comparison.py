"""compare: labelled matrices out, bad input refused in one sentence at the door."""

import dataclasses
import json
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from analysis.activations.types import RDM, Group, Repeats, Representations
from analysis.comparison import compare, measure
from analysis.measures import cka, rsa
from zoo import lookup


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def zoo():
    """Two members of 5 units and one of 7, two layers each, with labels of every kind."""
    small = pd.DataFrame(
        {
            "member": ["m0", "m0", "m1", "m1"],
            "layer": ["hidden", "readout"] * 2,
            "model": "gru",
            "model.noise": [0.1, 0.1, 0.2, 0.2],
            "leak": None,
            "trained": [True, True, False, False],
        }
    )
    large = pd.DataFrame(
        {"member": "m2", "layer": ["hidden", "readout"], "model": "vanilla", "leak": "rate", "trained": True}
    )
    names = [f"{row.member}/{row.layer}" for row in [*small.itertuples(), *large.itertuples()]]
    groups = (
        Group(tuple(names[:4]), small, normal(0, 4, 8, 3, 5)),
        Group(tuple(names[4:]), large, normal(1, 2, 8, 3, 7)),
    )
    return Representations(groups, probe="a1b2", conditions={}, dt=10.0)


def test_a_mapping_keeps_its_order_and_unit_counts_are_free():
    arrays = {"z": normal(0, 20, 5), "a": normal(1, 20, 9), "m": normal(2, 20, 5)}
    result = compare(arrays, dtype="float64")
    assert list(result.data_vars) == ["cka", "rsa"]
    assert result.a.values.tolist() == result.b.values.tolist() == ["z", "a", "m"]
    assert result.units_a.values.tolist() == [5, 9, 5]
    alone = compare({"a": arrays["a"], "m": arrays["m"]}, "cka", dtype="float64")
    np.testing.assert_allclose(result.cka.sel(a="a", b="m"), alone.cka.sel(a="a", b="m"), atol=1e-12)


def test_a_matrix_never_travels_without_labels_estimator_counts_and_chance():
    result = compare(zoo(), ("cka", "rsa", "cka(debiased=False)"))
    for name in ("cka(kernel=linear, debiased)", "cka(kernel=linear, biased)", "rsa"):
        attrs = result[name].attrs
        assert attrs["n_stimuli"] == 8
        assert attrs["n_times"] == 3
        assert attrs["kind"] == "similarity"
        assert attrs["identity"] == 1
        assert attrs["symmetric"] == 1
        assert attrs["estimator"]
        assert attrs.get("chance") == 0 or f"{name}_chance" in result
    assert result["cka(kernel=linear, biased)_chance"].dims == ("a", "b")
    assert result.attrs["probe"] == "a1b2"
    for column in ("member", "layer", "model", "model.noise", "leak", "trained", "units"):
        assert result[f"{column}_a"].dims == ("a",)
        assert result[f"{column}_b"].values.tolist()[0] == result[f"{column}_a"].values.tolist()[0]
    assert result.leak_a.values.tolist() == [""] * 4 + ["rate"] * 2
    assert result.trained_a.dtype == bool
    assert np.isnan(result["model.noise_a"].values[4:]).all()


def test_only_equal_layers_are_compared_unless_all_are_asked_for():
    equal, every = compare(zoo(), "cka"), compare(zoo(), "cka", layers="all")
    same = equal.layer_a == equal.layer_b
    assert np.isnan(equal.cka.where(~same)).all()
    assert not np.isnan(every.cka).any()
    np.testing.assert_allclose(equal.cka.where(same), every.cka.where(same), atol=1e-6)


def test_a_measure_is_named_by_family_by_choices_or_given():
    assert {"cka", "rsa"} <= set(lookup.names("measure"))
    assert measure("cka") == cka.Measure()
    assert measure(cka.Measure()) == cka.Measure()
    assert measure("rsa(rdm=euclidean, compare='pearson')") == rsa.Measure(rdm="euclidean", compare="pearson")
    assert measure("cka(kernel=linear, debiased=False)") == cka.Measure(debiased=False)
    for chosen in (cka.Measure(debiased=False, time="mean"), rsa.Measure(ranks="exact", center="grand")):
        assert measure(chosen.name) == chosen


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("ckaa", "Unknown measure 'ckaa'; the nearest is 'cka'."),
        ("tsne", "Unknown measure 'tsne'; there are cca, cka, "),
        ("cka(debias=False)", "Measure cka has no field 'debias'; the nearest is 'debiased'."),
        ("rsa(compare)", "Field 'compare' of measure rsa needs a value, compare=..."),
        ("cka(kernel=laplace)", "cka has no kernel='laplace'; allowed: linear, rbf, polynomial."),
        ("cka(bandwidth=0)", "cka has no bandwidth=0.0; it must be above 0.0."),
        ("cka(degree=2.5)", "cka has no degree=2.5; it must be of type int."),
        ("cka(", "Measure 'cka(' does not read as family or family(field=value, ...)."),
        (3, "3 is not a measure; give one of cca, cka, "),
    ],
)
def test_a_wrong_measure_is_refused_with_what_is_allowed(choice, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence.rstrip("."))):
        measure(choice)


def arrays(**changed):
    return {"x": normal(0, 9, 4), "y": normal(1, 9, 5)} | changed


BAD = [
    ({}, "There is nothing to compare"),
    (arrays(y=normal(1, 9)), "Representation 'y' has shape (9,); it must be (stimulus, unit) or"),
    (arrays(y=np.array([["a"]])), "Representation 'y' holds <U1; it must hold real numbers"),
    (arrays(y=normal(1, 8, 4)), "'x' has 9 stimuli and 'y' has 8; all must be given the same stimuli"),
    ({name: array[:3] for name, array in arrays().items()}, "needs at least 4 stimuli; there are 3"),
    (arrays(y=np.full((9, 4), np.nan)), "'y' holds 36 NaN and 0 infinite values; exclude_degenerate=True"),
    (arrays(y=np.full((9, 4), 1e300)), "'y' holds 0 NaN and 36 infinite values"),
    (arrays(y=np.ones((9, 4))), "'y' is constant over its stimuli; exclude_degenerate=True"),
    (arrays(y=normal(1, 9, 2, 4)), "'x' has 1 time steps and 'y' has 2; cka(kernel=linear, debiased) needs equal"),
    ([normal(0, 9, 4)], "compare takes Representations or a mapping of name to array, not a list"),
]


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[sentence[:40] for _, sentence in BAD])
def test_bad_input_gets_one_sentence_that_names_it(given, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        compare(given, "cka")
    assert "\n" not in str(caught.value)


def test_wrong_options_are_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match="dtype is 'float16'; allowed: float32, float64"):
        compare(arrays(), dtype="float16")
    with pytest.raises(ValueError, match="layers is 'same'; allowed: equal, all"):
        compare(arrays(), layers="same")
    with pytest.raises(ValueError, match="No measure was asked for; there are cca, cka, "):
        compare(arrays(), ())


def test_degenerate_items_are_named_by_member_and_layer_and_left_out_only_when_asked():
    bad = zoo()
    bad.groups[1].array[0] = 3.0
    with pytest.raises(ValueError, match=r"'m2/hidden' \(member m2, layer hidden\) is constant over its stimuli"):
        compare(bad, "cka")
    result = compare(bad, "cka", exclude_degenerate=True)
    whole = compare(zoo(), "cka")
    assert json.loads(result.attrs["excluded"]) == ["m2/hidden"]
    kept = [name for name in whole.a.values if name != "m2/hidden"]
    assert result.a.values.tolist() == kept
    assert result.units_a.values.tolist() == [5, 5, 5, 5, 7]
    np.testing.assert_allclose(result.cka, whole.cka.sel(a=kept, b=kept), atol=1e-6)
    with pytest.raises(ValueError, match="All 2 representations are NaN or constant"):
        compare({"x": np.ones((9, 4)), "y": np.ones((9, 3))}, "cka", exclude_degenerate=True)


def test_an_item_without_structure_is_listed_as_undefined():
    result = compare({"x": normal(0, 9, 4), "simplex": np.eye(9)}, "cka")
    assert json.loads(result.cka.attrs["undefined"]) == ["simplex"]
    assert np.isnan(result.cka.sel(a="simplex")).all()


def test_two_items_of_one_name_are_refused():
    group = zoo().groups[0]
    twice = Representations((group, group))
    with pytest.raises(ValueError, match="Two representations are called 'm0/hidden'; names must differ"):
        compare(twice)


class Recording(NamedTuple):
    """What `others` takes: anything with a name, an array and labels."""

    name: str
    array: object
    labels: dict


def rdm(x):
    d = ((x[:, None] - x) ** 2).sum(-1)
    return RDM((d + d.T) / 2)


def test_what_comes_from_elsewhere_joins_every_layer():
    found = zoo()
    found = dataclasses.replace(found, groups=[dataclasses.replace(g, array=g.array[:, :, 0]) for g in found.groups])
    others = [Recording("v1", normal(5, 8, 4), {"recording": "v1", "source": "recording"})]
    result = compare(found, "cka", others=others)
    own = compare(found, "cka")
    assert result.a.values.tolist() == [*own.a.values, "v1"]
    np.testing.assert_allclose(result.cka[:-1, :-1], own.cka, atol=1e-6)
    assert np.isfinite(result.cka.sel(b="v1")).all(), "recordings have no layer of their own"
    assert result.source_a.values.tolist() == ["zoo"] * 6 + ["recording"]
    assert result.trained_a.dtype == bool


def test_a_ready_rdm_takes_part_in_rsa_only_and_its_cells_elsewhere_say_why():
    x, y = normal(0, 20, 5), normal(1, 20, 5)
    given = {"x": x, "y": y, "rdm": rdm(y)}
    result = compare(given, ["cka", "rsa(rdm=euclidean)", "procrustes"], dtype="float64")
    np.testing.assert_allclose(result.rsa.sel(a="x", b="rdm"), result.rsa.sel(a="x", b="y"), atol=1e-6)
    for name in ("cka", "procrustes"):
        assert np.isnan(result[name].sel(a="rdm")).all()
        assert json.loads(result[name].attrs["empty"]) == ["rdm"]
        assert "of these only an RDM is known" in result[name].attrs["empty_because"]
        assert json.loads(result[name].attrs["undefined"]) == []
    np.testing.assert_array_equal(result.cka[:2, :2], compare({"x": x, "y": y}, "cka", dtype="float64").cka)


def test_repeats_are_averaged_by_a_measure_that_does_not_take_them():
    x, repeats = normal(0, 20, 5), normal(1, 4, 20, 5)
    value = compare({"x": x, "r": Repeats(repeats)}, "cka", dtype="float64").cka
    np.testing.assert_allclose(value, compare({"x": x, "r": repeats.mean(0)}, "cka", dtype="float64").cka, atol=1e-6)


@pytest.mark.parametrize("name", ["cka", "rsa(compare=tau-a)", "procrustes", "matching", "cca", "dsa(rank=2)"])
def test_unequal_time_axes_are_refused_under_every_measure_of_rows(name):
    given = {"a": normal(0, 12, 5, 3), "b": normal(1, 12, 7, 3)}
    with pytest.raises(ValueError, match=r"'a' has 5 time steps and 'b' has 7; .* needs equal time axes"):
        compare(given, name)


def test_permutations_that_would_not_end_are_refused():
    given = {str(i): normal(i, 9, 4) for i in range(40)}
    with pytest.raises(ValueError, match=r"z and p of procrustes.* take 999 comparisons of all 40 items"):
        compare(given, "procrustes", nulls=True)


WRONG = [
    ({"r": normal(0, 3, 3)}, "procrustes", "needs at least 4 stimuli; there are 3"),
    ({"r": normal(0, 3, 3)}, "cka(biased)", "needs at least 4 stimuli; there are 3"),
    ({"r": rdm(normal(0, 9, 3)), "s": rdm(normal(1, 9, 3))}, "cka", "cannot be had of ready RDMs; rsa can"),
    ({"r": RDM(normal(0, 9, 9))}, "rsa", "RDM 'r' must be symmetric with zeros on its diagonal"),
    ({"r": RDM(normal(0, 9, 8))}, "rsa", "RDM 'r' has shape (9, 8); it must be (stimulus, stimulus)"),
    ({"r": RDM(1 - np.eye(9)), "s": rdm(normal(1, 9, 3))}, "rsa", "is an RDM whose entries are all the same"),
    ({"r": normal(0, 9, 3)}, "rsa(rdm=crossnobis)", "needs repeats, (repeat, stimulus, unit); 'r' has none"),
    ({"r": normal(0, 9, 3)}, "dsa", "needs trajectories, (stimulus, time, unit); 'r' has none: leave the measure out"),
    ({"r": normal(0, 9, 30)}, "cca", "variance=0.99"),
    ({"r": normal(0, 9, 3)}, "neighbors", "choose a smaller k"),
]


@pytest.mark.parametrize(("given", "chosen", "sentence"), WRONG, ids=[sentence[:40] for *_, sentence in WRONG])
def test_a_measure_that_cannot_be_had_is_refused_with_the_fix(given, chosen, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        compare(given, chosen)
    assert "\n" not in str(caught.value)
