"""Mutual nearest neighbours: how many of a stimulus' neighbours two representations have in common."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.measures._family import Family, State
from analysis.measures._spectra import in_threads
from analysis.measures._time import in_time
from models import setting

WORD = 32  # stimuli whose bits share one integer


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """Mutual k-nearest-neighbour alignment (Huh et al. 2024, The platonic representation hypothesis).

    The share of its k nearest stimuli that a stimulus keeps from one representation to the other,

        mean over stimuli i of |N_a(i) & N_b(i)| / max(|N_a(i)|, |N_b(i)|),

    where `N(i)` holds the k other stimuli nearest to i and any as near as the k-th of them. Without ties it has k and
    this is the published measure; with ties no order of the stimuli decides, and a representation agrees fully with
    itself. It sees nothing but the order of the smallest distances: one far stimulus does not move it.

    The matrix of `N` is not symmetric, so that a walk over one half of it would lose the other: neighbours are held as
    bits, n / 32 integers a stimulus, and the common ones of a pair of members are counted.

    Attributes:
      k: how many neighbours; fewer than the stimuli.
      metric: what is near, by "cosine", the angle seen from the origin (nothing is centred; a silent pattern is at a
        right angle to all), or by "euclidean" distance.
      time: "features" | "mean" | "last"; see `analysis.measures._time.in_time`. Rows of trajectories are not offered:
        the nearest rows are those of the same stimulus a step earlier and later.
    """

    k: int = setting(10, least=1)
    metric: str = setting("cosine", choices=("cosine", "euclidean"))
    time: str = setting("features", choices=("features", "mean", "last"))

    form: ClassVar[str] = "pair"
    least: ClassVar[int] = 3
    always: ClassVar[tuple[str, ...]] = ("k", "metric")
    estimator: ClassVar[str] = "mean over stimuli; neighbours tied with the k-th count"

    @property
    def invariances(self) -> tuple[str, ...]:
        return ("permutation", "orthogonal", "scaling", *(["translation"] if self.metric == "euclidean" else []))

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why it cannot be had of so few stimuli, "" where it can: k neighbours of k + 1 stimuli are all of them."""
        if stimuli >= self.k + 2:
            return ""
        return f"k={self.k} needs at least {self.k + 2} stimuli and there are {stimuli}; choose a smaller k"

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        `near`: bits of the neighbours `(member, stimulus, word)`, unsigned; `size`: how many there are
        `(member, stimulus)`, NaN for a member without any differences; `more` `(member, stimulus)`: share of its
        stimuli that have more than 0, 1, ... n - 1 neighbours.
        """
        x = np.asarray(in_time(x, self.time))[:, :, 0]
        n = x.shape[1]
        noise = 32 * np.finfo(x.dtype).eps
        near = in_threads(lambda part: np.stack([self._neighbors(member, noise) for member in part]), x)
        size = near.sum(2)
        bits = np.packbits(np.pad(near, ((0, 0), (0, 0), (0, -n % WORD))), axis=2).view(np.uint32)
        more = (size[:, :, None] > np.arange(n)).mean(1)
        silent = (size == n - 1).all(1, keepdims=True)
        return dict(near=bits, size=np.where(silent, np.nan, size).astype(x.dtype), more=more)

    def _neighbors(self, x: np.ndarray, noise: float | np.floating) -> np.ndarray:
        """Whether column j is a neighbour of row i, `(stimulus, stimulus)`, in double precision."""
        x = x.astype(np.float64)
        if self.metric == "cosine":
            length = np.linalg.norm(x, axis=1, keepdims=True)
            x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
        centred = x - x.mean(0)
        if (centred**2).sum() <= noise**2 * (x**2).sum():  # nothing but rounding: all are equally near
            return ~np.eye(len(x), dtype=bool)
        if self.metric == "euclidean":
            x = centred  # nearer to the origin: less cancellation below
        product = x @ x.T
        square = product.diagonal()
        distance = square[:, None] + square - 2 * product if self.metric == "euclidean" else 1 - product
        np.fill_diagonal(distance, np.inf)
        last = np.partition(distance, self.k - 1, axis=1)[:, self.k - 1 : self.k]
        return distance <= last + 1e-12 * square.max()

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs: the counts of its stimuli, before they are averaged."""
        return 8 * state_a["size"].shape[1]

    def tile(self, state_a: State, state_b: State) -> jax.Array:
        """All values `(a, b)`."""
        both = state_a["near"][:, None] & state_b["near"][None]
        common = jax.lax.population_count(both).astype(jnp.int32).sum(-1)
        size = jnp.maximum(state_a["size"][:, None], state_b["size"][None])
        return (common / size).mean(-1)

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over permutations of the stimuli of one of the two: k / (n - 1), or `(a, b)` where there are ties.

        In general the mean over all i and j of `min(|N_a(i)|, |N_b(j)|) / (n - 1)`.
        """
        sizes = [np.asarray(state["size"], np.float64) for state in (state_a, state_b)]
        n = sizes[0].shape[1]
        if all((size == self.k).all() for size in sizes):
            return self.k / (n - 1)
        smaller = np.asarray(state_a["more"], np.float64) @ np.asarray(state_b["more"], np.float64).T
        known = ~(np.isnan(sizes[0][:, :1]) | np.isnan(sizes[1][:, 0]))
        return np.where(known, smaller / (n - 1), np.nan)
