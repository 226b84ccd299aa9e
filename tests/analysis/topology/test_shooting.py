"""Shooting comes to the saddles that a saddle leads to, from afar and in coupled coordinates, and to no others."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.stats import special_ortho_group

from analysis.topology.connections import Places, Starting, saddle_connections
from analysis.topology.shooting import Aim, hits
from tests.analysis.dynamics.planted import Planted, runner

BASIS = special_ortho_group.rvs(2, random_state=2)


def five_and_three(variables: Any, x: Any, inputs: Any) -> Any:
    """One coordinate with stable points at -2, 0 and 2 and unstable ones at -1 and 1, which bends the other, that has
    stable points about -1 and 1 and an unstable one between; turned."""
    y = x @ BASIS
    first, second = y[:, 0], y[:, 1]
    bent = second - 0.2 * jnp.sin(first)
    moved = first - 0.03 * first * (first**2 - 1) * (first**2 - 4)
    return jnp.stack([moved, jnp.tanh(1.3 * bent) + 0.2 * jnp.sin(moved)], 1) @ BASIS.T


def places() -> Places:
    """All fifteen points."""
    edge = 1.0
    for _ in range(500):
        edge = np.tanh(1.3 * edge)
    states = [(a, b + 0.2 * np.sin(a)) for a in (-2, -1, 0, 1, 2) for b in (-edge, 0, edge)]
    unstable = [abs(a) % 2 + (b == 0) for a in (-2, -1, 0, 1, 2) for b in (-1, 0, 1)]
    return Places(np.array(states) @ BASIS.T, np.array(unstable), np.zeros(1), 2.0)


def test_a_source_leads_to_the_saddles_next_to_it_and_not_to_those_behind_them() -> None:
    here = places()
    given = saddle_connections(
        runner(Planted(five_and_three, 2), {"m": {}}), ["m"], {(0, 0): here}, Starting(16, 3000, 64)
    )[0, 0]
    y = here.states @ BASIS
    grid = np.stack([np.rint(y[:, 0]), np.sign(np.round(y[:, 1] - 0.2 * np.sin(y[:, 0]), 6))], 1)
    sources = np.flatnonzero(here.unstable == 2)
    assert len(sources) == 2
    for source in sources:
        beside = np.abs(grid - grid[source]).max(1) <= 1
        beside[source] = False
        assert given.leads[source].tolist() == beside.tolist()
    assert given.elsewhere.sum() == 0


def test_an_aim_at_a_point_that_is_not_led_to_does_not_come_to_it() -> None:
    here = places()
    y = here.states @ BASIS
    wanted = ((1, 2), (0, 1), (-2, 1))  # the first coordinate, and unstable modes
    source, near, far = (int(np.argmin(np.abs(y[:, 0] - a) + (here.unstable != k))) for a, k in wanted)
    targets = [
        here.states[None],
        (here.unstable == 0)[None],
        np.zeros((1, len(here.states)), np.int32),
        np.array([1e-3]),
    ]
    modes = BASIS @ np.array([[1.0, 0.0], [0.2 * np.cos(1.0), 1.0]])
    begin = modes * [1e-3, 2e-5], np.array([-1.0, 0.3]) / np.hypot(1, 0.3)
    aims = []
    for to in (near, far):
        left = BASIS @ np.array([[-0.2 * np.cos(y[to, 0])], [1.0]])  # what is beside the bend, and alone grows there
        aims.append(Aim(0, 0, here.states[source], *begin, here.states[to], left, np.zeros(1), 0.05))
    run = runner(Planted(five_and_three, 2), {"m": {}})
    assert hits(run, ["m"], aims, targets, 500) == [True, False]
