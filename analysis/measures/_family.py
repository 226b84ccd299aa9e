"""What every family of measures shares: checked choices, a name that carries them, and the contract's usual answers."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models import broken_limit

State = dict[str, Any]
"""What `prepare` makes of a group of members: arrays with the member axis first."""


class Span(NamedTuple):
    """Stimuli that stand next to each other: a slice of them is read in a third of the time of a gather.

    Attributes:
      start: the first one.
      size: how many, a Python number.
    """

    start: Any
    size: int


def at_stimuli(leaf: Any, stimuli: Any) -> Any:
    """The given stimuli, a `Span` or indices, of a state's array `(member, stimulus, ...)`."""
    if isinstance(stimuli, Span):
        return jax.lax.dynamic_slice_in_dim(leaf, stimuli.start, stimuli.size, 1)
    return leaf[:, stimuli]


def index(stimuli: Any) -> jax.Array | np.ndarray:
    """Which stimuli a `Span` or indices are."""
    return stimuli.start + jnp.arange(stimuli.size) if isinstance(stimuli, Span) else stimuli


@dataclasses.dataclass(frozen=True)
class Family:
    """The base of a family's `Measure`; the contract is `analysis.measures.Measure` and one of its two forms.

    Fields are declared with `models.setting`, whose limits are checked here.
    """

    # A choice of the wrong type is refused below, in a sentence, also where the tests check annotations.
    __no_type_check__: ClassVar[bool] = True

    form: ClassVar[str] = "inner"
    kind: ClassVar[str] = "similarity"
    symmetric: ClassVar[bool] = True
    identity: ClassVar[float] = 1.0
    takes: ClassVar[tuple[str, ...]] = ("patterns", "trajectories")
    is_metric: ClassVar[bool] = True
    least: ClassVar[int] = 2
    totals: ClassVar[bool] = False
    extras: ClassVar[tuple[str, ...]] = ()
    host: ClassVar[bool] = False
    pads: ClassVar[bool] = False
    null_always: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    redeals: ClassVar[bool] = False
    rdm_compare: ClassVar[str | None] = None
    words: ClassVar[dict[str, tuple[str, Any]]] = {}
    always: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, float) and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, field.name, value := float(value))
            limits, where = field.metadata.get("limits", {}), f"{self.family} has no {field.name}={value!r}"
            kind, is_choice = type(field.default), "choices" in limits
            # True is 1, and would pass for it: a truth value is allowed where the default is one, and nowhere else.
            of_kind = isinstance(value, bool) is (kind is bool) and (is_choice or isinstance(value, kind))
            broken = broken_limit(limits, value) if of_kind else None
            if is_choice and (broken or not of_kind):
                raise ValueError(f"{where}; allowed: {', '.join(map(str, limits['choices']))}.")
            if not of_kind:
                raise ValueError(f"{where}; it must be of type {kind.__name__}.")
            if broken:
                raise ValueError(f"{where}; it must be {broken.words} {broken.allowed}.")

    @property
    def family(self) -> str:
        """The file's name."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """`family(field=value, word)`: the fields in `always`, and every other that is not at its default."""
        parts = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in self.always or value != field.default:
                word = [word for word, choice in self.words.items() if choice == (field.name, value)]
                parts.append(word[0] if word else f"{field.name}={value}")
        return f"{self.family}({', '.join(parts)})"

    @property
    def cosine(self) -> bool:
        """Whether a value is the cosine of the angle between one map per member.

        Only of these can another map be taken out, and only these have a noise ceiling from the members' similarities.
        """
        return self.form == "inner" and self.kind == "similarity" and self.identity == 1 and self.is_metric

    def recentring(self, one_row: bool) -> str | None:
        """How the map of fewer stimuli is centred anew; None where it does not follow from the map of all.

        "hollow": rows and columns sum to 0 for each pair of times, without a stimulus' block with itself; "full": with
        it; "entries": the sum for each pair of times is 0; "grand": the sum of all is; "none": nothing is.

        Args:
          one_row: whether there is one row per stimulus, so that no times have to be told apart.
        """
        return None

    def factor(self, state: State) -> Any | None:
        """F of a map that is `F F'` but for some correction, `(member, row, unit)`; None where there is none."""
        return None

    def corrected(self, products: Any, state_a: State, state_b: State) -> Any:
        """The inner products `(a, b)` of two groups' maps from the `|F_a' F_b|^2` of their factors."""
        return products

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why it cannot be had of representations of this size, with the fix; "" where it can."""
        return ""

    def chance(self, state_a: State, state_b: State) -> float | Any:
        """The value of unrelated representations, a number or `(a, b)`; NaN where no closed form is known."""
        return float("nan")

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """Its standard deviation over permutations of the stimuli; None where there is no closed form for all pairs."""
        return None
