"""What stands beside each value: z and p over shuffled stimuli, limits over stimuli; and what they cost."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis import PERMUTATIONS
from analysis.engine.journal import NO_JOURNAL, Journal
from analysis.engine.preparation import Prepared
from analysis.engine.progress import SILENT, Progress
from analysis.engine.repetitions import Repetitions, seconds_of
from analysis.inference.limits_over_stimuli import each_left_out, fault_of_limits, jackknife
from analysis.inference.nulls import dominated, permutation_null, z_and_p
from analysis.inference.permutation_tests import permutation_test, shuffles

__all__ = ["CLOSED_NULLS", "Beside", "annotated", "seconds_by_work"]

CLOSED_NULLS = "in closed form, over all orders of the stimuli"
"""How z and p are had where they need no shuffling."""


LIMITS_TOO_NARROW = "limits may cover far less than 95 %"
"""Where few stimuli make up a map."""


class Beside(NamedTuple):
    """What is to stand beside the values of a measure.

    Attributes:
      nulls: orders of the stimuli that `z` and `p` are from where there is no closed form, or few stimuli make up a
        map, see `analysis.inference.nulls.dominated`; 0 for no z and p. Biased CKA, whose values mean nothing without,
        has them anyhow where there is a form.
      intervals: whether there are `low` and `high`, 95 % limits by the jackknife over stimuli.
    """

    nulls: int = 0
    intervals: bool = False

    def nulls_of(self, prepared: Prepared) -> str:
        """How a measure's z and p are had, in words; "" where it has none."""
        measure = prepared.measure
        if not len(prepared.members) or measure.takes == ("trajectories",):  # which do not see the order of stimuli
            return ""
        if not self.nulls and not (measure.null_always and _closed(prepared)):
            return ""
        closed = _closed(prepared) and not dominated(prepared)
        return CLOSED_NULLS if closed else f"over {self.draws} orders of the stimuli"

    @property
    def draws(self) -> int:
        """How many orders z and p are from where they are not closed."""
        return self.nulls or PERMUTATIONS

    def warning_of(self, prepared: Prepared, names: Sequence[str]) -> str:
        """What few stimuli that make up a map do to z, p and limits, and which do; "" where they do nothing.

        Args:
          prepared: a measure and its states.
          names: of all members.
        """
        how, limits = self.nulls_of(prepared), bool(self.limits_of(prepared))
        if not len(prepared.members) or not _closed(prepared) or not (how or limits):
            return ""
        found = sorted(dominated(prepared), key=lambda of: -of.share)
        uneven = [of for of in found if of.alike < prepared.stimuli / 2]  # and not: of few stimuli
        so = [f"z and p are {how}"] * bool(how and found) + [LIMITS_TOO_NARROW] * bool(limits and uneven)
        if not so:
            return ""
        first, *others = found if how else uneven
        more = f", and few stimuli make up those of {len(others)} more" if others else ""
        return (
            f"{prepared.measure.name}: stimulus {first.stimulus}, from 0, makes up {first.share:.0%} of the map of "
            f"{names[first.member]}, which rests on as many as {first.alike:.0f} alike ones would of "
            f"{prepared.stimuli}{more}; {', '.join(so)}"
        )

    def limits_of(self, prepared: Prepared) -> str:
        """What a measure's limits are over, in words; "" where it has none."""
        if not self.intervals or not len(prepared.members) or fault_of_limits(prepared):
            return ""
        n = prepared.stimuli
        of = (
            "the value over all stimuli there are"
            if prepared.measure.unbiased
            else f"the mean over samples of {n} stimuli"
        )
        return f"of {of}, by leaving out each of {n} stimuli"


def annotated(
    prepared: Prepared,
    value: np.ndarray,
    beside: Beside,
    journal: Journal = NO_JOURNAL,
    progress: Progress = SILENT,
) -> dict[str, np.ndarray]:
    """Name -> `(member, member)`, NaN for members that the measure cannot be had of.

    Args:
      prepared: a measure and its states.
      value: what `analysis.engine.all_pairs.similarities` gave for it.
      beside: what is asked for.
      journal, progress: see `analysis.engine.repetitions.summed`.
    """
    at = np.ix_(prepared.members, prepared.members)
    found: dict[str, np.ndarray] = {}
    if how := beside.nulls_of(prepared):
        if how == CLOSED_NULLS:
            progress.doing(f"{prepared.measure.name}, z and p")
            found["z"], found["p"] = z_and_p(value[at], permutation_null(prepared))
        else:
            test = permutation_test(prepared, draws=beside.draws, journal=journal, progress=progress)
            found["z"], found["p"] = (test.value - test.moments.mean) / test.moments.sd, test.p
        np.fill_diagonal(found["z"], np.nan)  # of a representation with itself nothing is asked
        np.fill_diagonal(found["p"], np.nan)
    if beside.limits_of(prepared):
        progress.doing(f"{prepared.measure.name}, limits")
        found["low"], found["high"], _ = jackknife(prepared, journal=journal, progress=progress)
    return {name: _among_all(part, at, len(value)) for name, part in found.items()}


def seconds_by_work(
    prepared: Prepared, beside: Beside, journal: Journal = NO_JOURNAL, progress: Progress = SILENT
) -> dict[str, float]:
    """About how long each work will take for which a measure has to be computed again and again: {} where none has.

    Args:
      prepared: a measure and its states.
      beside: what is asked for.
      journal: of a run that was killed: what it has done takes no time any more.
      progress: told what is timed.
    """
    seconds = {}
    for repetitions in _repeated(prepared, beside):
        progress.doing(f"the time that takes: {repetitions.what}")
        seconds[repetitions.what] = seconds_of(repetitions, journal)
    return seconds


def _repeated(prepared: Prepared, beside: Beside) -> Iterator[Repetitions]:
    if beside.nulls_of(prepared) not in ("", CLOSED_NULLS):
        yield shuffles(prepared, draws=beside.draws)[1]
    if beside.limits_of(prepared) and prepared.measure.recentring(prepared.rows == 1) is None:
        yield each_left_out(prepared)[1]


def _closed(prepared: Prepared) -> bool:
    """Whether the moments over permutations have a closed form."""
    measure = prepared.measure
    return measure.form == "inner" and measure.kind != "distance" and not measure.extras and prepared.rows == 1


def _among_all(part: np.ndarray, at: Any, count: int) -> np.ndarray:
    whole = np.full((count, count), np.nan)
    whole[at] = part
    return whole
