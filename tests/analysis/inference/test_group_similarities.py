"""Mean similarities within and between groups, and the references they are read against."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference._group_differences import trained_less_untrained, within_less_between
from analysis.inference.group_similarities import (
    block_means,
    configurations,
    jackknife_means,
    of_other_seeds,
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


@pytest.mark.parametrize("levels", [["within", "between"], ["a", "b", "a / b"], ["within", "'within'"]])
def test_levels_that_have_the_names_of_rows_have_rows_of_their_own(levels):
    table = zoo(models=len(levels), cells=3, seeds=2)
    similarity = normal(0, len(table), len(table))
    plain, named = (
        jackknife_means(similarity + similarity.T, labels, table, ["model", "cell"])
        for labels in (table["model"], [levels[model] for model in table["model"]])
    )
    np.testing.assert_array_equal(named.to_numpy(float), plain.to_numpy(float))
    assert named.index.is_unique
    assert named.index[:2].tolist() == ["within", "between"]


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
    similarity = of_other_seeds(similarity, table)
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
    of_pairs = within_between(of_other_seeds(similarity, table), table["model"])
    pd.testing.assert_frame_equal(result[["mean", "pairs"]], of_pairs)
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
    assert (np.abs(covered - 0.95) < 0.035).all(), covered


def test_wrong_fields_and_groups_are_refused():
    table = zoo()
    with pytest.raises(ValueError, match="The table has no field 'hidden'; it has model, cell, seed"):
        configurations(table, ["hidden"])
    with pytest.raises(ValueError, match="Groups differ within a configuration of model; they must be made of its"):
        jackknife_means(np.ones((36, 36)), table["cell"], table, ["model"])


# --- differences ------------------------------------------------------------------------------------------------------


def uneven(counts, seeds=2):
    """Groups of some configurations; seeds of their own for each."""
    cells = [(group, cell) for group, count in enumerate(counts) for cell in range(count)]
    rows = [(*cell, seeds * i + seed) for i, cell in enumerate(cells) for seed in range(seeds)]
    return pd.DataFrame(rows, columns=["model", "cell", "seed"])


def cosines(table, draw, effect=0.0, between=0.7, level=0.7, crossed=0.0, of_configuration=None):
    """Networks whose units are noise around their configuration's, of models and of levels of `cell`."""
    cells = configurations(table, ["model", "cell"])
    noise = draw.standard_normal((cells.max() + 1, 6)) if of_configuration is None else of_configuration
    x = (
        level
        + effect * np.eye(6)[table["model"]]
        + between * noise[cells]
        + 0.5 * draw.standard_normal((len(table), 6))
    )
    x = x + crossed * draw.standard_normal((table["cell"].max() + 1, 6))[table["cell"]]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def test_members_within_and_between_groups_are_compared_over_pairs_of_other_seeds_and_configurations():
    table = zoo(models=2, cells=3, seeds=2)
    similarity = cosines(table, np.random.default_rng(0), crossed=1.0)
    loud = np.where(table["seed"].to_numpy()[:, None] == table["seed"].to_numpy(), 0.99, similarity)
    cells = configurations(table, ["model", "cell"])
    loud[cells[:, None] == cells] = 0.98
    found = within_less_between(loud, table["model"], table, ["model", "cell"], ["cell"])
    model, cell, seed = (table[name].to_numpy() for name in ("model", "cell", "seed"))
    i, j = np.triu_indices(12, 1)
    counted = (seed[i] != seed[j]) & (cell[i] != cell[j])  # of equal cells, no pair is within a model
    within = similarity[i, j][counted & (model[i] == model[j])]
    between = similarity[i, j][counted & (model[i] != model[j])]
    assert found.mean == pytest.approx(within.mean() - between.mean())
    assert found.pairs == len(within) + len(between)
    assert found.configurations == 6


