"""Measures of representational similarity, one family per file; the file's name is the family's name.

A family's `Measure` is a frozen dataclass (of `_family.Family`) whose fields are its choices, with a default each, and
make its name. What the rest of the analysis may ask of it stands in the protocols below: `Measure` for all, and then
one of two forms, `InnerMeasure`, a Frobenius inner product of one map per member, or `PairMeasure`, anything else of
two members. What a file lacks of it is said in one sentence when the measure is asked for.

Only the engine, `analysis/engine/all_pairs.py`, knows how many members, groups and blocks there are: it walks the
blocks, all Inner measures of a request together, and fills the tiles of the Pair measures. Code elsewhere asks a
measure for the properties that are declared here and never for its name.

Axes are called `member`, `stimulus`, `time`, `unit`; `x` is `(member, stimulus, time, unit)`, one time step where there
is no time.
"""

from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float

from analysis.measures._family import Span, State
from analysis.measures._time import TIMES
from zoo.spec.contracts import check_names, check_word, file_of
from zoo.wording import raised

__all__ = ["PROTOCOLS", "InnerMeasure", "Measure", "PairMeasure", "Stimuli", "check_words"]

KINDS = ("similarity", "distance", "score")
"""What the values of a measure may be."""

MADE_FOR = ("patterns", "trajectories", "repeats", "rdms")
"""What a measure may be made for."""

Stimuli = Span | jax.Array | np.ndarray
"""Which stimuli a block of a map is of: a `Span` or indices, which `_family.at_stimuli` and `index` read."""

PerPair = float | Float[np.ndarray, "a b"]
"""A number for all pairs of two groups' members, or one for each."""


