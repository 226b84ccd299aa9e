"""Which fields a comparison asks about: numbers told from text, many levels from few."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from analysis.inference import factors
from analysis.inference.factors import MISSING, depths, sampled_fields, scaled, singular, texts_of
from models import gru, vanilla
from zoo import Zoo
from zoo.rules import bptt, feedback_alignment, plastic
from zoo.store.members import member_table
from zoo.tasks import sine


def asked(path: Path, rule: list[Any], model: list[Any]) -> list[str]:
    """The fields of a zoo that a comparison of all of its members asks about."""
    zoo = Zoo("rules", task=sine.Task(), model=model, rule=rule, seeds=2)
    table = member_table(path, zoo)
    trained = SimpleNamespace(zoo=zoo, members=table)
    return factors.tested_fields(trained, table["member"])


def test_the_learning_rule_is_a_field_where_members_learn_by_several(tmp_path: Path) -> None:
    rules = [bptt.Rule(), feedback_alignment.Rule(), plastic.Rule()]
    assert asked(tmp_path, rules, [vanilla.Model()]) == ["rule"]
    assert asked(tmp_path, rules, [vanilla.Model(), gru.Model()]) == ["model", "rule"]
    assert asked(tmp_path, [plastic.Rule()], [vanilla.Model()]) == []
    assert asked(tmp_path, [bptt.Rule()], [vanilla.Model(), gru.Model()]) == ["model"]


def test_fields_of_numbers_are_told_from_fields_of_text_and_scaled_where_they_span_decades() -> None:
    table = pd.DataFrame({"rate": 10.0 ** -np.arange(30), "text": list(map(str, range(30))), "l2": [1, 2, 3] * 10})
    table["flag"] = [True, False] * 15
    assert sampled_fields(table, ["rate", "text", "l2", "flag"]) == ["rate"]
    values, logarithm = scaled(table["rate"].to_numpy())
    np.testing.assert_allclose(values, -np.arange(30.0))
    assert logarithm
    assert [scaled(np.array(values))[1] for values in ([1, 5], [-1, 100], [0, 100], [1, 100])] == [False] * 3 + [True]


def test_few_levels_are_never_too_many_and_beyond_them_it_is_half_of_the_configurations() -> None:
    def table(levels: int, others: int) -> pd.DataFrame:
        return pd.DataFrame([(a, b) for a in range(levels) for b in range(others)], columns=["kernel", "l2"])

    assert singular(table(6, 1), ["kernel", "l2"]) == [], "six levels, each of one configuration"
    assert singular(table(7, 1), ["kernel", "l2"]) == ["kernel"]
    assert singular(table(7, 2), ["kernel", "l2"]) == [], "each level has two configurations"
    assert singular(table(25, 9), ["kernel", "l2"]) == ["kernel"], "more levels than a legend names"


def test_what_a_member_does_not_have_is_a_level_of_its_own() -> None:
    table = pd.DataFrame({"leak": ["rate", None, np.nan], "l2": [1e-4, 1e-5, np.nan]})
    assert texts_of(table, "leak").tolist() == ["rate", MISSING, MISSING]
    assert texts_of(table, "l2").tolist() == ["0.0001", "1e-05", MISSING]


def test_entries_of_tuples_are_counted_once_where_their_numbers_never_differ() -> None:
    table = pd.DataFrame({"channels": ["(4, 8)", "(4,)"], "kernel": ["(3, 3)", "5"], "dense": ["(6,)", "(6, 6, 6)"]})
    assert depths(table, ["channels", "kernel"]) == ["2", "1"]
    assert depths(table, ["channels", "dense"]) == ["2, 1", "1, 3"]


def test_depth_counts_entries_once_where_they_agree_and_apart_where_they_do_not() -> None:
    table = pd.DataFrame(
        {
            "channels": ["(8, 16)", "(8,)", "(8, 16, 32)"],
            "kernel": ["(3, 5)", "3", "(3, 1, 1)"],
            "dense": ["()", "(32, 64, 32)", "(32,)"],
            "gain": [0.1, 0.2, 0.3],
        }
    )
    assert depths(table, ["channels", "kernel"]) == ["2", "1", "3"]
    assert depths(table, ["gain", "kernel", "channels", "dense"]) == ["2, 0", "1, 3", "3, 1"]
    assert depths(table, ["gain"]) == []
