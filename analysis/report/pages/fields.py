"""What explains the differences: the tests of the fields, in words. What is not told stands in `<task>-fields.csv`."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import artefacts
from analysis.arithmetic import SIGNIFICANT
from analysis.inference.permutation_designs import THESE
from analysis.report.compared import Compared

ORDER = 100
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return True


def figures(compared: Compared) -> tuple[()]:
    return ()


def lines(compared: Compared) -> Iterator[str]:
    tests, (measure, layer) = pd.read_csv(compared.path(artefacts.FIELDS)), compared.told
    return field_lines(tests[(tests["measure"] == measure) & (tests["layer"] == layer)], measure, layer)


def field_lines(tests: Any, measure: str, layer: str) -> Iterator[str]:
    """A line per field that could be tested, and one that names the others."""
    tests = tests.assign(members="all") if "members" not in tests else tests
    among: Any = tests[(tests["members"] == "solved") & tests["testable"].astype(bool)]
    solved = {test["field"]: test for test in among.to_dict("records")}
    tests = tests[tests["members"] == "all"]
    can = tests["testable"].astype(bool)
    for test in tests[can].to_dict("records"):
        yield f"  {test['field']}: {_effect(test, measure, layer)}{_among_solved(test, solved)}"
    loose = _fields(tests["not_held"][can].iloc[0]) if can.any() and "not_held" in tests else []
    if loose:
        yield f"  not held constant in these tests, with a level for nearly every configuration: {', '.join(loose)}"
    rest = [field for field in tests["field"][~can] if field not in loose]
    if "partial_r2" in tests and len(tests) and tests["partial_r2"].isna().all():
        yield f"  at {layer} all trained networks are one and the same: there is nothing to explain"
    elif rest:
        yield f"  too few configurations at {layer} for a test of {', '.join(rest)}"


def _among_solved(test: dict[str, Any], solved: dict[str, dict[str, Any]]) -> str:
    """What changes where members that did not solve their task are left out."""
    other = solved.get(test["field"])
    if other is None or (other["p"] <= SIGNIFICANT) == (test["p"] <= SIGNIFICANT):
        return ""
    return f"; among the {other['solved']} members that solved the task p = {other['p']:.2g}"


def _fields(cell: Any) -> list[str]:
    """The fields that a cell of the tests lists: as JSON, or as earlier versions wrote them, "a, b" and nothing."""
    if not isinstance(cell, str):
        return []
    return json.loads(cell) if cell.startswith("[") else [field for field in cell.split(", ") if field]


def _effect(test: dict[str, Any], measure: str, layer: str) -> str:
    distinct = f"{test['distinct']:.6g} distinct permutations, smallest possible p {test['smallest_p']:.2g}"
    means = ", ".join(["seeds", *_fields(test["averaged_over"])])
    only = f", about {THESE}" if test.get("about") == THESE else ""
    p = f"p = {test['p']:.2g} ({distinct}){only}"
    of = f"trained configurations (means over {means}) in {measure} at {layer}"
    if test.get("dispersion_p", 1.0) <= SIGNIFICANT:
        p += f"; its levels differ in their spread (p = {test['dispersion_p']:.2g}), which may be what this p is about"
    if math.isnan(test["share"]):
        return f"nothing else separates {of}, and its share is no finding; {p}"
    return f"explains {max(test['share'], 0.0):.0%} of what separates {of}; {p}"
