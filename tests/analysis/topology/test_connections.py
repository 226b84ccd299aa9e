"""Connections of planted networks: which saddle leads where is known, and a turn of the state changes none of it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import special_ortho_group

from analysis.dynamics import search
from analysis.dynamics.search import Settings
from analysis.topology import connections
from analysis.topology.connections import Connections, Places, Starting, saddle_connections
from analysis.topology.shooting import hits
from tests.analysis.dynamics.planted import Planted, everywhere, runner

SEARCH = Settings(period=1, starts=64, spread=0.0, reach=10.0, rounds=8)
STARTING = Starting(directions=16, steps=2000, saddles=64)


def bits(variables: Any, x: Any, inputs: Any) -> Any:
    """Every coordinate on its own with stable points near -1 and 1 and an unstable one near 0; in some basis."""
    x = x @ variables["basis"]
    skew = 0.02 * jnp.arange(1, x.shape[1] + 1) / x.shape[1]
    return jnp.tanh(2 * x + skew[None]) @ variables["basis"].T


def ring(variables: Any, x: Any, inputs: Any) -> Any:
    """An unstable point in the middle of a ring on which the state goes round and round."""
    grown = x * (1 + 0.3 * (1 - jnp.sum(x**2, -1, keepdims=True)))
    return grown @ jnp.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]], x.dtype)


def close(variables: Any, x: Any, inputs: Any) -> Any:
    """Along the first coordinate an unstable point at 0, a stable one at 1 and an unstable one beside it, at 1.04; a
    bit along the second."""
    first, second = x[:, :1], x[:, 1:]
    first = first + jnp.tanh(2 * first * (first - 1) * (first - 1.04))
    return jnp.concatenate([first, jnp.tanh(2 * second + 0.02)], axis=1)


def found(step: Any, width: int, variables: dict[str, Any], settings: Starting = STARTING) -> Any:
    """The fixed points of networks, and their connections."""
    run, members = runner(Planted(step, width), variables), list(variables)
    where = everywhere(len(members), width, 64, scale=2.0)
    points = search.fixed_points(run, members, where, np.zeros((1, 1)), SEARCH)
    places = {}
    for m, (one,) in enumerate(points):
        unstable = (np.abs(one.eigenvalues) > 1 + 1e-6).sum(1)
        places[m, 0] = Places(one.states, unstable, np.zeros(1), float(where.scale[m]))
    return places, saddle_connections(run, members, places, settings)


def kinds(places: Places, found: Connections) -> dict[tuple[int, int], list[int]]:
    """(unstable modes of a saddle, of what it leads to) -> to how many of these each such saddle leads."""
    reached: dict[tuple[int, int], list[int]] = {}
    for saddle in np.flatnonzero(places.unstable > 0):
        for modes in range(int(places.unstable[saddle])):
            count = int((found.leads[saddle, places.unstable == modes]).sum())
            reached.setdefault((int(places.unstable[saddle]), modes), []).append(count)
    return reached


def test_of_two_bits_every_saddle_leads_to_its_two_corners_and_the_source_to_all_and_to_the_four_saddles() -> None:
    turn = special_ortho_group.rvs(2, random_state=0)
    places, given = found(bits, 2, {"m": {"basis": np.eye(2)}, "turned": {"basis": turn}})
    for m in range(2):
        assert np.bincount(places[m, 0].unstable).tolist() == [4, 4, 1]
        assert kinds(places[m, 0], given[m, 0]) == {(1, 0): [2] * 4, (2, 0): [4], (2, 1): [4]}
        assert given[m, 0].elsewhere.sum() == 0
        assert given[m, 0].followed.tolist() == (places[m, 0].unstable > 0).tolist()
        states, basis = places[m, 0].states, (np.eye(2), turn)[m]
        corners = np.sign(np.round(states @ basis, 1))
        for saddle, point in np.argwhere(given[m, 0].counts):
            moved = corners[saddle] != corners[point]
            assert (corners[saddle][moved] == 0).all(), "a bit that is set stays"


def test_only_saddles_whose_boundaries_were_not_all_followed_are_shot_from(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []

    def counted(run: Any, members: Any, aims: Any, *rest: Any) -> list[bool]:
        modes.extend(aim.basis.shape[1] for aim in aims)
        return hits(run, members, aims, *rest)

    monkeypatch.setattr(connections, "hits", counted)
    found(bits, 3, {"m": {"basis": np.eye(3)}})
    assert set(modes) == {3}
    modes.clear()
    found(bits, 2, {"m": {"basis": np.eye(2)}}, STARTING._replace(steps=12))  # too few to come to a corner
    assert set(modes) == {2}


def test_of_three_bits_every_point_leads_to_all_that_share_the_bits_that_are_set_in_it() -> None:
    places, given = found(bits, 3, {"m": {"basis": special_ortho_group.rvs(3, random_state=1)}})
    assert np.bincount(places[0, 0].unstable).tolist() == [8, 12, 6, 1]
    reached = kinds(places[0, 0], given[0, 0])
    assert reached == {(1, 0): [2] * 12, (2, 0): [4] * 6, (2, 1): [4] * 6, (3, 0): [8], (3, 1): [12], (3, 2): [6]}


def test_a_saddle_beside_a_stable_point_is_not_led_to_by_what_comes_to_that_point() -> None:
    """Of a range of 2, saddles are passed at .06; these lie .04 from where the ways end."""
    (here, *_), (given, *_) = (list(one.values()) for one in found(close, 2, {"m": {}}))
    assert np.bincount(here.unstable).tolist() == [2, 5, 2]
    (source,) = np.flatnonzero((here.unstable == 2) & (np.abs(here.states[:, 0]) < 0.5))
    led = here.states[given.leads[source]]
    assert sorted(led[:, 0].round(2).tolist()) == [0, 0, 1, 1, 1]


def test_saddles_that_a_mode_leads_to_beside_a_much_faster_one_are_found() -> None:
    """Along the first coordinate states grow three times in a step, along the second by a twentieth: before one has
    gone half the second's way to its saddle, the first has grown by more than double precision holds."""

    def unequal(variables: Any, x: Any, inputs: Any) -> Any:
        return jnp.tanh(jnp.asarray([[3.0, 1.05]], x.dtype) * (x @ variables["basis"])) @ variables["basis"].T

    turn = special_ortho_group.rvs(2, random_state=0)
    places, given = found(unequal, 2, {"m": {"basis": np.eye(2)}, "turned": {"basis": turn}})
    for m in range(2):
        assert np.bincount(places[m, 0].unstable).tolist() == [4, 4, 1]
        assert kinds(places[m, 0], given[m, 0]) == {(1, 0): [2] * 4, (2, 0): [4], (2, 1): [4]}


