"""Names in words: a part's are in its own file, a field or layer without words keeps its name."""

import pytest

from analysis import words


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("task", "flipflop", "K-bit flip-flop"),
        ("task", "digits", "Handwritten digits"),
        ("model", "gru", "Gated recurrent unit"),
        ("measure", "cka", "Centred kernel alignment"),
        ("task", "mine", "mine"),
    ],
)
def test_a_part_is_called_by_the_first_words_of_its_file_and_what_no_folder_has_by_its_name(
    kind: str, name: str, expected: str
) -> None:
    assert words.called(kind, name) == expected


def test_what_sets_a_comparison_apart_from_others_of_its_task_stays_in_its_title() -> None:
    assert words.subject_words("flipflop", "flipflop bits=2") == "K-bit flip-flop bits=2"
    assert words.subject_words("digits", "digits-faces") == "Handwritten digits, images of faces"


def test_fields_and_layers_are_in_words_as_far_as_they_have_any() -> None:
    fields = {"learning_rate": "learning rate", "l2": "L2 penalty", "model.noise": "noise of the model"}
    assert {field: words.field_words(field) for field in fields} == fields
    layers = {
        "rate": "firing rates",
        "conv1": "convolution 1",
        "conv2.pre": "convolution 2 before its nonlinearity",
        "stage1_block2": "stage 1, block 2",
        "voltage": "voltage",
        "layer one": "layer one",
    }
    assert {layer: words.layer_words(layer) for layer in layers} == layers


def test_a_measure_has_a_long_and_a_short_name() -> None:
    assert words.measure_words("cka(kernel=linear, debiased)") == ("Centred kernel alignment", "CKA")
    assert words.measure_words("procrustes") == ("Shape distances", "procrustes")


def test_values_are_short_and_one_that_is_not_there_is_nothing() -> None:
    assert [words.row_words("l2", value) for value in (1e-5, float("nan"))] == ["L2 penalty 1e-05", ""]
    assert words.row_words("model", "gru") == "gru"
    assert words.level_words("a" * 30) == "a" * 17 + "..."
    assert words.level_words(True) == "True"


def test_recordings_have_short_names_that_tell_them_apart() -> None:
    assert words.short_names(["a/v4", "b/it", "b/it"]) == ["v4", "it", "it"]
    assert words.short_names(["a/data", "b/data"]) == ["a/data", "b/data"]
