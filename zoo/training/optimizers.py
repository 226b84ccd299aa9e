"""From a gradient to new parameters: clipping, the direction of an update, the schedule that its size follows."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from models import on
from zoo.spec.settings import Training


def optimizer_of(training: Training) -> optax.GradientTransformation:
    """The direction of the update, before the learning rate; the settings may hold tracers.

    The rate multiplies afterwards: `optax.inject_hyperparams` would not give the bits of the plain optimizer.
    """
    if training.optimizer == "sgd":
        return optax.trace(decay=training.momentum)
    return optax.scale_by_adam()


def descended(training: Training, params: Any, moments: Any, grads: Any, step: Any) -> tuple[Any, Any, jax.Array]:
    """The parameters and moments after one step against the gradient, and the gradient's norm before clipping."""
    norm = optax.tree.norm(grads)
    # By hand, since `optax.clip_by_global_norm` divides by the norm and then multiplies: other bits than those of the
    # networks that are trained so far, and a second norm.
    if on(training.clip):
        shrink = jnp.minimum(1.0, training.clip / jnp.maximum(norm, 1e-20))
        grads = jax.tree.map(lambda g: g * shrink, grads)
    updates, moments = optimizer_of(training).update(grads, moments, params)
    if training.decays:
        decay = optax.add_decayed_weights(training.l2, mask=lambda tree: jax.tree.map(lambda p: p.ndim > 1, tree))
        updates, _ = decay.update(updates, decay.init(params), params)
    # The rate is applied here and not by the optimizer: so it may be a tracer, and the bits are the plain optimizer's.
    rate = training.learning_rate * multiplier(training, step)
    return jax.tree.map(lambda p, u: p - rate * u, params, updates), moments, norm


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
