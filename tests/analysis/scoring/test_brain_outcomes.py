"""What explains brain scores: planted fields and planted correlations are found, and chance is not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from analysis.scoring.brain_outcomes import ACCURACY_COLUMNS, accuracy_table, field_table

FIELDS = ["hidden", "l2"]


def population(draw: np.random.Generator, of_hidden: float, of_task: float) -> tuple[Any, Any]:
    """Three widths x six penalties x four seeds at two layers, and their brain scores."""
    rows = [
        (hidden, l2, seed)
        for hidden in (32, 64, 128)
        for l2 in (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
        for seed in range(4)
    ]
    table = pd.DataFrame(rows, columns=["hidden", "l2", "seed"])
    cells = table.groupby(FIELDS).ngroup().to_numpy()
    task = draw.normal(size=18)[cells] + 0.1 * draw.normal(size=len(table))
    table = table.assign(member=[f"m{i}" for i in table.index], cohort="c", status="solved", trained=True, score=task)
    score = of_hidden * np.log2(table["hidden"] / 32) + of_task * task + 0.2 * draw.normal(size=len(table))
    brain = pd.DataFrame({"member": table["member"], "score": score, "kind": "network", "measure": "rsa"})
    brain = brain.assign(way="similarity", recording="it")
    items = [table.assign(layer=f"l{i}", layer_depth=i, units=table["hidden"]) for i in range(2)]
    return brain, pd.concat(items, ignore_index=True)


def test_the_field_that_was_planted_explains_the_scores_and_the_other_does_not() -> None:
    brain, items = population(np.random.default_rng(0), 0.5, 0.0)
    tests = field_table(brain, items, FIELDS).set_index("field")
    assert list(tests["recording"].unique()) == ["it"]
    assert tests.loc["hidden", "p_holm"] < 0.01
    assert tests.loc["hidden", "omega2"] > 0.5
    assert tests.loc["l2", "p_holm"] > 0.05


def test_the_correlation_with_the_task_is_over_configurations_and_partial_given_size() -> None:
    draw = np.random.default_rng(1)
    brain, items = population(draw, 0.0, 1.0)
    table = accuracy_table(brain, items, FIELDS)
    assert tuple(table.columns) == ACCURACY_COLUMNS
    (row,) = table.to_dict("records")
    merged = items.drop_duplicates("member").merge(brain, on="member", suffixes=("", "_brain"))
    means = merged.groupby(FIELDS)[["score", "score_brain"]].mean()
    assert row["rho"] == pytest.approx(spearmanr(means["score"], means["score_brain"])[0])
    assert row["low"] < row["rho"] < row["high"]
    assert row["low"] > 0.5
    assert (row["configurations"], row["networks"], row["given"]) == (18, 72, "units")
    assert row["partial_rho"] > 0.5


def test_what_comes_of_size_alone_is_gone_given_size() -> None:
    rows = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        brain, items = population(draw, 0.0, 0.0)
        size = np.log2(items["hidden"] / 32)
        items["score"] = size + 0.05 * draw.normal(size=len(items))
        brain["score"] = size[: len(brain)] + 0.05 * draw.normal(size=len(brain))
        rows += accuracy_table(brain, items, FIELDS).to_dict("records")
    assert np.mean([row["rho"] for row in rows]) > 0.8
    assert abs(np.mean([row["partial_rho"] for row in rows])) < 0.25


def test_limits_of_unrelated_scores_hold_their_level() -> None:
    covered = []
    for seed in range(60):
        brain, items = population(np.random.default_rng(seed), 0.0, 0.0)
        (row,) = accuracy_table(brain, items, FIELDS).to_dict("records")
        covered.append(row["low"] <= 0 <= row["high"])
    assert np.mean(covered) >= 0.88


def test_of_few_configurations_there_is_no_correlation() -> None:
    brain, items = population(np.random.default_rng(3), 0.0, 1.0)
    few = items[items["l2"] == 0]
    (row,) = accuracy_table(brain[brain["member"].isin(few["member"])], few, FIELDS).to_dict("records")
    assert np.isnan(row["rho"])
    assert row["configurations"] == 3
