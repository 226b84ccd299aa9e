"""Effects of fields: the right shares, a null that holds its level in crossed designs, and honest small designs."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.inference.field_effects import FieldPlan, explained

DIMENSIONS = 6


def grid(seeds=3, **fields):
    """A crossed table, one row per configuration and seed."""
    cells = itertools.product(*fields.values(), range(seeds))
    return pd.DataFrame([dict(zip([*fields, "seed"], cell)) for cell in cells])


def members(table, effects, draw, within=1.0, between=0.3):
    """Distances of members: an effect for each level, noise of each configuration, noise of each seed."""
    x = within * draw.standard_normal((len(table), DIMENSIONS))
    fields = [column for column in table if column != "seed"]
    cell = table.groupby(fields, dropna=False).ngroup().to_numpy()
    x += between * draw.standard_normal((cell.max() + 1, DIMENSIONS))[cell]
    for field, size in effects.items():
        codes = pd.factorize(table[field])[0]
        x += size * draw.standard_normal((codes.max() + 1, DIMENSIONS))[codes]
    return np.sqrt(((x[:, None] - x) ** 2).sum(-1))


def test_p_of_a_crossed_grid_equals_enumeration_by_hand():
    table = grid(model=["gru", "lstm"], l2=range(4), seeds=1)
    distance = members(table, {"model": 1.0, "l2": 2.0}, np.random.default_rng(1))
    row = explained(distance, table, FieldPlan(["model", "l2"])).loc["model"]
    assert (row.distinct, row.exact, row.smallest_p) == (8, True, 1 / 8)

    j = np.eye(8) - 1 / 8
    inner = j @ (-(distance**2) / 2) @ j

    def sum_of_squares(labels):
        def fitted(columns):
            x = np.column_stack([np.ones(8), *columns])
            return np.trace(x @ np.linalg.pinv(x) @ inner)

        strata = [table.l2 == level for level in range(3)]
        return fitted([*strata, labels]) - fitted(strata)

    flips = list(itertools.product([0, 1], repeat=4))
    found = [
        sum_of_squares(np.array([(model == "gru") ^ f[l2] for model, l2 in zip(table.model, table.l2)])) for f in flips
    ]
    assert row.share == pytest.approx(found[0] / np.trace(inner))
    assert row.p == pytest.approx(np.mean(np.array(found) >= found[0] - 1e-9))


def test_shares_of_a_balanced_grid_add_up_and_match_the_construction():
    table = grid(model=["gru", "lstm"], l2=range(5), seeds=4)
    a, b = np.array([2.0, 0, 0]), np.array([0, 1.0, 0])
    x = np.where(table.model == "gru", 1, -1)[:, None] * a + table.l2.to_numpy()[:, None] * b
    result = explained(np.sqrt(((x[:, None] - x) ** 2).sum(-1)), table, FieldPlan(["model", "l2"]))
    assert result.share.to_dict() == pytest.approx({"model": 4 / 6, "l2": 2 / 6})
    assert (result.share_alone - result.share).abs().max() < 1e-9
    assert (result.partial_r2 > 0.999).all()
    assert (result.p <= result.p_holm).all()
    assert (result.levels.to_dict(), set(result.configurations)) == ({"model": 2, "l2": 5}, {10})


def test_seeds_are_no_replicates():
    """Four seeds of the same configurations leave the number of permutations alone."""
    few, many = (grid(model=["gru", "lstm"], l2=range(6), seeds=seeds) for seeds in (1, 4))
    draw = np.random.default_rng(0)
    found = [
        explained(members(t, {"model": 9.0}, draw), t, FieldPlan(["model", "l2"])).loc["model"] for t in (few, many)
    ]
    assert [row.distinct for row in found] == [32, 32]
    assert [row.smallest_p for row in found] == [1 / 32, 1 / 32]


def test_what_cannot_be_tested_is_said_and_a_share_that_is_all_by_construction_is_none():
    draw = np.random.default_rng(0)
    single = grid(model=["gru", "lstm", "rnn"], l2=[1e-4], seeds=1)
    result = explained(members(single, {"model": 5.0}, draw), single, FieldPlan(["model", "l2"]))
    assert result.index.tolist() == ["model"], "a field of one level is dropped"
    assert (result.p.item(), result.testable.item(), result.smallest_p.item()) == (1, False, 1)
    assert np.isnan(result.share.item()), "nothing else tells three configurations apart"

    zipped = grid(model=["gru", "lstm"], l2=range(3), seeds=2).assign(rate=lambda t: t.model + "-rate")
    result = explained(members(zipped, {"model": 5.0}, draw), zipped, FieldPlan(["model", "l2", "rate"]))
    assert not result.loc[["model", "rate"], "testable"].any()
    assert result.loc["model", "share"] == pytest.approx(0, abs=1e-9)
    assert result.loc["model", "share_alone"] > 0.5
    assert result.loc["l2", "testable"]


def test_equal_networks_have_nothing_to_explain_and_are_not_tested():
    table = grid(model=["gru", "lstm"], l2=range(3), seeds=3)
    result = explained(np.zeros((len(table),) * 2), table, FieldPlan(["model", "l2"], interactions=True))
    assert result.index.tolist() == ["model", "l2", "model:l2"]
    assert not result["testable"].any()
    assert (result["p"] == 1).all()
    assert result[["share", "share_alone", "partial_r2", "omega2", "pseudo_f"]].isna().all(axis=None)


def test_too_few_configurations_are_tested_by_their_members_within_seeds_and_this_is_said():
    table = grid(model=["gru", "lstm", "rnn"], l2=[1e-4], seeds=5)
    row = explained(members(table, {"model": 5.0}, np.random.default_rng(0)), table, FieldPlan(["model"])).loc["model"]
    assert row.about == "these configurations only"
    assert row.exchanged == "member (model), within strata of seed: these configurations only"
    assert (row.distinct, row.exact, row.p) == (math.factorial(3) ** 4, True, 1 / math.factorial(3) ** 4)
    assert np.isnan(row.share), "of configurations, which differ in nothing else"
    assert row.partial_r2 < 1, "of members"

    own = table.assign(seed=np.arange(len(table)))  # seeds of their own: nothing to hold constant
    row = explained(members(table, {}, np.random.default_rng(0)), own, FieldPlan(["model"])).loc["model"]
    assert row.exchanged == "member (model): these configurations only"
    assert row.distinct == math.factorial(15) // math.factorial(5) ** 3 // math.factorial(3)


def test_a_field_of_some_members_is_tested_within_them_and_averaged_over_for_the_others():
    vanilla = grid(model=["vanilla"], leak=["rate", "current"], l2=range(6), seeds=2)
    table = pd.concat([vanilla, grid(model=["gru"], leak=[None], l2=range(6), seeds=2)], ignore_index=True)
    result = explained(
        members(table, {"model": 2.0}, np.random.default_rng(0)), table, FieldPlan(["model", "leak", "l2"])
    )
    assert result.loc["leak", "within"] == "24 members that have leak"
    assert result.loc["leak", "configurations"] == 12
    assert result.loc["model", "within"] == "all members"
    assert result.loc["model", "configurations"] == 12, "model x l2"
    assert "mean over seeds, leak" in result.loc["model", "exchanged"]
    assert result.loc["model", "testable"]


def least_squares(inner, *columns):
    """`tr(H G)` of a constant and columns."""
    x = np.column_stack([np.ones(len(inner)), *columns])
    return np.trace(x @ np.linalg.pinv(x) @ inner)


def test_a_number_is_one_column_of_distance_regression_and_its_values_are_permuted():
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"rate": 10 ** draw.uniform(-5, -2, 6), "seed": range(6)})
    x = np.log10(table.rate.to_numpy())[:, None] * [1.0, 0, 0] + 0.3 * draw.standard_normal((6, 3))
    distance = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    row = explained(distance, table, FieldPlan(["rate"], numbers=["rate"])).loc["rate"]
    x = x - x.mean(0)
    orders = [np.log10(table.rate.to_numpy())[list(order)] for order in itertools.permutations(range(6))]
    found = np.array([least_squares(x @ x.T, order) for order in orders])
    assert row.share == pytest.approx(found[0] / np.sum(x**2), abs=1e-10)
    assert (row.p, row.distinct, row.tested_as) == (
        pytest.approx(np.mean(found >= found[0] - 1e-9)),
        720,
        "log10(value)",
    )
    assert row.pseudo_f == pytest.approx(found[0] / ((np.sum(x**2) - found[0]) / 4), abs=1e-8)
    assert math.isnan(row.knn), "a number has no label"


def test_an_interaction_is_what_the_sum_of_its_fields_leaves_out():
    table = grid(model=["gru", "lstm"], l2=range(2), hidden=range(4), seeds=1)
    together = (table.model == "gru").to_numpy() * table.l2.to_numpy()
    x = np.column_stack([3.0 * together, table.l2, table.hidden])
    x = x + 0.1 * np.random.default_rng(0).standard_normal(x.shape)
    distance = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    result = explained(distance, table, FieldPlan(["model", "l2", "hidden"], interactions=True))
    assert result.index.tolist() == ["model", "l2", "hidden", "model:l2", "model:hidden", "l2:hidden"]
    row, inner = result.loc["model:l2"], (x - x.mean(0)) @ (x - x.mean(0)).T
    own = [table.model == "gru", table.l2, *(table.hidden == level for level in range(3))]
    alone = own[:2]
    assert row.share == pytest.approx(
        (least_squares(inner, *own, together) - least_squares(inner, *own)) / np.trace(inner), abs=1e-10
    )
    assert row.share_alone == pytest.approx(
        (least_squares(inner, *alone, together) - least_squares(inner, *alone)) / np.trace(inner), abs=1e-10
    )
    assert row.p < 0.001, "2 of 12,870 ways to choose which half of 16 residuals is positive"
    assert row.tested_as == "interaction"
    assert result.loc["model:hidden", "p"] > 0.05
    assert (
        explained(distance, table, FieldPlan(["model", "l2"], interactions=["l2:model"])).index.tolist()[-1]
        == "l2:model"
    )


def test_without_permutations_there_are_effect_sizes_and_no_tests():
    table = grid(model=["gru", "lstm"], l2=range(6), seeds=2)
    distance = members(table, {"model": 5.0}, np.random.default_rng(0))
    sizes, tests = (explained(distance, table, FieldPlan(["model", "l2"]), permutations=n) for n in (0, 99))
    np.testing.assert_array_equal(sizes[["share", "omega2"]], tests[["share", "omega2"]])
    assert (sizes.p == 1).all()
    assert tests.loc["model", "p"] < 0.05
    assert explained(distance, table, FieldPlan(["model", "l2"], only=["l2"]), permutations=99).index.tolist() == ["l2"]


def test_a_large_design_draws_and_says_the_smallest_p():
    table = grid(model=["a", "b", "c"], l2=range(8), seeds=1)
    row = explained(
        members(table, {"model": 5.0}, np.random.default_rng(0)), table, FieldPlan(["model", "l2"]), permutations=199
    )
    row = row.loc["model"]
    assert (row.exact, row.smallest_p, row.p) == (False, 1 / 200, 1 / 200)
    assert row.distinct == math.factorial(3) ** 7


def test_wrong_tables_are_refused():
    table = grid(model=["a", "b"], seeds=2)
    with pytest.raises(ValueError, match="The table has 4 rows and the distance matrix 3; they must agree"):
        explained(np.zeros((3, 3)), table, FieldPlan(["model"]))
    with pytest.raises(ValueError, match="The table has no field 'hidden'; it has model, seed"):
        explained(np.zeros((4, 4)), table, FieldPlan(["hidden"]))
    with pytest.raises(ValueError, match="The field 'seed' is a block and cannot be tested"):
        explained(np.zeros((4, 4)), table, FieldPlan(["model", "seed"]))
    with pytest.raises(ValueError, match="The number 'rate' is no tested field; the fields are model"):
        explained(np.zeros((4, 4)), table, FieldPlan(["model"], numbers=["rate"]))
    with pytest.raises(ValueError, match="The field 'model' has values that are no numbers"):
        explained(np.zeros((4, 4)), table, FieldPlan(["model"], numbers=["model"]))
    with pytest.raises(ValueError, match="The interaction 'model:l2' is none of two tested fields 'a:b'"):
        explained(np.zeros((4, 4)), table, FieldPlan(["model"], interactions=["model:l2"]))


def test_beside_a_number_there_is_no_test_of_fewer_configurations_than_a_curve_takes_however_many_their_members():
    draw = np.random.default_rng(0)
    for count, testable in ((11, False), (12, True), (24, True)):
        table = pd.DataFrame(
            {"rate": 10 ** draw.uniform(-4, -2, count), "model": ["a", "b"] * (count // 2) + ["b"] * (count % 2)}
        )
        table = table.loc[np.repeat(range(count), 3)].reset_index(drop=True).assign(seed=[0, 1, 2] * count)
        x = draw.standard_normal((3 * count, 3))
        distance = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
        row = explained(distance, table, FieldPlan(["model", "rate"], numbers=["rate"]), permutations=99).loc["model"]
        assert row.testable == testable
        assert row.exchanged.endswith("too few to hold rate constant") != testable
        assert np.isfinite(row.dispersion_p) == (count >= 24)