def test_near_copies_are_left_out_together_and_pairs_of_one_seed_do_not_count():
    """Five widths, each under three penalties that share its seeds."""
    table = zoo(models=5, cells=3, seeds=2).rename(columns={"model": "width", "cell": "l2"})
    width, l2, seed = (table[name].to_numpy() for name in ("width", "l2", "seed"))
    similarity = cosines(table.rename(columns={"width": "model", "l2": "cell"}), np.random.default_rng(0))
    similarity[seed[:, None] == seed] = 0.99
    found = jackknife_means(similarity, l2, table, ["width", "l2"], ["l2"]).loc["between"]
    i, j = np.triu_indices(len(table), 1)
    counted = (seed[i] != seed[j]) & (l2[i] != l2[j])
    without = [similarity[i, j][counted & (width[i] != each) & (width[j] != each)].mean() for each in range(5)]
    assert found["configurations"] == 5
    assert found["mean"] == pytest.approx(similarity[i, j][counted].mean())
    assert found["high"] - found["mean"] == pytest.approx(2 * np.std(without) * stats.t.ppf(0.975, 4))
    apart = within_less_between(similarity, l2, table, ["width", "l2"], ["width"], ["l2"])
    assert apart.configurations == 5


def test_an_effect_of_another_field_is_none_of_the_groups():
    table = zoo(models=2, cells=6, seeds=3)
    draw = np.random.default_rng(0)
    means = [
        within_less_between(cosines(table, draw, crossed=3.0), table["model"], table, ["model", "cell"], ["cell"]).mean
        for _ in range(20)
    ]
    assert abs(np.mean(means)) < 0.01
    loose = within_less_between(cosines(table, draw, crossed=3.0), table["model"], table, ["model", "cell"], [])
    assert loose.mean < -0.05, "some of two models are of one cell, and none of one model"


def test_a_diverse_level_of_which_one_group_has_more_is_no_difference_of_the_groups():
    counts = {("a", "tanh"): 10, ("b", "tanh"): 2, ("a", "relu"): 6, ("b", "relu"): 6}
    cells = [cell for cell, count in counts.items() for _ in range(count)]
    rows = [(*cell, i, 2 * i + seed) for i, cell in enumerate(cells) for seed in range(2)]
    table = pd.DataFrame(rows, columns=["model", "act", "drawn", "seed"])
    draw, means = np.random.default_rng(0), []
    for _ in range(40):
        x = 1 + np.where(table["act"] == "tanh", 1.5, 0.3)[:, None] * draw.standard_normal((24, 8))[table["drawn"]]
        x = x + 0.3 * draw.standard_normal(x.shape)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        means.append(within_less_between(x @ x.T, table["model"], table, ["model", "act", "drawn"], ["act"]).mean)
    assert abs(np.mean(means)) < 0.02, "compared where levels only agree or do not, it is -.07"


def test_trained_less_untrained_leaves_a_configuration_out_of_both():
    table = uneven([3, 4])
    draw = np.random.default_rng(0)
    trained, untrained = cosines(table, draw, level=1.0), cosines(table, draw)
    fields = ["model", "cell"]
    cells, model = configurations(table, fields), table["model"].to_numpy()
    i, j = np.triu_indices(len(table), 1)

    def apart(left_out=-1):
        taken = (cells[i] != left_out) & (cells[j] != left_out) & (model[i] != model[j])
        return trained[i, j][taken].mean() - untrained[i, j][taken].mean()

    _, between = trained_less_untrained(trained, untrained, (model, model), (table, table), fields)
    without = np.array([apart(cell) for cell in range(7)])
    variance = 2 * without[:3].var() + 3 * without[3:].var()
    freedom = variance**2 / ((2 * without[:3].var()) ** 2 / 2 + (3 * without[3:].var()) ** 2 / 3)
    assert between.mean == pytest.approx(apart())
    assert between.high - between.mean == pytest.approx(variance**0.5 * stats.t.ppf(0.975, freedom))
    assert between.p == pytest.approx(2 * stats.t.sf(abs(apart()) / variance**0.5, freedom))
    order = np.random.default_rng(1).permutation(len(table))
    shuffled = table.iloc[order].reset_index(drop=True)
    again = trained_less_untrained(
        trained, untrained[np.ix_(order, order)], (model, model[order]), (table, shuffled), fields
    )
    np.testing.assert_allclose(again[1], between)


def test_configurations_of_one_state_alone_do_not_count():
    table = uneven([3, 4])
    similarity = cosines(table, np.random.default_rng(0))
    whole = trained_less_untrained(similarity, similarity, (table["model"],) * 2, (table, table), ["model", "cell"])
    kept = np.flatnonzero(configurations(table, ["model", "cell"]) != 6)
    part = table.iloc[kept].reset_index(drop=True)
    labels = table["model"], part["model"]
    within, _ = trained_less_untrained(
        similarity, similarity[np.ix_(kept, kept)], labels, (table, part), ["model", "cell"]
    )
    assert (whole[0].configurations, within.configurations) == (7, 6)
    assert within.mean == pytest.approx(0), "the same networks"


