"""Times of recordings: their unit, the middles of bins, and what the networks' steps have of them."""

import numpy as np
import pytest

from analysis.recordings.clocks import at_steps, times_of

TIMES = np.arange(0.0, 100.0, 10.0)


def test_times_are_in_ms_whatever_they_are_given_in() -> None:
    for labels, unit in (
        ({"time_ms": TIMES}, ""),
        ({"time_s": TIMES / 1000}, ""),
        ({"time": TIMES / 1000}, "s"),
        ({"time": TIMES.astype(int)}, "ms"),
        ({"time_bin_start": TIMES - 5, "time_bin_end": TIMES + 5}, ""),
    ):
        np.testing.assert_allclose(times_of("x", labels, unit), TIMES)
    assert not len(times_of("x", {"epoch": TIMES}))
    with pytest.raises(ValueError, match="x: time_ms must be two rising times or more, in ms"):
        times_of("x", {"time_ms": TIMES[::-1]})


def test_a_line_in_time_stays_that_line_at_the_networks_steps() -> None:
    x = np.broadcast_to(TIMES[:, None], (2, 3, 10, 1))
    steps = np.arange(0.0, 90.0, 7.0)
    found, covered, how = at_steps("x", x, TIMES, steps)
    np.testing.assert_allclose(found[..., 0], np.broadcast_to(steps, (2, 3, len(steps))))
    np.testing.assert_array_equal(covered, np.arange(len(steps)))
    assert how == "resampled from 10 times to the networks' 13, 0 to 84 ms"


def test_only_the_window_that_both_cover_is_compared_and_it_is_said() -> None:
    x = np.broadcast_to(TIMES[:, None], (2, 10, 1))
    found, covered, how = at_steps("x", x, TIMES, np.arange(-50.0, 200.0, 25.0))
    np.testing.assert_allclose(found[0, :, 0], [0, 25, 50, 75])
    np.testing.assert_array_equal(covered, [2, 3, 4, 5])
    assert how.endswith("4 of the networks' 10 steps are covered and compared, 0 to 75 ms")
