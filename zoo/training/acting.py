"""A network and its environment in turn: episodes, as a scan over time."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from zoo.tasks import Episode


def rollout(task: Any, model: Any, variables: dict[str, Any], keys: jax.Array, greedy: bool) -> Episode:
    """`task.steps` actions in one world per key; the network gets no noise.

    Args:
      task: an environment.
      model: a recurrent model, whose outputs are logits of the actions.
      variables: its variables.
      keys: `(trial,)`.
      greedy: whether the likeliest action is taken; else one is drawn.
    """

    def step(now: Any, index: jax.Array) -> tuple[Any, Any]:
        world, seen, running, state = now
        acting, answering = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, index)))(keys).T
        state, logits = model.apply(variables, state, seen, method="respond")
        action = jnp.argmax(logits, -1) if greedy else jax.vmap(jax.random.categorical)(acting, logits)
        action = action.astype(jnp.int32)
        world, following, reward, done = jax.vmap(task.act)(world, action, answering)
        counts = running.astype(jnp.float32)
        return (world, following, running & ~done, state), (seen, action, reward * counts, counts)

    begun = jax.vmap(task.reset)(jax.vmap(lambda key: jax.random.fold_in(key, task.steps))(keys))
    state = model.apply(variables, len(keys), method="initial_state")
    (worlds, *_), by_time = lax.scan(step, (*begun, jnp.ones(len(keys), bool), state), jnp.arange(task.steps))
    inputs, actions, rewards, mask = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), by_time)
    return Episode(inputs, actions, rewards, mask, worlds)
