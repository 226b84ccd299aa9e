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
        map; `floor`: a map of smaller squared norm is rounding noise; for Spearman also `knots` and `levels`
        `(member, knot)`, or `ranks` `(member, entry)`.
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
        x, length = np.asarray(state["x"]), np.asarray(state["length"])
        members, n, times = length.shape
        tables, means = [], []
        for rows, lengths in zip(x.reshape(members, n * times, -1), length.reshape(members, -1)):
            values = (lengths[:, None] + lengths - 2 * (rows @ rows.T)).reshape(n, times, n, times).swapaxes(1, 2)
            values = values[np.triu_indices(n, 1)]
            knots, levels = _rank_table(values.ravel(), values.size if self.ranks == "exact" else KNOTS)
            ranks = np.interp(values, knots, levels) if times > 1 or self.ranks == "exact" else None
            tables.append((knots, levels) if self.ranks == "table" else ranks.ravel())  # pyright: ignore
            means.append(np.zeros((1, 1)) if times == 1 else (ranks.mean(0) + ranks.mean(0).T) / 2)  # pyright: ignore
        mean = np.stack(means).astype(x.dtype)
        other = n * (n - 1) * (mean * 0 if self.center == "time" else mean)
        mean = mean if self.center == "time" else mean * 0
        ranked = dict(mean=mean, other=other, floor=np.zeros(members, x.dtype))
        if self.ranks == "exact":
            return ranked | dict(ranks=np.stack(tables).astype(x.dtype))
        width = 1 << max(1, (max(len(knots) for knots, _ in tables) - 1).bit_length())
        padded = [[np.pad(part, (0, width - len(part)), "edge") for part in table] for table in tables]
        return ranked | dict(knots=np.stack([k for k, _ in padded]), levels=np.stack([r for _, r in padded]))

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
                block = _look_up(state["knots"], state["levels"], block.reshape(members, -1)).reshape(block.shape)
        block = block - state["mean"][:, None, :, None]
        block = jnp.where((p[:, None] == q[None])[None, :, None, :, None], 0, block)
        return block.reshape(members, -1)

    right = left

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """Inner products `(a, b)` to correlations; NaN where an RDM's entries are all the same."""
        return inner / (_norm(state_a)[:, None] * _norm(state_b))

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over all permutations of the stimuli of one of the two, in closed form; 0 or `(a, b)`."""
        n, times = state_a["length"].shape[1:]
        if self.compare != "cosine" and (self.center == "time" or times == 1):
            return 0.0
        other = np.einsum("atu,btu->ab", state_a["other"], state_b["other"])
        return self.finish(other / (n * (n - 1)), state_a, state_b)

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """The sd over permutations of the stimuli differs by pair and has no short closed form."""
        return None


def _norm(state: State) -> np.ndarray:
    """Norms of the maps, `(member,)`; `self` is the inner product with itself, which the engine adds to the state."""
    squared = np.asarray(state["self"], np.float64)
    return np.sqrt(np.where(squared > np.asarray(state["floor"]), squared, np.nan))


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


def _look_up(knots: jax.Array, levels: jax.Array, values: jax.Array) -> jax.Array:
    """Piecewise linear interpolation of `values` `(member, entry)` in every member's table `(member, 2^k)`."""
    take = partial(jnp.take_along_axis, axis=1, mode="clip")
    low = jnp.zeros(values.shape, jnp.int32)
    step = knots.shape[1] // 2
    while step:
        low = jnp.where(take(knots, low + step) <= values, low + step, low)
        step //= 2
    high = jnp.minimum(low + 1, knots.shape[1] - 1)
    start, gap = take(knots, low), take(knots, high) - take(knots, low)
    part = jnp.where(gap > 0, jnp.clip((values - start) / jnp.where(gap > 0, gap, 1), 0, 1), 0)
    return take(levels, low) + part * (take(levels, high) - take(levels, low))
