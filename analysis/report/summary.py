"""The few numbers that matter of one comparison, as lines."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.activations.probes import finished_alike
from analysis.inference.permutation_designs import THESE
from analysis.labelled_comparison import Comparison
from analysis.report import depth
from analysis.report.compared import Compared
from analysis.scoring.recording_scores import score_lines


def summary_lines(compared: Compared) -> Iterator[str]:
    """The few numbers that matter of one comparison: the first measure at the last layer; the rest is in the files."""
    table = compared.table
    yield (
        f"{compared.name}: {len(table)} members, {(table['status'] == 'solved').mean():.0%} solved; "
        f"score {table['score'].median():.4f} (median), {table['score'].min():.4f} (lowest)"
    )
    if (since := finished_alike(compared.trained, table.index) - compared.of_task.finished) > 0:
        yield f"  {since} members were trained to their end since; compare again to have them in"
    means, tests = compared.means(), compared.tests()
    measure, layer = means["measure"].iloc[0], _last_layer(compared.comparison.networks())
    part: Any = means[(means["measure"] == measure) & (means["layer"] == layer)]
    value = {(row["state"], row["pairs_of"]): row["mean"] for row in records(part)}
    pairs = {(row["state"], row["pairs_of"]): row["pairs"] > 0 for row in records(part)}
    between = np.isfinite(value["trained", "between"])
    kind = part["groups"].iloc[0]
    groups = "architectures" if kind == "model" else f"levels of {kind}"
    for state in ("trained", "untrained"):
        words = [f"{value[state, 'within']:.2f}" + (" within" if between else "")] * pairs[state, "within"]
        words += [f"{value[state, 'between']:.2f} between {groups}"] * bool(between)
        yield f"  {measure} at {layer}, {state}: {', '.join(words) or 'no pairs'}"
    yield f"  {measure} at {layer}, trained with untrained: {value['reference', 'trained / untrained']:.2f}"
    categories = compared.categories()
    if categories is not None:
        yield from category_lines(categories)
    if (correspondence := compared.layers()) is not None:
        words = depth.identification(correspondence.isel(measure=0))
        yield from [f"  {measure}: {'; '.join(words)}"] if words else []
    yield from field_lines(tests[(tests["measure"] == measure) & (tests["layer"] == layer)], measure, layer)
    if (scores := compared.scores()) is not None:
        yield from score_lines(scores, compared.comparison.measures)


def _last_layer(networks: Comparison) -> str:
    """The deepest of the layers that the most networks have."""
    items = networks.items
    depths = items["layer_depth"] if "layer_depth" in items else pd.Series(np.arange(len(items)), items.index)
    by_layer = depths.groupby(items["layer"], sort=False).agg(["size", "mean"])
    return str(max(by_layer.index, key=lambda layer: tuple(by_layer.loc[layer])))


def category_lines(table: pd.DataFrame) -> Iterator[str]:
    """From the first to the last layer: medians of the category index, and in how many networks it rises."""
    layers: Any = table.groupby("member")["layer"].nunique()
    single = int((layers == 1).sum())
    note = f"; {single} networks of one layer neither rise nor fall" if single else ""
    for condition in dict.fromkeys(table["condition"]):
        words = []
        for state, trained in (("trained", True), ("untrained", False)):
            part: Any = table[(table["condition"] == condition) & (table["trained"] == trained)]
            ordered = part.sort_values("depth", kind="stable").groupby("member")["index"]
            # Not pandas' own first and last, which pass over a dead layer's NaN.
            ends = ordered.agg(first=lambda index: index.iloc[0], last=lambda index: index.iloc[-1]).dropna()
            rises, falls = (ends["last"] > ends["first"]).sum(), (ends["last"] < ends["first"]).sum()
            first, last = ends.median()
            count = part["member"].nunique()
            words.append(f"{first:z.2f} -> {last:z.2f} {state} (of {count}, rises in {rises}, falls in {falls})")
        yield f"  category index of {condition}, first -> last layer: {', '.join(words)}{note}"


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return frame.to_dict("records")


def field_lines(tests: Any, measure: str, layer: str) -> Iterator[str]:
    """A line per field that could be tested, and one that names the others."""
    tests = tests.assign(members="all") if "members" not in tests else tests
    among: Any = tests[(tests["members"] == "solved") & tests["testable"].astype(bool)]
    solved = {test["field"]: test for test in records(among)}
    tests = tests[tests["members"] == "all"]
    can = tests["testable"].astype(bool)
    for test in records(tests[can]):
        yield f"  {test['field']}: {_effect(test, measure, layer)}{_among_solved(test, solved)}"
    loose = [text for text in tests["not_held"].dropna().unique() if text] if can.any() and "not_held" in tests else []
    if loose:
        yield f"  not held constant in these tests, with a level for nearly every configuration: {loose[0]}"
    if rest := [field for field in tests["field"][~can] if field not in ", ".join(loose).split(", ")]:
        yield f"  too few configurations at {layer} for a test of {', '.join(rest)}"


def _among_solved(test: dict[str, Any], solved: dict[str, dict[str, Any]]) -> str:
    """What changes where members that did not solve their task are left out."""
    other = solved.get(test["field"])
    if other is None or (other["p"] <= 0.05) == (test["p"] <= 0.05):
        return ""
    return f"; among the {other['solved']} members that solved the task p = {other['p']:.2g}"


def _effect(test: dict[str, Any], measure: str, layer: str) -> str:
    distinct = f"{test['distinct']:.6g} distinct permutations, smallest possible p {test['smallest_p']:.2g}"
    over = test["averaged_over"]
    also = f", {over}" if isinstance(over, str) and over else ""
    share = max(test["share"], 0.0)
    only = f", about {THESE}" if test.get("about") == THESE else ""
    return (
        f"explains {share:.0%} of what separates trained configurations (means over seeds{also}) in {measure} at "
        f"{layer}; p = {test['p']:.2g} ({distinct}){only}"
    )
