"""Topology of planted networks: equal of conjugate ones that geometry calls unlike, and not of like ones with other
points; nothing of it changes with a turn of the state."""

import functools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import special_ortho_group

from analysis import artefacts, compare
from analysis.assays import _topologies, fixed_points, topology
from analysis.dynamics.states import visited_states
from analysis.labelled_comparison import Comparison
from analysis.zoo_assays import read_result
from tests.analysis.assayed_zoo import assayed
from tests.analysis.dynamics.planted import Planted, runner
from zoo.devices.population import Population

STEPS, TRIALS = 30, 12
SMALL = topology.Assay(steps=1500, looks=15, average=100, exponents=2)


class Network(Planted):
    """A planted network that may be assayed."""

    step, bounded = True, True


def bits(variables: Any, x: Any, inputs: Any) -> Any:
    """Two bits, each with a gain: above 1 it has two stable states, below it one."""
    return jnp.tanh(variables["gain"][None] * x + inputs)


def conjugate(variables: Any, y: Any, inputs: Any) -> Any:
    """The same seen as y = 12 sinh(2 x_1), x_2: stretched and bent."""
    x = bits(variables, jnp.stack([jnp.arcsinh(y[:, 0] / 12) / 2, y[:, 1]], 1), inputs)
    return jnp.stack([12 * jnp.sinh(2 * x[:, 0]), x[:, 1]], 1)


def turned(variables: Any, x: Any, inputs: Any) -> Any:
    basis = jnp.asarray(special_ortho_group.rvs(2, random_state=0), x.dtype)
    return bits(variables, x @ basis, inputs) @ basis.T


def probe_inputs(strength: float) -> np.ndarray:
    """Random pulses of two bits, `(trial, time, unit)`, the first at once."""
    draw = np.random.default_rng(0)
    pulses = np.sign(draw.normal(size=(TRIALS, STEPS, 2))) * (draw.random((TRIALS, STEPS, 2)) < 0.15)
    pulses[:, 0] = np.sign(draw.normal(size=(TRIALS, 2)))
    return (strength * pulses).astype(np.float32)


def states_of(step: Any, variables: Any, strength: float) -> np.ndarray:
    shown: Any = visited_states(Network(step, 2), variables, jnp.asarray(probe_inputs(strength)))
    return np.swapaxes(shown, 0, 1)


def assayed_network(step: Any, variables: dict[str, Any], strength: float = 3.0, bounded: bool = True) -> xr.Dataset:
    """The result for networks that are planted, as the engine would give it."""
    model = Network(step, 2)
    model.bounded = bounded
    run, members = runner(model, variables), list(variables)

    def mapped(function: Any, shared: Any = (), each: Any = (), members: Any = members, dtype: str = "float32") -> Any:
        return run(function, shared, each, members=members, dtype=dtype)

    def batches(function: Any, shared: Any) -> Iterator[Population]:
        yield Population(members, mapped(function, shared))

    inputs = probe_inputs(strength)
    probe = SimpleNamespace(inputs=inputs, lasts=np.full(TRIALS, STEPS), steps=STEPS, dt=10.0)
    trained = SimpleNamespace(variables=lambda member: variables[member])
    given: Any = dict(members=members, model=model, map=mapped, batches=batches, probe=probe, trained=trained)
    task = SimpleNamespace(input_shape=(STEPS, 2))
    population: Any = SimpleNamespace(**given, task=task, needs={})
    population.needs["fixed_points"] = fixed_points.Assay(starts=64, reach=30.0).run(population)
    return SMALL.run(population)


def labelled(parts: dict[str, xr.Dataset]) -> xr.Dataset:
    """Results of several models as one, on the probe `flipflop`."""
    whole = xr.concat(
        [part.assign_coords(member=[f"{name}/{m}" for m in part["member"].values]) for name, part in parts.items()],
        "member",
        join="outer",
    )
    count = whole.sizes["member"]
    models = [name for name, part in parts.items() for _ in range(part.sizes["member"])]
    of_members: Any = {"trained": [True] * count, "probe_name": ["flipflop"] * count, "model": models}
    return whole.assign_coords({name: ("member", values) for name, values in of_members.items()})


def distances(parts: dict[str, xr.Dataset]) -> dict[str, np.ndarray]:
    return {distance.name: distance.values for _, distance in SMALL.distances(labelled(parts))}


