"""Progress: what is done, how far it is, and how long it will take, said where nothing was said for a while."""

import threading
from types import SimpleNamespace

import pytest

from analysis.engine import progress as module
from analysis.engine.progress import SILENT, Progress, telling


@pytest.fixture
def now(monkeypatch):
    """The time, in a list: tests let it pass."""
    time = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time[0]))
    return time


def test_a_line_names_place_work_steps_and_what_is_left_of_this_and_of_what_is_planned(now):
    lines = []
    progress = Progress(lines.append)
    progress.at("flipflop3")
    progress.within("rate")
    progress.plan({progress.name("cka, limits"): 30.0, progress.name("dsa, limits"): 5.0})
    steps = progress.over(range(4), "cka, limits", 4)
    next(steps), next(steps)
    now[0] = 10.0
    assert progress.line == "flipflop3, rate: cka, limits, 1 of 4, about 35 s left"
    progress.tick()
    assert lines == ["[  10.0 s] flipflop3, rate: cka, limits, 1 of 4, about 35 s left"]
    progress.tick()
    assert len(lines) == 1, "nothing more until time has passed"
    assert list(steps) == [2, 3]
    progress.doing("dsa, limits")
    assert progress.line == "flipflop3, rate: dsa, limits", "it tells no steps, and its own time is over"


def test_steps_of_an_earlier_run_count_as_done_and_not_for_how_fast_it_goes(now):
    progress = Progress()
    steps = progress.over(range(5, 10), "tiles", 10, done=5)
    next(steps)
    assert progress.line == "tiles, 5 of 10"
    now[0] = 2.0
    next(steps)
    assert progress.line == "tiles, 6 of 10, about 8 s left"


def test_the_time_of_work_that_tells_no_steps_is_only_what_was_planned_after_it(now):
    progress = Progress()
    progress.plan({"a": 100.0, "b": 50.0})
    progress.doing("a")
    assert progress.line == "a, about 50 s left"


def test_what_was_just_said_puts_the_next_line_off(now):
    lines = []
    progress = Progress(lines.append)
    progress.doing("cka")
    now[0] = 9.0
    progress.say("about 3 min")
    now[0] = 18.0
    progress.tick()
    assert lines == ["about 3 min"]


def test_a_thread_tells_of_one_long_step_and_ends_with_the_work(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    told = threading.Event()
    before = threading.active_count()
    with telling(lambda line: told.set()) as progress:
        progress.doing("a program that is compiled")
        assert told.wait(10), "no step has ended, and it is told all the same"
    assert threading.active_count() == before


def test_nothing_is_said_before_there_is_work_and_the_silent_one_says_nothing():
    assert Progress().line == ""
    assert list(SILENT.over("ab", "letters", 2)) == ["a", "b"]
