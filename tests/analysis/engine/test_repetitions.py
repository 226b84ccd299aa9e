"""Repetitions: sums that go on from where a killed run was, and what all of them will take."""

import time

import numpy as np
import pytest

from analysis.engine import journal
from analysis.engine.journal import Journal
from analysis.engine.repetitions import Repetitions, seconds_of, summed


class Killed(Exception):
    """In place of a kill, which would end the test too."""


def squares(count=6, stop=None, done=None, word="squares"):
    def once(k):
        if k == stop:
            raise Killed
        if done is not None:
            done.append(k)
        return np.array([k, k**2])

    return Repetitions("squares", count, once, (np.zeros(2, int),), lambda s, v: (s[0] + v,), [word], [np.ones(3)])


def test_sums_are_those_of_all_repetitions():
    np.testing.assert_array_equal(summed(squares())[0], [15, 55])


def test_a_killed_run_goes_on_from_its_last_writing_and_other_repetitions_start_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS", 0.0)
    monkeypatch.setattr(journal, "SHARE", 0)
    with pytest.raises(Killed):
        summed(squares(stop=4), Journal(tmp_path))
    done: list[int] = []
    np.testing.assert_array_equal(summed(squares(done=done), Journal(tmp_path))[0], [15, 55])
    assert done == [4, 5]
    done.clear()
    np.testing.assert_array_equal(summed(squares(done=done), Journal(tmp_path))[0], [15, 55])
    assert not done, "all were done"
    summed(squares(done=done, word="other"), Journal(tmp_path))
    assert len(done) == 6


def test_the_time_of_all_is_told_by_the_second_of_two_since_the_first_one_is_compiled():
    def once(k):
        time.sleep(0.5 if k == 0 else 0.01)
        return np.zeros(1)

    work = Repetitions("sleep", 100, once, (np.zeros(1),), lambda s, v: s, [], [])
    assert 1.0 <= seconds_of(work) < 20


def test_what_a_killed_run_has_done_takes_no_time_any_more(tmp_path):
    assert seconds_of(squares(), Journal(tmp_path)) > 0
    summed(squares(), Journal(tmp_path))
    assert seconds_of(squares(), Journal(tmp_path)) == 0
