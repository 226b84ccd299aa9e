"""Networks run one step at a time, with their rates perturbed or their state changed while they run.

What is run is the model's own `step`: the code that was trained. A rate at time t is shown at t and sent at t + 1. So a
perturbation of time t acts on what is shown of the state at t, and on what goes from there into the next step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from analysis.dynamics.states import Flow, flow_of, initial_state, layout_of
from zoo.keys import threefry_key

PerturbedAt = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
"""From the number of a time step to scale and shift of the rates, `(trial, unit)` or `(1, unit)`."""


class Intervention(NamedTuple):
    """What is done to the rates within a window: r becomes scale r + shift + deviation xi, xi standard normal.

    Attributes:
      scale, shift: `(unit,)`; (0, 0) silences, (0, r) clamps to r, (1, s) drives by s.
      deviation: of noise that is independent over units, steps and trials, `(unit,)`.
      draw: of the noise: the same for the same number.
    """

    scale: Any
    shift: Any
    deviation: Any
    draw: Any


def within(window: tuple[int, int], what: Intervention, trials: int, seed: int | None = None) -> PerturbedAt:
    """An intervention in the time steps from the first to before the second of a window, and nothing outside of it.

    Args:
      window: two time steps.
      what: is done.
      trials: how many there are.
      seed: of the noise; None where there is none, which is faster.
    """
    scale, shift, deviation = (jnp.asarray(x)[None] for x in what[:3])

    def at(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        inside, added = (t >= window[0]) & (t < window[1]), shift
        if seed is not None:
            key = jax.random.fold_in(jax.random.fold_in(threefry_key(seed), what.draw), t)
            added = shift + deviation * jax.random.normal(key, (trials, scale.shape[1]), shift.dtype)
        return jnp.where(inside, scale, 1.0), jnp.where(inside, added, 0.0)

    return at


def simulated(
    model: Any,
    variables: Any,
    inputs: jax.Array,
    perturbed_at: PerturbedAt | None = None,
    changed: Callable[[jax.Array], jax.Array] | None = None,
    flow: Flow | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Outputs and rates of a network that runs step by step.

    Args:
      model: recurrent, with `step` and `outputs_of`.
      variables: its own.
      inputs: `(trial, time, unit)`.
      perturbed_at: what is done to the rates at every step; what the initial state sends is perturbed as at step 0.
      changed: what the state becomes after every step, on rows `(trial, coordinate)`.
      flow: another step, on rows, in place of the model's.

    Returns:
      `(trial, time, unit)` both.
    """
    layout = layout_of(model, variables)

    def body(carry: Any, now: Any) -> Any:
        (state, before), (t, shown) = carry, now
        if flow is None:
            state, _ = model.apply(variables, state, shown, None, before, method="step")
        else:
            state = layout.tree(flow(layout.row(state), shown))
        if changed is not None:
            state = layout.tree(changed(layout.row(state)))
        after = None if perturbed_at is None else {"rate": perturbed_at(t)}
        return (state, after), model.apply(variables, state, after, method="outputs_of")

    first = None if perturbed_at is None else {"rate": perturbed_at(jnp.int32(0))}
    state = jax.tree.map(lambda x: jnp.asarray(x, inputs.dtype), initial_state(model, variables, inputs.shape[0]))
    by_time = lax.scan(body, (state, first), (jnp.arange(inputs.shape[1]), jnp.swapaxes(inputs, 0, 1)))[1]
    outputs, rates = (jnp.swapaxes(x, 0, 1) for x in by_time)
    return outputs, rates


def linearised(model: Any, variables: Any, point: jax.Array, at: jax.Array) -> Flow:
    """The step linearised about a state x* and an input u*: F(x*, u*) + dF/dx (x - x*) + dF/du (u - u*), on rows.

    Args:
      point: x*, `(coordinate,)`.
      at: u*, `(unit,)`.
    """
    step = flow_of(model, variables)

    def flow(x: jax.Array, inputs: jax.Array) -> jax.Array:
        here = jnp.broadcast_to(point[None], x.shape), jnp.broadcast_to(at[None], inputs.shape)
        value, moved = jax.jvp(step, here, (x - here[0], inputs - here[1]))
        return value + moved

    return flow
