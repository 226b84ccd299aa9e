"""What every family of measures shares: checked choices, a name that carries them, and the contract's usual answers."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

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


def some(leaf: jax.Array, stimuli: Any) -> jax.Array:
    """The given stimuli, a `Span` or indices, of a state's array `(member, stimulus, ...)`."""
    if isinstance(stimuli, Span):
        return jax.lax.dynamic_slice_in_dim(leaf, stimuli.start, stimuli.size, 1)
    return leaf[:, stimuli]


def index(stimuli: Any) -> jax.Array:
    """Which stimuli a `Span` or indices are."""
    return stimuli.start + jnp.arange(stimuli.size) if isinstance(stimuli, Span) else stimuli


@dataclasses.dataclass(frozen=True)
class Family:
    """The base of a family's `Measure`; the contract is in the text of `analysis.measures`.

    Fields are declared with `models.setting`, whose limits are checked here.
    """

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
    words: ClassVar[dict[str, tuple[str, Any]]] = {}
    always: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, float) and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, field.name, value := float(value))
            limits = field.metadata.get("limits", {})
            allowed = limits.get("choices")
            if allowed is not None:
                if value not in allowed or isinstance(value, bool) is not isinstance(field.default, bool):
                    raise ValueError(
                        f"{self.family} has no {field.name}={value!r}; allowed: {', '.join(map(str, allowed))}."
                    )
                continue
            if isinstance(value, bool) or not isinstance(value, type(field.default)):
                kind = type(field.default).__name__
                raise ValueError(f"{self.family} has no {field.name}={value!r}; it must be of type {kind}.")
            for limit, holds, words in (
                ("above", lambda v, x: v > x, "above"),
                ("least", lambda v, x: v >= x, "at least"),
                ("below", lambda v, x: v < x, "below"),
                ("most", lambda v, x: v <= x, "at most"),
            ):
                if limit in limits and not holds(value, limits[limit]):
                    raise ValueError(
                        f"{self.family} has no {field.name}={value!r}; it must be {words} {limits[limit]}."
                    )

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

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why it cannot be had of representations of this size, with the fix; "" where it can."""
        return ""

    def chance(self, state_a: State, state_b: State) -> float | Any:
        """The value of unrelated representations, a number or `(a, b)`; NaN where no closed form is known."""
        return float("nan")

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """Its standard deviation over permutations of the stimuli; None where there is no closed form for all pairs."""
        return None
