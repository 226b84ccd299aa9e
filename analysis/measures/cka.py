"""Centred kernel alignment: the cosine of the angle between two representations' centred Gram matrices."""

import dataclasses
import math
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.representations import TIMES, in_time
from models import setting

HIGHEST = jax.lax.Precision.HIGHEST
State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Measure:
    """Linear CKA, `<A, B> / sqrt(<A, A> <B, B>)`, with A and B the centred Gram matrices of two representations.

    Rows of a Gram matrix are (stimulus i, time t); the exchangeable sample is the stimulus. Biased: `A = K`, with
    `K[it, ju] = x_it . x_ju` of centred x (Kornblith et al. 2019). Debiased: the blocks of a stimulus with itself are
    dropped and the rest is U-centred, so that its sums over the other stimuli vanish,

        A[it, ju] = K[it, ju] + a_i[t, u] + a_j[t, u]    for i != j, else 0,
        a_i[t, u] = d_i[t, u] / (n - 2) - sum_k d_k[t, u] / (2 (n - 1) (n - 2)),    d_i[t, u] = x_it . x_iu,

    which without time is the unbiased HSIC of Song et al. 2012 in the form of Szekely & Rizzo 2014. Values are never
    clamped: unrelated representations scatter around 0 to both sides. The angle `arccos` is a true distance.

    Attributes:
      kernel: "linear".
      debiased: without it two noise representations of many units look alike (.95 at 50 stimuli, 1000 units).
      time: how time enters, "samples" | "features" | "mean" | "last"; see `analysis.representations.in_time`.
      center: "time" subtracts the mean over stimuli at each time (removes the condition-independent time course),
        "grand" the mean over stimuli and times, which leaves that time course in.
    """

    kernel: str = setting("linear", choices=("linear",))
    debiased: bool = setting(True, choices=(True, False))
    time: str = setting("samples", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    kind: ClassVar[str] = "similarity"
    symmetric: ClassVar[bool] = True
    identity: ClassVar[float] = 1.0
    takes: ClassVar[str] = "trajectories"
    totals: ClassVar[bool] = False
    invariances: ClassVar[tuple[str, ...]] = ("permutation", "orthogonal", "scaling", "translation")
    words: ClassVar[dict[str, tuple[str, Any]]] = {"debiased": ("debiased", True), "biased": ("debiased", False)}

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["limits"]["choices"], getattr(self, field.name)
            if value not in choices:
                raise ValueError(f"cka has no {field.name}={value!r}; allowed: {', '.join(map(str, choices))}.")

    @property
    def name(self) -> str:
        choices = [f"kernel={self.kernel}", "debiased" if self.debiased else "biased"]
        choices += [f"time={self.time}"] * (self.time != "samples") + [f"center={self.center}"] * (
            self.center != "time"
        )
        return f"cka({', '.join(choices)})"

    @property
    def estimator(self) -> str:
        return "debiased over stimuli (U-centred)" if self.debiased else "biased"

    @property
    def least(self) -> int:
        """The fewest stimuli that leave something to compare."""
        return 4 if self.debiased else 2

    @partial(jax.jit, static_argnums=0)
    def prepare(self, x: jax.Array) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        `x`: centred; `shift`: what U-centring adds, `(member, stimulus, time, time)` or, with center=grand,
        `(member, stimulus, time)`; `same` and `other`, `(member, time, time)`: sums of the map over pairs of a
        stimulus with itself and with the others; `floor`: a map of smaller squared norm is rounding noise.
        """
        x = in_time(x, self.time)
        n, times = x.shape[1:3]
        x = x - x.mean(1 if self.center == "time" else (1, 2), keepdims=True)
        gram = jnp.einsum("nitp,niup->nitu", x, x, precision=HIGHEST)
        total = x.sum(1)
        same = gram.sum(1)
        other = jnp.einsum("ntp,nup->ntu", total, total, precision=HIGHEST) - same
        typical = jnp.einsum("ntt->n", same) / (n * times)
        state = dict(x=x, floor=(n * times * 32 * jnp.finfo(x.dtype).eps * typical) ** 2)
        if not self.debiased:
            return state | dict(same=same, other=other)
        if self.center == "time":
            shift = gram / (n - 2) - same[:, None] / (2 * (n - 1) * (n - 2))
            return state | dict(shift=shift, same=jnp.zeros_like(same), other=jnp.zeros_like(same))
        row = -gram.sum(3)  # the sum of a row over the other stimuli, since everything together sums to 0
        mean = row.sum((1, 2), keepdims=True) / (2 * (n - 1) * times)
        stimulus = (row.sum(2, keepdims=True) - times * mean) / ((n - 2) * times)
        shift = -(row - mean + stimulus) / ((n - 1) * times)
        moved = (n - 1) * shift.sum(1)
        return state | dict(shift=shift, same=jnp.zeros_like(same), other=other + moved[:, :, None] + moved[:, None])

    def left(self, state: State, p: jax.Array, q: jax.Array) -> jax.Array:
        """Stimuli `p` by stimuli `q` of every member's map, `(member, entry)`."""
        x = state["x"]
        block = jnp.einsum("nitp,njup->nitju", x[:, p], x[:, q], precision=HIGHEST)
        if self.debiased:
            a, b = state["shift"][:, p], state["shift"][:, q]
            if self.center == "time":
                a, b = a[:, :, :, None], b.transpose(0, 2, 1, 3)[:, None]
            else:
                a, b = a[:, :, :, None, None], b[:, None, None]
            block = jnp.where((p[:, None] == q[None])[None, :, None, :, None], 0, block + a + b)
        return block.reshape(len(x), -1)

    right = left

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """Inner products `(a, b)` to similarities; NaN where a map is nothing but rounding noise, or overflows."""
        with np.errstate(invalid="ignore"):
            return inner / (_norm(state_a)[:, None] * _norm(state_b))

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over all permutations of the stimuli of one of the two, in closed form; 0 or `(a, b)`.

        Without time and biased this is the mean of the RV coefficient (Kazi-Aoual et al. 1995),
        `sqrt(beta_a beta_b) / (n - 1)` with `beta = tr(K)^2 / tr(K^2)`; with time, summed over pairs of times.
        """
        if self.debiased and self.center == "time":
            return 0.0
        n = state_a["x"].shape[1]
        same = np.einsum("atu,btu->ab", state_a["same"], state_b["same"])
        other = np.einsum("atu,btu->ab", state_a["other"], state_b["other"])
        return self.finish(same / n + other / (n * (n - 1)), state_a, state_b)

    def chance_sd(self, stimuli: int, rows: int) -> float | None:
        """The sd over permutations, known where it is the same for all pairs: sqrt(2 / (n (n - 3)))."""
        return math.sqrt(2 / (stimuli * (stimuli - 3))) if self.debiased and rows == 1 else None


def _norm(state: State) -> np.ndarray:
    """Norms of the maps, `(member,)`; `self` is the inner product with itself, which the engine adds to the state."""
    squared = np.asarray(state["self"], np.float64)
    return np.sqrt(np.where(squared > np.asarray(state["floor"]), squared, np.nan))
