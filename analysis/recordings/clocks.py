"""The times of a recording, in ms, and what of it is at the networks' time steps."""

from collections.abc import Mapping

import numpy as np

__all__ = ["TIME_LABELS", "at_steps", "times_of"]

TIME_LABELS = ("time_ms", "time_s", "times_ms", "times_s", "time", "times", "t", "time_bin", "time_bin_start")
"""Arrays that hold the times of a time axis, the first that is there."""

BIN_ENDS = "time_bin_end"
"""The array that holds the ends of bins, whose starts are in `time_bin_start`: a bin is at its middle."""


def times_of(where: str, labels: Mapping[str, np.ndarray], unit: str = "") -> np.ndarray:
    """The times of an axis, ms, empty where the file gives none.

    Args:
      where: the array and its file.
      labels: of the time axis.
      unit: "ms" or "s", "" where only a label's name can say; ms where that does not either.

    Raises:
      ValueError: the times do not rise, or are fewer than two.
    """
    name = next((name for name in TIME_LABELS if name in labels and labels[name].dtype.kind in "iuf"), "")
    if not name:
        return np.zeros(0)
    times = labels[name].astype(np.float64)
    if name == "time_bin_start" and BIN_ENDS in labels:
        times = (times + labels[BIN_ENDS]) / 2
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(f"{where}: {name} must be two rising times or more, in ms.")
    return times * 1000 if name.endswith("_s") or unit == "s" else times


def at_steps(where: str, x: np.ndarray, times: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Trajectories at the networks' time steps, those of them that the recording covers, linearly between its times.

    Args:
      where: the recording.
      x: `(..., time, unit)`.
      times: of the recording, ms; empty where it has as many steps as the networks.
      steps: of the networks, ms, rising.

    Returns:
      `(..., step, unit)`; which of the steps these are; and what was done, "" for nothing.

    Raises:
      ValueError: another number of steps without times, or fewer than two steps in common.
    """
    count = x.shape[-2]
    if len(times) != count:
        if count == len(steps):
            return x, np.arange(count), "time steps taken to be the networks'"
        raise ValueError(
            f"{where} has {count} time steps and the networks {len(steps)}, from {steps[0]:g} to "
            f"{steps[-1]:g} ms; give its times as an array time_ms beside it."
        )
    slack = 1e-6 * (steps[-1] - steps[0])
    covered = np.flatnonzero((steps >= times[0] - slack) & (steps <= times[-1] + slack))
    if len(covered) < 2:
        small = times[-1] - times[0] < 0.1 * (steps[-1] - steps[0])
        seconds = "; if these are seconds call the array time_s" if small else ""
        raise ValueError(
            f"{where} was recorded from {times[0]:g} to {times[-1]:g} ms and the networks ran from {steps[0]:g} to "
            f"{steps[-1]:g} ms, with {len(covered)} of {len(steps)} steps in common{seconds}; they must share two."
        )
    at = steps[covered]
    if len(at) == count and np.allclose(times, at):
        return x, covered, _window(at, steps)
    low = np.clip(np.searchsorted(times, at, "right") - 1, 0, count - 2)
    share = ((at - times[low]) / (times[low + 1] - times[low]))[:, None]
    resampled = (1 - share) * x.take(low, -2) + share * x.take(low + 1, -2)
    done = f"resampled from {count} times to the networks' {len(at)}, {at[0]:g} to {at[-1]:g} ms"
    return resampled, covered, done + (f"; {window}" if (window := _window(at, steps)) else "")


def _window(at: np.ndarray, steps: np.ndarray) -> str:
    if len(at) == len(steps):
        return ""
    return f"{len(at)} of the networks' {len(steps)} steps are covered and compared, {at[0]:g} to {at[-1]:g} ms"
