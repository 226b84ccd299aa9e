"""Representational similarity analysis: how alike two representations' dissimilarity matrices (RDMs) are."""

import dataclasses
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.representations import TIMES, in_time
from models import setting

HIGHEST = jax.lax.Precision.HIGHEST
KNOTS = 4096  # of a quantile table: interpolated ranks move a Spearman correlation by less than 1e-6
State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Measure:
    """RSA (Kriegeskorte et al. 2008): correlation of the RDM entries of different stimuli.

    A pattern is a stimulus (at one time, if there is time); RDM entries of a stimulus with itself are left out.

    Attributes:
      rdm: "correlation", 1 - Pearson correlation over units, or "euclidean", squared distance per unit. A pattern
        without variance over units (a silent layer) is given correlation 0 with every other, dissimilarity 1.
      compare: "spearman" (average ranks), "pearson" or "cosine" (not centred).
      ranks: "table" reads ranks off a table of 4,096 quantiles per member (RDMs of up to 4,096 entries: the ranks
        themselves), "exact" holds every rank, which is as large as half of all RDMs.
      time: how time enters, "samples" | "features" | "mean" | "last"; see `analysis.representations.in_time`.
      center: what Spearman and Pearson centre the entries by: "time", by their mean for each pair of times, so that a
        shared time course alone gives 0; "grand", by the mean of all. Without time both are the plain correlation.
    """

    rdm: str = setting("correlation", choices=("correlation", "euclidean"))
    compare: str = setting("spearman", choices=("spearman", "pearson", "cosine"))
    ranks: str = setting("table", choices=("table", "exact"))
    time: str = setting("samples", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    kind: ClassVar[str] = "similarity"
    symmetric: ClassVar[bool] = True
    identity: ClassVar[float] = 1.0
    takes: ClassVar[str] = "trajectories"
    least: ClassVar[int] = 3
    words: ClassVar[dict[str, tuple[str, Any]]] = {}

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["limits"]["choices"], getattr(self, field.name)
            if value not in choices:
                raise ValueError(f"rsa has no {field.name}={value!r}; allowed: {', '.join(map(str, choices))}.")

    @property
    def name(self) -> str:
        choices = [f"rdm={self.rdm}", f"compare={self.compare}"]
        for field, default in (("ranks", "table"), ("time", "samples"), ("center", "time")):
            choices += [f"{field}={getattr(self, field)}"] * (getattr(self, field) != default)
        return f"rsa({', '.join(choices)})"

    @property
    def estimator(self) -> str:
        ties = {"table": ", average ranks from a table of quantiles", "exact": ", average ranks"}
        return "entries of different stimuli" + (ties[self.ranks] if self.compare == "spearman" else "")

    @property
    def invariances(self) -> tuple[str, ...]:
        more = ("orthogonal", "translation") if self.rdm == "euclidean" else ()
        return ("permutation", "scaling", *more)

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        `x`: patterns whose inner products give the RDM, `length`: their squared lengths `(member, stimulus, time)`;
        `mean` `(member, time, time)`: what the map is centred by; `other` `(member, time, time)`: sums of the centred
        map; `floor`: a map of smaller squared norm is rounding noise. For Spearman the first two are 0, since ranks are
        centred after the walk, by its `total`, and there are the table's parts, or `ranks` `(member, entry)`.
        """
        state = self._patterns(x)
        if self.compare != "spearman":
            return state
        if self.ranks == "table":
            return state | self._ranked(state)
        with jax.enable_x64(True):  # in single precision rounding would part ties
            double = self._patterns(np.asarray(x, np.float64))
            ranked = self._ranked(double)
        return state | {name: leaf.astype(state["x"].dtype) for name, leaf in ranked.items()}

    @partial(jax.jit, static_argnums=0)
    def _patterns(self, x: jax.Array) -> State:
        x = in_time(x, self.time)
        n, times, units = x.shape[1:]
        eps = jnp.finfo(x.dtype).eps
        if self.rdm == "correlation":
            size = jnp.einsum("nitp,nitp->nit", x, x, precision=HIGHEST)
            x = x - x.mean(3, keepdims=True)
            length = jnp.einsum("nitp,nitp->nit", x, x, precision=HIGHEST)
            flat = length <= (8 * eps) ** 2 * size
            x = jnp.where(flat, 0, 1 / jnp.sqrt(jnp.where(flat, 1, length)))[..., None] * x
            length = jnp.full_like(length, 0.5)
            x = x * 0.5**0.5
        else:
            x = (x - x.mean((1, 2), keepdims=True)) / units**0.5  # nearer to the origin: less cancellation below
            length = jnp.einsum("nitp,nitp->nit", x, x, precision=HIGHEST)
        total = x.sum(1)
        products = jnp.einsum("ntp,nup->ntu", total, total, precision=HIGHEST)
        products -= jnp.einsum("nitp,niup->ntu", x, x, precision=HIGHEST)
        lengths = (n - 1) * length.sum(1)
        other = lengths[:, :, None] + lengths[:, None] - 2 * products
        grand = other.mean((1, 2), keepdims=True) / (n * (n - 1))
        floor = (n * times * 32 * eps * grand[:, 0, 0]) ** 2
        mean = other / (n * (n - 1)) if self.center == "time" else jnp.broadcast_to(grand, other.shape)
        if self.compare == "cosine":
            mean = jnp.zeros_like(mean)
        other = (
            jnp.zeros_like(other) if self.compare != "cosine" and self.center == "time" else other - n * (n - 1) * mean
        )
        return dict(x=x, length=length, mean=mean, other=other, floor=floor)

    def _ranked(self, state: State) -> State:
        """Ranks between -1/2 and 1/2, made on the host one member at a time: XLA's sort is slow on CPU."""
        x, length = state["x"], state["length"]
        members, n, times = length.shape
        tables, ranks = [], []
        upper = np.triu_indices(n, 1)
        for member in range(members):
            values = np.asarray(_entries(x, length, member)).swapaxes(1, 2)[upper].ravel()
            if self.ranks == "table":
                tables.append(_rank_table(values, KNOTS))
            else:
                ranks.append(np.interp(values, *_rank_table(values, values.size)))
        centred = dict(mean=np.zeros((members, times, times), x.dtype), floor=np.zeros(members, x.dtype))
        centred["other"] = centred["mean"]
        return centred | (dict(ranks=np.stack(ranks)) if ranks else _indexed(tables))

    def left(self, state: State, p: jax.Array, q: jax.Array) -> jax.Array:
        """Stimuli `p` by stimuli `q` of every member's map, `(member, entry)`."""
        x, length = state["x"], state["length"]
        members, n, times = length.shape
        if self.compare == "spearman" and self.ranks == "exact":
            first, second = jnp.minimum(p[:, None], q[None]), jnp.maximum(p[:, None], q[None])
            pair = jnp.clip(first * n - first * (first + 1) // 2 + second - first - 1, 0, n * (n - 1) // 2 - 1)
            block = state["ranks"].reshape(members, -1, times, times)[:, pair]  # (member, p, q, time, time)
            below = (p[:, None] > q[None])[None, :, :, None, None]
            block = jnp.where(below, block.swapaxes(3, 4), block).transpose(0, 1, 3, 2, 4)
        else:
            block = jnp.einsum("nitp,njup->nitju", x[:, p], x[:, q], precision=HIGHEST)
            block = length[:, p][:, :, :, None, None] + length[:, q][:, None, None] - 2 * block
            if self.compare == "spearman":
                block = _look_up(state, block.reshape(members, -1)).reshape(block.shape)
        block = block - state["mean"][:, None, :, None]
        block = jnp.where((p[:, None] == q[None])[None, :, None, :, None], 0, block)
        return block.reshape(members, -1)

    right = left

    @property
    def totals(self) -> bool:
        """Whether the engine sums the map over pairs of stimuli, for each pair of times, into the state's `total`."""
        return self.compare == "spearman"

    def _shared(self, state: State) -> np.ndarray:
        """The part of the sums of the map that centring takes out, `(member, time, time)`."""
        total = np.asarray(state["total"], np.float64)
        return total if self.center == "time" else np.broadcast_to(total.mean((1, 2), keepdims=True), total.shape)

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """Inner products `(a, b)` to correlations; NaN where an RDM's entries are all the same."""
        a, b = np.float64(state_a["self"]), np.float64(state_b["self"])
        if self.totals:
            n = state_a["length"].shape[1]
            shared_a, shared_b = self._shared(state_a), self._shared(state_b)
            inner = inner - np.einsum("atu,btu->ab", shared_a, shared_b) / (n * (n - 1))
            a = a - (shared_a**2).sum((1, 2)) / (n * (n - 1))
            b = b - (shared_b**2).sum((1, 2)) / (n * (n - 1))
        a, b = (np.where(own > np.asarray(state["floor"]), own, np.nan) for own, state in ((a, state_a), (b, state_b)))
        with np.errstate(invalid="ignore"):
            return inner / np.sqrt(a[:, None] * b)

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over all permutations of the stimuli of one of the two, in closed form; 0 or `(a, b)`."""
        n, times = state_a["length"].shape[1:]
        if self.compare != "cosine" and (self.center == "time" or times == 1):
            return 0.0
        key = "total" if self.totals else "other"
        other = np.einsum("atu,btu->ab", np.float64(state_a[key]), np.float64(state_b[key]))
        return self.finish(other / (n * (n - 1)), state_a, state_b)

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """The sd over permutations of the stimuli differs by pair and has no short closed form."""
        return None


@jax.jit
def _entries(x: jax.Array, length: jax.Array, member: int) -> jax.Array:
    """One member's RDM, `(stimulus, time, stimulus, time)`."""
    x, length = x[member], length[member]
    products = jnp.einsum("itp,jup->itju", x, x, precision=HIGHEST)
    return length[:, :, None, None] + length[None, None] - 2 * products


def _rank_table(values: np.ndarray, knots: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of `values` `(entry,)` and the average rank of each, scaled to -1/2 .. 1/2.

    Knots nearer to each other than rounding are one value: ties stay ties when a block's rounding differs.
    """
    ordered = np.sort(values)
    at = ordered[np.unique(np.linspace(0, len(ordered) - 1, knots).round().astype(int))]
    slack = 16 * np.finfo(values.dtype).eps * np.abs(ordered[[0, -1]]).max()
    first = np.flatnonzero(np.diff(at, prepend=-np.inf) > slack)
    last = np.append(first[1:], len(at)) - 1
    slack = np.where(last > first, slack, 0).astype(values.dtype)
    ranks = np.searchsorted(ordered, at[first] - slack, "left") + np.searchsorted(ordered, at[last] + slack, "right")
    levels = (ranks / (2 * len(ordered)) - 0.5).astype(values.dtype)
    return (at[first] + at[last]) / 2, levels


def _indexed(tables: list[tuple[np.ndarray, np.ndarray]]) -> State:
    """Members' tables as arrays `(member, knot)`, and where to look: a search over all knots takes 7 times as long.

    `start` `(member, cell)` is the last knot below each of equal cells of the values' range, `most` the number of
    knots in the fullest cell: 1 or 2, or more where a few entries lie far out.
    """
    width = 1 << max(1, (max(len(knots) for knots, _ in tables) - 1).bit_length())
    knots, levels = (
        np.stack([np.pad(part, (0, width - len(part)), "edge") for part in parts]) for parts in zip(*tables)
    )
    gap = np.diff(knots, axis=1, append=knots[:, -1:])
    rise = np.diff(levels, axis=1, append=levels[:, -1:])
    range_ = knots[:, -1] - knots[:, 0]
    scale = (8 * width - 1) / np.where(range_ > 0, range_, 1)
    cells = ((knots - knots[:, :1]) * scale[:, None]).astype(int)
    real = [cell[: len(own)] for cell, (own, _) in zip(cells, tables)]
    below = np.stack([np.searchsorted(cell, np.arange(8 * width)).astype(np.int16) for cell in real])
    return dict(
        knots=knots,
        levels=levels,
        slopes=np.where(gap > 0, rise / np.where(gap > 0, gap, 1), 0).astype(knots.dtype),
        scale=scale.astype(knots.dtype),
        start=np.maximum(below - 1, 0, dtype=np.int16),
        most=np.array([np.bincount(cell).max() for cell in real], np.int32),
    )


def _look_up(table: State, values: jax.Array) -> jax.Array:
    """Piecewise linear interpolation of `values` `(member, entry)` in every member's table; see `_indexed`."""

    def take(name: str, index: jax.Array) -> jax.Array:  # one flat gather is faster than one along an axis
        leaf = table[name]
        offset = jnp.arange(len(leaf), dtype=jnp.int32)[:, None] * leaf.shape[1]
        return leaf.reshape(-1).at[index + offset].get(mode="promise_in_bounds")

    width = table["knots"].shape[1]
    cell = ((values - table["knots"][:, :1]) * table["scale"][:, None]).astype(jnp.int32)
    low = take("start", jnp.clip(cell, 0, table["start"].shape[1] - 1)).astype(jnp.int32)
    bits = 32 - jax.lax.clz(table["most"].max())

    def halve(i: jax.Array, low: jax.Array) -> jax.Array:
        ahead = jnp.minimum(low + (1 << (bits - 1 - i)), width - 1)
        return jnp.where(take("knots", ahead) <= values, ahead, low)

    low = jax.lax.fori_loop(0, bits, halve, low)
    return take("levels", low) + take("slopes", low) * jnp.maximum(values - take("knots", low), 0)
