"""Flags: told apart, numbers put behind, unknown ones refused with the nearest."""

import pytest

import run_zoo
from zoo.spec.flags import check, options_of, take_options, take_overrides, with_number


def test_flags_of_fields_are_told_from_the_commands_own() -> None:
    words = ["train", "demo", "--training.steps", "5", "--out", "x", "--seeds=3", "--model.kernel", "(3, 5)"]
    rest, overrides = take_overrides(words)
    assert rest == ["train", "demo", "--out", "x"]
    assert overrides == [("training.steps", "5"), ("seeds", "3"), ("model.kernel", "(3, 5)")]
    with pytest.raises(ValueError, match=r"The flag --model\.hidden has no value"):
        take_overrides(["--model.hidden"])


def test_a_flag_without_a_number_gets_one() -> None:
    assert with_number(["--nulls", "--intervals"], "--nulls", 999) == ["--nulls", "999", "--intervals"]
    assert with_number(["--intervals", "--nulls"], "--nulls", 999) == ["--intervals", "--nulls", "999"]
    for words in (["--nulls", "199"], ["--nulls", "-3"], ["--nulls=5"], ["--nulls", "1.5"], ["compare"]):
        assert with_number(words, "--nulls", 999) == words


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [
        ("--sed", "--seeds"),
        ("--steps", "--training.steps"),
        ("--learning_rate=3", "--training.learning_rate"),
        ("--modle.hidden", "--model.hidden"),
        ("--dry-rum", "--dry-run"),
        ("--xyz", "there are"),
    ],
)
def test_an_unknown_flag_is_told_with_the_nearest(flag: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"train has no flag {flag.partition('=')[0]}; .*{nearest}"):
        check(["train", "demo", "--out", "x", "--dry-run", flag, "3"], run_zoo.COMMANDS, run_zoo.Train)


def test_known_flags_pass_however_they_are_written() -> None:
    words = ["train", "demo", "--dry-run", "--save_every=3", "--help", "--retry-learning-rate", "-3"]
    check(words, run_zoo.COMMANDS, run_zoo.Train)
    check(["report", "zoos/a", "--formats", "pdf", "--by", "hidden"], run_zoo.COMMANDS, run_zoo.Train)


def test_a_misspelt_command_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Unknown command 'compar'; the nearest is 'compare'"):
        check(["compar", "zoos/a"], run_zoo.COMMANDS, run_zoo.Train)


def test_flags_of_options_are_told_from_the_commands_own_and_several_numbers_are_of_one() -> None:
    words = [
        "assay",
        "zoos/a",
        "perturbations",
        "--window",
        "100",
        "500",
        "--numbers=3",
        "8",
        "--at",
        "10",
        "--drive",
        "-1",
    ]
    rest, options = take_options(words, kept=("at", "help"))
    assert rest == ["assay", "zoos/a", "perturbations", "--at", "10"]
    assert options == [("window", "100,500"), ("numbers", "3,8"), ("drive", "-1")]
    rest, options = take_options(["study", "--starts", "3", "zoos/a", "--dry-run", "--size", "full"], kept=("dry_run",))
    assert (rest, options) == (["study", "zoos/a", "--dry-run"], [("starts", "3"), ("size", "full")])
    with pytest.raises(ValueError, match="The flag --size has no value"):
        take_options(["study", "--size", "--out", "x"], kept=("out",))


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ([("noise", "0.1")], {"noise": (0.1,)}),
        ([("noise", "0.1, 0.3")], {"noise": (0.1, 0.3)}),
        ([("noise", "[0.1, nan]")], {"noise": (0.1, "nan")}),
        ([("numbers", "(2,)")], {"numbers": (2,)}),
        ([("draws", "3")], {"draws": 3}),
        ([("system", "linear")], {"system": "linear"}),
    ],
)
def test_options_that_are_lists_hold_one_value_or_several(options: list[tuple[str, str]], values: object) -> None:
    assert options_of("assay", "perturbations", options) == values


def test_names_of_inputs_are_told_apart_by_commas_only() -> None:
    assert options_of("assay", "fixed_points", [("inputs", "no pulse, pulse")]) == {"inputs": ("no pulse", "pulse")}


def test_an_unknown_option_is_told_with_the_nearest_of_the_commands_own_flags_too() -> None:
    with pytest.raises(ValueError, match="has no option 'outt'; the nearest is 'out'"):
        options_of("study", "universality", [("outt", "x")], ("out", "on"))
