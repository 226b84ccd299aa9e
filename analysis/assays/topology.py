"""Topology: which fixed points lead where, which trajectories meet and part, and how fast neighbours part, of every
network; and how far two networks are apart in this, whatever their geometry.

The fixed-point graph (Maheswaranathan et al. 2019, NeurIPS 32:15629) has the points that `fixed_points` finds as
vertices, their numbers of unstable modes as labels, and edges from every saddle to the points that its unstable modes
lead to (`analysis/topology/connections.py`), or to a vertex "elsewhere" where they lead to none, as to a cycle. The
trajectory graph (Turner, Dabholkar & Barak 2021, NeurIPS 34:25320) is that of the states on the probe
(`analysis/topology/trajectory_graphs.py`). Both are blind to coordinates: networks of unlike cells and sizes, or two
that are conjugate, may have the same. A graph is as complete as what was found: see `complete` of `fixed_points`.

Distances: `graph` and `trajectory_graph`, of Weisfeiler-Lehman colours (`analysis/topology/graphs.py`), blind to when
and which; `meetings`, the share of pairs of trials and times that are together in one network and apart in the other.
Connections are had in double precision, on the CPU, trajectories and Lyapunov exponents in single precision.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures, _topologies
from analysis.assays._assayed import Assayed
from analysis.assays._distances import Distance
from analysis.dynamics import search
from analysis.dynamics.lyapunov import exponents, kaplan_yorke
from analysis.dynamics.newton import indices
from analysis.dynamics.states import flow_of, initial_state, layout_of, visited_states
from analysis.topology.connections import Places, Starting, saddle_connections
from analysis.topology.graphs import Graph, colour_counts, jaccard_distances
from analysis.topology.trajectory_graphs import graph_of, groups_over_time, meeting_distances
from models import Static, setting
from zoo.tasks import static_inputs

DRIVEN_TRIALS, RESTING_STARTS = 8, 4
"""Trajectories that Lyapunov exponents are the mean over: of the first trials of the probe, and from where the first
of these end under each static input."""


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      directions: in which a saddle of two or more unstable modes is left.
      steps: of time that its starts run at most.
      saddles: of a network and input that are followed at most, those of the fewest unstable modes.
      height: of the colours that distances of graphs count.
      trials: of the probe whose trajectories are compared, the first, at most.
      looks: times at which they are looked at, evenly apart, at most.
      tolerance: distance of states that are together, of the range of all on the probe.
      hold: looks that a meeting or a parting lasts at least.
      exponents: Lyapunov exponents, the largest.
      average: time steps that those under a static input are the mean over, after as many to settle.
    """

    directions: int = setting(16, least=4)
    steps: int = setting(4000, least=1)
    saddles: int = setting(128, least=0)
    height: int = setting(3, least=0)
    trials: int = setting(48, least=2)
    looks: int = setting(25, least=2)
    tolerance: Static[float] = setting(0.1, above=0.0)
    hold: int = setting(2, least=1)
    exponents: int = setting(16, least=1)
    average: int = setting(500, least=1)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "environment"})
    needs: ClassVar[tuple[str, ...]] = ("fixed_points",)

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, input)`: points, kinks, marginal, index_sum, connections, elsewhere, graph_hash;
        `(member, input, point)`: unstable, index, leads_elsewhere, followed; `(member, input, edge)`: edge_from,
        edge_to, edge_starts, ends of edges by their places among the points; `(member, time, trial)`: place; `(member,
        drive, exponent)`: lyapunov; `(member, drive)`: kaplan_yorke. NaN where there is no such point or edge, and
        graph_hash where no point, or one of which the unstable modes are not known."""
        fixed = population.needs["fixed_points"]
        inputs = {n: v for n, v in static_inputs(population.task).items() if n in fixed["input"]}
        return xr.merge(
            [
                self._connections(population, fixed, inputs),
                self._trajectories(population),
                self._lyapunov(population, inputs),
            ],
            compat="no_conflicts",
            join="outer",
        )

    def _connections(self, population: Assayed, fixed: xr.Dataset, inputs: dict[str, np.ndarray]) -> xr.Dataset:
        where = _range(population)
        variables = population.trained.variables(population.members[0])
        fixed = fixed.sel(input=list(inputs), coordinate=layout_of(population.model, variables).coordinates)
        states, unstable = fixed["state"].to_numpy(), fixed["unstable"].to_numpy()
        places = {}
        for m, i in np.ndindex(unstable.shape[:2]):
            there = np.isfinite(unstable[m, i])
            modes, values = unstable[m, i, there].astype(int), list(inputs.values())[i]
            places[m, i] = Places(states[m, i, there], modes, np.asarray(values, np.float64), float(where.scale[m]))
        settings = Starting(self.directions, self.steps, self.saddles)
        found = saddle_connections(population.map, population.members, places, settings)
        eigenvalues = fixed["eigenvalue_real"].to_numpy() + 1j * fixed["eigenvalue_imaginary"].to_numpy()
        signs = {pair: indices(eigenvalues[pair][: len(here.states)]) for pair, here in places.items()}
        result = _topologies.labelled_connections(population.members, list(inputs), places, signs, found)
        of_graph = {name: (("member", "input"), fixed[name].to_numpy(), fixed[name].attrs) for name in FROM_FIXED}
        result = result.assign(of_graph)
        return result.assign(graph_hash=result["graph_hash"].where(result["kinks"] + result["marginal"] == 0))

    def _trajectories(self, population: Assayed) -> xr.Dataset:
        """At which place every trial is at every look."""
        probe = population.probe
        every = -(-probe.steps // self.looks)
        groups = []
        for _, states in population.batches(_passing, [np.asarray(probe.inputs)[: self.trials, : probe.steps]]):
            for of_member in states[:, every - 1 :: every]:
                scale = np.sqrt(np.mean(np.sum((of_member - of_member.mean((0, 1))) ** 2, -1)))
                known = np.isfinite(of_member).all()
                of_member = of_member if known else np.zeros_like(of_member)
                here = groups_over_time(of_member, self.tolerance * scale if known else 0, self.hold)
                groups.append(np.where(known, here, np.nan))
        shown = {"long_name": "place of the trial: those of one number are together", "units": "1"}
        times = np.arange(every, probe.steps + 1, every) * (probe.dt or 1.0)
        coords: Any = {"time": ("time", times, {"long_name": "time from the trial's begin", "units": "ms"})}
        coords |= {"member": population.members, "trial": np.arange(groups[0].shape[1])}
        return xr.Dataset({"place": (("member", "time", "trial"), np.stack(groups), shown)}, coords)

    def _lyapunov(self, population: Assayed, inputs: dict[str, np.ndarray]) -> xr.Dataset:
        """Per second, on the probe and under each static input, the mean over trajectories."""
        probe, variables = population.probe, population.trained.variables(population.members[0])
        width = layout_of(population.model, variables).width
        driven, resting = _exponents(min(self.exponents, width), self.average)
        shown = np.asarray(probe.inputs)[:DRIVEN_TRIALS, : probe.steps].astype(np.float32)
        static = np.stack(list(inputs.values())).astype(np.float32)
        of_probe, of_static = population.map(driven, [shown]), population.map(resting, [static, shown[:RESTING_STARTS]])
        of_drives = of_probe[:, None], of_static
        per_step = [values.astype(np.float64) for values in of_drives]  # (member, drive, trajectory, exponent)
        spectrum = np.concatenate([values.mean(2) for values in per_step], 1)
        dimension = np.concatenate([kaplan_yorke(values, width).mean(2) for values in per_step], 1)
        per_second = {"long_name": "Lyapunov exponent, mean over trajectories", "units": "1/s"}
        about = {"long_name": "Kaplan-Yorke dimension, mean over trajectories", "units": "1"}
        second = 1000.0 / (probe.dt or 1000.0)
        return xr.Dataset(
            {
                "lyapunov": (("member", "drive", "exponent"), spectrum * second, per_second),
                "kaplan_yorke": (("member", "drive"), dimension, about),
            },
            {"member": population.members, "drive": ["probe", *inputs], "exponent": np.arange(spectrum.shape[-1])},
        )

    def distances(self, result: xr.Dataset) -> Iterator[tuple[str, Distance]]:
        """See the module's text; NaN of networks without any fixed point, or whose states overflow."""
        colours = f"1 - shared / all Weisfeiler-Lehman colours (Jaccard) up to height {self.height} of the graph of"
        within = f"together within {self.tolerance:g} of the range"

        def apart(graphs: list[Graph]) -> np.ndarray:
            return jaccard_distances([colour_counts(graph, self.height) for graph in graphs])

        for name, part in _pictures.probes(result):
            of_points = _topologies.among(_topologies.graphs_of(part), apart)
            yield name, Distance("graph", of_points, f"{colours} fixed points, labels: input, unstable modes", True)
            places = _topologies.places_of(part)
            of_trials = _topologies.among([None if of is None else graph_of(of) for of in places], apart)
            yield name, Distance("trajectory_graph", of_trials, f"{colours} trajectories, {within}", True)
            met = _topologies.among(places, lambda known: meeting_distances(np.stack(known)))
            about = f"share of pairs of trials and times {within} in one network and not in the other"
            yield name, Distance("meetings", met, about, True)

    def tables(self, result: xr.Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
        """A row per network, state and input: the graph and its class, and the exponents under the input."""
        for name, part in _pictures.probes(result):
            yield name, _topologies.table_of(part)

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe and state."""
        return [
            f"{name}, {state}: {_topologies.line_of(part)}"
            for name, of_probe in _pictures.probes(result)
            for state, part in _pictures.states(of_probe)
        ]

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, the commonest graphs, how many networks have each, and the Lyapunov exponents."""
        for name, of_probe in _pictures.probes(result):
            yield name, _topologies.draw(of_probe, _pictures.title_of(name, of_probe))


FROM_FIXED = ("index_sum", "kinks", "marginal")
"""Of `fixed_points`, what says how much of a graph is known."""
_VISITED = functools.partial(search.visited, starts=1)


def _range(population: Assayed) -> search.Range:
    probe = population.probe
    weights = (np.arange(probe.inputs.shape[1]) < probe.lasts[:, None]).astype(np.float32)
    return search.Range(*population.map(_VISITED, [np.asarray(probe.inputs), weights]))


def _passing(bound: Any, variables: Any, key: Any, inputs: Any) -> Any:
    return visited_states(bound.model, variables, inputs)


@functools.cache
def _exponents(count: int, average: int) -> tuple[Any, Any]:
    """Exponents on the probe, and under static inputs from where its trials end: the same functions, traced once."""

    def driven(bound: Any, variables: Any, key: Any, inputs: Any) -> Any:
        flow, layout = flow_of(bound.model, variables), layout_of(bound.model, variables)
        begin = layout.row(initial_state(bound.model, variables, len(inputs)))
        return exponents(flow, begin, jnp.swapaxes(inputs, 0, 1), count, inputs.shape[1] // 4)

    def resting(bound: Any, variables: Any, key: Any, inputs: Any, shown: Any) -> Any:
        starts = visited_states(bound.model, variables, shown)[-1]
        rows = jnp.repeat(inputs, len(starts), axis=0)
        states = jnp.tile(starts, (len(inputs), 1))
        stays = jnp.broadcast_to(rows[None], (2 * average, *rows.shape))
        found = exponents(flow_of(bound.model, variables), states, stays, count, average)
        return found.reshape(len(inputs), len(starts), count)

    return driven, resting
