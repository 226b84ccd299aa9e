"""The chart of brain scores: networks in order with limits, beside the ceiling; the task score beside them."""

import numpy as np
import pandas as pd

from analysis.report.pages import brain
from analysis.scoring.brain_outcomes import brain_lines
from tests.analysis.report.pictures import drawn


def table(**changed: object) -> pd.DataFrame:
    """Four networks, trained and untrained, on one recording."""
    score = np.array([0.5, 0.3, 0.4, 0.1])
    rows = dict(member=[f"m{i}" for i in range(4)], score=score, low=score - 0.05, high=score + 0.05)
    trained = pd.DataFrame(rows).assign(
        kind="network", untrained=0.2, p_untrained=[0.01, 0.01, 0.2, 0.01], p_ceiling=[1, 0.01, 0.2, 0.0]
    )
    untrained = pd.DataFrame(rows).assign(kind="untrained", score=0.2, low=0.15, high=0.25)
    both = pd.concat([trained, untrained], ignore_index=True)
    both = both.assign(measure="rsa", way="similarity", recording="it", model="cnn", layer="conv1", layer_share=1.0)
    both = both.assign(rank=1, rank_low=1, rank_high=2, ceiling_lower=0.45, ceiling_upper=0.6, ceiled=0.8, subjects=5)
    return both.assign(n_stimuli=92, of_score=[0.9, 0.8, 0.7, 0.2] * 2, of_hidden=[32, 64] * 4, **changed)


ACCURACY = pd.DataFrame(
    [dict(measure="rsa", recording="it", rho=0.8, low=0.5, high=0.9, partial_rho=0.6, given="units", configurations=4)]
)
TESTS = pd.DataFrame(
    [dict(measure="rsa", recording="it", field="hidden", omega2=0.4, p_holm=0.02, testable=True, members="all")]
)


def test_networks_stand_in_the_order_of_their_scores_beside_the_ceiling_and_the_task() -> None:
    figure = drawn(brain.draw(table(), ACCURACY, "zoo", "hidden"))
    left, right = figure.axes
    points = [collection.get_offsets() for collection in left.collections if len(collection.get_offsets()) == 4]
    np.testing.assert_allclose(points[0], [[1, 0.5], [2, 0.4], [3, 0.3], [4, 0.1]])
    assert "Spearman 0.80 [0.50, 0.90] over 4 configurations" in right.get_title(loc="left")
    assert "n = 92 stimuli" in left.get_title(loc="left")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["hidden units 32", "hidden units 64", "untrained"]


def test_of_a_distance_the_least_comes_first_and_without_limits_there_are_none() -> None:
    figure = drawn(brain.draw(table(way="distance", low=np.nan, high=np.nan), ACCURACY[:0], "zoo", "hidden"))
    offsets = [c.get_offsets() for c in figure.axes[0].collections if len(c.get_offsets()) == 4]
    assert offsets[0][:, 1].tolist() == [0.1, 0.3, 0.4, 0.5]


def test_lines_say_which_is_best_and_what_is_beyond_doubt() -> None:
    lines = list(brain_lines(table(), ACCURACY, TESTS))
    assert lines[0] == "brain score on it (rsa, n = 92 stimuli, 5 subjects; layer on other stimuli)"
    assert lines[1] == (
        "  best: m0 at conv1 0.50 [0.45, 0.55]; rank 1 to 2 of 4; ceiling 0.45 to 0.60; 2 of 4 below it (p < .05, Holm)"
        "; 2 more and 1 less like it than untrained"
    )
    assert lines[2].startswith(
        "  task score against brain score: Spearman 0.80 [0.50, 0.90] over 4 configurations; given"
    )
    assert lines[3].startswith("  explained by: hidden, omega squared 0.40, p 0.02 (the least of 1 test, Holm)")
