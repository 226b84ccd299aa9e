"""Universality and individuality: does architecture shape geometry, and not the topology of fixed points?

Maheswaranathan, Williams, Golub, Ganguli & Sussillo (2019, NeurIPS 32) trained four cells with two activations at three
widths and four L2 penalties on three tasks, and showed by multidimensional scaling that the geometry of their activity
(SVCCA) clusters by architecture while the topology of their fixed points does not. Here both are omega squared of every
field, with intervals over configurations.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from analysis.assays._topologies import graphs_of, ranked_classes
from analysis.measures import _choice
from analysis.studies import SIZES, AssayStep, Question
from analysis.studies._answers import Answer, absent, at_least, equal, equivalent, present, signed
from analysis.studies._replicates import (
    Estimate,
    Replicates,
    between_less_within,
    configurations_of,
    even_rows,
    field_p,
    field_replicates,
    replicates,
)
from analysis.studies._results import BEFORE, Results
from analysis.zoo_comparison import Request
from models import setting
from zoo.presets._universality import WIDTHS, universality
from zoo.spec.zoo import Zoo

TASKS = ("flipflop", "sine", "context")

GRID = {"small": (WIDTHS, 2), "full": ((64, 128, 256), 30)}
"""Widths, and seeds of each kind."""

TRUNCATIONS = ("variance=0.9", "variance=0.95", "variance=0.99", "components=10", "components=20")
"""Of SVCCA, for the paper's own could not be verified."""

GEOMETRY = (*(f"cca({truncation})" for truncation in TRUNCATIONS), "cka", "procrustes")
FIRST = "cca(variance=0.99)"
"""The measure of claims that are asked of one."""

COMPARED_LAYERS = ("rate", "state")
"""h, and h and c."""

CELL = "model"
VARIED = {CELL: "cell", "activation": "activation", "hidden": "width", "l2": "L2 penalty"}
"""Column of the member table -> what it is called."""

TOPOLOGY, GRAPH = "topology", "graph"
"""The assay, and its distance of fixed-point graphs."""

AS_OFTEN = 0.1
"""Shares of isomorphic pairs within and between cells that differ by less count as equal."""

AS_FAST = 0.1
"""Mean differences of log frequency, or log rate, between and within cells that differ by less count as equal: 10 %."""

AWAY = 0.2
"""Relative distance of a frequency from the one asked for that counts as none."""

NO_PAIRS = "there are no two networks of one cell in two configurations, or none of two cells."

MAHESWARANATHAN = "Maheswaranathan et al. 2019"


