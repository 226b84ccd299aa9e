"""Verdicts: whether a statistic over a population agrees with a claim, by rules that are stated once.

Three words, `AGREES`, `DISAGREES`, `UNDECIDED`. With 95 % intervals over configurations, and with p of the permutation
test of fields where there is one:

- an effect is there (`present`): agrees where p <= .05; disagrees where the interval lies below what counts as
  negligible; else undecided. Where there is no effect it agrees in 5 % of populations.
- an effect is not there (`absent`, an equivalence test): agrees where the interval lies below a bound that was named
  beforehand; disagrees where p <= .05; else undecided. Where the effect is at the bound it agrees in 2.5 %.
- a number has a sign (`signed`): agrees where the interval lies on that side of 0, disagrees where on the other.
- a number is hardly there, of either sign (`equivalent`): agrees where the interval lies within a bound on both sides
  of 0, disagrees where it lies beyond it; else undecided.
- a number is that of the paper (`equal`): agrees where the interval has it, with the paper's own error, and has not 0;
  undecided where it has both, for then it hardly says anything; else disagrees.
- a share is at least so large (`at_least`).
"""

import math
from typing import NamedTuple

from analysis.arithmetic import SIGNIFICANT
from analysis.studies._replicates import Estimate

__all__ = [
    "AGREES",
    "DISAGREES",
    "NEGLIGIBLE",
    "UNDECIDED",
    "Answer",
    "absent",
    "at_least",
    "equal",
    "equivalent",
    "present",
    "signed",
    "unanswered",
]

AGREES, DISAGREES, UNDECIDED = "agrees", "disagrees", "undecided"

NEGLIGIBLE = 0.06
"""The omega squared from which on an effect counts as of medium size (Cohen 1988, Statistical power analysis)."""


class Answer(NamedTuple):
    """What a population says of a claim.

    Attributes:
      value: of the statistic; NaN where it cannot be had.
      low, high: its limits of 95 %; NaN where there are none.
      n: of how many configurations, or what the statistic is over.
      verdict: `AGREES`, `DISAGREES` or `UNDECIDED`.
      because: why, in words.
    """

    value: float
    low: float
    high: float
    n: int
    verdict: str
    because: str

    def without(self, count: int, what: str) -> "Answer":
        """The same, saying how many networks are not in it, and what is the matter with them; of none nothing."""
        return self._replace(because=f"{self.because}; {count} {what} left out") if count else self


def unanswered(because: str, n: int = 0) -> Answer:
    """There is no value."""
    return Answer(math.nan, math.nan, math.nan, n, UNDECIDED, because)


def present(effect: Estimate, p: float, negligible: float = NEGLIGIBLE) -> Answer:
    """Whether an effect is there."""
    if p <= SIGNIFICANT:
        return Answer(*effect, AGREES, f"p = {p:.2g}")
    test = f"p = {p:.2g}" if math.isfinite(p) else "there are too few configurations for a test"
    if effect.high < negligible:
        return Answer(*effect, DISAGREES, f"{test}, and the interval lies below {negligible:g}")
    return Answer(*effect, UNDECIDED, f"{test}, and {_limited(effect, f'the interval reaches {negligible:g}')}")


def absent(effect: Estimate, p: float = math.nan, bound: float = NEGLIGIBLE) -> Answer:
    """Whether an effect is smaller than a bound."""
    if effect.high < bound:
        return Answer(*effect, AGREES, f"the interval lies below {bound:g}")
    if p <= SIGNIFICANT or effect.low >= bound:
        why = f"p = {p:.2g}" if p <= SIGNIFICANT else f"the interval lies above {bound:g}"
        return Answer(*effect, DISAGREES, f"{why}, and the interval does not lie below {bound:g}")
    return Answer(*effect, UNDECIDED, _limited(effect, f"the interval does not lie below {bound:g}"))


def signed(number: Estimate, sign: int) -> Answer:
    """Whether a number is above 0, or below it.

    Args:
      number: the statistic.
      sign: 1 or -1.
    """
    side = "above" if sign > 0 else "below"
    low, high = sorted((sign * number.low, sign * number.high))
    if low > 0:
        return Answer(*number, AGREES, f"the interval lies {side} 0")
    if high < 0:
        return Answer(*number, DISAGREES, f"the interval lies on the other side of 0, not {side}")
    return Answer(*number, UNDECIDED, _limited(number, "the interval has 0"))


LEAST_EQUIVALENT = 24
"""Configurations from which on numbers may count as equal: where they differ by the bound, 6 to 24 % of fewer would."""


def equivalent(number: Estimate, bound: float) -> Answer:
    """Whether a number of either sign is nearer to 0 than a bound."""
    if number.n < LEAST_EQUIVALENT:
        return Answer(*number, UNDECIDED, f"there are {number.n} configurations; to be equal needs {LEAST_EQUIVALENT}")
    if max(number.high, -number.low) < bound:
        return Answer(*number, AGREES, f"the interval lies within {bound:g} of 0")
    if max(number.low, -number.high) >= bound:
        return Answer(*number, DISAGREES, f"the interval lies beyond {bound:g} of 0")
    return Answer(*number, UNDECIDED, _limited(number, f"the interval does not lie within {bound:g} of 0"))


def equal(number: Estimate, paper: float, error: float = 0.0) -> Answer:
    """Whether a number is that of the paper.

    Args:
      number: the statistic.
      paper: its value.
      error: the half width of the paper's own interval.
    """
    if not math.isfinite(number.low + number.high):
        return Answer(*number, UNDECIDED, "there is no interval")
    if number.low <= paper + error and paper - error <= number.high:
        if number.low <= 0 <= number.high:
            return Answer(*number, UNDECIDED, "the interval has both the paper's value and 0")
        return Answer(*number, AGREES, "the interval meets that of the paper")
    return Answer(*number, DISAGREES, "the interval does not meet that of the paper")


def at_least(share: Estimate, least: float) -> Answer:
    """Whether a number is as large as was named beforehand."""
    if share.low >= least:
        return Answer(*share, AGREES, f"the interval lies at or above {least:g}")
    if share.high < least:
        return Answer(*share, DISAGREES, f"the interval lies below {least:g}")
    return Answer(*share, UNDECIDED, _limited(share, f"the interval has {least:g}"))


def _limited(effect: Estimate, words: str) -> str:
    """What is said of an interval, or that there is none."""
    return words if math.isfinite(effect.low + effect.high) else "there are too few configurations for an interval"
