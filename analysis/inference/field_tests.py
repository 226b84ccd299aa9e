"""The tests and the means of one measure at one layer: which fields are tested how, and what is left out."""

import json
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.geometry.embedding import complete, true_distance
from analysis.inference.factors import (
    DEPTH,
    MOST_LEVELS,
    depths,
    levels,
    sampled_fields,
    singular,
    texts_of,
    told_apart,
)
from analysis.inference.field_effects import FieldPlan, explained, pairs
from analysis.inference.group_similarities import jackknife_means, references
from analysis.inference.permutation_designs import holm
from zoo.training.status import DIVERGED_WORD, SOLVED_WORD

__all__ = ["group_means", "run_field_tests"]


def run_field_tests(
    similarity: np.ndarray,
    table: pd.DataFrame,
    fields: list[str],
    label: dict[str, str],
    *,
    kind: str = "similarity",
    interactions: bool | Sequence[str] = False,
) -> pd.DataFrame:
    """The tests of all fields that vary, among all trained members and among those that solved their task.

    Members of one cohort with one seed start alike and see the same trials: where a field varies between them, its
    levels are near copies of one network, fine to compare with each other, but no independent evidence on another
    field. Other fields are therefore tested on the mean over such a field, which does not stand among their strata.

    Numbers with a level for nearly every configuration, such as a learning rate drawn at random, are tested, and held
    constant, as numbers. Other fields with that many levels leave hardly two configurations in one stratum. Where that
    allows no field a p below 1 in 1,000, the others are tested without these, with the number of their entries,
    `depth`, in their place. The test of `depth` is of all that comes with it: a kernel that only shallow networks have
    is a part. Items with undefined pairs are left out.

    Args:
      similarity: `(item, item)` under one measure at one layer.
      table: one row per item, with `cohort`, `seed`, `status`, `trained` and the fields.
      fields: what was varied.
      label: columns that come first, such as measure and layer.
      kind: of the measure, see `analysis.geometry.embedding.true_distance`; a score cannot be tested.
      interactions: pairs "a:b", or True for all; those with a field that is not held constant are left out.

    Returns:
      The columns of `analysis.inference.field_effects.explained`, `p_holm` over all tests among the same members, and
      `not_held` and `averaged_over`, the fields that are, as JSON; `members`, "all" or "solved", what the test was made
      among; `solved`, how many solved the task, as "12 of 16". There are no rows of "solved" where all did, or where
      those that did have fewer than 2 configurations.
    """
    status, trained = table["status"].to_numpy(), table["trained"].isin([True]).to_numpy()
    rows = np.flatnonzero(trained & (status != DIVERGED_WORD) & np.isfinite(similarity.diagonal()))
    distance = true_distance(similarity[np.ix_(rows, rows)], kind)
    kept = complete(distance)
    rows, distance = rows[kept], distance[np.ix_(kept, kept)]
    solved = np.flatnonzero(status[rows] == SOLVED_WORD)
    tests = []
    for members, which in {"all": np.arange(len(rows)), "solved": solved}.items():
        if members == "solved" and len(which) in (0, len(rows)):
            continue
        part = table.iloc[rows[which]].reset_index(drop=True).replace("", np.nan)
        among = _tests(distance[np.ix_(which, which)], part, fields, interactions)
        if not tests or len(among):
            tests.append(among.assign(members=members, solved=f"{len(solved)} of {len(rows)}"))
    result = pd.concat(tests, ignore_index=True)
    return result.assign(**label).reindex(columns=[*label, *result.columns])