@dataclasses.dataclass(frozen=True)
class Study:
    """See the module's text.

    Attributes:
      size: "small": widths 32 and 64, two seeds, 384 members; "full": widths 64, 128 and 256, thirty seeds.
    """

    size: str = setting("small", choices=SIZES)

    source: ClassVar[str] = f"{MAHESWARANATHAN}, Universality and individuality in neural dynamics (NeurIPS)"
    ours: ClassVar[tuple[str, ...]] = (
        "Seeds, learning rates, steps and batch are ours: the paper's could not be verified, nor its 30 seeds.",
        "How SVCCA is truncated is swept, since the paper's truncation could not be verified. It is the mean over the "
        "smaller number of components: networks that keep unlike numbers, as of two widths, are the more alike for it.",
        "The tolerances of fixed points, the starts between points found, and the graph distance are ours.",
        "Every L2 penalty has seeds of its own: with the same seeds its levels would be near copies of one network.",
        f"Equal is less than {AS_OFTEN:g} of a share, or of log frequency, apart, negligible less than .06 of omega "
        "squared; all are ours.",
        "Cells differ in how they are trained, too: vanilla networks take more steps, and LSTMs start with smaller "
        "recurrent weights and open forget gates; all of that counts as the cell.",
    )

    def zoo(self) -> Zoo:
        of_tasks = [universality(task, *GRID[self.size]) for task in TASKS]
        return sum(of_tasks[1:], start=of_tasks[0])

    def comparisons(self) -> list[Request]:
        return [Request(measures=GEOMETRY, layers=COMPARED_LAYERS, exclude_degenerate=True)]

    def assays(self) -> list[AssayStep]:
        return [AssayStep("fixed_points"), AssayStep("linearization"), AssayStep(TOPOLOGY)]

    def questions(self) -> Iterator[Question]:
        for task in TASKS:
            yield from self._geometry(task)
            yield from self._topology(task)
            yield from self._both(task)
            yield from self._isomorphic(task)
        yield from self._modes()

    def _geometry(self, task: str) -> Iterator[Question]:
        for measure, layer in itertools.product(GEOMETRY, COMPARED_LAYERS):
            yield Question(
                f"{task}: the geometry of activity depends on the cell",
                f"{MAHESWARANATHAN}, abstract and figures of MDS",
                f"omega squared of the cell, {_name(measure)}, {layer}",
                "clusters by architecture, seen by eye",
                partial(_geometry_depends, task=task, measure=measure, layer=layer, field=CELL),
            )
        for field, words in VARIED.items():
            if field != CELL:
                yield Question(
                    f"{task}: the geometry of activity depends on the {words}",
                    f"{MAHESWARANATHAN}, figures of MDS" if field == "activation" else "asked by us",
                    f"omega squared of the {words}, {_name(FIRST)}, rate",
                    "clusters by architecture, seen by eye" if field == "activation" else "",
                    partial(_geometry_depends, task=task, measure=FIRST, layer="rate", field=field),
                )

    def _topology(self, task: str) -> Iterator[Question]:
        for field, words in VARIED.items():
            yield Question(
                f"{task}: the topology of fixed points does not depend on the {words}",
                f"{MAHESWARANATHAN}, abstract" if field in (CELL, "activation") else "asked by us",
                f"omega squared of the {words}, distance of fixed-point graphs",
                "universal, seen by eye",
                partial(_topology_is_free, task=task, field=field),
            )

    def _both(self, task: str) -> Iterator[Question]:
        for field, words in VARIED.items():
            yield Question(
                f"{task}: the {words} explains more of geometry than of topology",
                f"{MAHESWARANATHAN}, abstract" if field in (CELL, "activation") else "asked by us",
                f"omega squared of the {words}, {_name(FIRST)} at rate less fixed-point graphs",
                "above 0",
                partial(_more_of_geometry, task=task, field=field),
            )

    def _isomorphic(self, task: str) -> Iterator[Question]:
        yield Question(
            f"{task}: networks of two cells share their fixed-point graph as often as networks of one",
            f"{MAHESWARANATHAN}, abstract",
            "share of isomorphic pairs within cells less between cells",
            "0",
            partial(_shared_graphs, task=task),
        )
        for place, words in enumerate(("one cell", "two cells")):
            yield Question(
                f"{task}: most networks of {words} have one fixed-point graph",
                f"{MAHESWARANATHAN}, abstract",
                f"share of isomorphic pairs of {words}",
                "universal",
                partial(_mostly_one_graph, task=task, place=place),
            )

    def _modes(self) -> Iterator[Question]:
        for words, cells in {"vanilla": ("vanilla",), "gated": ("ugrnn", "gru", "lstm")}.items():
            yield Question(
                f"context: {words} networks integrate along one slow mode",
                f"{MAHESWARANATHAN}, on the line attractors of task 3; the number is asked by us",
                f"modes as slow as half a trial at a fixed point, mean over points of {words} networks",
                "",
                partial(_slow_modes, cells=cells),
            )
        yield Question(
            "sine: the linearised network turns at the frequency that its input asks for",
            f"{MAHESWARANATHAN}, on the oscillations of task 2",
            "|frequency of the leading mode - frequency| / frequency, median over inputs, mean over networks",
            "about 0, seen by eye",
            _turns_as_asked,
        )
        yield Question(
            "sine: leading modes at corresponding points are as alike between cells as within",
            f"{MAHESWARANATHAN}, abstract",
            "mean |difference of log frequency| at one input, between cells less within",
            "about 0, seen by eye",
            _frequencies_agree,
        )
        yield Question(
            "flipflop: leading modes at corresponding points are as alike between cells as within",
            f"{MAHESWARANATHAN}, abstract",
            "mean |difference of log rate| at points of as many unstable modes, between cells less within",
            "about 0, seen by eye",
            _rates_agree,
        )


def _name(measure: str) -> str:
    return _choice.measure(measure).name


def _effects(results: Results, name: str, variable: str, layer: str, field: str) -> Replicates:
    """Omega squared of a field in one comparison."""

    def computed() -> Replicates:
        pairs = results.pairs(name, variable, layer)
        limits = results.state != BEFORE  # of untrained networks the value alone is told
        return field_replicates(pairs.values, pairs.table, _fields(pairs.table), [field], limits)[field]

    return results.once((name, variable, layer, field), computed)


