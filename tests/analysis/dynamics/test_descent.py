"""Descent: every start has its own end, and steps taken in several calls are those taken in one."""

from typing import Any

import chex
import jax.numpy as jnp
import numpy as np

from analysis.dynamics.descent import ARRIVED, ESCAPED, FIRST_DAMPING, MOVING, STUCK, Descent, descended


def begun(states: Any) -> Descent:
    count = len(states)
    return Descent(jnp.float32(states), jnp.zeros(count), jnp.full(count, FIRST_DAMPING), jnp.full(count, MOVING))


def flow(x: Any, inputs: Any) -> Any:
    """A root at 0, and about 3 a speed of .05 at least; with an input of 1, a speed that falls for ever."""
    there = jnp.where(jnp.abs(x) < 1.5, 0.1 * x, 0.05 + 0.2 * (x - 3) ** 2)
    return x + jnp.where(inputs > 0, jnp.exp(-x / 4), there)


def test_every_start_has_its_own_end() -> None:
    inputs = jnp.array([[0.0], [0.0], [1.0]])
    end = descended(flow, begun([[0.3], [3.2], [1.0]]), inputs, jnp.zeros(1), 25.0, 1e-6, 300)
    assert end.status.tolist() == [ARRIVED, STUCK, ESCAPED]
    np.testing.assert_allclose(end.states[:2, 0], [0, 3], atol=0.05)


def test_a_start_does_not_depend_on_the_others_nor_on_how_steps_are_cut() -> None:
    states = np.random.default_rng(0).uniform(-0.6, 0.6, size=(5, 1))
    inputs = jnp.zeros((5, 1))
    whole = descended(flow, begun(states), inputs, jnp.zeros(1), 10.0, 1e-9, 6)
    half = descended(flow, begun(states), inputs, jnp.zeros(1), 10.0, 1e-9, 3)
    chex.assert_trees_all_close(descended(flow, half, inputs, jnp.zeros(1), 10.0, 1e-9, 3), whole, atol=1e-7)
    alone = descended(flow, begun(states[:1]), inputs[:1], jnp.zeros(1), 10.0, 1e-9, 6)
    np.testing.assert_allclose(alone.states[0], whole.states[0], atol=1e-7)
