"""What stands beside each value of a comparison: z and p over shuffled stimuli, limits over stimuli."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.activations.inputs import array_of, kind_of
from analysis.engine.all_pairs import taken
from analysis.inference.intervals import jackknife
from analysis.inference.nulls import permutation_null, permutation_test, z_and_p

__all__ = ["annotated", "check_nulls"]

DRAWS = 999
MOST_SHUFFLED = 32
"""Items whose stimuli are shuffled under a measure that has to be computed anew for each permutation."""


def annotated(
    measure: Any, groups: Sequence[Any], value: np.ndarray, *, dtype: str, nulls: bool, intervals: bool
) -> dict[str, np.ndarray]:
    """Name -> `(member, member)`, NaN for members that the measure cannot be had of.

    Args:
      measure, groups, dtype: as for `analysis.engine.all_pairs.similarities`.
      value: what that gave.
      nulls: `z` and `p` over permutations of the stimuli, by closed form for an Inner measure with one row per
        stimulus, else from 999 permutations. Biased CKA, whose values mean nothing without, always has them where
        they are closed.
      intervals: `low` and `high`, 95 % limits by the jackknife over stimuli.
    """
    mine = [group for group in groups if taken(measure, group)]
    if not mine:
        return {}
    sizes = np.cumsum([0] + [len(array_of(group)) for group in groups])
    rows = [np.arange(a, b) for group, a, b in zip(groups, sizes, sizes[1:]) if taken(measure, group)]
    at = np.ix_(np.concatenate(rows), np.concatenate(rows))
    found: dict[str, np.ndarray] = {}
    nulls = nulls and measure.takes != ("trajectories",)  # dynamics do not see which stimulus is which
    biased = measure.family == "cka" and not measure.debiased
    closed = _closed(measure, mine)
    if nulls or (biased and closed):
        if closed:
            found["z"], found["p"] = z_and_p(value[at], permutation_null(measure, mine, dtype=dtype))
        else:
            test = permutation_test(measure, mine, draws=DRAWS, dtype=dtype)
            found["z"], found["p"] = (test.value - test.moments.mean) / test.moments.sd, test.p
        np.fill_diagonal(found["z"], np.nan)  # of a representation with itself nothing is asked
        np.fill_diagonal(found["p"], np.nan)
    if intervals:
        found["low"], found["high"], _ = jackknife(measure, mine, dtype=dtype)
    return {name: _among_all(part, at, len(value)) for name, part in found.items()}


def check_nulls(measures: Sequence[Any], items: int) -> None:
    """Refuses permutations that would not end: each is a whole comparison where nothing can be kept between them."""
    for measure in measures:
        repeated = measure.form == "pair" or bool(measure.extras)
        if repeated and measure.takes != ("trajectories",) and items > MOST_SHUFFLED:
            raise ValueError(
                f"z and p of {measure.name} take {DRAWS} comparisons of all {items} items, which is allowed up to "
                f"{MOST_SHUFFLED}; leave out --nulls or the measure, or choose layers."
            )


def _closed(measure: Any, groups: Sequence[Any]) -> bool:
    """Whether the moments over permutations have a closed form."""
    if measure.form != "inner" or measure.kind == "distance" or measure.extras:
        return False
    return measure.time != "samples" or all(
        kind_of(group) == "rdms" or array_of(group).shape[-2] == 1 for group in groups
    )


def _among_all(part: np.ndarray, at: Any, count: int) -> np.ndarray:
    whole = np.full((count, count), np.nan)
    whole[at] = part
    return whole