def _p(results: Results, name: str, variable: str, layer: str, field: str) -> float:
    """p of the same field, with the other fields of the study held constant and no others."""

    def computed() -> float:
        pairs = results.pairs(name, variable, layer)
        return field_p(pairs.values, pairs.table, _fields(pairs.table), field)

    return math.nan if results.state == BEFORE else results.once(("p", name, variable, layer, field), computed)


def _fields(table: Any) -> list[str]:
    """The study's fields that vary among these networks; another zoo may lack some."""
    return [field for field in VARIED if field in table and table[field].nunique() > 1]


def _geometry_depends(results: Results, task: str, measure: str, layer: str, field: str) -> Answer:
    results.of_task(task)
    at = task, _name(measure), layer, field
    return _without(results, *at[:3], present(_effects(results, *at).estimate, _p(results, *at)))


def _topology_is_free(results: Results, task: str, field: str) -> Answer:
    results.of_task(task)
    at = f"{task}-{TOPOLOGY}", GRAPH, TOPOLOGY, field
    return _without(results, *at[:3], absent(_effects(results, *at).estimate, _p(results, *at)))


def _without(results: Results, name: str, variable: str, layer: str, answer: Answer) -> Answer:
    """Says how many networks are of configurations with fewer than most."""
    table = results.pairs(name, variable, layer).table
    gone = len(table) - len(even_rows(table, _fields(table)))
    return answer.without(gone, "of small configurations")


def _more_of_geometry(results: Results, task: str, field: str) -> Answer:
    results.of_task(task)
    geometry = _effects(results, task, _name(FIRST), "rate", field)
    topology = _effects(results, f"{task}-{TOPOLOGY}", GRAPH, TOPOLOGY, field)
    return signed(geometry.less(topology).estimate, 1)


def _pairs_of_cells(results: Results, task: str) -> tuple[Replicates, Replicates]:
    """The shares of pairs with one graph, of one cell and other configurations, and of two cells."""

    def computed() -> tuple[Replicates, ...]:
        table, classes, _ = _classes(results, task)
        configurations = np.asarray(configurations_of(table, list(VARIED)))
        cells = table[CELL].to_numpy()
        same = classes[:, None] == classes[None]

        def share(rows: np.ndarray, within: bool) -> float:
            first, second = (rows[i] for i in np.triu_indices(len(rows), 1))
            kept = (cells[first] == cells[second]) == within
            kept &= configurations[first] != configurations[second]
            return float(same[first, second][kept].mean()) if kept.any() else math.nan

        names = configurations.tolist()
        return tuple(replicates(partial(share, within=within), names) for within in (True, False))

    return results.once(("pairs of cells", task), computed)


def _classes(results: Results, task: str) -> tuple[Any, np.ndarray, int]:
    """The member table of a task's networks that have fixed points, the class of each one's graph, and how many have
    none."""
    rows = results.of_task(task)
    found = results.assay(TOPOLOGY)
    found = found.isel(member=np.flatnonzero(np.isin(found["member"].to_numpy(), rows.index)))
    classes = ranked_classes(graphs_of(found)) if found.sizes["member"] else np.zeros(0)
    known = np.flatnonzero(np.isfinite(classes))
    if not len(known):
        raise ValueError(f"{task}: no fixed point of these networks is known, and so no graph.")
    return rows.loc[found["member"].to_numpy()[known].tolist()], classes[known], len(classes) - len(known)


def _shared_graphs(results: Results, task: str) -> Answer:
    within, between = _pairs_of_cells(results, task)
    return _of_graphs(results, task, equivalent(_known(within.less(between), f"{task}: {NO_PAIRS}"), AS_OFTEN))


def _mostly_one_graph(results: Results, task: str, place: int) -> Answer:
    share = _known(_pairs_of_cells(results, task)[place], f"{task}: {NO_PAIRS}")
    return _of_graphs(results, task, at_least(share, 0.5))


def _known(found: Replicates, sentence: str) -> Estimate:
    """With limits; or why there is no value."""
    if not math.isfinite(found.value):
        raise ValueError(sentence)
    return found.estimate


def _of_graphs(results: Results, task: str, answer: Answer) -> Answer:
    """Says how many networks have no graph."""
    return answer.without(_classes(results, task)[2], "without a fixed point")