GAIN = {"m": {"gain": np.array([2.0, 1.8])}}


@pytest.fixture(scope="module")
def plain() -> xr.Dataset:
    return assayed_network(bits, GAIN)


def test_conjugate_networks_are_equal_in_topology_where_geometry_calls_them_unlike(plain: xr.Dataset) -> None:
    bent = assayed_network(conjugate, GAIN)
    assert plain["points"].item() == bent["points"].item() == 9
    assert plain["connections"].item() == bent["connections"].item() == 16
    assert plain["index_sum"].item() == bent["index_sum"].item() == 1
    assert plain["graph_hash"].item() == bent["graph_hash"].item()
    assert distances({"plain": plain, "bent": bent})["graph"][0, 1] == 0
    shown = {name: states_of(step, GAIN["m"], 3.0) for name, step in (("plain", bits), ("bent", conjugate))}
    likeness = float(compare(shown, measures="cka(debiased=False)")["cka"][0, 1])
    assert likeness < 0.85


def test_networks_of_like_geometry_are_apart_in_topology_where_their_points_are() -> None:
    gains = {"two": {"gain": np.array([1.06, 1.06])}, "one": {"gain": np.array([0.94, 0.94])}}
    found = assayed_network(bits, gains)
    assert found["points"].squeeze().to_numpy().tolist() == [9, 1]
    assert distances({"bits": found})["graph"][0, 1] > 0.5
    likeness = float(compare({n: states_of(bits, of, 3.0) for n, of in gains.items()}, measures="cka")["cka"][0, 1])
    assert likeness > 0.95


def test_a_turn_of_the_state_changes_nothing(plain: xr.Dataset) -> None:
    found = assayed_network(turned, GAIN)
    apart = distances({"plain": plain, "turned": found})
    assert {name: float(values[0, 1]) for name, values in apart.items()} == dict.fromkeys(apart, 0.0)
    assert set(apart) == {"graph", "trajectory_graph", "meetings"}
    np.testing.assert_allclose(found["lyapunov"], plain["lyapunov"], rtol=1e-3)


def test_a_stable_point_has_the_exponents_of_its_jacobian_per_second() -> None:
    found = assayed_network(bits, {"m": {"gain": np.array([0.9, 0.5])}})
    per_second = 1000 / 10 * np.log([0.9, 0.5])
    np.testing.assert_allclose(found["lyapunov"].sel(drive="no input")[0], per_second, rtol=1e-4)
    assert found["lyapunov"].attrs["units"] == "1/s"
    assert found["kaplan_yorke"].sel(drive="no input").item() == 0


def test_the_graph_of_two_bits_has_all_its_edges_and_a_table_a_line_and_a_picture(plain: xr.Dataset) -> None:
    (graph,) = _topologies.graphs_of(labelled({"plain": plain}))
    assert graph is not None
    kinds = sorted((graph.labels[a][-1], graph.labels[b][-1]) for a, b in graph.edges)
    assert kinds == [("1", "0")] * 8 + [("2", "0")] * 4 + [("2", "1")] * 4
    signs = plain["index"].squeeze().to_numpy() * (-1) ** plain["unstable"].squeeze().to_numpy()
    assert (signs == 1).all(), "of eigenvalues above 1"
    result = labelled({"plain": plain}).assign_attrs(name="topology")
    ((_, table),) = SMALL.tables(result)
    assert table.loc[0, ["points", "unstable_0", "unstable_1", "unstable_2"]].tolist() == [9, 4, 4, 1]
    assert table.loc[0, ["connections", "elsewhere", "index_sum", "class"]].tolist() == [16, 0, 1, 1]
    (line,) = SMALL.lines(result)
    assert "points by unstable modes 4 with 0, 4 with 1, 1 with 2, 16 connections" in line
    ((_, figure),) = SMALL.figures(result)
    assert figure.axes[0].get_title("left") == "in 1 of 1 trained"


def test_a_network_in_which_no_point_was_found_has_no_graph_and_no_distance() -> None:
    gone = assayed_network(lambda variables, x, inputs: x + 1 + 0 * variables["gain"][None], GAIN, bounded=False)
    assert gone["points"].item() == 0
    assert np.isnan(gone["graph_hash"]).all()
    result = labelled({"gone": gone, "bits": assayed_network(bits, GAIN)})
    apart = {distance.name: distance.values for _, distance in SMALL.distances(result)}
    assert np.isnan(apart["graph"][0, 1])
    assert apart["meetings"][0, 1] >= 0
    (line,) = SMALL.lines(result)
    assert "1 network without any fixed point found, and without a graph" in line


