"""How often members are evaluated, and in how large parts."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from zoo.spec.settings import Training
from zoo.tasks import is_environment

EVALUATION_SHARE = 0.02
"""Evaluations may cost this share of the training steps; a forward pass is taken for a third of a step."""


TRIALS_AT_ONCE = 500
"""Trials of the evaluation set that one forward pass takes: ten thousand images at once would need gigabytes."""


def evaluate_every(task: Any, training: Training, data: Any) -> int:
    """Steps between evaluations: as asked, or as often as `EVALUATION_SHARE` allows; at most all there are.

    Args:
      task, training: of the member.
      data: what `task.data` gives; not looked at where `training.evaluate_every` says it.
    """
    if training.evaluate_every:
        return min(training.evaluate_every, training.steps)
    held_out = jax.eval_shape(task.evaluation, data)  # trials, or keys of episodes
    count = len(held_out if is_environment(task) else held_out.inputs)
    return min(training.steps, math.ceil(count / (3 * EVALUATION_SHARE * training.batch)))


def in_parts(function: Callable[[jax.Array], jax.Array], inputs: jax.Array) -> jax.Array:
    """`function` of the inputs, `(trial, ...)`, `TRIALS_AT_ONCE` trials or fewer at a time."""
    count = len(inputs)
    parts = -(-count // TRIALS_AT_ONCE)
    if parts == 1:
        return function(inputs)
    size = -(-count // parts)
    index = jnp.minimum(jnp.arange(parts * size), count - 1).reshape(parts, size)
    outputs = lax.map(lambda rows: function(inputs[rows]), index)
    return outputs.reshape(parts * size, *outputs.shape[2:])[:count]