def _linearized(results: Results, task: str) -> tuple[Any, Any]:
    """The member table of a task's networks, and how they are about their fixed points."""
    rows, found = results.of_task(task), results.assay("linearization")
    found = found.isel(member=np.flatnonzero(np.isin(found["member"].to_numpy(), rows.index.to_numpy())))
    there = np.flatnonzero(np.isfinite(found["points"].to_numpy()).any(0))
    if not found.sizes["member"] or not len(there):
        raise ValueError(f"{task}: no network of these was made linear.")
    return rows.loc[found["member"].to_numpy().tolist()], found.isel(input=there)


def _slow_modes(results: Results, cells: Sequence[str]) -> Answer:
    table, found = _linearized(results, "context")
    task: Any = results.trained.task(table["member"].iloc[0])
    rate = np.abs(_log_modulus(found))
    known = np.isfinite(rate).any(-1)
    some = known.reshape(len(rate), -1).any(-1)
    slow = rate <= 2 / task.input_shape[0]  # per time step: grows or decays by 1 / e in half a trial or longer
    count = np.where(known, slow.sum(-1), np.nan)
    rows = np.flatnonzero(table[CELL].isin(list(cells)).to_numpy() & some)
    if not len(rows):
        raise ValueError(f"context: no fixed point of a network with {' or '.join(cells)} is known.")
    mean = np.nanmean(count[rows].reshape(len(rows), -1), 1)
    configurations = configurations_of(table.iloc[rows], list(VARIED))
    return equal(replicates(lambda some: float(mean[some].mean()), configurations).estimate, 1.0)


def _log_modulus(found: Any) -> np.ndarray:
    """Of eigenvalues, `(member, input, point, mode)`: the rate of growth per time step."""
    parts = (found[f"eigenvalue_{name}"].transpose("member", "input", "point", ...) for name in ("real", "imaginary"))
    return np.log(np.maximum(np.hypot(*(part.to_numpy() for part in parts)), 1e-12))


def _frequencies(results: Results) -> tuple[Any, np.ndarray, np.ndarray]:
    """The member table, the leading mode's frequency at every input, and the frequency asked for, in Hz."""
    table, found = _linearized(results, "sine")
    asked = np.array([float(str(name).split()[0]) for name in found["input"].to_numpy()])
    return table, found["frequency"].transpose("member", "input").to_numpy(), asked


def _turns_as_asked(results: Results) -> Answer:
    table, frequency, asked = _frequencies(results)
    away = np.abs(frequency - asked[None]) / asked[None]
    rows = np.flatnonzero(np.isfinite(away).any(1))
    if not len(rows):
        raise ValueError("sine: no network has a point to be made linear about.")
    median = np.nanmedian(away[rows], 1)
    configurations = configurations_of(table.iloc[rows], list(VARIED))
    return absent(replicates(lambda some: float(median[some].mean()), configurations).estimate, bound=AWAY)


def _frequencies_agree(results: Results) -> Answer:
    """At each input."""
    table, frequency, _ = _frequencies(results)
    return _agree(table, np.where(frequency > 0, frequency, np.nan), "sine: oscillating modes")


def _rates_agree(results: Results) -> Answer:
    """At points of as many unstable modes."""
    table, found = _linearized(results, "flipflop")
    rate = np.abs(_log_modulus(found)[..., 0])  # of the leading mode
    unstable = found["unstable"].transpose("member", "input", "point").to_numpy()
    kinds = np.unique(unstable[np.isfinite(unstable)])
    sums = [np.where(unstable == k, rate, 0).sum((1, 2)) for k in kinds]
    counts = [(unstable == k).sum((1, 2)) for k in kinds]
    means = np.stack([np.where(n > 0, total / np.maximum(n, 1), np.nan) for total, n in zip(sums, counts)], 1)
    return _agree(table, means, "flipflop: points of as many unstable modes")


def _agree(table: Any, values: np.ndarray, what: str) -> Answer:
    """How much further networks of two cells are apart than those of one, at corresponding places."""
    rows = np.flatnonzero((values > 0).any(1))
    some = table.iloc[rows]
    found = between_less_within(values[rows], some[CELL].to_numpy(), configurations_of(some, list(VARIED)))
    return equivalent(_known(found, f"{what}: {NO_PAIRS}"), AS_FAST)
