"""Errors over stimuli and subjects together: of planted variances they are known, and their tests hold their level."""

import numpy as np
import pytest

from analysis.scoring.crossed_errors import Scored, holm_pairs, ranks

N, SUBJECTS = 40, 8


def planted(draw: np.random.Generator, mean: np.ndarray, stimulus: float, subject: float, both: float) -> Scored:
    """Scores that are means over stimuli of a stimulus', a subject's and their own effect on every thing."""
    things = len(mean)
    effects = (
        mean[None, :, None]
        + stimulus * draw.normal(size=(N, things, 1))
        + subject * draw.normal(size=(1, things, SUBJECTS))
        + both * draw.normal(size=(N, things, SUBJECTS))
    )
    total = effects.sum(0)
    return Scored(total / N, (total[None] - effects) / (N - 1))


@pytest.mark.parametrize(("stimulus", "subject", "both"), [(1, 0, 0), (0, 1, 0), (0, 0, 3), (1, 0.3, 2), (0.5, 0.5, 0)])
def test_variances_are_those_that_were_planted(stimulus: float, subject: float, both: float) -> None:
    draw = np.random.default_rng(0)
    found = np.mean(
        [np.square(planted(draw, np.zeros(20), stimulus, subject, both).errors()[0]) for _ in range(60)], axis=0
    )
    expected = stimulus**2 / N + subject**2 / SUBJECTS + both**2 / (N * SUBJECTS)
    # The larger of two that are estimated is larger than either: errors are on the safe side.
    off = found[~np.eye(20, dtype=bool)].mean()
    assert 0.92 * expected <= np.diagonal(found).mean() <= 1.3 * expected
    assert 0.92 * expected <= off / 2 <= 1.3 * expected


def test_limits_cover_and_tests_keep_their_level() -> None:
    draw = np.random.default_rng(1)
    covered, false = [], []
    for _ in range(150):
        scored = planted(draw, np.full(12, 0.3), 0.6, 0.25, 1.5)
        low, high = scored.limits()
        covered.append(((low <= 0.3) & (high >= 0.3)).mean())
        p = scored.p_values()
        false.append((p[np.triu_indices(12, 1)] < 0.05).mean())
    assert 0.93 <= np.mean(covered) <= 0.98
    assert 0.02 <= np.mean(false) <= 0.07


def test_one_subject_has_an_error_over_stimuli_alone() -> None:
    draw = np.random.default_rng(2)
    effects = draw.normal(size=(N, 3, 1))
    scored = Scored(effects.mean(0), (effects.sum(0)[None] - effects) / (N - 1))
    se, freedom = scored.errors()
    np.testing.assert_allclose(np.diagonal(se), effects[:, :, 0].std(0, ddof=1) / N**0.5)
    np.testing.assert_allclose(np.diagonal(freedom), N - 1)


def test_ranks_lie_between_what_is_better_and_what_is_worse_beyond_doubt() -> None:
    mean = np.array([0.9, 0.5, 0.49, 0.1])
    p = np.ones((4, 4))
    for a, b in ((0, 3), (0, 1), (0, 2), (1, 3)):
        p[a, b] = p[b, a] = 0.001
    rank, low, high = ranks(mean, p)
    assert rank.tolist() == [1, 2, 3, 4]
    assert low.tolist() == [1, 2, 2, 3]
    assert high.tolist() == [1, 3, 4, 4]


def test_holm_over_pairs_is_symmetric_and_counts_every_pair_once() -> None:
    p = np.array([[1, 0.01, 0.04], [0.01, 1, 0.02], [0.04, 0.02, 1]])
    np.testing.assert_allclose(holm_pairs(p), [[1, 0.03, 0.04], [0.03, 1, 0.04], [0.04, 0.04, 1]])
