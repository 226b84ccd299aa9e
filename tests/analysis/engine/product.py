"""What the tests of the engine share: a measure of their own, and a count of how often a program is traced."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.measures._family import Family


@dataclasses.dataclass(frozen=True)
class Product(Family):
    """The inner product of all patterns: a Pair measure that is compiled and does not see units of zeros."""

    time: str = "samples"
    form: ClassVar[str] = "pair"
    pads: ClassVar[bool] = True
    estimator: ClassVar[str] = "sum of products"
    invariances: ClassVar[tuple[str, ...]] = ("permutation",)

    def prepare(self, x):
        return {"x": jnp.asarray(x)}

    def cost(self, state_a, state_b):
        return 8 * state_a["x"][0].size

    def tile(self, a, b):
        return jnp.einsum("aitp,bitp->ab", a["x"], b["x"])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def traced(module, name, monkeypatch):
    """A list that grows each time the compiled function of that name is traced."""
    compiled, traces = getattr(module, name), []

    def counted(*args):
        traces.append(1)
        return compiled.__wrapped__(*args)

    monkeypatch.setattr(module, name, jax.jit(counted, static_argnums=0))
    return traces
