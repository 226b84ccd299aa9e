"""The section `training` of a spec: what its lists may hold, and the moments that they name."""

import pytest

from zoo import log_spaced
from zoo.spec.settings import Training, score_level


@pytest.mark.parametrize("steps", [(3, 2), (0,), (2, 2)])
def test_snapshots_that_cannot_be_are_refused(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="it must be ascending steps from 1 on"):
        Training(snapshots=steps)


def test_score_levels_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match=r"score_levels is \(0\.9, 0\.5\); it must be ascending scores"):
        Training(score_levels=(0.9, 0.5))


def test_log_spaced_steps_are_as_many_as_asked_for_ascending_and_end_at_the_last() -> None:
    for last, count in [(1000, 10), (10, 10), (7, 3), (5, 1), (100, 60)]:
        steps = log_spaced(last, count)
        assert len(steps) == count
        assert steps == tuple(sorted(set(steps)))
        assert steps[-1] == last
        assert steps[0] >= 1
    assert log_spaced(1000, 4) == (1, 10, 100, 1000)


@pytest.mark.parametrize("count", [0, 6])
def test_more_log_spaced_steps_than_there_are_and_none_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"log_spaced\(5, {count}\): the count must be from 1 to 5\.$"):
        log_spaced(5, count)


def test_a_moment_that_is_a_score_is_read_as_its_number_and_no_other_is() -> None:
    assert score_level("score=0.5") == 0.5
    assert [score_level(at) for at in ("last", "initial", 100)] == [None] * 3
    with pytest.raises(ValueError, match=r"at is 'score=high'; a score level is a number, as in 'score=0\.5'"):
        score_level("score=high")


def test_a_warmup_longer_than_the_training_is_hinted_at_and_no_other_is() -> None:
    assert Training(warmup=100, steps=100).hint == ""
    assert Training(warmup=500, steps=100).hint == (
        "Training.warmup is 500 and there are 100 steps: the learning rate stays below 0.2 of what it is said to be."
    )
