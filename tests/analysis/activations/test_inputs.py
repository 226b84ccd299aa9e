"""The door of a comparison: what would make a meaningless number is refused in one sentence."""

import dataclasses
import json
import re
from typing import NamedTuple

import numpy as np
import pytest

from analysis.activations.types import RDM, Representations
from analysis.comparison import compare
from tests.analysis.compared_items import arrays, normal, rdm, zoo

BAD = [
    ({}, "There is nothing to compare"),
    (arrays(y=normal(1, 9)), "Representation 'y' has shape (9,); it must be (stimulus, unit) or"),
    (arrays(y=np.array([["a"]])), "Representation 'y' holds <U1; it must hold real numbers"),
    (arrays(y=normal(1, 8, 4)), "'x' has 9 stimuli and 'y' has 8; all must be given the same stimuli"),
    ({name: array[:3] for name, array in arrays().items()}, "needs at least 4 stimuli, not 3"),
    (arrays(y=np.ma.masked_greater(np.linspace(0, 1, 36).reshape(9, 4), 0.9)), "'y' holds 4 NaN and 0 infinite"),
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


def test_degenerate_items_are_named_by_member_and_layer_and_left_out_only_when_asked():
    bad = zoo()
    bad.groups[1].array[0] = 3.0
    with pytest.raises(ValueError, match=r"'m2/hidden' \(member m2, layer hidden\) is constant over its stimuli"):
        compare(bad, "cka")
    result = compare(bad, "cka", exclude_degenerate=True)
    whole = compare(zoo(), "cka")
    assert json.loads(result.attrs["excluded"]) == [["m2/hidden", "m2", "hidden", True]]
    kept = [name for name in whole.a.values if name != "m2/hidden"]
    assert result.a.values.tolist() == kept
    assert result.units_a.values.tolist() == [5, 5, 5, 5, 7]
    np.testing.assert_allclose(result.cka, whole.cka.sel(a=kept, b=kept), atol=1e-6)
    with pytest.raises(ValueError, match="All 2 representations are NaN or constant"):
        compare({"x": np.ones((9, 4)), "y": np.ones((9, 3))}, "cka", exclude_degenerate=True)


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


def test_stimuli_that_are_there_twice_are_refused_whatever_the_measure():
    twice = {name: np.concatenate([normal(seed, 25, 6)] * 2) for seed, name in enumerate("ab")}
    with pytest.raises(ValueError, match="Stimuli 0 and 25, and 24 more, are the same in every representation"):
        compare(twice, ["cka"])
    noisy = {"a": twice["a"], "b": twice["b"] + 0.1 * normal(5, 50, 6)}
    assert compare(noisy, ["cka"])["cka"].shape == (2, 2), "one that tells them apart has seen two"


def test_equal_rows_of_whole_numbers_silent_rows_and_a_rare_copy_are_no_repeated_stimuli():
    classes = np.eye(4)[np.arange(20) % 4]
    assert np.isfinite(compare({"a": classes, "b": classes[:, ::-1] * 2}, ["cka"])["cka"]).all()
    sparse = {name: np.where(np.arange(20)[:, None] < 5, 0, normal(seed, 20, 6)) for seed, name in enumerate("ab")}
    assert compare(sparse, ["cka"])["cka"].shape == (2, 2)
    rare = {name: normal(seed, 100, 6)[[*range(99), 0]] for seed, name in enumerate("ab")}
    assert compare(rare, ["cka"])["cka"].shape == (2, 2)


@pytest.mark.parametrize(
    "name", ["cka", "rsa(compare=tau-a, time=samples)", "procrustes", "matching", "cca", "dsa(rank=2)"]
)
def test_unequal_time_axes_are_refused_under_every_measure_of_rows(name):
    given = {"a": normal(0, 12, 5, 3), "b": normal(1, 12, 7, 3)}
    with pytest.raises(ValueError, match=r"'a' has 5 time steps and 'b' has 7; .* needs equal time axes"):
        compare(given, name)


WRONG = [
    ({"r": normal(0, 3, 3)}, "procrustes", "needs at least 4 stimuli, not 3"),
    ({"r": normal(0, 3, 3)}, "cka(biased)", "needs at least 4 stimuli, not 3"),
    ({"r": rdm(normal(0, 9, 3)), "s": rdm(normal(1, 9, 3))}, "cka", "cannot be had of ready RDMs; rsa can"),
    ({"r": RDM(normal(0, 9, 9))}, "rsa", "RDM 'r' must be symmetric with zeros on its diagonal"),
    ({"r": RDM(normal(0, 9, 8))}, "rsa", "RDM 'r' has shape (9, 8); it must be (stimulus, stimulus)"),
    ({"r": RDM(1 - np.eye(9)), "s": rdm(normal(1, 9, 3))}, "rsa", "is an RDM whose entries are all the same"),
    ({"r": normal(0, 9, 3)}, "rsa(rdm=crossnobis)", "cannot be had of 'r': needs repeats, (repeat, stimulus, unit)"),
    ({"r": normal(0, 9, 3)}, "dsa", "needs trajectories, (stimulus, time, unit); leave the measure out"),
    ({"r": normal(0, 9, 30)}, "cca", "variance=0.99"),
    ({"r": normal(0, 9, 3)}, "neighbors", "choose a smaller k"),
]


@pytest.mark.parametrize(("given", "chosen", "sentence"), WRONG, ids=[sentence[:40] for *_, sentence in WRONG])
def test_a_measure_that_cannot_be_had_is_refused_with_the_fix(given, chosen, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        compare(given, chosen)
    assert "\n" not in str(caught.value)