def test_differences_of_too_few_configurations_have_neither_limits_nor_p():
    table = uneven([2, 5])
    similarity = cosines(table, np.random.default_rng(0), effect=2.0)
    found = within_less_between(similarity, table["model"], table, ["model", "cell"], [])
    within, between = trained_less_untrained(
        similarity, similarity**2, (table["model"],) * 2, (table, table), ["model", "cell"]
    )
    for each in (found, within, between):
        assert np.isfinite(each.mean)
        assert np.isnan([each.low, each.high, each.p]).all()
    alone = within_less_between(similarity, ["a"] * 14, table, ["model", "cell"], [])
    assert alone.pairs == 0
    assert math.isnan(alone.mean)


def of_groups(counts, zoos, **noise):
    """Of simulated zoos: the mean difference, how often limits exclude 0, and how often they cover that mean."""
    draw, table = np.random.default_rng(sum(counts)), uneven(counts)
    found = np.array(
        [
            within_less_between(cosines(table, draw, **noise), table["model"], table, ["model", "cell"], [])
            for _ in range(zoos)
        ]
    )
    mean, low, high = found.T[:3]
    centre = mean.mean()
    return centre, ((low > 0) | (high < 0)).mean(), ((low <= centre) & (centre <= high)).mean()


def of_states(counts, zoos, *, level, shared):
    """The same of trained less untrained: within groups and between."""
    draw, table, results = np.random.default_rng(sum(counts)), uneven(counts), []
    count = sum(counts)
    for _ in range(zoos):
        common, noise = draw.standard_normal((count, 6)), draw.standard_normal((2, count, 6))
        states = [
            cosines(table, draw, 1.5, level=of, of_configuration=shared * common + (1 - shared**2) ** 0.5 * part)
            for of, part in zip((0.7, level), noise)
        ]
        results.append(trained_less_untrained(*states, (table["model"],) * 2, (table, table), ["model", "cell"]))
    mean, low, high, p = np.moveaxis(np.array(results), -1, 0)[:4]
    centre = mean.mean(0)
    return (p <= 0.05).mean(0), ((low <= centre) & (centre <= high)).mean(0)


COUNTS = [(4, 4), (6, 6), (10, 10), (3, 3, 3), (10, 10, 10), (3, 10), (3, 4, 10)]


def test_limits_of_groups_of_noise_take_in_0_and_of_unlike_groups_do_not():
    centre, excluded, _ = of_groups((6, 6), 80)
    assert abs(centre) < 0.03
    assert excluded * 80 <= stats.binom.ppf(0.999, 80, 0.05)
    _, excluded, covered = of_groups((6, 6), 40, effect=2.5)
    assert excluded > 0.8
    assert covered > 0.8


def test_what_training_did_not_change_differs_no_more_often_than_chance():
    low, covered = of_states((4, 6), 100, level=0.7, shared=0.5)
    assert (low * 100 <= stats.binom.ppf(0.999, 100, 0.05)).all()
    assert (covered > 0.85).all()
    assert (of_states((6, 6), 40, level=0.0, shared=0.9)[0] > 0.8).all()


@pytest.mark.long
@pytest.mark.parametrize("counts", COUNTS)
def test_limits_of_within_less_between_cover_95_percent_of_zoos_with_an_effect_and_more_without(counts):
    centre, excluded, covered = of_groups(counts, 1000)
    assert abs(centre) < 0.02
    assert excluded < 0.07
    assert covered > 0.92
    assert 0.91 < of_groups(counts, 1000, effect=1.5)[2] < 0.995


@pytest.mark.long
@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("counts", [(3, 3), *COUNTS])
def test_trained_less_untrained_has_false_positives_of_at_most_seven_percent(counts, shared):
    low, _ = of_states(counts, 1000, level=0.7, shared=shared)
    assert (low >= 0.005).all(), low
    assert (low <= 0.07).all(), low
    covered = of_states(counts, 1000, level=0.2, shared=shared)[1]
    assert (covered > 0.92).all(), covered
    assert (covered < 0.995).all(), covered
