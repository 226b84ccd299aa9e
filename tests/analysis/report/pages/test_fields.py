"""Tests of fields in words: what a test found, and what could not be tested."""

import numpy as np
import pandas as pd
import pytest

from analysis.inference.field_tests import run_field_tests
from analysis.report.pages.fields import field_lines
from tests.analysis.sampled_zoos import of_many_depths


def test_a_report_says_where_those_that_solved_the_task_differ_and_what_a_test_is_about() -> None:
    rows = [
        dict(field="model", members="all", p=0.01, about="these configurations only"),
        dict(field="l2", members="all", p=0.01, about="configurations in general"),
        dict(field="model", members="solved", p=0.2, about="these configurations only"),
        dict(field="l2", members="solved", p=0.02, about="configurations in general"),
    ]
    shared = dict(testable=True, share=0.5, distinct=100, smallest_p=1e-4, averaged_over="[]", not_held="[]")
    lines = list(field_lines(pd.DataFrame([row | shared | dict(solved="36 of 48") for row in rows]), "cka", "rate"))
    assert len(lines) == 2
    assert lines[0].endswith("about these configurations only; among the 36 of 48 members that solved the task p = 0.2")
    assert lines[1].endswith("smallest possible p 0.0001)")


@pytest.mark.parametrize(
    ("averaged", "not_held"), [("tau, l2", "channels, kernel"), ('["tau", "l2"]', '["channels", "kernel"]')]
)
def test_lists_of_fields_are_read_as_json_and_as_earlier_versions_wrote_them(averaged: str, not_held: str) -> None:
    row = dict(members="all", share=0.5, distinct=100, smallest_p=1e-4, p=0.01, averaged_over=averaged)
    rows = [
        row | dict(field="model", testable=True, not_held=not_held),
        row | dict(field="kernel", testable=False, not_held=float("nan")),
        row | dict(field="gain", testable=False, not_held=not_held),
    ]
    of_model, loose, too_few = field_lines(pd.DataFrame(rows), "cka", "rate")
    assert "(means over seeds, tau, l2) in cka" in of_model
    assert loose.endswith(": channels, kernel")
    assert too_few.endswith(" gain")


def test_fields_drawn_at_random_are_tested_with_their_number_of_entries_held_constant() -> None:
    table, similarity = of_many_depths(200, 2)
    tests = run_field_tests(similarity, table, ["channels", "kernel", "activation"], {}).set_index("field")
    assert list(tests.index[tests["testable"].to_numpy(bool)]) == ["activation", "depth"]
    assert "(activation x depth x channels x kernel)" in tests.loc["activation", "exchanged"]
    lines = list(field_lines(tests.reset_index(), "cka", "conv1"))
    assert lines[0].startswith("  activation: explains")
    assert "not held constant in these tests" in lines[2]
    assert lines[2].endswith("channels, kernel")
    assert len(lines) == 3


def test_a_slice_of_few_networks_names_what_cannot_be_tested_in_one_line() -> None:
    table, similarity = of_many_depths(3, 2)
    tests = run_field_tests(similarity, table, ["channels", "kernel", "activation"], {})
    lines = list(field_lines(tests, "cka", "conv6"))
    assert len(lines) == 1
    assert lines[0].startswith("  too few configurations at conv6 for a test of channels, kernel")


def of_one_field(similarity: np.ndarray) -> list[str]:
    """What is said of six networks of one model, with two levels of l2."""
    table = pd.DataFrame({"l2": [1e-4, 1e-3] * 3, "seed": [0, 0, 1, 1, 2, 2], "cohort": "c"})
    table = table.assign(status="solved", trained=True)
    return list(field_lines(run_field_tests(similarity, table, ["l2"], {}), "cka", "rate"))


def test_equal_networks_are_said_to_be_equal_and_not_to_be_too_few() -> None:
    assert of_one_field(np.ones((6, 6))) == [
        "  at rate all trained networks are one and the same: there is nothing to explain"
    ]


def test_a_share_that_is_all_by_construction_is_no_finding() -> None:
    draw = np.random.default_rng(0).uniform(0.2, 0.8, (6, 6))
    (line,) = of_one_field(np.where(np.eye(6), 1, (draw + draw.T) / 2))
    assert "  l2: nothing else separates trained configurations (means over seeds) in cka at rate" in line
    assert "and its share is no finding; p = " in line
    assert "%" not in line
