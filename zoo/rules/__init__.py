"""Learning rules, one per file, each a frozen dataclass `Rule`; the file's name is the rule's name.

The contract of a rule: `gradient(objective, params) -> ((loss, aux), updates)`, where `objective(params)` gives
`(loss, aux)` and is a pure function of one member on one batch, and `updates` has the shape of `params` and stands
where a gradient would.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import jax

    Objective = Callable[[Any], tuple[jax.Array, Any]]


@runtime_checkable
class Rule(Protocol):
    """What training asks of a rule; see the module's text."""

    def gradient(self, objective: "Objective", params: Any) -> tuple[tuple["jax.Array", Any], Any]: ...
