"""Mean similarities within and between groups, and the references they are read against."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.inference.group_similarities import references, within_between


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
