"""Networks that are copies of each other: one item stands for all of them.

Before training, members that differ in nothing but how they are to be trained are one network. So are, after it, those
whose difference has made none. A copy is no evidence: a mean with pairs of copies in it is too high, its limits are too
narrow, and a map holds one point many times.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.activations.types import Group, Representations

__all__ = ["COPY_COUNT", "ROUNDING", "equal_places", "first_of_copies", "merged"]

COPY_COUNT = "copies"
"""The label of how many networks an item stands for."""

ROUNDING = 1e-5
"""Of a layer's largest activation: what is nearer is equal, for programs of other shapes round in other ways."""

Network = tuple[tuple[int, int], ...]
"""The places of a network's items, one per layer: the group, and the row there."""


def merged(shown: Representations) -> Representations:
    """The representations with one item for all copies of a network.

    Copies are of one model, state and seed, and equal at every layer. The first stands for them, under its name; labels
    in which they differ, such as learning rates before training, are missing of it.

    Args:
      shown: with labels `member`, `layer`, `trained`, `model` and `seed`.

    Returns:
      The same without copies, with the label `COPY_COUNT` and the attribute `copies`.
    """
    copies: dict[tuple[int, int], list[int]] = {}  # the place of an item -> the rows of its copies, in its group
    networks: set[tuple[str, bool]] = set()
    for alike in _comparable(shown):
        for first, *others in _equal(shown, alike):
            for layer, (group, row) in enumerate(first):
                copies[group, row] = [other[layer][1] for other in others]
            labels = shown.groups[first[0][0]].labels.iloc[first[0][1]]
            networks.add((str(labels["member"]), bool(labels["trained"])))
    groups = tuple(_without_copies(group, number, copies) for number, group in enumerate(shown.groups))
    names = {
        shown.groups[group].names[copy]: shown.groups[group].names[row]
        for (group, row), rows in copies.items()
        for copy in rows
    }
    table = shown.categories
    if len(table):
        kept = [network in networks for network in zip(table["member"], table["trained"])]
        table = table[kept].reset_index(drop=True)
    return dataclasses.replace(shown, groups=groups, categories=table, copies=names)


def first_of_copies(shown: Representations, members: Iterable[str], trained: bool) -> dict[str, str]:
    """Member -> the member whose items stand for its own: itself, or the first of its copies.

    Args:
      shown: what `merged` returns, with labels `member` and `trained`.
      members: ids.
      trained: whether of trained networks.
    """
    states = {
        name: (member, bool(state))
        for group in shown.groups
        for name, member, state in zip(group.names, group.labels["member"], group.labels["trained"])
    }
    firsts = {
        copy.partition("/")[0]: states[name][0] for copy, name in shown.copies.items() if states[name][1] == trained
    }
    return {member: firsts.get(member, member) for member in members}


def _comparable(shown: Representations) -> Iterator[list[Network]]:
    """The networks of one model, state, seed and layers, list by list."""
    tables = [
        group.labels[["member", "layer", "trained", "model", "seed"]].assign(group=number, row=range(len(group.names)))
        for number, group in enumerate(shown.groups)
    ]
    by_kind: dict[tuple[object, ...], list[Network]] = {}
    networks: dict[tuple[object, ...], list[tuple[str, int, int]]] = {}
    for member, layer, trained, model, seed, group, row in pd.concat(tables).itertuples(index=False, name=None):
        networks.setdefault((trained, model, seed, member), []).append((layer, group, row))
    for (trained, model, seed, _), items in networks.items():
        kind = (trained, model, seed, *((layer, group) for layer, group, _ in items))  # a group is of one shape
        by_kind.setdefault(kind, []).append(tuple((group, row) for _, group, row in items))
    yield from by_kind.values()


def _equal(shown: Representations, networks: Sequence[Network]) -> Iterator[list[Network]]:
    """The networks, those together that are equal, the first of them first."""
    if len(networks) == 1:
        yield list(networks)
        return

    def layers(place: int) -> list[np.ndarray]:
        return [shown.groups[group].array[row] for group, row in networks[place]]

    for places in equal_places(len(networks), layers):
        yield [networks[place] for place in places]


def equal_places(count: int, parts: Callable[[int], Sequence[np.ndarray]]) -> list[list[int]]:
    """The places of equal things together, the first of each first.

    Args:
      count: how many there are.
      parts: place -> arrays, of the same shapes for all; equal are those all of whose arrays are, up to `ROUNDING`.
    """
    # Equal things have equal projections, up to rounding: where these are sorted, copies are neighbours.
    weights = [np.random.default_rng(i).standard_normal(part.size) for i, part in enumerate(parts(0))]
    projections = [sum(float(part.ravel() @ w) for part, w in zip(parts(i), weights)) for i in range(count)]
    together: list[list[int]] = []
    for now in np.argsort(projections, kind="stable").tolist():
        if together and _are_equal(parts(together[-1][0]), parts(now)):
            together[-1].append(now)
        else:
            together.append([now])
    return sorted(sorted(places) for places in together)


def _are_equal(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    # NaN is equal to nothing.
    return all(np.abs(a - b).max(initial=0) <= ROUNDING * np.abs(a).max(initial=0) for a, b in zip(one, other))


def _without_copies(group: Group, number: int, copies: dict[tuple[int, int], list[int]]) -> Group:
    """A group without the rows that another stands for."""
    rows = [row for row in range(len(group.names)) if (number, row) in copies]
    counts = [1 + len(copies[number, row]) for row in rows]
    if len(rows) == len(group.names):
        return Group(group.names, group.labels.assign(**{COPY_COUNT: counts}), group.array)
    labels = group.labels.iloc[rows].reset_index(drop=True).astype(object)
    for place, row in enumerate(rows):
        of_all = group.labels.iloc[[row, *copies[number, row]]]
        for column in of_all if len(of_all) > 1 else ():
            if column != "member" and of_all[column].nunique(dropna=False) > 1:
                labels.loc[place, column] = None
    names = tuple(group.names[row] for row in rows)
    return Group(names, labels.assign(**{COPY_COUNT: counts}), group.array[rows])
