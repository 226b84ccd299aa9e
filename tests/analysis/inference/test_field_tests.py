"""The tests of one slice: twice, each field as what it is, interactions where they can be held."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.inference.field_tests import run_field_tests
from analysis.report.summary import field_lines

LABEL = {"measure": "cka", "layer": "rate"}


def slice_of(rate: bool = False, shared: bool = False, **effects: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Three models x eight penalties x two seeds, one in four unsolved, and the cosines of their points."""
    draw = np.random.default_rng(0)
    cells = list(product("abc", range(8), range(2)))
    table = pd.DataFrame(cells, columns=["model", "l2", "seed"])
    table["seed"] += 0 if shared else 10 * table["l2"]
    table = table.assign(cohort=table["model"], trained=True, status=["solved", "solved", "solved", "unsolved"] * 12)
    if rate:
        table["rate"] = np.repeat(10 ** draw.uniform(-4, -2, 24), 2)
    x = draw.standard_normal((48, 6))
    for field, size in effects.items():
        codes = pd.factorize(table[field])[0]
        x += size * draw.standard_normal((codes.max() + 1, 6))[codes]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return table, x @ x.T


def test_every_test_is_made_among_all_and_among_those_that_solved_their_task() -> None:
    table, similarity = slice_of(model=2.0)
    tests = run_field_tests(similarity, table, ["model", "l2"], LABEL)
    assert list(zip(tests["members"], tests["field"])) == [*product(["all", "solved"], ["model", "l2"])]
    assert set(tests["solved"]) == {"36 of 48"}
    kept = np.flatnonzero(table["status"] == "solved")
    alone = run_field_tests(
        similarity[np.ix_(kept, kept)], table.iloc[kept].reset_index(drop=True), ["model", "l2"], LABEL
    )
    assert set(alone["members"]) == {"all"}, "all solved: one test says both"
    assert set(alone["solved"]) == {"36 of 36"}
    second: Any = tests[tests["members"] == "solved"]
    columns = ["share", "p", "p_holm", "dispersion_p", "knn"]
    np.testing.assert_array_equal(second[columns].to_numpy(float), alone[columns].to_numpy(float))


@pytest.mark.parametrize("solved", [0, 1])
def test_too_few_that_solved_the_task_have_no_tests_of_their_own(solved: int) -> None:
    table, similarity = slice_of()
    table["status"] = ["solved"] * solved + ["unsolved"] * (48 - solved)
    tests = run_field_tests(similarity, table, ["model", "l2"], LABEL)
    assert set(tests["members"]) == {"all"}
    assert set(tests["solved"]) == {f"{solved} of 48"}


def test_distances_are_taken_as_they_are_members_without_them_are_left_out_and_scores_refused() -> None:
    table, similarity = slice_of(model=2.0)
    angles, fields = np.arccos(np.clip(similarity, -1, 1)), ["model", "l2"]
    tests = run_field_tests(angles, table, fields, LABEL, kind="distance")
    np.testing.assert_allclose(tests["share"], run_field_tests(similarity, table, fields, LABEL)["share"], atol=1e-7)
    angles[3, :3] = angles[:3, 3] = np.nan
    assert set(run_field_tests(angles, table, fields, LABEL, kind="distance")["solved"]) == {"36 of 47"}
    with pytest.raises(ValueError, match="A score has no distance"):
        run_field_tests(similarity, table, fields, LABEL, kind="score")


def test_a_number_drawn_at_random_is_tested_as_a_number_and_held_constant_as_one() -> None:
    table, similarity = slice_of(rate=True, model=2.0)
    tests: Any = (
        run_field_tests(similarity, table, ["model", "rate"], LABEL).query("members == 'all'").set_index("field")
    )
    assert tests["tested_as"].to_dict() == {"model": "levels", "rate": "log10(value)"}
    assert tests["testable"].all()
    assert tests.loc["model", "p"] < 0.01 < tests.loc["rate", "p"]
    assert "given rate" in tests.loc["model", "unit"]
    assert "within strata of model" in tests.loc["rate", "unit"]
    assert (tests["not_held"] == "").all()


def test_interactions_are_tested_on_request_also_with_near_copies() -> None:
    table, similarity = slice_of(shared=True)
    fields = ["model", "l2"]
    tests = run_field_tests(similarity, table, fields, LABEL, interactions=True).query("members == 'all'")
    assert tests["field"].tolist() == ["model", "l2", "model:l2"]
    assert tests["averaged_over"].tolist() == ["l2", "", ""], "penalties of one seed are near copies"
    table, similarity = slice_of()
    tests = run_field_tests(similarity, table, fields, LABEL, interactions=["l2:model"]).query("members == 'all'")
    assert tests["field"].tolist() == ["model", "l2", "l2:model"]
    with pytest.raises(ValueError, match="The interaction 'l2:rate' is none of two tested fields"):
        run_field_tests(similarity, table, fields, LABEL, interactions=["l2:rate"])


def test_a_report_says_where_those_that_solved_the_task_differ_and_what_a_test_is_about() -> None:
    rows = [
        dict(field="model", members="all", p=0.01, about="these configurations only"),
        dict(field="l2", members="all", p=0.01, about="configurations in general"),
        dict(field="model", members="solved", p=0.2, about="these configurations only"),
        dict(field="l2", members="solved", p=0.02, about="configurations in general"),
    ]
    shared = dict(testable=True, share=0.5, distinct=100, smallest_p=1e-4, averaged_over="", not_held="")
    lines = list(field_lines(pd.DataFrame([row | shared | dict(solved="36 of 48") for row in rows]), "cka", "rate"))
    assert len(lines) == 2
    assert lines[0].endswith("about these configurations only; among the 36 of 48 members that solved the task p = 0.2")
    assert lines[1].endswith("smallest possible p 0.0001)")
