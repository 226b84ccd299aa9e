"""What is minimised: the task's loss on a batch of trials, with the regularisers that Training names."""

from typing import Any

import jax
import jax.numpy as jnp

from models import FIXED, is_before_nonlinearity, on
from zoo.training.singular_values import nuclear_norm


def objective(bound: Any, variables: dict[str, Any], trials: Any, noise: jax.Array) -> tuple[jax.Array, Any]:
    """What is minimised, with the task's loss and the new batch statistics.

    Args:
      bound: a member's `zoo.training.binding.Bound`.
      variables: collection -> arrays.
      trials: the batch.
      noise: key of the network's noise and dropout.

    Returns:
      `(total, (loss, stats))`: `total` is the loss with `l2` times the sum of squared weights (arrays of two axes or
      more; with adamw the optimizer decays them instead), `rate_l2` times the mean squared activation, and of the
      recurrent weights as they act `recurrent_l1` times the sum of their sizes and `recurrent_nuclear` times the
      nuclear norm of each gate's.
    """
    training, params = bound.training, variables["params"]
    stats = [name for name in variables if name not in FIXED]
    rngs = {"noise": noise}
    (outputs, layers), stats = bound.model.apply(variables, trials.inputs, train=True, rngs=rngs, mutable=stats)
    loss = bound.task.loss(outputs, trials)
    total = loss if training.decays else loss + training.l2 * sum(map(_square, _weights(params)))
    if on(training.rate_l2):
        recurrent = bound.model.family == "recurrent"  # which shows more than its rates
        rates = [layers["rate"]] if recurrent else [x for name, x in layers.items() if not is_before_nonlinearity(name)]
        total += training.rate_l2 * sum(jnp.mean(x**2) for x in rates) / len(rates)
    if on(training.recurrent_l1):
        total += training.recurrent_l1 * jnp.sum(jnp.abs(_recurrent(bound, variables)))
    if on(training.recurrent_nuclear):
        total += training.recurrent_nuclear * jnp.sum(nuclear_norm(_recurrent(bound, variables)))
    return total, (loss, stats)


def has_recurrent_weights(model: Any) -> bool:
    """Whether a model says its recurrent weights, as `models/_recurrent.py` has it."""
    return callable(getattr(model, "weight", None))


def _recurrent(bound: Any, variables: Any) -> jax.Array:
    """The recurrent weights as they act, `(gate, unit, unit)`."""
    weight = bound.model.apply(variables, method="weight")
    return jnp.stack(jnp.split(weight, weight.shape[1] // weight.shape[0], axis=1))


def _weights(params: Any) -> list[jax.Array]:
    return [p for p in jax.tree.leaves(params) if p.ndim > 1]


def _square(x: jax.Array) -> jax.Array:
    return jnp.sum(x * x)
