"""Kendall's tau-a of RDM entries: the mean product of the signs of comparisons, all of them or a sample."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import HIGHEST
from analysis.measures._family import State
from analysis.measures._ranks import exact_ranks

CHUNK = 4096
"""Signs that are multiplied at once: sums of as many products are exact in single precision."""

SETS = ("ranks", "crossed")
"""Entries that are compared with each other: of one time, or of all, and of two times."""


def compared(
    rdms: Iterator[tuple[np.ndarray, float]], members: int, stimuli: int, times: int, within: bool, most: int
) -> State:
    """The state of members whose flat RDMs, and what differences in them are ties, come one by one.

    Up to `most` comparisons all are made, later, from `SETS` of ranks `(member, set, entry)`. Beyond, as many as `most`
    are drawn with replacement, the same for all members of equal stimuli and times, and `signs`
    `(member, chunk, comparison)` holds their outcomes -1, 0 or 1, filled up with 0. `chance` `(member,)` is the mean
    over permutations of the stimuli: 0 without time, else not known.

    Args:
      stimuli, times: rows of the RDMs.
      within: compare only entries of the same two times.
      most: 0 makes all comparisons.
    """
    sets = _sets(stimuli, times, within)
    number = [rows * _pairs(entries) for rows, entries in sets.values()]
    state = dict(chance=np.full(members, 0.0 if times == 1 else np.nan, np.float32))
    at = partial(_places, stimuli, times, within)
    if most == 0 or sum(number) <= most:
        used = [at(name, *np.ogrid[:rows, :entries]).ravel() for name, (rows, entries) in sets.items()]
        every, ends = np.concatenate(used), np.cumsum([len(part) for part in used])[:-1]
        ranks = [np.rint(2 * every.size * exact_ranks(rdm[every], slack)).astype(np.int32) for rdm, slack in rdms]
        parts = np.split(np.stack(ranks), ends, axis=1)
        return state | {name: part.reshape(members, *sets[name]) for name, part in zip(sets, parts)}
    draw = np.random.default_rng([stimuli, times, within, most])
    shares = draw.multinomial(most, np.array(number) / sum(number))
    first, second = [], []
    for (name, (rows, entries)), share in zip(sets.items(), shares):
        row, entry = draw.integers(rows, size=share), draw.integers(entries, size=share)
        first.append(at(name, row, entry))
        second.append(at(name, row, (entry + draw.integers(1, entries, size=share)) % entries))
    first, second = np.concatenate(first), np.concatenate(second)
    signs = np.zeros((members, -(-most // CHUNK) * CHUNK), np.int8)
    for (rdm, slack), outcome in zip(rdms, signs):
        difference = rdm[first] - rdm[second]
        outcome[:most] = np.where(np.abs(difference) > slack, np.sign(difference), 0)
    return state | dict(signs=signs.reshape(members, -1, CHUNK))


def _sets(stimuli: int, times: int, within: bool) -> dict[str, tuple[int, int]]:
    """How many sets of entries there are that are compared with each other, and of how many entries.

    Within two times there are sets of two sizes: at one time (i, j) mirrors (j, i), at two times it does not.
    """
    pairs = _pairs(stimuli)
    if times == 1 or not within:
        return {"ranks": (1, pairs * times**2)}
    return {"ranks": (times, pairs), "crossed": (_pairs(times), 2 * pairs)}


def _places(stimuli: int, times: int, within: bool, name: str, row: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Where in the flat RDM, (stimulus, time) by (stimulus, time), the entries of the sets `name` stand."""
    i, j = np.triu_indices(stimuli, 1)
    t = u = row
    if name == "crossed":
        t, u = (at[row] for at in np.triu_indices(times, 1))
        i, j = np.concatenate([i, j]), np.concatenate([j, i])
    elif not within:
        entry, at = np.divmod(entry, times**2)
        t, u = np.divmod(at, times)
    return ((i[entry] * times + t) * stimuli + j[entry]) * times + u


def _pairs(entries: int) -> int:
    return entries * (entries - 1) // 2


def mean_product(a: State, b: State, most: int) -> jax.Array:
    """Tau-a of some members with some others, `(a, b)`; NaN where all entries of an RDM tie.

    All comparisons of m entries are those of each with the entry s places on, for s from 1 to m / 2.
    """

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        a, b = (signs.astype(jnp.float32).reshape(len(signs), -1) for signs in (a, b))
        return jnp.einsum("ac,bc->ab", a, b, precision=HIGHEST).astype(total.dtype)

    def add_chunk(c: jax.Array, total: jax.Array) -> jax.Array:
        return total + product(a["signs"][:, c], b["signs"][:, c])

    def add_turn(name: str, s: jax.Array, total: jax.Array) -> jax.Array:
        weight = jnp.where(2 * s == a[name].shape[2], 0.5, 1.0)  # half way round each comparison is met twice
        return total + weight * product(*(jnp.sign(state[name] - jnp.roll(state[name], s, 2)) for state in (a, b)))

    sets = [name for name in SETS if name in a]
    total = jnp.zeros((len(a[sets[0] if sets else "signs"]), len(b[sets[0] if sets else "signs"])))
    if not sets:
        total = jax.lax.fori_loop(0, a["signs"].shape[1], add_chunk, total)
    for name in sets:
        total = jax.lax.fori_loop(1, a[name].shape[2] // 2 + 1, partial(add_turn, name), total)
    count = sum(a[name].shape[1] * _pairs(a[name].shape[2]) for name in sets) if sets else most
    return jnp.where(_differ(a)[:, None] & _differ(b)[None], total / count, jnp.nan)


def _differ(state: State) -> jax.Array:
    """Whether any entries that are compared differ, `(member,)`."""
    parts = [state["signs"]] if "signs" in state else [state[n] - state[n][:, :, :1] for n in SETS if n in state]
    return jnp.stack([jnp.any(part != 0, axis=(1, 2)) for part in parts]).any(0)


def cost(state: State) -> int:
    """Bytes that one pair needs in `mean_product`: ranks, turned ranks and signs of both members."""
    return 8 * CHUNK if "signs" in state else 24 * sum(state[name][0].size for name in SETS if name in state)
