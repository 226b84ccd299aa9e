"""The state of a recurrent network as one row of numbers, and its step as a map from rows to rows.

A state may be any tree of arrays `(trial, unit)`, such as h and c of an LSTM. Here it is `(trial, coordinate)`: the
leaves of the tree side by side, in the tree's order.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

WHOLE_STATE = "state"
"""The layer of a recurrent network that is its whole state, such as h and c of an LSTM: compared where it is named."""

Flow = Callable[[jax.Array, jax.Array], jax.Array]
"""From states `(row, coordinate)` and inputs `(row, unit)` to the next states."""


class Layout(NamedTuple):
    """Where the parts of a state stand among its coordinates.

    Attributes:
      structure: of the tree.
      widths: of its leaves.
      names: of its leaves: "h", "c"; "" of a state that is one array.
    """

    structure: Any
    widths: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of coordinates."""
        return sum(self.widths)

    @property
    def coordinates(self) -> list[str]:
        """A name for each: "h[0]", or "[0]"."""
        return [f"{name}[{i}]" for name, width in zip(self.names, self.widths) for i in range(width)]

    def row(self, state: Any) -> jax.Array:
        """A tree of `(trial, unit)` as `(trial, coordinate)`."""
        return jnp.concatenate(jax.tree.leaves(state), axis=-1)

    def tree(self, row: jax.Array) -> Any:
        """`(trial, coordinate)` as the tree."""
        parts, begin = [], 0
        for width in self.widths:
            parts.append(row[..., begin : begin + width])
            begin += width
        return self.structure.unflatten(parts)


def layout_of(model: Any, variables: Any) -> Layout:
    """The layout of a recurrent model's state."""
    state = jax.eval_shape(lambda v: initial_state(model, v, 1), variables)
    leaves, structure = jax.tree.flatten_with_path(state)
    names = ["".join(str(getattr(key, "name", getattr(key, "key", key))) for key in path) for path, _ in leaves]
    return Layout(structure, tuple(leaf.shape[-1] for _, leaf in leaves), tuple(names))


def initial_state(model: Any, variables: Any, trials: int) -> Any:
    """The state before the first time step."""
    return model.apply(variables, trials, method="initial_state")


def flow_of(model: Any, variables: Any, period: int = 1) -> Flow:
    """`period` time steps of a model under an input that stays, on rows."""
    layout = layout_of(model, variables)

    def flow(x: jax.Array, inputs: jax.Array) -> jax.Array:
        state = layout.tree(x)
        for _ in range(period):
            state, _ = model.apply(variables, state, inputs, method="step")
        return layout.row(state)

    return flow


def rates_of(model: Any, variables: Any) -> Flow:
    """The rates after a time step of a model, `(row, unit)`, of rows."""
    layout = layout_of(model, variables)

    def rates(x: jax.Array, inputs: jax.Array) -> jax.Array:
        return model.apply(variables, layout.tree(x), inputs, method="step")[1]

    return rates


def visited_states(model: Any, variables: Any, inputs: jax.Array) -> jax.Array:
    """The states that a network passes through on inputs `(trial, time, unit)`: `(time, trial, coordinate)`."""
    layout = layout_of(model, variables)

    def step(state: Any, now: jax.Array) -> tuple[Any, jax.Array]:
        state, _ = model.apply(variables, state, now, method="step")
        return state, layout.row(state)

    begin = initial_state(model, variables, inputs.shape[0])
    return lax.scan(step, begin, jnp.swapaxes(inputs, 0, 1))[1]


def jacobian_of(flow: Flow) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """From `(row, coordinate)` and inputs to the derivative of the flow with respect to the state,
    `(row, coordinate, coordinate)`: element [i, j] is that of the next coordinate i with respect to coordinate j."""

    def of_one(x: jax.Array, inputs: jax.Array) -> jax.Array:
        return jax.jacfwd(lambda x: flow(x[None], inputs[None])[0])(x)

    return jax.vmap(of_one)


def input_jacobian_of(flow: Flow) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The same with respect to the input, `(row, coordinate, unit)`."""

    def of_one(x: jax.Array, inputs: jax.Array) -> jax.Array:
        return jax.jacfwd(lambda u: flow(x[None], u[None])[0])(inputs)

    return jax.vmap(of_one)
