"""Products with trained weights, and the weights by which their error comes back.

A product `y = x W` sends its error to its input through `W'`. Where a rule gives it a backward weight B, the error
takes `B'` instead (Lillicrap et al. 2016); y itself and the gradient of W stay as they are. Backward weights are a
collection of variables, "backward", with names of `params`; without it a program is as if there were no such thing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Times = Callable[[jax.Array, jax.Array], jax.Array]


def backward_of(module: nn.Module, name: str) -> jax.Array | None:
    """The backward weight of a module's parameter, or None."""
    return module.get_variable("backward", name) if module.has_variable("backward", name) else None


def product(x: jax.Array, weight: jax.Array, backward: jax.Array | None, times: Times = jnp.matmul) -> jax.Array:
    """`times(x, weight)`, whose error goes back through `backward`, of the weight's shape, where there is one.

    Args:
      x: the input.
      weight: W.
      backward: B, or None.
      times: linear in either.
    """
    if backward is None:
        return times(x, weight)
    return returning(times, times(jax.lax.stop_gradient(x), weight), x, backward)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def returning(times: Times, y: jax.Array, x: jax.Array, backward: jax.Array) -> jax.Array:
    """y, of which x gets the error that `times(x, backward)` would send it."""
    return y


def _forward(times: Times, y: jax.Array, x: jax.Array, backward: jax.Array) -> tuple[jax.Array, Any]:
    return y, (x, backward)


def _backward(times: Times, residuals: Any, error: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, backward = residuals
    (sent,) = jax.vjp(lambda x: times(x, backward), x)[1](error)
    return error, sent, jnp.zeros_like(backward)


returning.defvjp(_forward, _backward)


class Dense(nn.Dense):
    """linen's, whose error may go back through another weight."""

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        backward = backward_of(self, "kernel")
        if backward is None:
            return super().__call__(inputs)
        return returning(jnp.matmul, super().__call__(jax.lax.stop_gradient(inputs)), inputs, backward)
