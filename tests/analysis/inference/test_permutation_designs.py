"""What a test exchanges: configurations within strata of the other fields, members where these are too few."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.inference.permutation_designs import (
    GENERAL,
    THESE,
    MemberLabels,
    arrangements,
    combined_labels,
    designs,
    equal_counts,
    holm,
    relabellings,
)
from tests.typecheck import assert_shapes


def crossed(seeds, shared=True, **levels):
    """Labels of a crossed grid, one member per configuration and seed."""
    codes = np.indices([*levels.values(), seeds]).reshape(len(levels) + 1, -1)
    seed = codes[-1] if shared else np.arange(codes.shape[1])
    return MemberLabels(dict(zip(levels, codes)), {}, seed)


def test_labels_are_permuted_over_configurations_within_strata_of_the_other_fields():
    general, _ = designs(crossed(4, model=2, l2=6), ["model"], ["l2"], [])
    assert_shapes(general)
    assert (general.about, general.within, general.residuals) == (GENERAL, ("l2",), False)
    assert len(general.strata) == 12, "seeds are no replicates"
    assert (general.arrangements, general.distinct) == (2**6, 2**5), (
        "with both names exchanged it is the same partition"
    )
    assert general.smallest(9999) == 1 / 32
    assert general.smallest(9) == 1 / 10


def test_fields_that_are_not_held_make_configurations_and_no_strata():
    general, _ = designs(crossed(2, model=2, kernel=5), ["model"], [], ["kernel"])
    assert len(general.strata) == 10
    assert general.within == ()
    assert general.arrangements == math.comb(10, 5)


def test_members_are_exchanged_within_seeds_that_the_levels_share_and_freely_where_they_share_none():
    for shared, within, count in ((True, ("seed",), 6**5), (False, (), math.factorial(15) // 120**3)):
        _, these = designs(crossed(5, shared, model=3), ["model"], [], [])
        assert (these.about, these.within) == (THESE, within)
        assert these.arrangements == count


def test_beside_a_number_residuals_are_exchanged_within_strata_only_where_these_allow_a_small_p():
    for count, per_stratum, within in ((24, 12, ("l2",)), (12, 2, ())):
        cells = np.arange(count)
        labels = {"model": cells % 2, "rate": cells, "l2": cells // per_stratum}
        rates = {"rate": np.random.default_rng(0).standard_normal(count)}
        general = next(designs(MemberLabels(labels, rates, None), ["model"], ["rate", "l2"], []))
        assert general.residuals
        assert general.within == within
        assert general.distinct == general.arrangements, "residuals have no names to be exchanged"


def test_a_number_is_held_as_a_curve_and_several_share_the_columns_that_the_cases_allow():
    draw = np.random.default_rng(0)
    for count, numbers, columns in ((24, 1, 4), (24, 2, 2), (12, 1, 2), (11, 1, 1), (24, 4, 1), (60, 2, 4)):
        names = [f"number{i}" for i in range(numbers)]
        labels = {"model": np.arange(count) % 2} | {name: np.arange(count) for name in names}
        values = {name: draw.uniform(-1, 1, count) for name in names}
        design = next(designs(MemberLabels(labels, values, None), ["model"], names, []))
        model, value = design.model, values["number0"][np.argsort(design.case_of)]
        assert model.reduced.shape[1] == 1 + numbers * columns
        square = value**2
        left = square - model.reduced @ (model.reduced.T @ square)
        line = value - model.reduced @ (model.reduced.T @ value)
        np.testing.assert_allclose(line, 0, atol=1e-12)
        assert (left.var() < 0.1 * square.var()) == (columns > 1)


def test_strata_and_not_their_fields_alone_are_what_a_term_is_given():
    general = next(designs(crossed(1, model=2, act=3, l2=4), ["model"], ["act", "l2"], []))
    assert (general.model.reduced.shape[1], general.model.df, general.model.df_residual) == (12, 1, 11)
    alone = next(designs(crossed(1, model=12), ["model"], [], ["model"]))
    assert not alone.testable
    kernel = MemberLabels({"kernel": np.arange(6), "model": np.arange(6) // 3}, {}, None)
    of_cells = next(designs(kernel, ["model"], ["kernel"], []))
    assert (of_cells.model.df, of_cells.testable) == (0, False), "alone in every stratum, and nothing besides"


def test_an_interaction_is_given_the_effects_of_its_fields_and_exchanges_residuals_freely():
    general = next(designs(crossed(1, model=2, l2=3, hidden=2), ["model", "l2"], ["hidden"], []))
    assert [columns.shape for columns in general.main_effects] == [(12, 2), (12, 3)]
    assert (general.model.df, general.residuals, general.within) == (2, True, ())
    assert general.arrangements == math.factorial(12)


@pytest.mark.parametrize("model", [np.arange(6), np.zeros(6, int)], ids=["no residual", "one level"])
def test_what_leaves_nothing_to_compare_with_cannot_be_tested(model):
    general = next(designs(MemberLabels({"model": model}, {}, None), ["model"], [], []))
    assert not general.testable
    assert general.smallest(9999) == 1


def test_combinations_of_labels_are_numbered():
    assert combined_labels([np.array([1, 0, 1, 1]), np.array([0, 0, 0, 2])], 4).tolist() == [1, 0, 1, 2]
    assert combined_labels([], 3).tolist() == [0, 0, 0]


def test_every_case_is_of_as_many_members_and_of_the_seeds_that_all_have_where_there_are_such():
    case_of, seeds = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([0, 1, 2, 2, 0, 0, 1, 2])
    chosen = equal_counts(case_of, seeds)
    assert [sorted(seeds[row]) for row in chosen] == [[0, 2]] * 3
    assert [set(case_of[row]) for row in chosen] == [{0}, {1}, {2}]
    apart = equal_counts(case_of, np.arange(8))
    assert apart.shape == (3, 2)
    assert [set(case_of[row]) for row in apart] == [{0}, {1}, {2}]
    np.testing.assert_array_equal(apart, equal_counts(case_of, np.arange(8)))
    assert equal_counts(case_of, None).shape == (3, 2)


def test_of_cases_that_share_no_seed_with_all_those_members_come_first_whose_seeds_most_have():
    case_of, seeds = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 3, 1, 2, 4])
    chosen = equal_counts(case_of, seeds)
    assert seeds[chosen[:2, 0]].tolist() == [1, 1]


def test_with_equal_numbers_every_member_counts():
    case_of = np.array([1, 0, 1, 0])
    np.testing.assert_array_equal(equal_counts(case_of, np.array([0, 0, 1, 1])), [[1, 3], [0, 2]])


@pytest.mark.parametrize("strata", [[0] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]])
def test_arrangements_are_counted_and_enumerated_and_drawn_within_strata(strata):
    codes, strata = np.array([0, 1, 2, 0, 1, 1]), np.array(strata)
    labellings, distinct = arrangements(codes, strata)
    exact = np.concatenate(list(relabellings(codes, strata, 0, True, 0)))
    assert len(exact) == labellings == len(np.unique(exact, axis=0))
    partitions = {tuple(pd.factorize(row)[0].tolist()) for row in exact}
    assert len(partitions) == distinct
    drawn = np.concatenate(list(relabellings(codes, strata, 500, False, 0)))
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in exact.tolist()}
    assert len(drawn) == 500


def test_labels_that_can_be_renamed_into_each_other_make_one_partition():
    one = np.zeros(6, int)
    assert arrangements(np.array([0, 0, 1, 1, 2, 2]), one) == (90, 15)
    assert arrangements(np.array([0, 0, 0, 1, 1, 2]), one) == (60, 60)
    assert arrangements(np.arange(6), one) == (720, math.factorial(6) // 720)


def test_holm_multiplies_by_the_tests_that_are_left_and_leaves_out_what_could_not_be_tested():
    p, tested = np.array([0.01, 0.04, 0.03, 1.0, 0.005]), np.array([True, True, True, False, True])
    np.testing.assert_allclose(holm(p, tested), [0.03, 0.06, 0.06, 1, 0.02])
    np.testing.assert_array_equal(holm(np.array([0.6, 0.7]), np.array([True, True])), [1, 1])
