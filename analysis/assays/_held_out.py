"""What assays of held-out trials share: moments of activity over what counts in the score."""

import jax
import jax.numpy as jnp


def activity_moments(activity: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of every unit over the trials, places and time steps that count, `(unit,)`."""
    weights = (mask > 0).astype(activity.dtype).reshape(*mask.shape, *(1,) * (activity.ndim - 1 - mask.ndim))
    weights = jnp.broadcast_to(weights, activity.shape[:-1]).reshape(-1, 1)
    rows, total = activity.reshape(-1, activity.shape[-1]), jnp.maximum(jnp.sum(weights), 1.0)
    mean = jnp.sum(jnp.where(weights > 0, rows, 0.0), axis=0) / total
    return mean, jnp.sum(jnp.where(weights > 0, (rows - mean[None]) ** 2, 0.0), axis=0) / total
