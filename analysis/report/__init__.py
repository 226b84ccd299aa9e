"""The pictures of a zoo directory and the numbers that matter, from what training and comparison left there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import comparison
from analysis.report import figures
from analysis.representations import probes
from analysis.study import slices, tested_fields
from zoo.store import Trained, load


def report(directory: Path) -> Iterator[str]:
    """Draw `figures/*.png` of a compared zoo directory; yields the lines to print."""
    trained = load(directory)
    if not sorted((trained.path / "analysis").glob("*-fields.csv")):
        raise ValueError(f"{trained.path} has no comparison to report; run compare first.")
    count = 0
    with figures.style():
        for task in probes(trained):
            for name, figure in _figures(trained, task):
                path = trained.path / "figures" / (re.sub(r"[^\w.-]+", "_", name) + ".png")
                path.parent.mkdir(exist_ok=True)
                figure.savefig(path, bbox_inches="tight", pad_inches=0.1)
                count += 1
            yield from summary(trained, task)
    yield f"{count} pictures in {trained.path / 'figures'}, matrices and tests in {trained.path / 'analysis'},"
    yield f"members in {trained.path / 'members.csv'}."


def _figures(trained: Trained, task: str) -> Iterator[tuple[str, Any]]:
    result = comparison.load(trained.path / "analysis" / f"{task}.nc")
    fields = tested_fields(trained, task)
    name = trained.manifest["spec"]["name"]
    title = task if task == name else f"{name}: {task}"
    for measure, layer, table, similarity in slices(result):
        present = [field for field in fields if len(set(table[field].replace("", np.nan).dropna())) > 1]
        attrs, where = result[measure].attrs, f"{title}, layer {layer}"
        defined = np.flatnonzero(np.isfinite(similarity.diagonal()))
        table, similarity = table.iloc[defined].reset_index(drop=True), similarity[np.ix_(defined, defined)]
        yield f"{task}-{layer}-{measure}-heatmap", figures.heat_map(similarity, table, present, attrs, where)
        yield f"{task}-{layer}-{measure}-mds", figures.mds(similarity, table, present, attrs, where)
    means = comparison.load(trained.path / "analysis" / f"{task}-rdms.nc")
    for layer in dict.fromkeys(means["layer"].to_numpy().tolist()):
        yield f"{task}-{layer}-rdms", figures.rdms(means, layer, title)
    cohorts = probes(trained)[task].cohorts
    some = cohorts[0].members[0].task
    table = trained.members.set_index("member").loc[[m.id for cohort in cohorts for m in cohort.members]]
    kept = table[table["status"] != "diverged"]
    groups = dict(zip(kept.index, figures.names_of(kept, fields[:1] or ["model"])))
    note = f"{title} ({len(table) - len(kept)} diverged members left out)" if len(kept) < len(table) else title
    yield f"{task}-curves", figures.curves(trained.curves, groups, some.chance, some.solved, note)


def summary(trained: Trained, task: str) -> Iterator[str]:
    """The few numbers that matter of one task: the first measure at the last layer; the rest is in the files."""
    ids = [m.id for cohort in probes(trained)[task].cohorts for m in cohort.members]
    table = trained.members.set_index("member").loc[ids]
    yield (
        f"{task}: {len(table)} members, {(table['status'] == 'solved').mean():.0%} solved; "
        f"score {table['score'].median():.4f} (median), {table['score'].min():.4f} (lowest)"
    )
    means = pd.read_csv(trained.path / "analysis" / f"{task}-means.csv")
    tests = pd.read_csv(trained.path / "analysis" / f"{task}-fields.csv")
    measure, layer = means["measure"].iloc[0], means["layer"].iloc[-1]
    part = means[(means["measure"] == measure) & (means["layer"] == layer)]
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
    for test in records(tests[(tests["measure"] == measure) & (tests["layer"] == layer)]):
        yield f"  {test['field']}: {_effect(test, measure, layer)}"


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return frame.to_dict("records")


def _effect(test: dict[str, Any], measure: str, layer: str) -> str:
    if not test["testable"]:
        return "too few configurations for a test"
    distinct = f"{test['distinct']:.6g} distinct permutations, smallest possible p {test['smallest_p']:.2g}"
    over = test["averaged_over"]
    also = f", {over}" if isinstance(over, str) and over else ""
    share = max(test["share"], 0.0)
    return (
        f"explains {share:.0%} of what separates trained configurations (means over seeds{also}) in {measure} at "
        f"{layer}; p = {test['p']:.2g} ({distinct})"
    )