@runtime_checkable
class Measure(Protocol):
    """What every measure declares, and the states that it makes."""

    @property
    def name(self) -> str:
        """`cka(kernel=linear, debiased)`: every choice that matters, as the result's label."""
        ...

    @property
    def words(self) -> dict[str, tuple[str, Any]]:
        """The bare words in the name, `debiased` -> (field, value), so that it reads back as the measure."""
        ...

    @property
    def family(self) -> str:
        """The file's name."""
        ...

    @property
    def form(self) -> str:
        """Which of the two forms: "inner" for an `InnerMeasure`, "pair" for a `PairMeasure`."""
        ...

    @property
    def kind(self) -> str:
        """One of "similarity" (1 is identical), "distance" (0 is identical) and "score" (higher is better)."""
        ...

    @property
    def symmetric(self) -> bool:
        """If not, element [a, b] reads "a predicts b"."""
        ...

    @property
    def identity(self) -> float:
        """The value of a representation with itself, NaN where it is not one number."""
        ...

    @property
    def is_metric(self) -> bool:
        """Whether the triangle inequality holds between representations of any widths.

        Of a distance itself, of a similarity for the angle `arccos`.
        """
        ...

    @property
    def cosine(self) -> bool:
        """Whether a value is the cosine of the angle between one map per member, so that another can be taken out."""
        ...

    @property
    def null_always(self) -> bool:
        """Whether a value means nothing without z and p, which then stand beside it where they have a closed form."""
        ...

    @property
    def unbiased(self) -> bool:
        """Whether values of samples of stimuli lie around that of all stimuli there are; else around one of their own,
        which the number of stimuli decides."""
        ...

    @property
    def redeals(self) -> bool:
        """Whether folds are dealt anew where a stimulus is left out, so that there are no limits by leaving out."""
        ...

    @property
    def rdm_compare(self) -> str | None:
        """The comparison of `analysis.scoring.ceilings` that a noise ceiling of ready RDMs is of; None for no RDMs."""
        ...

    @property
    def estimator(self) -> str:
        """What is estimated, in words."""
        ...

    @property
    def invariances(self) -> tuple[str, ...]:
        """What one may do to a representation without changing the value."""
        ...

    @property
    def least(self) -> int:
        """The fewest stimuli."""
        ...

    @property
    def takes(self) -> tuple[str, ...]:
        """What it is made for: "patterns" (one row a stimulus), "trajectories", "repeats", "rdms".

        A measure that does not take "repeats" is given their mean; a ready RDM takes part only where "rdms" are taken.
        One that takes "repeats" or "rdms" also has `prepare_repeats(x)`, of `(member, repeat, stimulus, time, unit)`,
        or `prepare_rdms(d)`, of `(member, stimulus, stimulus)`.
        """
        ...

    @property
    def time(self) -> str:
        """How time enters, of the words in `TIMES`: "samples" makes (stimulus, time) rows, all others leave one row per
        stimulus."""
        ...

    @property
    def extras(self) -> tuple[str, ...]:
        """What comes with each value, such as the penalty that was chosen.

        `finish` and `tile` then return the values and these, each `(a, b)`.
        """
        ...

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why it cannot be had of representations of this size, with the fix, or ""."""
        ...

    def recentring(self, one_row: bool) -> str | None:
        """How the map of fewer stimuli is centred anew, see `_family.Family.recentring`."""
        ...

    def prepare(self, x: Float[Any, "member stimulus time unit"]) -> State:
        """The state of members that share a shape.

        Every array of it has the member axis first and is O(stimuli x time x units + stimuli x time^2 + units^2), never
        O((stimuli x time)^2).
        """
        ...

    def chance(self, state_a: State, state_b: State) -> PerPair:
        """The value of unrelated representations, NaN where it is unknown."""
        ...

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """The standard deviation of unrelated values, None where there is no closed form for all pairs."""
        ...


@runtime_checkable
class InnerMeasure(Measure, Protocol):
    """A function of the Frobenius inner product of one map per member.

    Rows and columns of a map are (stimulus, time).
    """

    @property
    def totals(self) -> bool:
        """Whether the engine adds to each state, as `total`, the sums of the map `(member, time, time)`."""
        ...

    def left(self, state: State, p: Stimuli, q: Stimuli) -> Float[jax.Array, "maps entry"]:
        """The block of stimuli `p` by stimuli `q` of every member's map.

        Maps are symmetric, so that only blocks on and above the diagonal are asked for. A directed measure may hold
        several maps per member, one for each penalty: `member * maps` rows.
        """
        ...

    def right(self, state: State, p: Stimuli, q: Stimuli) -> Float[jax.Array, "member entry"]:
        """The block of the maps that `left` is multiplied with: the same unless the measure is directed."""
        ...

    def factor(self, state: State) -> Float[Any, "member row unit"] | None:
        """F of a map that is `F F'` but for some correction; None where there is none.

        Products of factors are cheaper than those of maps where there are many more rows than units.
        """
        ...

    def corrected(self, products: Float[np.ndarray, "a b"], state_a: State, state_b: State) -> np.ndarray:
        """The inner products `(a, b)` of the maps from the `|F_a' F_b|^2` of their factors."""
        ...

    def finish(self, inner: Float[np.ndarray, "maps b"], state_a: State, state_b: State) -> Any:
        """Values `(a, b)`, and the `extras`, from the summed inner products.

        Before it the engine adds to the state of a symmetric measure each member's inner product with itself, as
        `self`, `(member,)`.
        """
        ...


@runtime_checkable
class PairMeasure(Measure, Protocol):
    """A function of two members' states."""

    @property
    def host(self) -> bool:
        """Whether `tile` is NumPy code; else it is compiled."""
        ...

    @property
    def pads(self) -> bool:
        """Whether units of zeros change nothing: groups of different width then share a program."""
        ...

    def cost(self, state_a: State, state_b: State) -> int:
        """The number of bytes that one pair needs inside `tile`."""
        ...

    def tile(self, state_a: State, state_b: State) -> Any:
        """All values `(a, b)` of some members with some others, and the `extras`."""
        ...


PROTOCOLS = {"inner": InnerMeasure, "pair": PairMeasure}
"""What a measure's `form` may be, and what it then has."""


def check_words(cls: Any) -> None:
    """Refuse a measure that declares what the engine does not know; `zoo.spec.contracts.check_contract` asks.

    Raises:
      ValueError: one sentence with the file, what it declares and what is allowed.
    """
    try:
        measure = cls()
    except Exception as error:  # a plug-in does what it likes
        must = "every choice must have a default, and all of them go together"
        raise ValueError(f"{file_of(cls)}: Measure() fails: {raised(error)}; {must}.") from error
    for member, allowed in (("form", tuple(PROTOCOLS)), ("kind", KINDS), ("time", TIMES)):
        check_word(measure, member, allowed)
    check_names(measure, "takes", MADE_FOR)
    for word in ("repeats", "rdms"):
        if word in measure.takes and not hasattr(measure, f"prepare_{word}"):
            raise ValueError(f"{file_of(cls)}: takes has {word!r}; then Measure must have `prepare_{word}`, too.")
