"""Effects of fields: the right shares, a null that holds its level in crossed designs, and honest small designs."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics import _arrangements, _relabellings, explained, references, within_between

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


def rate(fields, effects, tested, zoos, **noise):
    """The share of simulated zoos in which `tested` has p <= .05."""
    draw, table = np.random.default_rng(0), grid(**fields)
    names = [name for name in fields if name != "seeds"]
    hits = [
        explained(members(table, effects, draw, **noise), table, names, permutations=999, seed=i).loc[tested, "p"]
        <= 0.05
        for i in range(zoos)
    ]
    return float(np.mean(hits))


DESIGNS = {
    "2 x 8": dict(model=["gru", "lstm"], l2=range(8), seeds=2),
    "3 x 4": dict(model=["gru", "lstm", "rnn"], l2=range(4), seeds=3),
    "2 x 3 x 3": dict(model=["gru", "lstm"], hidden=[32, 64, 128], l2=range(3), seeds=2),
}


def test_a_field_without_effect_is_found_in_no_more_than_chance_beside_a_strong_one():
    assert rate(DESIGNS["3 x 4"], {"l2": 5.0}, "model", 300) == pytest.approx(0.05, abs=0.03)


def test_a_field_with_an_effect_is_found():
    assert rate(DESIGNS["3 x 4"], {"l2": 5.0, "model": 0.8}, "model", 60) > 0.8


@pytest.mark.long
@pytest.mark.parametrize("design", DESIGNS)
def test_false_positives_stay_at_five_percent_in_every_design(design):
    assert rate(DESIGNS[design], {"l2": 5.0}, "model", 1500) == pytest.approx(0.05, abs=0.02)


def test_p_of_a_crossed_grid_equals_enumeration_by_hand():
    table = grid(model=["gru", "lstm"], l2=range(4), seeds=1)
    distance = members(table, {"model": 1.0, "l2": 2.0}, np.random.default_rng(1))
    row = explained(distance, table, ["model", "l2"]).loc["model"]
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
    result = explained(np.sqrt(((x[:, None] - x) ** 2).sum(-1)), table, ["model", "l2"])
    assert result.share.to_dict() == pytest.approx({"model": 4 / 6, "l2": 2 / 6})
    assert (result.share_alone - result.share).abs().max() < 1e-9
    assert (result.partial_r2 > 0.999).all()
    assert (result.p <= result.p_holm).all()
    assert (result.levels.to_dict(), set(result.configurations)) == ({"model": 2, "l2": 5}, {10})


def test_seeds_are_no_replicates():
    """Four seeds of the same configurations leave the number of permutations alone."""
    few, many = (grid(model=["gru", "lstm"], l2=range(3), seeds=seeds) for seeds in (1, 4))
    draw = np.random.default_rng(0)
    found = [explained(members(t, {"model": 9.0}, draw), t, ["model", "l2"]).loc["model"] for t in (few, many)]
    assert [row.distinct for row in found] == [4, 4]
    assert [row.smallest_p for row in found] == [0.25, 0.25]


def test_what_cannot_be_tested_is_said_and_its_share_is_still_given():
    draw = np.random.default_rng(0)
    single = grid(model=["gru", "lstm", "rnn"], l2=[1e-4], seeds=5)
    result = explained(members(single, {"model": 5.0}, draw), single, ["model", "l2"])
    assert result.index.tolist() == ["model"], "a field of one level is dropped"
    assert (result.p.item(), result.testable.item(), result.smallest_p.item()) == (1, False, 1)
    assert result.share.item() == pytest.approx(1)

    zipped = grid(model=["gru", "lstm"], l2=range(3), seeds=2).assign(rate=lambda t: t.model + "-rate")
    result = explained(members(zipped, {"model": 5.0}, draw), zipped, ["model", "l2", "rate"])
    assert not result.loc[["model", "rate"], "testable"].any()
    assert result.loc["model", "share"] == pytest.approx(0, abs=1e-9)
    assert result.loc["model", "share_alone"] > 0.5
    assert result.loc["l2", "testable"]


def test_a_field_of_some_members_is_tested_within_them_and_averaged_over_for_the_others():
    vanilla = grid(model=["vanilla"], leak=["rate", "current"], l2=range(4), seeds=2)
    table = pd.concat([vanilla, grid(model=["gru"], leak=[None], l2=range(4), seeds=2)], ignore_index=True)
    result = explained(members(table, {"model": 2.0}, np.random.default_rng(0)), table, ["model", "leak", "l2"])
    assert result.loc["leak", "within"] == "16 members that have leak"
    assert result.loc["leak", "configurations"] == 8
    assert result.loc["model", "within"] == "all members"
    assert result.loc["model", "configurations"] == 8, "model x l2"
    assert "mean over seeds, leak" in result.loc["model", "unit"]
    assert result.loc["model", "testable"]


@pytest.mark.parametrize("strata", [[0] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]])
def test_arrangements_are_counted_and_enumerated_and_drawn_within_strata(strata):
    codes, strata = np.array([0, 1, 2, 0, 1, 1]), np.array(strata)
    arrangements, distinct = _arrangements(codes, strata)
    exact = np.concatenate(list(_relabellings(codes, strata, 0, True, 0)))
    assert len(exact) == arrangements == len(np.unique(exact, axis=0))
    partitions = {tuple(pd.factorize(row)[0].tolist()) for row in exact}
    assert len(partitions) == distinct
    drawn = np.concatenate(list(_relabellings(codes, strata, 500, False, 0)))
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in exact.tolist()}
    assert len(drawn) == 500


def test_a_large_design_draws_and_says_the_smallest_p():
    table = grid(model=["a", "b", "c"], l2=range(8), seeds=1)
    row = explained(members(table, {"model": 5.0}, np.random.default_rng(0)), table, ["model", "l2"], permutations=199)
    row = row.loc["model"]
    assert (row.exact, row.smallest_p, row.p) == (False, 1 / 200, 1 / 200)
    assert row.distinct == math.factorial(3) ** 7


def test_wrong_tables_are_refused():
    table = grid(model=["a", "b"], seeds=2)
    with pytest.raises(ValueError, match="The table has 4 rows and the distance matrix 3; they must agree"):
        explained(np.zeros((3, 3)), table, ["model"])
    with pytest.raises(ValueError, match="The table has no field 'hidden'; it has model, seed"):
        explained(np.zeros((4, 4)), table, ["hidden"])


def test_within_and_between_leave_out_pairs_with_oneself_and_missing_pairs():
    similarity = np.array([[1, 0.8, 0.2, 0.1], [0.8, 1, 0.3, np.nan], [0.2, 0.3, 1, 0.6], [0.1, np.nan, 0.6, 1]])
    result = within_between(similarity, ["gru", "gru", "rnn", "rnn"])
    assert result["mean"].to_dict() == pytest.approx(
        {"within": 0.7, "between": 0.2, "gru": 0.8, "gru / rnn": 0.2, "rnn": 0.6}
    )
    assert result["pairs"].to_dict() == {"within": 2, "between": 3, "gru": 1, "gru / rnn": 3, "rnn": 1}


def test_references_are_same_configuration_other_seed_and_the_untrained():
    table = pd.DataFrame({"model": ["a", "a", "b", "a"], "seed": [0, 1, 0, 0], "trained": [True, True, True, False]})
    similarity = np.eye(4)
    for (i, j), value in {(0, 1): 0.9, (0, 2): 0.5, (1, 2): 0.7, (0, 3): 0.1, (1, 3): 0.2, (2, 3): 0.3}.items():
        similarity[i, j] = similarity[j, i] = value
    found = references(similarity, table, ["model"])
    assert found[:3] == pytest.approx((0.9, 0.6, 0.2))
    assert math.isnan(found.both_untrained)
    assert found.pairs == (1, 2, 3, 0)
