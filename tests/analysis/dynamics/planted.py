"""Networks whose dynamics are known, and how the tests run functions over them: as `Assayed.map` does."""

import functools
import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analysis.dynamics.search import Range


class Pair(NamedTuple):
    """A state of two parts, as that of an LSTM."""

    h: Any
    c: Any


class Planted:
    """A network whose step is any function of rows: `apply` answers as a model's does."""

    def __init__(self, step: Callable[[Any, Any, Any], Any], width: int, of_pairs: bool = False):
        self.of, self.width, self.of_pairs = step, width, of_pairs

    def apply(self, variables: Any, *given: Any, method: str) -> Any:
        if method == "initial_state":
            zeros = jnp.zeros((given[0], self.width))
            return Pair(zeros[:, ::2], zeros[:, 1::2]) if self.of_pairs else zeros
        state, inputs = given
        if not self.of_pairs:
            state = self.of(variables, state, inputs)
            return state, state
        whole = jnp.stack([state.h, state.c], axis=-1).reshape(len(inputs), self.width)
        whole = self.of(variables, whole, inputs)
        return Pair(whole[:, ::2], whole[:, 1::2]), whole


def runner(model: Any, variables: dict[str, Any]) -> Callable[..., Any]:
    """`Assayed.map` of networks of one model, `variables` by member."""

    bound = SimpleNamespace(model=model)

    @functools.cache
    def compiled(function: Any) -> Any:
        return jax.jit(lambda own, key, shared, rows: function(bound, own, key, *shared, *rows))

    def run(
        function: Any, shared: Sequence[Any] = (), each: Any = (), *, members: Sequence[str], dtype: str = "float32"
    ) -> Any:
        results = []
        with jax.enable_x64(dtype == "float64"):
            for row, member in enumerate(members):
                own = jax.tree.map(lambda x: np.asarray(x, dtype), variables[member])
                key = jax.random.key(row, impl="threefry2x32")
                results.append(compiled(function)(own, key, shared, jax.tree.map(operator.itemgetter(row), list(each))))
            return jax.tree.map(lambda *leaves: np.stack(leaves), *results)

    return run


def everywhere(members: int, width: int, starts: int, scale: float = 1.0) -> Range:
    """Starts that are drawn about 0, as if the networks had been there."""
    draw = np.random.default_rng(0)
    states = draw.normal(size=(members, starts, width)) * scale / np.sqrt(width)
    farthest = np.linalg.norm(states, axis=-1).max(1)
    return Range(states, np.zeros((members, width), np.float32), np.full(members, scale, np.float32), farthest)
