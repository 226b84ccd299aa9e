"""compare: labelled matrices out, bad input refused in one sentence at the door."""

import json
import re

import numpy as np
import pytest

from analysis import comparison
from analysis.activations.types import Outside, Repeats
from analysis.comparison import Choices, compare, comparison_of, measure
from analysis.engine.progress import Progress
from analysis.measures import cka, rsa
from tests.analysis.compared_items import arrays, normal, rdm, zoo
from zoo import lookup


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
        assert attrs["n_times"] == (1 if name == "rsa" else 3)
        entering = "features: time and units together" if name == "rsa" else "samples: every time step a row"
        assert attrs["estimator"].endswith(f"; time={entering}")
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


def test_wrong_options_are_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match="dtype is 'float16'; allowed: float32, float64"):
        compare(arrays(), dtype="float16")
    with pytest.raises(ValueError, match="layers is 'same'; allowed: equal, all"):
        compare(arrays(), layers="same")
    with pytest.raises(ValueError, match="No measure was asked for; there are cca, cka, "):
        compare(arrays(), ())


def test_an_item_without_structure_is_listed_as_undefined():
    result = compare({"x": normal(0, 9, 4), "simplex": np.eye(9)}, "cka")
    assert json.loads(result.cka.attrs["undefined"]) == ["simplex"]
    assert np.isnan(result.cka.sel(a="simplex")).all()


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


def test_orders_of_the_stimuli_are_as_many_as_asked_for_and_of_too_few_p_cannot_be_small():
    given = {str(i): normal(i, 9, 4) for i in range(3)}
    result = compare(given, "procrustes", nulls=19)
    assert result["procrustes"].attrs["nulls"] == "over 19 orders of the stimuli"
    assert (np.rint(result["procrustes_p"].to_numpy()[0, 1:] * 20) >= 1).all()
    for wrong in (-1, 5, 99.5):
        with pytest.raises(ValueError, match=r"nulls is .*; allowed: 0 for no z and p, or from 19 orders"):
            compare(given, "procrustes", nulls=wrong)


def test_a_measure_that_cannot_be_had_stops_no_other_where_it_may_be_left_out():
    given = {str(i): normal(i, 9, 4) for i in range(3)}
    lines: list[str] = []
    result = comparison_of(given, ["dsa", "cka"], [], Choices(exclude_impossible=True), progress=Progress(lines.append))
    assert list(result.measures) == ["cka"]
    assert len(lines) == 1
    assert lines[0].startswith("Left out: dsa")
    with pytest.raises(ValueError, match="needs trajectories"):
        comparison_of(given, ["dsa"], [], Choices(exclude_impossible=True))
    with pytest.raises(ValueError, match="needs trajectories"):
        comparison_of(given, ["dsa", "cka"])


def test_a_baseline_that_lacks_what_one_measure_needs_has_values_under_the_others():
    given = {str(i): normal(i, 20, 6, 5) for i in range(3)}
    flat = Outside("flat", normal(9, 20, 5), {"recording": "flat", "subject": "", "source": "baseline"})
    result = comparison_of(given, ["dsa(rank=2)", "cka(time=mean)"], [flat])
    assert np.isnan(result.measures["dsa"].values[3]).all()
    assert result.measures["dsa"].record.empty == ("flat",)
    assert "needs trajectories" in result.measures["dsa"].record.empty_because
    assert np.isfinite(result.measures["cka"].values).all()
    recording = flat._replace(labels=flat.labels | {"source": "recording"})
    with pytest.raises(ValueError, match=r"dsa.* cannot be had of 'flat': needs trajectories"):
        comparison_of(given, ["dsa(rank=2)", "cka(time=mean)"], [recording])


def test_what_is_computed_again_and_again_is_announced_with_its_time_before_it_is(monkeypatch):
    monkeypatch.setattr(comparison, "SECONDS_UNTOLD", 0.0)
    lines: list[str] = []
    compare(
        {str(i): normal(i, 40, 8) for i in range(3)}, ["cka", "procrustes"], nulls=19, intervals=True, say=lines.append
    )
    (line,) = lines
    assert line.startswith("Computed again and again for z, p and limits: about ")
    assert "procrustes" in line
    assert "cka" not in line


def test_a_stimulus_that_dominates_is_said_with_the_representation_and_the_record_says_how_p_was_had():
    x = {name: normal(i, 30, 6) for i, name in enumerate("xyz")}
    x["y"][7] += 100
    lines: list[str] = []
    result = compare(x, ["cka", "rsa"], nulls=19, say=lines.append)
    said = [line for line in lines if "stimulus 7, from 0, makes up" in line]
    assert len(said) == 1
    assert "of the map of y, which rests on as many as 4 alike ones would of 30; z and p are over 19 orders" in said[0]
    assert result["cka"].attrs["nulls"] == "over 19 orders of the stimuli"
    assert result["rsa"].attrs["nulls"] == "in closed form, over all orders of the stimuli", (
        "ranks know no far stimulus"
    )


def test_limits_that_a_measure_cannot_have_are_refused_or_said_and_the_others_have_theirs():
    given = {str(i): normal(i, 12, 4) for i in range(3)}
    with pytest.raises(ValueError, match=r"procrustes.* has no jackknife: its folds are dealt anew .* take folds=0\."):
        compare(given, ["cka", "procrustes(folds=2)"], intervals=True)
    lines: list[str] = []
    choices = Choices(exclude_impossible=True, intervals=True)
    result = comparison_of(given, ["cka", "procrustes(folds=2)"], [], choices, progress=Progress(lines.append))
    assert len(lines) == 1
    assert lines[0].startswith("No limits: procrustes")
    assert set(result.measures["cka"].extras) == {"low", "high"}
    assert not result.measures["procrustes"].extras
