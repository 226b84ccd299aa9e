"""p of a term against enumeration by hand: of where its groups lie, and of how far they spread."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway

from analysis.inference.field_effects import FieldPlan, explained
from analysis.inference.field_p_values import permutation_p
from analysis.inference.permutation_designs import MemberLabels, designs
from tests.analysis.inference.centroids import coordinates, seven_points, to_centroids


def test_a_field_beside_a_number_is_tested_by_the_residuals_that_freedman_and_lane_permute():
    draw, count = np.random.default_rng(3), 12
    table = pd.DataFrame({"rate": draw.uniform(1, 2, count), "model": list("aabbbababbab"), "seed": range(count)})
    x = draw.standard_normal((count, 3))
    distance = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    row = explained(distance, table, FieldPlan(["model", "rate"], numbers=["rate"])).loc["model"]
    assert row.exchanged == "residual of configuration (model x rate), mean over seeds, given rate"
    levels, knots = table.rate.to_numpy(), np.quantile(table.rate, [0, 0.5, 1])
    cubes = np.maximum(levels[:, None] - knots, 0) ** 3
    bent = (cubes[:, 0] - cubes[:, 2]) / (knots[2] - knots[0]) - (cubes[:, 1] - cubes[:, 2]) / (knots[2] - knots[1])
    reduced = np.column_stack([np.ones(count), levels, bent])
    fit = reduced @ np.linalg.pinv(reduced)
    full = np.column_stack([reduced, table.model == "a"])
    full = full @ np.linalg.pinv(full)

    def pseudo_f(y):
        return np.trace(y.T @ (full - fit) @ y) / (np.trace(y.T @ (np.eye(count) - full) @ y) / (count - 4))

    orders = [np.arange(count), *(draw.permutation(count) for _ in range(4000))]
    found = np.array([pseudo_f(fit @ x + (x - fit @ x)[order]) for order in orders])
    assert row.pseudo_f == pytest.approx(found[0], abs=1e-8)
    assert row.p == pytest.approx(np.mean(found >= found[0] * (1 - 1e-9)), abs=0.03)
    assert math.isnan(row.dispersion_p), "12 are too few beside a number"


def f_of(distances, labels):
    return f_oneway(*(distances[labels == label] for label in np.unique(labels))).statistic


def test_dispersion_is_an_anova_of_distances_and_its_null_permutes_aligned_cases():
    distance = seven_points()
    labels = np.repeat([0, 1], [3, 4])
    table = pd.DataFrame({"model": labels, "run": range(7)})
    row = explained(distance, table, FieldPlan(["model"], not_held=["run"])).loc["model"]
    x, signs = coordinates(distance)
    observed = f_of(to_centroids(x, signs, labels), labels)
    assert row.dispersion_f == pytest.approx(observed, abs=1e-8)
    aligned = x - np.stack([x[labels == label].mean(0) for label in (0, 1)])[labels]
    found = []
    for ones in itertools.combinations(range(7), 4):
        moved = np.isin(np.arange(7), ones).astype(int)
        found.append(f_of(to_centroids(aligned, signs, moved), moved))
    assert row.distinct == len(found) == 35
    assert row.dispersion_p == pytest.approx(np.mean(np.array(found) >= observed - 1e-9))


def test_groups_of_two_have_equal_distances_and_show_no_dispersion():
    x = np.random.default_rng(0).standard_normal((12, 3))
    table = pd.DataFrame({"model": np.repeat(range(6), 2), "run": range(12)})
    row = explained(np.sqrt(((x[:, None] - x) ** 2).sum(-1)), table, FieldPlan(["model"], not_held=["run"])).loc[
        "model"
    ]
    assert math.isnan(row.dispersion_f)
    assert row.dispersion_p == 1


def test_no_p_is_below_what_a_design_allows_nor_a_draw_below_one_in_draws():
    x = np.repeat([[0.0, 0], [9.0, 0]], 4, 0) + 0.1 * np.random.default_rng(0).standard_normal((8, 2))
    x -= x.mean(0)
    _, design = designs(MemberLabels({"model": np.repeat([0, 1], 4)}, {}, None), ["model"], [], [])
    assert design.distinct == 35, "two equal groups can be renamed into each other"
    exact, drawn = (permutation_p(x @ x.T, design, draws, seed=0) for draws in (100, 19))
    assert exact.p == 1 / 35
    assert drawn.p == 1 / 20


def test_an_interaction_has_no_test_of_dispersion():
    labels = MemberLabels({"model": np.array([0, 0, 1, 1] * 3), "l2": np.array([0, 1] * 6)}, {}, np.arange(12))
    x = np.random.default_rng(0).standard_normal((12, 3))
    *_, by_members = designs(labels, ["model", "l2"], [], [])
    found = permutation_p(x @ x.T, by_members, 99, seed=0)
    assert 0 < found.p <= 1
    assert math.isnan(found.dispersion_p)
