"""What stands beside each value of a comparison: z and p over shuffled stimuli, limits over stimuli."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.engine.preparation import Prepared
from analysis.inference.intervals import jackknife
from analysis.inference.nulls import PERMUTATIONS, permutation_null, permutation_test, z_and_p

__all__ = ["annotated", "check_nulls"]

MOST_SHUFFLED = 32
"""Items whose stimuli are shuffled under a measure that has to be computed anew for each permutation."""


def annotated(prepared: Prepared, value: np.ndarray, *, nulls: bool, intervals: bool) -> dict[str, np.ndarray]:
    """Name -> `(member, member)`, NaN for members that the measure cannot be had of.

    Args:
      prepared: a measure and its states.
      value: what `analysis.engine.all_pairs.similarities` gave for it.
      nulls: `z` and `p` over permutations of the stimuli, by closed form for an Inner measure with one row per
        stimulus, else from `PERMUTATIONS` of them. Biased CKA, whose values mean nothing without, always has them
        where they are closed.
      intervals: `low` and `high`, 95 % limits by the jackknife over stimuli.
    """
    measure, at = prepared.measure, np.ix_(prepared.members, prepared.members)
    if not len(prepared.members):
        return {}
    beside: dict[str, np.ndarray] = {}
    nulls = nulls and measure.takes != ("trajectories",)  # dynamics do not see which stimulus is which
    closed = _closed(prepared)
    if nulls or (measure.null_always and closed):
        if closed:
            beside["z"], beside["p"] = z_and_p(value[at], permutation_null(prepared))
        else:
            test = permutation_test(prepared)
            beside["z"], beside["p"] = (test.value - test.moments.mean) / test.moments.sd, test.p
        np.fill_diagonal(beside["z"], np.nan)  # of a representation with itself nothing is asked
        np.fill_diagonal(beside["p"], np.nan)
    if intervals:
        beside["low"], beside["high"], _ = jackknife(prepared)
    return {name: _among_all(part, at, len(value)) for name, part in beside.items()}


def check_nulls(measures: Sequence[Any], items: int) -> None:
    """Refuses permutations that would not end: each is a whole comparison where nothing can be kept between them."""
    for measure in measures:
        repeated = measure.form == "pair" or bool(measure.extras)
        if repeated and measure.takes != ("trajectories",) and items > MOST_SHUFFLED:
            raise ValueError(
                f"z and p of {measure.name} take {PERMUTATIONS} comparisons of all {items} items, which is allowed up "
                f"to {MOST_SHUFFLED}; leave out --nulls or the measure, or choose layers."
            )


def _closed(prepared: Prepared) -> bool:
    """Whether the moments over permutations have a closed form."""
    measure = prepared.measure
    return measure.form == "inner" and measure.kind != "distance" and not measure.extras and prepared.rows == 1


def _among_all(part: np.ndarray, at: Any, count: int) -> np.ndarray:
    whole = np.full((count, count), np.nan)
    whole[at] = part
    return whole
