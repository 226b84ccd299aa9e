"""How time enters a measure."""

from typing import Any

TIME_WORDS = {
    "samples": "every time step a row",
    "features": "time and units together",
    "mean": "mean over time",
    "last": "the last time step",
}
"""How time enters a measure, in words; see `in_time`."""

TIMES = tuple(TIME_WORDS)


def in_time(x: Any, time: str) -> Any:
    """`(member, stimulus, time, unit)` with time entering as asked, again with four axes.

    `samples` keeps each time step as a row of its stimulus, `features` makes each (time, unit) a feature of the
    stimulus, `mean` averages over time and `last` takes the last step: the latter three leave one row per stimulus.
    """
    members, stimuli, times, units = x.shape
    if time == "features":
        return x.reshape(members, stimuli, 1, times * units)
    if time == "mean":
        return x.mean(2, keepdims=True)
    return x[:, :, -1:] if time == "last" else x
