"""Steps side by side: results in order, errors at their place, nothing begun after one."""

import threading
import time

import pytest

from analysis.engine.side_by_side import in_order


def test_results_come_in_order_whichever_step_is_done_first() -> None:
    def slow_first(step: int) -> int:
        time.sleep(0.05 * (3 - step))
        return step * 10

    assert list(in_order(slow_first, range(4), 4)) == [0, 10, 20, 30]


def test_so_many_run_at_once_and_no_more() -> None:
    running, most, lock = [0], [0], threading.Lock()
    meet = threading.Barrier(2, timeout=30)

    def step(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        meet.wait()  # passes only where two are here
        with lock:
            running[0] -= 1

    list(in_order(step, range(6), 2))
    assert most == [2]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_comes_at_its_place_and_what_has_not_begun_never_begins(error: type[BaseException]) -> None:
    begun: list[int] = []

    def step(i: int) -> int:
        begun.append(i)
        if i == 1:
            raise error("no")
        time.sleep(0.02)
        return i

    given: list[int] = []
    with pytest.raises(error, match="no"):
        given.extend(in_order(step, range(50), 1))
    time.sleep(0.05)
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count < 50


def test_who_is_interrupted_does_not_wait() -> None:
    go_on = threading.Event()

    def step(i: int) -> int:
        if i == 0:
            raise KeyboardInterrupt
        go_on.wait(30)
        return i

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(in_order(step, range(2), 2))
    assert time.monotonic() - begin < 10
    go_on.set()