def test_what_leads_to_a_cycle_leads_elsewhere() -> None:
    def ring(variables: Any, x: Any, inputs: Any) -> Any:
        grown = x * (1 + 0.3 * (1 - jnp.sum(x**2, -1, keepdims=True)))
        turn = jnp.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]], x.dtype)
        return grown @ turn + 0 * variables["gain"][None]

    found = assayed_network(ring, GAIN, strength=0.0)
    (graph,) = _topologies.graphs_of(labelled({"ring": found}))
    assert graph is not None
    assert sorted(graph.labels) == ["no input: 2", "no input: elsewhere"]
    (line,) = SMALL.lines(labelled({"ring": found}))
    assert "in 1 some unstable mode leads to no fixed point" in line


def test_shares_of_isomorphic_pairs_are_of_networks_that_have_a_graph() -> None:
    classes, models = np.array([1, 1, 2, 1, np.nan]), np.array(["gru", "gru", "gru", "lstm", "gru"])
    assert _topologies.isomorphic_share(classes, models, within=True) == pytest.approx(1 / 3)
    assert _topologies.isomorphic_share(classes, models, within=False) == pytest.approx(2 / 3)
    assert np.isnan(_topologies.isomorphic_share(classes[:1], models[:1], within=True))


@functools.cache
def of_zoo() -> xr.Dataset:
    return read_result(artefacts.assay_path(assayed(), "topology"))[1]


def test_the_table_of_a_zoo_has_a_row_per_network_state_and_input_with_the_counts_of_fixed_points() -> None:
    table: Any = pd.read_csv(artefacts.assay_table(assayed(), "flipflop", "topology"))
    of_points: Any = pd.read_csv(artefacts.assay_table(assayed(), "flipflop", "fixed_points"))
    keys = ["member", "trained", "input", "points"]
    pd.testing.assert_frame_equal(table[keys], of_points[keys])
    assert of_zoo()["place"].dims == ("member", "time", "trial")
    np.testing.assert_allclose(of_zoo()["time"], np.arange(1, 9) * 10)


def test_the_distances_of_a_zoo_are_a_comparison_of_its_networks() -> None:
    comparison = Comparison.load(artefacts.path_of(assayed(), "flipflop-topology", artefacts.COMPARISON))
    assert list(comparison.measures) == ["graph", "trajectory_graph", "meetings"]
    assert len(comparison.items) == 4
    assert comparison.of_task is not None
    assert comparison.of_task.assay == "topology"
    assert artefacts.path_of(assayed(), "flipflop-topology", artefacts.FIELDS).exists()


def test_a_network_with_a_point_on_a_kink_has_no_graph_and_the_line_says_so() -> None:
    def silent(variables: Any, x: Any, inputs: Any) -> Any:
        """Without a bias each unit is on the kink of its ReLU at 0."""
        return jnp.maximum(variables["gain"][None] * x[:, ::-1] + inputs, 0)

    result = assayed_network(silent, {"m": {"gain": np.full(2, 0.5)}})
    assert result["kinks"].to_numpy().tolist() == [[1]]
    assert np.isnan(result["graph_hash"]).all()
    assert _topologies.graphs_of(result) == [None]
    line = _topologies.line_of(result.assign_coords(model=("member", ["silent"])))
    assert "1 network with a point on the kink of an activation, or with a mode" in line


def test_the_median_spectrum_is_of_the_ranks_that_all_networks_have_and_never_rises() -> None:
    nan, narrow, wide = np.nan, [-1.0, -3.0, np.nan], [-0.5, -1.0, -1.5]
    np.testing.assert_array_equal(_topologies._median_spectrum(np.array([narrow, wide])), [-0.75, -2.0, nan])
    overflown = np.array([narrow, [nan] * 3, [-1.0, -np.inf, -np.inf]])
    np.testing.assert_array_equal(_topologies._median_spectrum(overflown), [-1.0, nan, nan])
    assert np.isnan(_topologies._median_spectrum(np.full((2, 3), nan))).all()
