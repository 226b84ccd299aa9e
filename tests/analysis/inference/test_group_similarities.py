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


def test_references_are_same_configuration_other_seed_and_the_untrained():
    table = pd.DataFrame({"model": ["a", "a", "b", "a"], "seed": [0, 1, 0, 0], "trained": [True, True, True, False]})
    similarity = np.eye(4)
    for (i, j), value in {(0, 1): 0.9, (0, 2): 0.5, (1, 2): 0.7, (0, 3): 0.1, (1, 3): 0.2, (2, 3): 0.3}.items():
        similarity[i, j] = similarity[j, i] = value
    found = references(similarity, table, ["model"])
    assert found[:3] == pytest.approx((0.9, 0.6, 0.2))
    assert math.isnan(found.both_untrained)
    assert found.pairs == (1, 2, 3, 0)
