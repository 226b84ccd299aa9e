"""Mean similarities within and between groups, and the references they are read against."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.group_similarities import (
    block_means,
    configurations,
    jackknife_means,
    references,
    within_between,
)


def test_within_and_between_leave_out_pairs_with_oneself_and_missing_pairs():
    similarity = np.array([[1, 0.8, 0.2, 0.1], [0.8, 1, 0.3, np.nan], [0.2, 0.3, 1, 0.6], [0.1, np.nan, 0.6, 1]])
    result = within_between(similarity, ["gru", "gru", "rnn", "rnn"])
    assert result["mean"].to_dict() == pytest.approx(
        {"within": 0.7, "between": 0.2, "gru": 0.8, "gru / rnn": 0.2, "rnn": 0.6}
    )
    assert result["pairs"].to_dict() == {"within": 2, "between": 3, "gru": 1, "gru / rnn": 3, "rnn": 1}


def test_references_are_means_over_pairs_of_other_seeds():
    table = pd.DataFrame(
        {"model": ["a", "a", "b", "a", "b"], "seed": [0, 1, 0, 0, 1], "trained": [True, True, True, False, False]}
    )
    similarity = np.eye(5)
    pairs = {(0, 1): 0.9, (0, 2): 0.99, (1, 2): 0.7, (0, 3): 0.98, (1, 3): 0.2, (2, 3): 0.97, (3, 4): 0.3}
    for (i, j), value in (pairs | {(0, 4): 0.4, (1, 4): 0.96, (2, 4): 0.6}).items():
        similarity[i, j] = similarity[j, i] = value
    found = references(similarity, table, ["model"])
    assert found[:4] == pytest.approx((0.9, 0.7, 0.4, 0.3)), "pairs of one seed are near copies"
    assert found.pairs == (1, 1, 3, 1)


def test_there_is_no_reference_without_a_pair_of_its_kind():
    table = pd.DataFrame({"model": ["a", "b"], "seed": [0, 0], "trained": [True, True]})
    found = references(np.eye(2), table, ["model"])
    assert all(math.isnan(value) for value in found[:4])
    assert found.pairs == (0, 0, 0, 0)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def zoo(models=2, cells=6, seeds=3):
    rows = [(m, c, s) for m in range(models) for c in range(cells) for s in range(seeds)]
    return pd.DataFrame(rows, columns=["model", "cell", "seed"])


def left_out(similarity, table, row):
    """The limits of a row, with its means over pairs computed anew without each configuration."""
    cells = configurations(table, ["model", "cell"])
    group = table.groupby(cells)["model"].first()
    taking_part = list(group[group.isin([int(name) for name in row.split(" / ")])].index)
    without = np.array(
        [
            within_between(similarity[np.ix_(kept, kept)], table["model"][kept]).loc[row, "mean"]
            for kept in (np.flatnonzero(cells != cell) for cell in taking_part)
        ]
    )
    of_group = [without[group[taking_part] == name] for name in group[taking_part].unique()]
    parts = np.array([(len(v) - 1) * v.var() for v in of_group])
    freedom = parts.sum() ** 2 / (parts**2 / [len(v) - 1 for v in of_group]).sum()
    return parts.sum() ** 0.5 * stats.t.ppf(0.975, freedom)


def test_limits_are_those_of_leaving_out_each_configuration_and_computing_again():
    table = pd.concat([zoo(models=1, cells=3, seeds=2), zoo(models=1, cells=5, seeds=3).assign(model=1)])
    table = table.reset_index(drop=True)
    similarity = normal(0, 21, 21)
    similarity = similarity + similarity.T
    similarity[3, 7] = similarity[7, 3] = np.nan
    result = jackknife_means(similarity, table["model"], table, ["model", "cell"])
    pd.testing.assert_frame_equal(result[["mean", "pairs"]], within_between(similarity, table["model"]))
    assert result["configurations"].tolist() == [8, 8, 3, 8, 5]
    for row in ("0", "0 / 1", "1"):
        reach = left_out(similarity, table, row)
        assert result.loc[row, "high"] - result.loc[row, "mean"] == pytest.approx(reach)
        assert result.loc[row, "mean"] - result.loc[row, "low"] == pytest.approx(reach)
    assert result.loc["between", "se"] == pytest.approx(result.loc["0 / 1", "se"])
    of_pairs = result.loc[["0", "1"], "pairs"] / result.loc["within", "pairs"]
    assert result.loc["within", "se"] == pytest.approx(np.hypot(*(of_pairs * result.loc[["0", "1"], "se"])))


def test_a_configuration_that_counts_twice_counts_as_a_loop_over_copies_does():
    table = zoo(cells=4, seeds=2)
    cells = configurations(table, ["model", "cell"])
    similarity = normal(0, 16, 16)
    similarity = similarity + similarity.T
    copies = np.random.default_rng(0).multinomial(4, [0.25] * 4, (1, 2)).reshape(-1)

    def looped(wanted):
        held = [(cell, copy) for cell, count in enumerate(copies) for copy in range(count)]
        values = []
        for (cell, copy), (other, another) in ((x, y) for x in held for y in held):
            for i in np.flatnonzero(cells == cell):
                for j in np.flatnonzero(cells == other):
                    alike = cell == other
                    if (alike and (copy != another or i == j)) or {table.model[i], table.model[j]} != wanted:
                        continue
                    values.append(similarity[i, j])
        return np.mean(values)

    statistic, first, second = block_means(similarity, cells, np.arange(8) // 4)
    assert [*zip(first, second)] == [(0, 0), (0, 1), (1, 1)]
    assert statistic(copies[None])[0] == pytest.approx([looped({0}), looped({0, 1}), looped({1})])


def test_seeds_move_with_their_configuration():
    """Many seeds of few configurations make no narrow interval."""
    draw = np.random.default_rng(0)
    widths = []
    for seeds in (2, 20):
        table = zoo(models=1, cells=8, seeds=seeds)
        effect = draw.standard_normal(8)[table["cell"]]
        result = jackknife_means(effect[:, None] + effect, table["model"], table, ["model", "cell"])
        widths.append(result.loc["within", "high"] - result.loc["within", "low"])
    assert min(widths) > 0.8


def test_two_configurations_of_a_group_and_copies_of_one_network_have_no_limits():
    table = zoo(models=2, cells=2, seeds=3)
    table = pd.concat([table, zoo(models=1, cells=3).assign(model=2)], ignore_index=True)
    similarity = normal(0, 21, 21)
    similarity = similarity + similarity.T
    result = jackknife_means(similarity, table["model"], table, ["model", "cell"])
    assert result.loc[["0", "0 / 1", "0 / 2", "within", "between"], "low"].isna().all()
    assert np.isfinite(result.loc["2", ["low", "high", "se"]].astype(float)).all()
    equal = jackknife_means(np.ones((21, 21)), table["model"], table, ["model", "cell"])
    assert equal["low"].isna().all(), "mean = low = high is no interval"
    assert (equal["mean"] == 1).all()


def coverage(groups, cells, draws=1000):
    """How often limits of every mean cover what it is over all zoos, of networks whose units are noise around their
    configuration's."""
    draw = np.random.default_rng(groups * 100 + cells)
    table = zoo(groups, cells, 2)
    of_cell = configurations(table, ["model", "cell"])
    results = []
    for _ in range(draws):
        centre = (1 + 2 * np.eye(8)[table["model"]]) * 0.7
        x = centre + draw.standard_normal((groups * cells, 8))[of_cell] + 0.5 * draw.standard_normal((len(table), 8))
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        results.append(jackknife_means(x @ x.T, table["model"], table, ["model", "cell"]))
    mean, low, high = (np.stack([result[name] for result in results]) for name in ("mean", "low", "high"))
    return ((low <= mean.mean(0)) & (mean.mean(0) <= high)).mean(0)[np.isfinite(low).all(0)]


@pytest.mark.long
@pytest.mark.parametrize("cells", [3, 4, 6, 10])
@pytest.mark.parametrize("groups", [1, 3])
def test_limits_over_configurations_cover_95_percent_of_zoos_from_three_on(groups, cells):
    covered = coverage(groups, cells)
    assert len(covered)
    assert (np.abs(covered - 0.955) < 0.027).all(), covered


def test_wrong_fields_and_groups_are_refused():
    table = zoo()
    with pytest.raises(ValueError, match="The table has no field 'hidden'; it has model, cell, seed"):
        configurations(table, ["hidden"])
    with pytest.raises(ValueError, match="Groups differ within a configuration of model; they must be made of its"):
        jackknife_means(np.ones((36, 36)), table["cell"], table, ["model"])
