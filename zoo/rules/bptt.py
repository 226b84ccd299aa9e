"""Backpropagation through time: the exact gradient, by reverse-mode differentiation of the unrolled network."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Rule:
    """Werbos (1990), Backpropagation through time: what it does and how to do it; for images, plain backpropagation."""

    def gradient(self, objective: Callable[[Any], tuple[jax.Array, Any]], params: Any) -> tuple[Any, Any]:
        """`((loss, aux), gradient)` of the objective at `params`."""
        return jax.value_and_grad(objective, has_aux=True)(params)
