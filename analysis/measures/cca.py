"""Canonical correlation analysis: how far two representations span the same directions of stimulus space."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import HIGHEST
from analysis.measures import _spectra
from analysis.measures._family import Family, State, at_stimuli
from analysis.measures._time import TIMES
from models import setting


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """Summaries of the canonical correlations rho_i of two representations, i = 1 .. min(rank_a, rank_b).

    With Q an orthonormal basis of the centred columns of a representation, over rows (stimulus, time), rho are the
    singular values of `Q_a' Q_b`:

        mean:    the mean of rho, 1 for representations of which one is a linear map of the other,
        squared: the mean of rho^2, `<Q_a Q_a', Q_b Q_b'> / min(rank_a, rank_b)`; for equal ranks the generalised
                 coefficient of determination (Yanai 1974); the sum of rho^2 over all pairs is one matrix product,
        pwcca:   sum_i w_i rho_i / sum_i w_i with `w_i = sum_j |<h_i, y_j>|` over the units y_j of b, h_i the canonical
                 variates of b (Morcos et al. 2018, projection weighting): directed, how much of b is found in a. Where
                 canonical correlations are equal their variates, and so w, are not determined.

    With `variance` below 1, or `components` above 0, each representation is first reduced to its leading principal
    components, as SVCCA (Raghu et al. 2017, there .99), without which directions of noise count as much as those of
    signal. All directions that are kept count alike, so that unrelated representations of many units have high values:
    `squared` on average max(rank_a, rank_b) / (n - 1) for n stimuli without time, and more units than stimuli are
    refused.

    Attributes:
      summary: "mean" | "squared" | "pwcca".
      variance: the share of the variance that the principal components kept explain, at least; 1 keeps all.
      components: how many principal components are kept at most; 0 sets no limit.
      time: how time enters, "samples" | "features" | "mean" | "last"; see `analysis.measures._time.in_time`. The
        rows of a trajectory are no independent samples: it is the number of stimuli that counts.
      center: "time" subtracts the mean over stimuli at each time, "grand" the mean over stimuli and times.
    """

    summary: str = setting("mean", choices=("mean", "squared", "pwcca"))
    variance: float = setting(1.0, above=0.0, most=1.0)
    components: int = setting(0, least=0)
    time: str = setting("samples", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    least: ClassVar[int] = 3
    is_metric: ClassVar[bool] = False  # correlations are averaged over the smaller rank
    always: ClassVar[tuple[str, ...]] = ("summary",)

    @property
    def form(self) -> str:
        return "inner" if self.summary == "squared" else "pair"

    @property
    def kind(self) -> str:
        return "similarity" if self.symmetric else "score"

    @property
    def symmetric(self) -> bool:
        return self.summary != "pwcca"

    @property
    def host(self) -> bool:
        return self.form == "pair" and _spectra.host()

    @property
    def pads(self) -> bool:
        """Not on the host, which compiles nothing, and not truncated bases, as wide as their highest rank."""
        return not self.truncates and not self.host

    @property
    def truncates(self) -> bool:
        """Whether representations are reduced to their leading principal components."""
        return self.variance < 1 or self.components > 0

    @property
    def estimator(self) -> str:
        share = f"components of {self.variance:g} of the variance" * (self.variance < 1)
        count = f"{self.components} components at most" * (self.components > 0)
        return f"biased, {', '.join(filter(None, (share, count))) or 'all directions'}"

    @property
    def invariances(self) -> tuple[str, ...]:
        if self.summary == "pwcca":
            return ("permutation", "scaling", "translation")
        more = () if self.truncates else ("invertible",)
        return ("permutation", "orthogonal", "scaling", "translation", *more)

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why so many units, or (time, unit) where these are features, cannot be compared; "" where they can."""
        units = units * times if self.time == "features" else units
        units = min(units, self.components or units)
        reason = "" if self.variance < 1 else _spectra.fault(stimuli, units)
        return reason and f"{reason}; keep the leading principal components, variance=0.99"

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`; k is the largest rank, or all that may be.

        `q`: the basis, `(member, stimulus, time, k)`, 0 from a member's `rank` on; `rank` is NaN where there is nothing
        but rounding noise, and where as many directions are kept as centred rows have. Squared: `same` and
        `other`, `(member, time, time)`, sums of `Q Q'` over pairs of a stimulus with itself and with the others. PWCCA:
        `units`, the units in that basis, `(member, k, unit)`.
        """
        state = _spectra.in_threads(self._state, np.asarray(x))
        if self.pads:
            return state
        k = int(np.nanmax(state["rank"], initial=1))
        return state | dict(q=state["q"][..., :k]) | ({"units": state["units"][:, :k]} if "units" in state else {})

    def _state(self, x: np.ndarray) -> State:
        rows = _spectra.centred(x, self.time, self.center)
        members, stimuli, times, units = rows.x.shape
        matrix = rows.x.reshape(members, -1, units)
        matrix = matrix if self.summary == "pwcca" else _spectra.reduced(matrix)
        q, s, v = _spectra.bases(matrix, rows.noise, self.variance, self.components)
        rank = (s > 0).sum(1)
        # As many directions as centred rows have are like any others: two networks of noise would have the value 1.
        rank = np.where(rank < (stimuli - 1) * times, rank, 0)
        basis = q.reshape(members, stimuli, times, -1)
        state = dict(q=basis, rank=np.where(rank > 0, rank, np.nan))
        if self.summary == "squared":
            total = basis.sum(1)
            same = np.einsum("nitk,niuk->ntu", basis, basis)
            state |= dict(same=same, other=np.einsum("ntk,nuk->ntu", total, total) - same)
        if self.summary == "pwcca":
            state["units"] = s[:, :, None] * v.swapaxes(1, 2)
        return {name: leaf.astype(x.dtype) for name, leaf in state.items()}

    # --- squared: an inner product of projectors ---------------------------------------------------------------------

    def left(self, state: State, p: Any, q: Any) -> jax.Array:
        """Stimuli `p` by stimuli `q` of every member's projector, `(member, entry)`."""
        basis = state["q"]
        block = jnp.einsum("nitk,njuk->nitju", at_stimuli(basis, p), at_stimuli(basis, q), precision=HIGHEST)
        return block.reshape(len(basis), -1)

    right = left

    def factor(self, state: State) -> Any:
        """F of the map `F F'`, `(member, row, unit)`."""
        basis = state["q"]
        return basis.reshape(len(basis), -1, basis.shape[3])

    def corrected(self, products: Any, state_a: State, state_b: State) -> Any:
        """`|F_a' F_b|^2` are the inner products."""
        return products

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """Sums of squared canonical correlations `(a, b)` to their means; NaN where there is no direction."""
        return inner / np.minimum(np.asarray(state_a["rank"])[:, None], np.asarray(state_b["rank"]))

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """For `squared` the mean over all permutations of the stimuli of one of the two, in closed form, `(a, b)`.

        Permuted, a map keeps its sums over pairs of a stimulus with itself and over pairs with the others, spread
        evenly; without time these are rank and -rank, and the mean is `max(rank_a, rank_b) / (n - 1)`.
        """
        if self.summary != "squared":
            return float("nan")
        n = state_a["q"].shape[1]
        same = np.einsum("atu,btu->ab", state_a["same"], state_b["same"])
        other = np.einsum("atu,btu->ab", state_a["other"], state_b["other"])
        return self.finish(same / n + other / (n * (n - 1)), state_a, state_b)

    # --- mean and pwcca: spectra of all pairs ------------------------------------------------------------------------

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs: the product of two bases, what finds its spectrum, and PWCCA's projections."""
        a, b = state_a["q"], state_b["q"]
        units = state_b["units"].shape[-1] if self.summary == "pwcca" else 0
        return 8 * (4 * a.shape[-1] * b.shape[-1] + min(a.shape[-1], b.shape[-1]) * units)

    def tile(self, state_a: State, state_b: State) -> Any:
        """All values `(a, b)`."""
        xp = np if self.host else jnp
        rank = xp.minimum(state_a["rank"][:, None], state_b["rank"][None])
        a, b = (self.factor(state) for state in (state_a, state_b))
        if self.summary == "mean":
            return _spectra.nuclear_norms(a, b) / rank
        if self.host:  # variates of canonical correlations that lie close together are lost sooner
            a, b = a.astype(np.float64), b.astype(np.float64)

        def weighted(a: Any, rank: Any) -> Any:
            _, rho, vt = _spectra.decomposed(_spectra.products(a, b))
            weight = xp.abs(_spectra.matmul(vt, state_b["units"])).sum(-1)
            weight = xp.where(xp.arange(rho.shape[-1])[None, None] < rank[..., None], weight, 0)
            return (weight * rho).sum(-1) / xp.where(xp.isnan(rank), xp.nan, weight.sum(-1))

        return _spectra.by_member(weighted, a, rank)
