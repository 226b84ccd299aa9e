"""The direction of an update, and the schedule that its size follows."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from zoo.spec.settings import Training


def optimizer_of(training: Training) -> optax.GradientTransformation:
    """The direction of the update, before the learning rate; the settings may hold tracers.

    The rate multiplies afterwards: `optax.inject_hyperparams` would not give the bits of the plain optimizer.
    """
    if training.optimizer == "sgd":
        return optax.trace(decay=training.momentum)
    return optax.scale_by_adam()


def multiplier(training: Training, step: Any) -> jax.Array:
    """The schedule: what the learning rate is multiplied with at `step`."""
    steps, warmup = training.steps, training.warmup
    rise = jnp.minimum(1.0, (step + 1) / max(warmup, 1)) if warmup else 1.0
    along = jnp.clip((step - warmup) / max(steps - warmup - 1, 1), 0.0, 1.0)
    shape = {
        "constant": lambda: jnp.float32(1.0),
        "linear": lambda: 1 - (1 - training.final) * along,
        "cosine": lambda: training.final + (1 - training.final) * 0.5 * (1 + jnp.cos(jnp.pi * along)),
        "exponential": lambda: jnp.power(training.final, along),
    }
    return rise * shape[training.schedule]()
