"""Distances between networks that an assay gives, and the comparison that they are, to be tested and drawn as any."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.activations.copies import COPY_COUNT
from analysis.labelled_comparison import (
    ComparedTask,
    Comparison,
    LeftOut,
    Measured,
    MeasureRecord,
    typed_column,
)


class Distance(NamedTuple):
    """How far every two networks that were shown one probe are apart.

    Attributes:
      name: an identifier, such as "graph".
      values: `(member, member)`, in the order of the result's networks on this probe; 0 on the diagonal, NaN where it
        cannot be had of a pair.
      about: how it is had, in words.
      is_metric: whether it keeps the triangle inequality; two that are not identical may be 0 apart.
    """

    name: str
    values: np.ndarray
    about: str
    is_metric: bool


class Networks(NamedTuple):
    """The networks that distances are between.

    Attributes:
      table: their rows of the member table, in the order of the distances.
      trained: whether each is trained, `(network,)`.
      kinds: `(network,)`; untrained networks of one kind are one network.
      probe: id of what they were shown.
    """

    table: pd.DataFrame
    trained: np.ndarray
    kinds: Sequence[Any]
    probe: str


def comparison_of_distances(
    layer: str, distances: Sequence[Distance], networks: Networks, of_task: ComparedTask
) -> Comparison:
    """The comparison that distances are: an item per network and state, of untrained copies one.

    Args:
      layer: what stands where other comparisons have a layer.
      distances: between these networks, each of another name.
      networks: in the order of the distances.
      of_task: theirs.

    Returns:
      A comparison without the networks of which no distance is known; these are `excluded`.
    """
    copies = _copies(networks)
    first = np.array([rows[0] for rows in copies])
    values = [_between(distance.values, first) for distance in distances]
    known = np.any([(np.isfinite(square) & ~np.eye(len(first), dtype=bool)).any(1) for square in values], axis=0)
    table = networks.table.reset_index(drop=True)
    names = [
        f"{table['member'][row]}/{layer}" + ("" if networks.trained[row] else "/untrained") for row in first.tolist()
    ]
    index, here = pd.Index([name for name, is_known in zip(names, known) if is_known]), np.flatnonzero(known)
    groups = [copies[i] for i in here]
    columns = {
        "member": [table["member"][rows[0]] for rows in groups],
        "layer": [layer] * len(groups),
        "trained": [bool(networks.trained[rows[0]]) for rows in groups],
        **{str(name): [_shared(column, rows) for rows in groups] for name, column in table.items() if name != "member"},
        COPY_COUNT: [len(rows) for rows in groups],
        "units": [0] * len(groups),
    }
    items = pd.DataFrame({name: typed_column(column, index) for name, column in columns.items()}, index=index)
    measures = {
        distance.name: Measured(_record(distance), square[np.ix_(here, here)])
        for distance, square in zip(distances, values)
    }
    left_out = tuple(
        LeftOut(names[i], str(table["member"][first[i]]), layer, bool(networks.trained[first[i]]))
        for i in np.flatnonzero(~known)
    )
    return Comparison(items, measures, networks.probe, excluded=left_out, of_task=of_task)


def _record(distance: Distance) -> MeasureRecord:
    """What stands beside the values: they are of networks, and of no count of stimuli."""
    about: Any = dict(estimator=distance.about, is_metric=distance.is_metric, n_times=None)
    return MeasureRecord(distance.name, "distance", 0, identity=0.0, **about)


def _between(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    square = np.array(values, np.float64)[np.ix_(rows, rows)]
    np.fill_diagonal(square, 0.0)
    return square


def _copies(networks: Networks) -> list[list[int]]:
    """The rows of every network, the first stands for the others: those of one kind that are not trained are one."""
    rows: dict[Any, list[int]] = {}
    for row, (is_trained, kind) in enumerate(zip(networks.trained.tolist(), networks.kinds)):
        rows.setdefault(row if is_trained else ("untrained", kind), []).append(row)
    return list(rows.values())


def _shared(column: pd.Series, rows: Sequence[int]) -> Any:
    """The label of copies, None where they differ in it."""
    values = column.iloc[list(rows)]
    return None if len(rows) > 1 and values.nunique(dropna=False) > 1 else values.iloc[0]


def by_probe(given: Sequence[tuple[str, Distance]]) -> dict[str, list[Distance]]:
    """Name of a probe -> its distances."""
    found: dict[str, list[Distance]] = {}
    for probe, distance in given:
        found.setdefault(probe, []).append(distance)
    return found


def fault_of(distance: Distance, count: int) -> str | None:
    """How a distance breaks the contract, as the end of a sentence; None where it does not.

    Args:
      distance: between networks on one probe.
      count: how many networks there are.
    """
    name, values = distance.name, np.asarray(distance.values)
    if not (isinstance(name, str) and name.isidentifier()):
        return f"a distance called {name!r}; it must be an identifier, such as 'graph'"
    if values.shape != (count, count) or values.dtype.kind not in "iuf":
        what = f"{values.dtype} of the shape {values.shape}"
        return f"the distance {name!r} as {what}; it must be numbers of the shape {(count, count)}"
    if (wrong := values[np.isinf(values) | (values < 0)]).size:
        return f"the distance {name!r} with the value {wrong[0]:g}; it must be 0 or more, or NaN"
    if (itself := np.diagonal(values)[np.diagonal(values) != 0]).size:
        return f"the distance {name!r} of a network to itself as {itself[0]:g}; it must be 0"
    if not np.allclose(values, values.T, rtol=1e-6, atol=1e-9, equal_nan=True):
        return f"the distance {name!r} of a and b other than that of b and a"
    if not (isinstance(distance.about, str) and distance.about.strip()):
        return f"the distance {name!r} without words that say how it is had"
    return None
