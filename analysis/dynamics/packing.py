"""States of some networks under some inputs as arrays of few sizes: few programs, each with every network in it.

Where states are is `(m, i)` -> `(state, coordinate)`: of network m under input i, any number of them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

Places = dict[tuple[int, int], np.ndarray]
"""(network, input) -> states `(state, coordinate)`, or what is known of each."""


class Part(NamedTuple):
    """Rows of networks as one array.

    Attributes:
      members: whose they are, `(member,)`; the last again where that is padding.
      rows: which, `(member, row)`; padded with the first.
      real: False of padding, `(member, row)`.
    """

    members: np.ndarray
    rows: np.ndarray
    real: np.ndarray


def packed(whose: np.ndarray, sizes: Sequence[int]) -> list[Part]:
    """Rows of networks as arrays `(member, row)`, in few shapes, since every other shape is a program to compile: rows
    in one of the sizes, those of networks that have more in several parts, and networks in powers of two, the last of
    them again without any row. None of no row.

    Args:
      whose: the network of every row, `(row,)`.
      sizes: ascending.
    """
    rows = {int(m): np.flatnonzero(whose == m) for m in np.unique(whose)}
    parts = []
    for begin in range(0, max(map(len, rows.values()), default=0), sizes[-1]):
        here = {m: of[begin : begin + sizes[-1]] for m, of in rows.items() if len(of) > begin}
        need = max(map(len, here.values()))
        size = next(size for size in sizes if size >= need)
        more = (1 << (len(here) - 1).bit_length()) - len(here)
        padded = [np.concatenate([of, np.full(size - len(of), of[0])]) for of in here.values()]
        counts = np.array([*map(len, here.values()), *[0] * more])
        members = np.array([*here, *[next(reversed(here))] * more])
        parts.append(Part(members, np.stack([*padded, *padded[-1:] * more]), np.arange(size)[None] < counts[:, None]))
    return parts


def by_pair(places: Places, values: np.ndarray) -> Places:
    """Rows in the order of the places, as places."""
    ends = np.cumsum([len(states) for states in places.values()])
    return dict(zip(places, np.split(values, ends[:-1])))


def at_places(
    run: Callable[..., Any],
    members: Sequence[str],
    function: Any,
    places: Places,
    inputs: np.ndarray,
    beside: Sequence[np.ndarray] = (),
) -> dict[tuple[int, int], Any]:
    """What a function gives of states, in double precision, in one call for all networks.

    Args:
      run: `Assayed.map`.
      members: their ids.
      function: `(bound, variables, key, states, inputs, *beside)`, of `(state, coordinate)` and `(state, unit)`; what
        it gives has `state` as its first axis.
      places: the states.
      inputs: `(input, unit)`.
      beside: further arguments, `(member, ...)`.

    Returns:
      (network, input) -> what it gives of the states there; {} where there is no state at all.
    """
    whose = np.array([m for (m, _), states in places.items() for _ in states], int)
    which = np.array([i for (_, i), states in places.items() for _ in states], int)
    states = np.concatenate([*places.values()])
    results, structure = [], jax.tree.structure(0)
    for part in packed(whose, [16, 64]):
        each = [states[part.rows], inputs[which[part.rows]].astype(np.float64), *(x[part.members] for x in beside)]
        given = run(function, [], each, members=[members[m] for m in part.members], dtype="float64")
        leaves, structure = jax.tree.flatten(given)
        results = results or [np.zeros((len(states), *leaf.shape[2:]), leaf.dtype) for leaf in leaves]
        for target, values in zip(results, leaves):
            target[part.rows[part.real]] = values[part.real]
    if not results:
        return {}
    of_pairs = [by_pair(places, values) for values in results]
    return {pair: structure.unflatten([values[pair] for values in of_pairs]) for pair in places}
