"""A network and its environment in turn: episodes, as a scan over time."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from zoo.tasks import Episode


def rollout(
    task: Any,
    model: Any,
    variables: dict[str, Any],
    keys: jax.Array,
    acting: jax.Array | None,
    perturb: dict[str, Any] | None = None,
) -> Episode:
    """`task.steps` actions in one world per key; the network gets no noise.

    Args:
      task: an environment.
      model: a recurrent model, whose outputs are logits of the actions.
      variables: its variables.
      keys: of the worlds, `(trial,)`.
      acting: the key that actions are drawn from; None takes the likeliest.
      perturb: what lesions and drives the network at every step; see `models`.
    """

    def step(now: Any, index: jax.Array) -> tuple[Any, Any]:
        world, seen, running, state = now
        answering = jax.vmap(lambda key: jax.random.fold_in(key, index))(keys)
        state, logits = model.apply(variables, state, seen, perturb=perturb, method="respond")
        likeliest = jnp.argmax(logits, -1)
        action = likeliest if acting is None else jax.random.categorical(jax.random.fold_in(acting, index), logits)
        action = action.astype(jnp.int32)
        *after, reward, done = jax.vmap(task.act)(world, action, answering)
        world, following = jax.tree.map(partial(_where, running), tuple(after), (world, seen))
        shown = (seen, action, jnp.where(running, reward, 0.0), running.astype(jnp.float32))
        return (world, following, running & ~done, state), shown

    begun = jax.vmap(task.reset)(jax.vmap(lambda key: jax.random.fold_in(key, task.steps))(keys))
    state = model.apply(variables, len(keys), method="initial_state")
    (worlds, *_), by_time = lax.scan(step, (*begun, jnp.ones(len(keys), bool), state), jnp.arange(task.steps))
    inputs, actions, rewards, mask = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), by_time)
    return Episode(inputs, actions, rewards, mask, worlds)


def _where(running: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` where a world goes on, `(trial,)`, else `old`, `(trial, ...)`."""
    return jnp.where(running.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
