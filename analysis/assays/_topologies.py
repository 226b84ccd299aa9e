"""What the assay `topology` keeps of networks, as graphs again, and its table, lines and pictures."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures
from analysis.topology.connections import Connections, Places
from analysis.topology.graphs import Graph, classes_of, colour_hash, together
from analysis.topology.trajectory_graphs import graph_of
from analysis.topology.unstable_modes import MOST_MODES
from zoo.wording import counted

ELSEWHERE_LABEL = "elsewhere"
"""The vertex that unstable modes lead to which come to no fixed point."""
MOST_GRAPHS = 3
"""Graphs that a picture shows, the commonest."""
MOST_KINDS = 12
"""Classes whose counts it shows."""


def labelled_connections(
    members: list[str],
    inputs: list[str],
    places: Mapping[tuple[int, int], Places],
    signs: Mapping[tuple[int, int], np.ndarray],
    found: Mapping[tuple[int, int], Connections],
) -> xr.Dataset:
    """Fixed points and what leads to them, in arrays that hold the network with most."""
    edges = {pair: np.argwhere(of.leads) for pair, of in found.items()}
    shape = (len(members), len(inputs))
    of_points = np.full((4, *shape, max([1, *(len(here.states) for here in places.values())])), np.nan)
    of_edges = np.full((3, *shape, max([1, *map(len, edges.values())])), np.nan)
    of_graphs = np.zeros((4, *shape))
    for pair, here in places.items():
        of, count = found[pair], len(here.states)
        of_points[:, *pair, :count] = here.unstable, signs[pair], of.elsewhere, of.followed
        ends = edges[pair]
        of_edges[:, *pair, : len(ends)] = [*ends.T, of.counts[tuple(ends.T)]]
        whole = colour_hash(_graph(here.unstable, ends, of.elsewhere)) if count else np.nan
        of_graphs[:, *pair] = count, len(ends), of.elsewhere.sum(), whole
    graph, point, edge = ("member", "input"), ("member", "input", "point"), ("member", "input", "edge")
    about = {
        "points": (graph, of_graphs[0], "fixed points, but those on a kink"),
        "connections": (graph, of_graphs[1], "edges from a saddle to what its unstable modes lead to, in the end"),
        "elsewhere": (graph, of_graphs[2], "starts at saddles that reached no fixed point"),
        "graph_hash": (graph, of_graphs[3], "number that isomorphic fixed-point graphs share"),
        "unstable": (point, of_points[0], "unstable modes"),
        "index": (point, of_points[1], "sign of det(I - J)"),
        "leads_elsewhere": (point, of_points[2], "starts at the point that reached no fixed point"),
        "followed": (point, of_points[3], "1 where the unstable modes of the point were followed"),
        "edge_from": (edge, of_edges[0], "place of the saddle that an edge leads from, among the points"),
        "edge_to": (edge, of_edges[1], "place of the point that it leads to"),
        "edge_starts": (edge, of_edges[2], "starts and shots that came that way; 0 by way of others alone"),
    }
    coords = {"point": np.arange(of_points.shape[-1]), "edge": np.arange(of_edges.shape[-1])}
    variables = {
        name: (dims, values, {"long_name": words, "units": "1"}) for name, (dims, values, words) in about.items()
    }
    return xr.Dataset(variables, {"member": members, "input": inputs, **coords})


def _graph(unstable: np.ndarray, edges: np.ndarray, elsewhere: np.ndarray) -> Graph:
    """The fixed-point graph, labelled by unstable modes."""
    labels = [str(int(modes)) for modes in unstable]
    pairs = {(int(a), int(b)) for a, b in edges}
    if (lost := np.flatnonzero(elsewhere > 0)).size:
        pairs |= {(int(saddle), len(labels)) for saddle in lost}
        labels.append(ELSEWHERE_LABEL)
    return Graph(tuple(labels), frozenset(pairs))


def graphs_of(part: xr.Dataset) -> list[Graph | None]:
    """The fixed-point graph of every network, of all inputs together; None of one without any point, and of one with a
    point whose unstable modes nobody knows: on a kink, or with a mode that neither grows nor decays.

    Args:
      part: of a result, networks on one probe.
    """
    names = ("unstable", "edge_from", "edge_to", "leads_elsewhere", "points")
    unstable, first, second, elsewhere, points = (part[name].to_numpy() for name in names)
    unknown = _unknown(part)
    graphs: list[Graph | None] = []
    for m in range(part.sizes["member"]):
        of_inputs = {}
        for i, name in enumerate(part["input"].to_numpy().tolist()):
            if np.isnan(points[m, i]):  # another task's input
                continue
            there, edge = np.isfinite(unstable[m, i]), np.isfinite(first[m, i])
            edges = np.stack([first[m, i, edge], second[m, i, edge]], 1)
            of_inputs[name] = _graph(unstable[m, i, there], edges, elsewhere[m, i, there])
        whole = together(of_inputs)
        graphs.append(whole if whole.labels and not unknown[m] else None)
    return graphs


def _unknown(part: xr.Dataset) -> np.ndarray:
    """Which networks have a point whose unstable modes are not known, `(member,)`."""
    return ((part["kinks"] + part["marginal"]).sum("input") > 0).to_numpy()


def places_of(part: xr.Dataset) -> list[np.ndarray | None]:
    """The places of all trials of every network, `(time, trial)`, whole numbers; None where they are not known."""
    places = part["place"].transpose("member", "time", "trial").to_numpy()
    places = places[:, np.isfinite(places).any((0, 2))][:, :, np.isfinite(places).any((0, 1))]
    return [of.astype(int) if of.size and np.isfinite(of).all() else None for of in places]


def among(things: Sequence[Any], distances: Callable[[list[Any]], np.ndarray]) -> np.ndarray:
    """Distances between those that are not None, `(thing, thing)`: NaN of the others, 0 of each to itself."""
    values = np.full((len(things),) * 2, np.nan)
    known = [place for place, thing in enumerate(things) if thing is not None]
    if known:
        values[np.ix_(known, known)] = distances([things[place] for place in known])
    np.fill_diagonal(values, 0.0)
    return values


def ranked_classes(graphs: Sequence[Graph | None]) -> np.ndarray:
    """The class of isomorphic graphs of every network, 1 for the commonest, NaN of None."""
    known = [place for place, graph in enumerate(graphs) if graph is not None]
    classes = classes_of([graph for graph in graphs if graph is not None])
    ranks = {kind: rank for rank, (kind, _) in enumerate(Counter(classes).most_common(), 1)}
    found = np.full(len(graphs), np.nan)
    found[known] = [ranks[kind] for kind in classes]
    return found


def isomorphic_share(classes: np.ndarray, models: np.ndarray, within: bool) -> float:
    """The share of pairs of networks, of one architecture or of two, whose graphs are isomorphic; NaN of no pair."""
    known = np.isfinite(classes)
    first, second = np.triu_indices(int(known.sum()), 1)
    classes, models = classes[known], models[known]
    pairs = (models[first] == models[second]) == within
    return float(np.mean((classes[first] == classes[second])[pairs])) if pairs.any() else np.nan


def table_of(part: xr.Dataset) -> pd.DataFrame:
    """A row per network, state and input, of networks on one probe."""
    classes, rows = ranked_classes(graphs_of(part)), []
    for m, i in np.ndindex(part.sizes["member"], part.sizes["input"]):
        at = part.isel(member=m, input=i)
        if np.isnan(at["points"]):
            continue
        drive = at.sel(drive=at["input"].item())
        modes = np.bincount(at["unstable"].dropna("point").to_numpy().astype(int), minlength=1)
        total, kind = at["index_sum"].item(), classes[m]
        rows.append(
            {
                **{column: at[column].item() for column in ("member", "trained", "input")},
                "points": int(at["points"]),
                "kinks": int(at["kinks"]),
                "marginal": int(at["marginal"]),
                **{f"unstable_{k}": int(n) for k, n in enumerate(modes)},
                "connections": int(at["connections"]),
                "elsewhere": int(at["elsewhere"]),
                "not_followed": int(_not_followed(at)),
                "index_sum": "" if np.isnan(total) else int(total),
                "graph_hash": "" if np.isnan(at["graph_hash"]) else int(at["graph_hash"]),
                "class": "" if np.isnan(kind) else int(kind),
                "largest_exponent": drive["lyapunov"].isel(exponent=0).item(),
                "kaplan_yorke": drive["kaplan_yorke"].item(),
                "largest_exponent_on_probe": at["lyapunov"].sel(drive="probe").isel(exponent=0).item(),
            }
        )
    table = pd.DataFrame(rows)
    counts = [column for column in table if str(column).startswith("unstable_")]
    return table.assign(**{column: table[column].fillna(0).astype(int) for column in counts})


def line_of(part: xr.Dataset) -> str:
    """Networks of one state on one probe, in words."""
    graphs = graphs_of(part)
    classes = ranked_classes(graphs)
    known = int(np.isfinite(classes).sum())
    words = []
    if known:
        commonest = graphs[int(np.flatnonzero(classes == 1)[0])]
        kinds = counted(len(set(classes[np.isfinite(classes)])), "fixed-point graph")
        words.append(f"{kinds} in {counted(known, 'network')}, the commonest in {int((classes == 1).sum())}: ")
        words[0] += graph_words(commonest) if commonest else ""
        models = part["model"].to_numpy() if "model" in part.coords else np.zeros(len(classes))
        shares = {which: isomorphic_share(classes, models, which == "within") for which in ("within", "between")}
        told = [f"{share:.0%} {which} architectures" for which, share in shares.items() if np.isfinite(share)]
        words += [f"isomorphic pairs {', '.join(told)}"] if told else []
    if unknown := int(_unknown(part).sum()):
        why = "with a point on the kink of an activation, or with a mode that neither grows nor decays"
        words.append(f"{counted(unknown, 'network')} {why}, and without a graph")
    if gone := len(classes) - known - unknown:
        words.append(f"{counted(gone, 'network')} without any fixed point found, and without a graph")
    if lost := int((part["elsewhere"].sum("input") > 0).sum()):
        words.append(f"in {lost} some unstable mode leads to no fixed point")
    if cut := int((_not_followed(part) > 0).any("input").sum()):
        words.append(f"in {cut} some saddles are not followed, and the graph lacks what they lead to")
    trajectories = [graph_of(of) for of in places_of(part) if of is not None]
    for kind in ("meeting", "parting") if trajectories else ():
        words.append(f"{kind}s of trajectories {np.median([g.labels.count(kind) for g in trajectories]):g} (median)")
    largest = part["lyapunov"].isel(exponent=0)
    told = [
        f"{np.nanmedian(largest.sel(drive=drive)):.3g} {'on the probe' if drive == 'probe' else f'under {drive}'}"
        for drive in part["drive"].to_numpy().tolist()
        if largest.sel(drive=drive).notnull().any()
    ]
    words.append(f"leading Lyapunov exponent, mean over trajectories, {', '.join(told) or 'not known'} (1/s, median)")
    return "; ".join(words)


def _not_followed(part: xr.Dataset) -> xr.DataArray:
    """How many saddles of every network and input have more unstable modes, or are more, than are followed."""
    saddles = part["unstable"] > 0
    return (saddles & ((part["followed"] != 1) | (part["unstable"] > MOST_MODES))).sum("point")


def graph_words(graph: Graph) -> str:
    """How many vertices of each label, and edges, a fixed-point graph has."""
    modes = Counter(label.rpartition(": ")[2] for label in graph.labels)
    elsewhere = modes.pop(ELSEWHERE_LABEL, 0)
    points = ", ".join(f"{modes[label]} with {label}" for label in sorted(modes, key=int))
    beyond = f", {counted(elsewhere, 'input')} with edges to elsewhere" if elsewhere else ""
    return f"points by unstable modes {points}, {counted(len(graph.edges), 'connection')}{beyond}"


def draw(of_probe: xr.Dataset, title: str) -> Figure:
    """The commonest graphs of trained networks, or of untrained ones alone; counts; and exponents."""
    states = dict(_pictures.states(of_probe))
    state, first = next(iter(states.items()))
    graphs = graphs_of(first)
    classes = ranked_classes(graphs)
    shown = [int(np.flatnonzero(classes == rank)[0]) for rank in range(1, MOST_GRAPHS + 1) if (classes == rank).any()]
    columns, rows = (3, 1) if len(shown) <= 1 else (len(shown), 2)
    figure = Figure(figsize=(1.5 + 3.4 * columns, 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, place in zip(panels, shown):
        graph: Any = graphs[place]
        _draw_graph(axes, graph)
        axes.set_title(f"in {int((classes == classes[place]).sum())} of {len(classes)} {state}", loc="left")
    counts, spectra, *rest = panels[len(shown) :]
    _draw_counts(counts, states)
    _draw_exponents(spectra, states)
    for axes in rest:
        axes.set_visible(False)
    figure.suptitle(f"{title}\ncommonest fixed-point graphs, {state} networks", x=0.01, ha="left")
    return figure


def _draw_graph(axes: Any, graph: Graph) -> None:
    """Inputs side by side; vertices in rows by their unstable modes, those of each beside what leads to them."""
    names, kinds = zip(*(label.rsplit(": ", 1) for label in graph.labels))
    inputs, x = list(dict.fromkeys(names)), np.zeros(len(names))
    level = np.array([-1 if kind == ELSEWHERE_LABEL else int(kind) for kind in kinds])
    ticks = sorted(set(level.tolist()))
    for modes, (place, name) in itertools.product(ticks, enumerate(inputs)):
        here = np.flatnonzero((level == modes) & (np.array(names) == name))
        ends = [[x[b] for a, b in graph.edges if a == v and level[b] < modes] for v in here]
        middles = np.array([float(np.mean(of)) if of else 0.0 for of in ends])
        places = place + (np.linspace(-0.4, 0.4, len(here)) if len(here) > 1 else np.zeros(1))
        x[here[np.argsort(middles, kind="stable")]] = places[: len(here)]
    for a, b in sorted(graph.edges):
        far = level[a] - level[b] > 1
        axes.plot(x[[a, b]], level[[a, b]], "-", color="0.75" if far else "0.45", lw=0.6 if far else 1.0, zorder=1)
    for modes in ticks:
        here = level == modes
        colour = "0.4" if modes < 0 else f"C{modes % 10}"
        axes.plot(x[here], level[here], "x" if modes < 0 else "o", color=colour, ms=7, zorder=2)
    axes.set_yticks(ticks, [ELSEWHERE_LABEL if modes < 0 else str(modes) for modes in ticks])
    axes.set_ylim(ticks[0] - 0.4, ticks[-1] + 0.4)
    axes.set_xticks(range(len(inputs)), inputs)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("unstable modes")


def _draw_counts(axes: Any, states: Mapping[str, xr.Dataset]) -> None:
    """How many networks have each graph, the commonest first."""
    by_state = {state: graphs_of(part) for state, part in states.items()}
    classes = ranked_classes([graph for graphs in by_state.values() for graph in graphs])
    words = np.repeat([*by_state], [len(graphs) for graphs in by_state.values()])
    kinds = int(np.nanmax(classes)) if np.isfinite(classes).any() else 0
    ranks = np.arange(1, min(kinds, MOST_KINDS) + 1)
    for place, state in enumerate(by_state):
        counts = [int(((classes == rank) & (words == state)).sum()) for rank in ranks]
        axes.bar(ranks + 0.4 * place - 0.2, counts, 0.4, color=f"C{place}", label=state)
    rest = f" (the first of {kinds})" if kinds > MOST_KINDS else ""
    axes.set_xlabel(f"kinds of fixed-point graphs, by rank{rest}")
    axes.set_ylabel("networks")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.legend()


def _median_spectrum(values: np.ndarray) -> np.ndarray:
    """The median of spectra `(network, exponent)`, `(exponent,)`: NaN of ranks that some networks are too narrow for,
    where it would be that of the wide ones alone, and of directions that vanish."""
    there = values[~np.isnan(values).all(1)]
    medians = np.full(values.shape[1], np.nan)
    if len(there):
        shared = ~np.isnan(there).any(0)
        medians[shared] = np.median(there[:, shared], axis=0)
    return np.where(np.isfinite(medians), medians, np.nan)


def _draw_exponents(axes: Any, states: Mapping[str, xr.Dataset]) -> None:
    """The median spectrum of every state and drive."""
    for place, (state, part) in enumerate(states.items()):
        spectra = {drive: part["lyapunov"].sel(drive=drive).to_numpy() for drive in part["drive"].values}
        medians = {drive: _median_spectrum(values) for drive, values in spectra.items()}
        known = {drive: middle for drive, middle in medians.items() if np.isfinite(middle).any()}
        for (drive, middle), line in zip(known.items(), itertools.cycle(["-", "--", ":", "-."])):
            axes.plot(part["exponent"] + 1, middle, line, marker=".", color=f"C{place}", label=f"{state}, {drive}")
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.set_xlabel("Lyapunov exponent, the largest first")
    axes.set_ylabel("1/s (median of networks;\nabove 0: neighbours part)")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.legend(fontsize=7)
