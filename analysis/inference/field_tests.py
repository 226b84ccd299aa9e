"""The tests and the means of one measure at one layer: which fields are tested how, and what is left out."""

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.geometry.embedding import complete, true_distance
from analysis.inference._group_differences import trained_less_untrained, within_less_between
from analysis.inference.factors import (
    DEPTH,
    MISSING,
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
from zoo.spec.member import MEMBER_COLUMNS
from zoo.training.status import DIVERGED_WORD, SOLVED_WORD

__all__ = ["group_means", "run_field_tests"]

TRAINING_STEPS = "training.steps"
"""The column of how long networks were trained, where it varies."""

NO_FIELDS = (*MEMBER_COLUMNS, TRAINING_STEPS, "begins_from", "copies", "item", "layer", "probe", "source", "trained")
"""Columns that do not say what a network is."""


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
    among_copies = near_copies(part, present)
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


def near_copies(table: Any, fields: Sequence[str]) -> list[str]:
    """The fields that vary among members of one cohort and seed, which start alike and see the same trials."""
    groups = table.groupby([alike(table), "seed"])
    return [field for field in fields if field != "model" and (groups[field].nunique() > 1).any()]


def alike(table: Any) -> pd.Series:
    """Networks that are near copies of those with their seed: the cohort, with the members that were added to it later,
    and those cohorts that are other in their training steps alone."""
    cohort = table["cohort"].astype(str).str.replace(r"(-[0-9a-f]{10})-\d+$", r"\1", regex=True)
    if TRAINING_STEPS not in table:
        return cohort
    numbers: Any = table.groupby(cohort)[[name for name in table if name not in NO_FIELDS]].nunique(dropna=False).max()
    static = [name for name in ("task", "model", *numbers[numbers == 1].index) if name in table]
    return table.groupby(static, dropna=False, sort=False).ngroup()


def group_means(
    similarity: np.ndarray, table: pd.DataFrame, fields: list[str], label: dict[str, str], *, kind: str = "similarity"
) -> pd.DataFrame:
    """Mean similarities within and between groups, what sets them apart, and the references they are read against.

    Groups are the levels of each field that is told apart, see `analysis.inference.factors.told_apart`, but of no more
    than 24 levels, and of no number drawn for nearly every configuration. Where that leaves none, they are the models.
    Members without the field are of no group. All is over pairs of other seeds. A configuration is what limits leave
    out: members of a cohort that share seeds and differ in a field are near copies, and one configuration.

    Returns:
      The label's columns; `groups`, the field that groups, "" of references; `state` (trained, untrained, difference,
      reference), `pairs_of`, `mean`; `low` and `high`, 95 % limits by the jackknife over configurations, where there
      are 3 or more in each group, cut where values end (at 1 of a similarity, 0 of a distance); `p` of trained less
      untrained; `pairs`, how many, and `configurations`, of how many.
    """
    similarity = (similarity + similarity.T) / 2  # a score has two directions
    gone = table["status"] == DIVERGED_WORD
    states = {
        name: np.flatnonzero((table["trained"] == learned) & ~(learned & gone))
        for name, learned in (("trained", True), ("untrained", False))
    }
    values = {name: similarity[np.ix_(which, which)] for name, which in states.items()}
    parts = {name: table.iloc[which].reset_index(drop=True).replace("", np.nan) for name, which in states.items()}
    rows = []
    for field in _grouping(table, fields):
        rows += [dict(groups=field, **row) for row in _means_of(field, values, parts, fields)]
    kept = np.flatnonzero(~(table["trained"] & gone))
    against = references(similarity[np.ix_(kept, kept)], table.iloc[kept].reset_index(drop=True), fields)
    names = ("same configuration", "other configuration", "trained / untrained", "untrained / untrained")
    rows += [
        {"groups": "", "state": "reference", "pairs_of": f"{name}, other seed", "mean": mean, "pairs": count}
        for name, mean, count in zip(names, against[:4], against.pairs)
    ]
    columns = ["groups", "state", "pairs_of", "mean", "low", "high", "p", "pairs", "configurations"]
    means: Any = pd.DataFrame(rows, columns=columns).astype({"configurations": "Int64"})
    of_means = means["state"] != "difference"
    if kind == "similarity":
        means["high"] = means["high"].where(~of_means, means["high"].clip(upper=1.0))
    elif kind == "distance":
        means["low"] = means["low"].where(~of_means, means["low"].clip(lower=0.0))
    return means.assign(**label)[[*label, *columns]]


def _grouping(table: pd.DataFrame, fields: list[str]) -> list[str]:
    """The fields whose levels are groups."""
    numbers = sampled_fields(table, fields)
    kinds = [kind for kind in told_apart(table, fields) if kind not in numbers and len(set(table[kind])) <= MOST_LEVELS]
    return kinds or ["model"]


def _means_of(
    kind: str, values: dict[str, np.ndarray], parts: dict[str, Any], fields: list[str]
) -> Iterator[dict[str, Any]]:
    """The means of the groups of one field, of each state, and their differences, as rows of `group_means`."""
    made_of, copied, having, of_state, groups, differences = {}, {}, {}, {}, {}, {}
    for state, part in parts.items():
        rows = np.flatnonzero(texts_of(part, kind) != MISSING)
        part, of_state[state] = part.iloc[rows].reset_index(drop=True), values[state][np.ix_(rows, rows)]
        copied[state] = near_copies(part, fields) if len(part) else []
        made_of[state] = [kind, *(field for field in fields if field not in (kind, *copied[state]))]
        having[state], groups[state] = part, texts_of(part, kind)
        of_groups = (of_state[state], groups[state], part, made_of[state])
        frame = jackknife_means(*of_groups, copied[state]).drop(columns="se")
        yield from frame.reset_index(names="pairs_of").assign(state=state).to_dict("records")
        if len(part):
            lone = {kind, *singular(part, made_of[state])}  # in which hardly two configurations agree
            others = [field for field in made_of[state] if field not in lone]
            found = within_less_between(*of_groups, others, copied[state])
            differences[f"{state}, within - between"] = found
    lost = _lost(parts["trained"], parts["untrained"], made_of["trained"])
    if kind not in lost:
        left = [field for field in made_of["trained"] if field not in lost]
        of_both: Any = (*of_state.values(), tuple(groups.values()), tuple(having.values()), left, copied["trained"])
        for pairs, found in zip(("within", "between"), trained_less_untrained(*of_both)):
            differences[f"{pairs}, trained - untrained"] = found
    for name, found in differences.items():
        if found.pairs:
            yield dict(state="difference", pairs_of=name, **found._asdict())


def _lost(trained: Any, untrained: Any, fields: Sequence[str]) -> list[str]:
    """The fields that only trained members have: untrained ones that differ in nothing else are one network."""
    return [
        field
        for field in fields
        if set(untrained["model"][texts_of(untrained, field) == MISSING])
        & set(trained["model"][texts_of(trained, field) != MISSING])
    ]