def _tests(distance: np.ndarray, part: Any, fields: Sequence[str], interactions: bool | Sequence[str]) -> pd.DataFrame:
    """The tests of all fields, and of interactions, that vary among some members."""
    present = [field for field in fields if len(levels(part[field])) > 1]
    groups = part.groupby([alike(part), "seed"])
    among_copies = [field for field in present if field != "model" and (groups[field].nunique() > 1).any()]
    apart = [field for field in present if field not in among_copies]
    numbers = [*sampled_fields(part, apart), *sampled_fields(part, among_copies)]
    plan = FieldPlan(apart, numbers=[field for field in numbers if field in apart])
    first: Any = explained(distance, part, plan, permutations=0)
    enough = bool((first["testable"] & (first["distinct"] > 1000)).any())
    not_held = [] if enough else [field for field in singular(part, apart) if field not in numbers]
    not_held = not_held if len(not_held) < len(apart) else []
    tests = [first.loc[not_held].assign(testable=False, not_held="[]", averaged_over=json.dumps(among_copies))]
    if not_held:
        apart = [field for field in apart if field not in not_held]
        depth = depths(part, not_held)
        if DEPTH not in part and len(set(depth)) > 1:
            part, apart = part.assign(**{DEPTH: depth}), [*apart, DEPTH]
    asked = [pair for pair in pairs(interactions, fields) if {*pair} <= {*apart, *among_copies}]
    for copied in [(), *((field,) for field in among_copies), *combinations(among_copies, 2)]:
        held = [*apart, *copied]
        plan = FieldPlan(
            held,
            only=[[*apart], [*copied], []][len(copied)],
            not_held=not_held,
            numbers=[field for field in numbers if field in held],
            interactions=[":".join(pair) for pair in asked if {*pair} & {*among_copies} == {*copied}],
        )
        test: Any = explained(distance, part, plan)
        over = [field for field in among_copies if field not in copied]
        tests.append(test.assign(not_held=json.dumps(not_held), averaged_over=json.dumps(over)))
    result = pd.concat([test for test in tests if len(test)] or tests[:1]).reset_index(names="field")
    result["p_holm"] = holm(result["p"].to_numpy(float), result["testable"].to_numpy(bool))
    return result


def alike(table: Any) -> pd.Series:
    """Networks with the same static fields: the cohort, and with it the members that were added to it later."""
    return table["cohort"].astype(str).str.replace(r"(-[0-9a-f]{10})-\d+$", r"\1", regex=True)


def group_means(similarity: np.ndarray, table: pd.DataFrame, fields: list[str], label: dict[str, str]) -> pd.DataFrame:
    """Mean similarities within and between groups, trained and untrained, and the references they are read against.

    Groups are the models where there are several, else the levels of the first field that varies.

    Returns:
      The label's columns, `groups` (the field that groups), `state` (trained, untrained, reference), `pairs_of`,
      `mean`, `low` and `high`, its 95 % limits by the jackknife over configurations, where each group has 3 or more;
      `pairs`, how many, and `configurations`, of how many.
    """
    similarity = (similarity + similarity.T) / 2  # a score has two directions
    rows = []
    kind = (told_apart(table, fields) or ["model"])[0]  # the model where there are several, else the first that varies
    kind = kind if len(set(table[kind])) <= MOST_LEVELS else "model"
    gone = table["status"] == DIVERGED_WORD
    for trained in (True, False):
        which = np.flatnonzero((table["trained"] == trained) & ~(trained & gone))
        part = table.iloc[which].reset_index(drop=True)
        made_of = list(dict.fromkeys([kind, *fields]))
        groups = texts_of(part.replace("", np.nan), kind)  # copies may differ in it, and then have none
        frame = jackknife_means(similarity[np.ix_(which, which)], groups, part, made_of)
        state = "trained" if trained else "untrained"
        frame = frame.drop(columns="se").reset_index(names="pairs_of").assign(state=state)
        rows += frame.to_dict("records")
    kept = np.flatnonzero(~(table["trained"] & gone))
    against = references(similarity[np.ix_(kept, kept)], table.iloc[kept].reset_index(drop=True), fields)
    names = ("same configuration", "other configuration", "trained / untrained", "untrained / untrained")
    rows += [
        {"state": "reference", "pairs_of": f"{name}, other seed", "mean": mean, "pairs": count}
        for name, mean, count in zip(names, against[:4], against.pairs)
    ]
    columns = ["state", "pairs_of", "mean", "low", "high", "pairs", "configurations"]
    means: Any = pd.DataFrame(rows)[columns].astype({"configurations": "Int64"})
    return means.assign(**label, groups=kind)[[*label, "groups", *columns]]
