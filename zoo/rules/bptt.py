"""Backpropagation through time: the exact gradient, by reverse-mode differentiation of the unrolled network."""

import dataclasses
from typing import Any, ClassVar

import jax

from zoo.rules import TUNABLE, Context, Gradient


@dataclasses.dataclass(frozen=True)
class Rule:
    """Werbos (1990), Backpropagation through time: what it does and how to do it; for images, plain backpropagation."""

    takes: ClassVar[str] = "trials"
    uses: ClassVar[frozenset[str]] = frozenset(TUNABLE)

    def fits(self, model: Any, task: Any) -> str | None:
        """Every model, on every task that has targets."""
        return None

    def init(self, bound: Any, variables: Any, key: jax.Array) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def gradient(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Context) -> Gradient:
        """The gradient of the objective at the parameters."""

        def objective(params: Any) -> Any:
            return bound.objective({**variables, "params": params}, batch, ctx.noise)

        (total, (loss, stats)), grads = jax.value_and_grad(objective, has_aux=True)(variables["params"])
        return Gradient(grads, state, loss, stats, (total,))