def test_what_comes_to_a_ring_is_elsewhere() -> None:
    places, given = found(ring, 2, {"m": {}}, STARTING._replace(steps=300))
    assert places[0, 0].unstable.tolist() == [2]
    assert given[0, 0].counts.sum() == 0
    assert given[0, 0].elsewhere.tolist() == [16]


@pytest.mark.parametrize("saddles", [0, 3])
def test_no_more_saddles_are_followed_than_asked_for(saddles: int) -> None:
    places, given = found(bits, 2, {"m": {"basis": np.eye(2)}}, STARTING._replace(saddles=saddles))
    assert given[0, 0].followed.sum() == saddles
    assert (places[0, 0].unstable[given[0, 0].followed] == 1).all(), "those of the fewest modes first"
    assert (given[0, 0].counts[~given[0, 0].followed] == 0).all()


def test_a_network_without_saddles_has_no_connections() -> None:
    places, given = found(lambda variables, x, inputs: 0.5 * x, 2, {"m": {}})
    assert len(places[0, 0].states) == 1
    assert given[0, 0].counts.tolist() == [[0]]


def test_networks_without_any_point_have_none_either() -> None:
    run = runner(Planted(bits, 2), {"m": {"basis": np.eye(2)}})
    none = Places(np.zeros((0, 2)), np.zeros(0, int), np.zeros(1), 1.0)
    assert saddle_connections(run, ["m"], {(0, 0): none}, STARTING)[0, 0].counts.shape == (0, 0)
