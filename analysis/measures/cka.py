"""Centred kernel alignment: the cosine of the angle between two representations' centred Gram matrices."""

import dataclasses
import math
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import HIGHEST
from analysis.measures._family import Family, State, at_stimuli, index
from analysis.measures._kernels import KERNELS, bandwidth, kernel, row_sums
from analysis.measures._time import TIMES, in_time
from models import setting


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """CKA, `<A, B> / sqrt(<A, A> <B, B>)`, with A and B the centred Gram matrices of two representations.

    Rows of a Gram matrix K are (stimulus i, time t); the exchangeable sample is the stimulus. Biased: A is K less its
    row and column means, `H K H` without time (Kornblith et al. 2019). Debiased: the blocks of a stimulus with itself
    are dropped and the rest is U-centred, so that its sums over the other stimuli vanish,

        A[it, ju] = K[it, ju] + a_i[t, u] + a_j[u, t]    for i != j, else 0,

    a the least-squares fit; without time `<A, B>` is the unbiased HSIC of Song et al. 2012 in the form of Szekely &
    Rizzo 2014. Values are never clamped: unrelated representations scatter around 0 to both sides. The angle
    `arccos` is a true distance (Williams et al. 2021), 1 - CKA is not.

    Attributes:
      kernel: "linear", `x . y`; "rbf", `exp(-|x - y|^2 / (2 sigma^2))`, sigma = `bandwidth` times the median distance
        of rows of different stimuli; "polynomial", `(1 + x . y / s)^degree`, s the mean squared length of a row.
        Before the kernel x is centred, which only the polynomial one sees.
      debiased: without it two noise representations of many units look alike (.95 at 50 stimuli, 1000 units).
      angular: the angle in radians, a distance, instead of its cosine.
      bandwidth: of "rbf", in medians.
      degree: of "polynomial".
      time: how time enters, "samples" | "features" | "mean" | "last"; see `analysis.measures._time.in_time`.
      center: "time" subtracts the mean over stimuli at each time (removes the condition-independent time course),
        "grand" the mean over stimuli and times, which leaves that time course in.
    """

    kernel: str = setting("linear", choices=KERNELS)
    debiased: bool = setting(True, choices=(True, False))
    angular: bool = setting(False, choices=(True, False))
    bandwidth: float = setting(1.0, above=0.0)
    degree: int = setting(3, least=2)
    time: str = setting("samples", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    words: ClassVar[dict[str, tuple[str, Any]]] = {
        "debiased": ("debiased", True),
        "biased": ("debiased", False),
        "angular": ("angular", True),
    }
    always: ClassVar[tuple[str, ...]] = ("kernel", "debiased")

    @property
    def kind(self) -> str:
        return "distance" if self.angular else "similarity"

    @property
    def identity(self) -> float:
        return 0.0 if self.angular else 1.0

    @property
    def unbiased(self) -> bool:
        return self.debiased and not self.angular

    @property
    def estimator(self) -> str:
        of = "debiased over stimuli (U-centred)" if self.debiased else "biased"
        return of + (f", bandwidth {self.bandwidth:g} x median distance" if self.kernel == "rbf" else "")

    @property
    def invariances(self) -> tuple[str, ...]:
        return ("permutation", "orthogonal", "scaling", "translation")

    @property
    def least(self) -> int:
        """The fewest stimuli that leave something to compare."""
        return 4 if self.debiased else 2

    @property
    def null_always(self) -> bool:
        """Biased values mean nothing without what unrelated representations would give."""
        return not self.debiased

    def recentring(self, one_row: bool) -> str | None:
        """How the map of fewer stimuli is centred anew, see `Family.recentring`."""
        if self.angular or not (self.center == "time" or one_row):
            return None
        return "hollow" if self.debiased else "full"

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        `x`: centred; `shift`: what centring adds to a row of the map, `(member, stimulus, time, time)` or, with
        center=grand, `(member, stimulus, time)`, absent where that is 0; `same` and `other`, `(member, time, time)`:
        sums of the map over pairs of a stimulus with itself and with the others; `floor`: a map of smaller squared
        norm is rounding noise; `scale`: what the kernel divides by.
        """
        x = _centred(x, self.time, self.center)
        scale = bandwidth(x, self.kernel, self.bandwidth)
        return dict(x=x, scale=scale) | self._centring(x, scale)

    @partial(jax.jit, static_argnums=0)
    def _centring(self, x: jax.Array, scale: jax.Array) -> State:
        n, times = x.shape[1:3]
        same = kernel(x, x, scale, self.kernel, self.degree, "nitp,niup->nitu")
        typical = jnp.einsum("nitt->n", same) / (n * times)
        floor = (n * times * 32 * jnp.finfo(x.dtype).eps * typical) ** 2
        if self.kernel == "linear" and self.center == "time":
            others = -same  # everything together sums to 0
        elif self.kernel == "linear":
            total = x.sum(1)
            others = jnp.einsum("nitp,nup->nitu", x, total, precision=HIGHEST) - same
        else:
            others = row_sums(x, scale, self.kernel, self.degree) - same
        same, other = same.sum(1), others.sum(1)
        if self.center == "time":
            shift = _by_time(others + (0 if self.debiased else _own(x, scale, self)), self.debiased)
        else:
            shift = _of_all(others + (0 if self.debiased else _own(x, scale, self)), self.debiased)
        sums = shift.sum(1)
        both = sums + sums.swapaxes(1, 2) if self.center == "time" else sums[:, :, None] + sums[:, None]
        other = other + (n - 1) * both
        same = jnp.zeros_like(same) if self.debiased else same + both
        state = dict(floor=floor, same=same, other=other)
        return state if self.kernel == "linear" and not self.debiased else state | dict(shift=shift)

    def left(self, state: State, p: Any, q: Any) -> jax.Array:
        """Stimuli `p` by stimuli `q` of every member's map, `(member, entry)`."""
        x = state["x"]
        block = kernel(at_stimuli(x, p), at_stimuli(x, q), state["scale"], self.kernel, self.degree, "nitp,njup->nitju")
        if "shift" in state:
            a, b = at_stimuli(state["shift"], p), at_stimuli(state["shift"], q)
            if self.center == "time":
                a, b = a[:, :, :, None], b.transpose(0, 3, 1, 2)[:, None]
            else:
                a, b = a[:, :, :, None, None], b[:, None, None]
            block = block + a + b
        if self.debiased:
            block = jnp.where((index(p)[:, None] == index(q)[None])[None, :, None, :, None], 0, block)
        return block.reshape(len(x), -1)

    right = left

    def factor(self, state: State) -> Any | None:
        """F of `K = F F'`, `(member, row, unit)`; None where there is none."""
        if self.kernel != "linear" or self.center != "time":
            return None
        return state["x"].reshape(len(state["x"]), -1, state["x"].shape[-1])

    def corrected(self, products: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """The inner products of two groups' maps from those of their Gram matrices, `(a, b)`.

        U-centred maps are orthogonal to all shifts, so that `<A, B>` is `<K_a, B>` over different stimuli: the sum of
        `K_a K_b`, less that of each stimulus with itself, and `K_a` times the shifts of `B`, whose sum over the other
        stimulus of the pair is minus that of the stimulus with itself.
        """
        if not self.debiased:
            return products
        same_a, same_b = (np.asarray(_same(state["x"])).reshape(len(state["x"]), -1) for state in (state_a, state_b))
        shift_b = np.asarray(state_b["shift"]).reshape(len(same_b), -1)
        return products - same_a @ same_b.T - 2 * (same_a @ shift_b.T)

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """Inner products `(a, b)` to values; NaN where a map is nothing but rounding noise, or overflows."""
        with np.errstate(invalid="ignore"):
            cosine = inner / (_norm(state_a)[:, None] * _norm(state_b))
            return np.arccos(np.clip(cosine, -1, 1)) if self.angular else cosine

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over all permutations of the stimuli of one of the two, in closed form; a number or `(a, b)`.

        Of the biased estimator (Kazi-Aoual et al. 1995; the RV coefficient is linear CKA), without time,
        `sqrt(beta_a beta_b) / (n - 1)` with `beta = tr(K)^2 / tr(K^2)`; with time, summed over pairs of times. The
        mean angle is known only where it is that of a right angle.
        """
        if self.debiased and self.center == "time":
            return math.pi / 2 if self.angular else 0.0
        if self.angular:
            return math.nan
        n = state_a["x"].shape[1]
        same = np.einsum("atu,btu->ab", state_a["same"], state_b["same"])
        other = np.einsum("atu,btu->ab", state_a["other"], state_b["other"])
        return self.finish(same / n + other / (n * (n - 1)), state_a, state_b)

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """The sd over permutations, known where it is the same for all pairs: sqrt(2 / (n (n - 3)))."""
        known = self.debiased and rows == 1 and not self.angular
        return math.sqrt(2 / (stimuli * (stimuli - 3))) if known else None


BYTES_AT_ONCE = 2**26
"""Bytes of patterns that are centred in one call: all of them would be held twice, as they come and as they go."""


def _centred(x: Any, time: str, center: str) -> jax.Array:
    members = len(x)
    rows = max(1, BYTES_AT_ONCE // max(1, x[0].nbytes))
    if rows >= members:
        return _centre(x, time, center)
    whole = None
    for start in range(0, members, rows):
        start = min(start, members - rows)  # all calls of one size
        part = _centre(x[start : start + rows], time, center)
        whole = jnp.zeros((members, *part.shape[1:]), part.dtype) if whole is None else whole
        whole = _put(whole, part, start)
    assert whole is not None
    return whole


@partial(jax.jit, donate_argnums=0)
def _put(whole: jax.Array, part: jax.Array, start: Any) -> jax.Array:
    return jax.lax.dynamic_update_slice_in_dim(whole, part, start, 0)


@partial(jax.jit, static_argnums=(1, 2))
def _centre(x: jax.Array, time: str, center: str) -> jax.Array:
    x = in_time(x, time)
    x = x - x.mean(1 if center == "time" else (1, 2), keepdims=True)
    # No kernel sees the scale of all units: divided by a power of 2, fourth powers neither under- nor overflow.
    most = jnp.abs(x).max((1, 2, 3), keepdims=True)
    return jnp.ldexp(x, -jnp.frexp(most)[1])


def _own(x: jax.Array, scale: jax.Array, measure: Measure) -> jax.Array:
    """A row's sums over the times of its own stimulus, which biased centring counts too, `(member, i, t, u)`."""
    return kernel(x, x, scale, measure.kernel, measure.degree, "nitp,niup->nitu")


def _by_time(rows: jax.Array, debiased: bool) -> jax.Array:
    """What centres a map for each pair of times, from its row sums `(member, stimulus, t, u)`: `a` of the class's text.

    Fit of `mu + alpha_i[t, u] + alpha_j[u, t]` to n - 1 entries of each row (debiased), or to n.
    """
    n = rows.shape[1]
    each = n - 1 if debiased else n
    mean = rows.mean(1, keepdims=True) / each
    rest = rows - each * mean
    alpha = ((n - 1) * rest + rest.swapaxes(2, 3)) / (n * (n - 2)) if debiased else rest / n
    return -(mean / 2 + alpha)


def _of_all(rows: jax.Array, debiased: bool) -> jax.Array:
    """What centres a map over all its rows, `(member, stimulus, time)`, from its row sums `(member, i, t, u)`."""
    n, times = rows.shape[1:3]
    each = (n - 1 if debiased else n) * times
    rows = rows.sum(3)
    mean = rows.mean((1, 2), keepdims=True) / each
    rest = rows - each * mean
    if debiased:  # the times of a stimulus are not among its others
        rest = rest + rest.sum(2, keepdims=True) / ((n - 2) * times)
    return -(mean / 2 + rest / each)


@jax.jit
def _same(x: jax.Array) -> jax.Array:
    return jnp.einsum("nitp,niup->nitu", x, x, precision=HIGHEST)


def _norm(state: State) -> np.ndarray:
    """Norms of the maps, `(member,)`; `self` is the inner product with itself, which the engine adds to the state."""
    squared = np.asarray(state["self"], np.float64)
    return np.sqrt(np.where(squared > np.asarray(state["floor"]), squared, np.nan))
