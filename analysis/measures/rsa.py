"""Representational similarity analysis: how alike two representations' dissimilarity matrices (RDMs) are."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.measures import _kendall, _rdms
from analysis.measures._family import Family, State, at_stimuli, index
from analysis.measures._ranks import KNOTS, exact_ranks, indexed, look_up, rank_table
from analysis.measures._spectra import in_threads
from analysis.measures._time import TIMES, in_time
from models import setting

COMPARE = ("spearman", "pearson", "cosine", "rho-a", "tau-a", "whitened-cosine", "whitened-pearson")
RANKED = ("spearman", "rho-a")
WHITENED = ("whitened-cosine", "whitened-pearson")


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """RSA (Kriegeskorte et al. 2008): how alike the entries of two RDMs are.

    A pattern is a stimulus, of a trajectory its time and units together; with time="samples" a stimulus at one time.
    RDM entries of a stimulus with itself, at any two times, are left out, but for the whitened comparisons. No entry is
    ever clamped.

    Attributes:
      rdm: between patterns a and b of P units
        - "correlation", `1 - r` over units, and "cosine", `1 - cos`. A pattern without variance over units (a silent
          layer), or of zeros, is given correlation 0 with every other, dissimilarity 1;
        - "euclidean", `|a - b|^2 / P`;
        - "mahalanobis", `(a - b)' S^-1 (a - b) / P`, S the covariance of units over repeats, or, without repeats, over
          stimuli (each time around its mean, with center="time"), shrunk to its diagonal (Schäfer & Strimmer 2005);
        - "crossnobis", the same of repeats only, the two factors from different repeats, each left out once: unbiased,
          and negative where noise exceeds the difference (Walther et al. 2016);
        - "poisson", the symmetrised Kullback-Leibler divergence of Poisson variables per unit, of rates drawn to 1 with
          weight 0.1 (Schütt et al. 2023). Rates are not negative.
        A ready RDM takes part as it is, whatever is chosen here.
      compare: of the entries d and d' of two RDMs
        - "cosine"; "pearson"; "spearman", of average ranks;
        - "rho-a", `12 <r, r'> / (m^3 - m)` of m centred average ranks: Spearman's under random breaking of ties
          (Schütt et al. 2023). With itself an RDM that has ties is below 1;
        - "tau-a", the mean of `sign(d_e - d_f) sign(d'_e - d'_f)` over pairs e, f of entries (Kendall); it too is below
          1 with itself where there are ties;
        - "whitened-cosine" and "whitened-pearson", after whitening by the covariance that entries have under
          independent noise: the inner product of the second moments `-1/2 H D H`, with 0 or, for pearson, the mean
          entry on the diagonal of D (Diedrichsen et al. 2021). The first, of "euclidean", is biased linear CKA; all
          rows (stimulus, time) are then patterns like any other, so that entries between times of a stimulus count.
      ranks: "table" reads ranks off a table of 4,096 quantiles per member (RDMs of up to 4,096 entries: the ranks
        themselves), "exact" holds every rank, which is as large as half of all RDMs.
      comparisons: of "tau-a"; where there are more pairs of entries, as many are drawn, the same for all members. 0
        makes all of them.
      time: how time enters, "features" | "samples" | "mean" | "last"; see `analysis.measures._time.in_time`.
      center: for time="samples". "time": entries are centred by their mean for each pair of times, and compared in
        tau-a with those of the same two times, so that a shared time course alone gives 0; "grand": by the mean of all,
        and with all. With one pattern a stimulus both are the plain comparison. A cosine is not centred.
    """

    rdm: str = setting("correlation", choices=_rdms.RDMS)
    compare: str = setting("spearman", choices=COMPARE)
    ranks: str = setting("table", choices=("table", "exact"))
    comparisons: int = setting(100_000, least=0)
    time: str = setting("features", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    least: ClassVar[int] = 3
    unbiased: ClassVar[bool] = True
    always: ClassVar[tuple[str, ...]] = ("rdm", "compare")

    @property
    def form(self) -> str:
        return "pair" if self.compare == "tau-a" else "inner"

    @property
    def is_metric(self) -> bool:
        """Angles of maps are; these two have no norm of their own."""
        return self.compare not in ("rho-a", "tau-a")

    @property
    def identity(self) -> float:
        return float("nan") if self.compare in ("rho-a", "tau-a") else 1.0

    @property
    def rdm_compare(self) -> str:
        """The comparison of ready RDMs that a noise ceiling of `analysis.scoring.ceilings` is of."""
        return self.compare

    def recentring(self, one_row: bool) -> str | None:
        """How the map of fewer stimuli is centred anew, see `Family.recentring`."""
        if self.compare in ("spearman", "pearson"):
            return "entries" if self.center == "time" or one_row else "grand"
        return "none" if self.compare == "cosine" else None

    @property
    def takes(self) -> tuple[str, ...]:
        if self.rdm == "crossnobis":
            return ("repeats", "rdms")
        return ("patterns", "trajectories", *(("repeats",) if self.rdm == "mahalanobis" else ()), "rdms")

    @property
    def estimator(self) -> str:
        words = ["all entries" if self.compare in WHITENED else "entries of different stimuli"]
        if self.rdm == "mahalanobis":
            words.append("whitened by the shrunk covariance of units over repeats, without repeats over stimuli")
        if self.rdm == "crossnobis":
            words.append("cross-validated over repeats, whitened by their shrunk covariance")
        if self.rdm == "poisson":
            words.append(f"rates drawn to {_rdms.PRIOR_RATE:g} with weight {_rdms.PRIOR_WEIGHT:g}")
        if self.compare in RANKED:
            words.append("average ranks" + (" from a table of quantiles" if self.ranks == "table" else ""))
        if self.compare == "tau-a" and self.comparisons:
            most, error = self.comparisons, self.comparisons**-0.5
            words.append(f"of more than {most:,} pairs as many drawn: standard error sqrt(1 - tau^2) x {error:.2g}")
        if self.compare in ("rho-a", "tau-a"):
            words.append("below 1 with itself where entries tie")
        return ", ".join(words)

    @property
    def invariances(self) -> tuple[str, ...]:
        more = {
            "correlation": ("scaling",),
            "cosine": ("orthogonal", "scaling"),
            "euclidean": ("orthogonal", "scaling", "translation"),
            "poisson": (),
        }
        return ("permutation", *more.get(self.rdm, ("scaling", "translation")))

    @property
    def totals(self) -> bool:
        """Whether the engine sums the map over pairs of stimuli, for each pair of times, into the state's `total`."""
        return self.compare in RANKED

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        That of the RDM, see `_rdms`; for tau-a only what `_kendall.compared` makes, and `chance`. Else `mean`
        `(member, time, time)`: what the map is centred by; `other`, of that shape: sums of the centred map over
        different stimuli; `floor`: a map of smaller squared norm is rounding noise. For ranks these are 0, since they
        are centred after the walk, by its `total`, and there are the table's parts, or `ranks` `(member, entry)`. For
        whitened comparisons `row`, `diagonal` and `same` stand in the place of `mean`, see `_moments`.

        Raises:
          ValueError: negative rates for "poisson".
        """
        dtype, x = x.dtype, in_time(np.asarray(x), self.time)
        if self.rdm == "poisson" and (lowest := np.min(x)) < 0:
            raise ValueError(f"{self.name} takes rates of 0 or more; the lowest here is {lowest:g}.")
        eps = float(np.finfo(dtype).eps)

        def of_member(rows: np.ndarray) -> State:
            rows = rows.astype(np.float64)
            if self.rdm == "mahalanobis":
                rows = _rdms.over_stimuli(rows, self.center, eps)
            return _rdms.patterns(rows, self.rdm, eps)

        return self._state(of_member, x, x.shape[:3], dtype)

    def prepare_repeats(self, x: Any) -> State:
        """The state of members `(member, repeat, stimulus, time, unit)`; as `prepare`.

        Raises:
          ValueError: fewer than two repeats.
        """
        dtype, repeats = x.dtype, x.shape[1]
        times = x.shape[3] if self.time == "samples" else 1
        if repeats < 2:
            raise ValueError(f"{self.name} needs at least 2 repeats; there is {repeats}.")
        eps = float(np.finfo(dtype).eps)

        def of_member(repeats: np.ndarray) -> State:
            repeats = in_time(repeats.astype(np.float64), self.time)
            rows, sign = _rdms.over_repeats(repeats, self.rdm == "crossnobis", eps)
            return _rdms.patterns(rows, self.rdm, eps, sign)

        return self._state(of_member, np.asarray(x), (len(x), x.shape[2], times), dtype)

    def prepare_rdms(self, d: Any) -> State:
        """The state of members with ready RDMs `(member, stimulus, stimulus)`, symmetric; as `prepare`."""
        return self._state(_rdms.ready, np.asarray(d), (*d.shape[:2], 1), d.dtype)

    def _state(self, rdm_of: Callable[[Any], State], x: np.ndarray, shape: tuple[int, ...], dtype: Any) -> State:
        """The state of members, stimuli and times, from that of each member in double precision: ties stay ties.

        Args:
          rdm_of: the state of one member's RDM, from its part of `x`; see `_rdms`.
          x: with the member axis first, whatever the kind.
          shape: members, stimuli and times.
          dtype: of the state.
        """
        count, n, times = shape
        held = self.compare == "tau-a" or self.ranks == "exact" or n * (n - 1) // 2 * times**2 <= KNOTS
        # A table ranks entries of a block in `dtype`; else they are in double precision, and only patterns in `dtype`.
        eps, finest = (float(np.finfo(kind).eps) for kind in (dtype, np.float64))
        noise = max(32 * finest, (32 * eps) ** 2) if held else 32 * eps
        if self.compare == "tau-a":
            rdms = ((rdm, slack) for rdm, _, slack in (_rdms.settled(rdm_of(member), noise) for member in x))
            return _kendall.compared(rdms, count, n, times, self.center == "time", self.comparisons)

        def of_member(alone: Any) -> State:
            member = rdm_of(alone[0])
            state = {name: np.asarray(leaf, dtype) for name, leaf in (member | self._centred(member, dtype)).items()}
            if self.compare not in RANKED:
                return state
            _, entries, slack = _rdms.settled(member, noise)
            if not held:
                return state | indexed(*rank_table(entries, KNOTS, slack), dtype)
            ranks = {"ranks": exact_ranks(entries, slack).astype(dtype)}  # nothing is read off the patterns any more
            return {name: leaf for name, leaf in state.items() if name not in ("x", "sign")} | ranks

        return in_threads(lambda alone: {name: np.asarray(leaf)[None] for name, leaf in of_member(alone).items()}, x)

    def _centred(self, member: State, dtype: Any) -> State:
        """What the map of one member is centred by, and the size of rounding noise."""
        n, times = _rdms.sizes(member)
        across, within = _rdms.sums(member)
        floor = (n * times * 32 * float(np.finfo(dtype).eps) * _rdms.typical(member)) ** 2
        if self.compare in WHITENED:
            return self._moments(across, within) | dict(floor=floor)
        other = across.sum(0)
        zeros = np.zeros_like(other)
        if self.compare in RANKED:
            return dict(mean=zeros, other=zeros, floor=0.0)
        if self.compare == "cosine":
            return dict(mean=zeros, other=other, floor=floor)
        if self.center == "time":
            return dict(mean=other / (n * (n - 1)), other=zeros, floor=floor)
        mean = np.full_like(other, other.mean() / (n * (n - 1)))
        return dict(mean=mean, other=other - n * (n - 1) * mean, floor=floor)

    def _moments(self, across: np.ndarray, within: np.ndarray) -> State:
        """What double centring takes from the rows and columns of one member's RDM.

        `row`, `(stimulus, time, time)`, or `(stimulus, time, 1)` with center="grand": means of rows, less half the mean
        of all; `diagonal` `(time,)`: what stands for a row with itself; `same` and `other` `(time, time)`: sums of the
        map over pairs of a stimulus with itself and with the others.
        """
        n, times = across.shape[:2]
        grand, rows = self.center == "grand", across + within
        total = rows.sum(0)
        diagonal = np.zeros(times)
        if self.compare == "whitened-pearson":
            diagonal += total.sum() / (n * times * (n * times - 1)) if grand else total.diagonal() / (n * (n - 1))
        rows, within = rows + np.diag(diagonal), within + np.diag(diagonal)
        row = rows.mean(2, keepdims=True) / n if grand else rows / n
        row = row - row.mean((0, 1) if grand else 0) / 2
        by_rows = np.broadcast_to(row.sum(0), total.shape)
        centring = by_rows + by_rows.T
        same = within.sum(0) - centring
        return dict(row=row, diagonal=diagonal, same=same, other=rows.sum(0) - n * centring - same)

    def left(self, state: State, p: Any, q: Any) -> jax.Array:
        """Stimuli `p` by stimuli `q` of every member's map, `(member, entry)`."""
        n, times = _rdms.sizes(state)
        members = len(state["floor"])
        i, j = index(p)[:, None], index(q)[None]
        itself = (i == j)[None, :, None, :, None]
        if "ranks" in state:
            first, second = jnp.minimum(i, j), jnp.maximum(i, j)
            pair = jnp.clip(first * n - first * (first + 1) // 2 + second - first - 1, 0, n * (n - 1) // 2 - 1)
            block = state["ranks"].reshape(members, -1, times, times)[:, pair]  # (member, p, q, time, time)
            below = (i > j)[None, :, :, None, None]
            block = jnp.where(below, block.swapaxes(3, 4), block).transpose(0, 1, 3, 2, 4)
        else:
            block = _rdms.dissimilarities(state, p, q)
        if self.compare in WHITENED:
            itself = itself & jnp.eye(times, dtype=bool)[None, None, :, None]
            block = jnp.where(itself, state["diagonal"][:, None, :, None, None], block)
            row, column = at_stimuli(state["row"], p), at_stimuli(state["row"], q).transpose(0, 3, 1, 2)
            return (block - row[:, :, :, None] - column[:, None]).reshape(members, -1)
        if "knots" in state:
            block = look_up(state, block.reshape(members, -1)).reshape(block.shape)
        block = block - state["mean"][:, None, :, None]
        return jnp.where(itself, 0, block).reshape(members, -1)

    right = left

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> np.ndarray:
        """Inner products `(a, b)` to similarities; NaN where an RDM's entries are all the same."""
        squares = [np.float64(state["self"]) for state in (state_a, state_b)]
        if self.totals:
            n, times = _rdms.sizes(state_a)
            shared = [self._shared(state) for state in (state_a, state_b)]
            inner = inner - np.einsum("atu,btu->ab", *shared) / (n * (n - 1))
            centring = [(sums**2).sum((1, 2)) / (n * (n - 1)) for sums in shared]
            squares = [square - part for square, part in zip(squares, centring)]
        floors = [np.asarray(state["floor"]) for state in (state_a, state_b)]
        if self.compare == "rho-a":  # the norm that ranks without ties would have
            entries = n * (n - 1) // 2 * times**2
            free = [(entries - 1 / entries) / 6 - part for part in centring]
            squares = [np.where(square > floor, most, np.nan) for square, floor, most in zip(squares, floors, free)]
        a, b = (np.where(square > floor, square, np.nan) for square, floor in zip(squares, floors))
        with np.errstate(invalid="ignore"):
            return inner / np.sqrt(a[:, None] * b)

    def _shared(self, state: State) -> np.ndarray:
        """The part of the sums of the map that centring takes out, `(member, time, time)`."""
        total = np.asarray(state["total"], np.float64)
        return total if self.center == "time" else np.broadcast_to(total.mean((1, 2), keepdims=True), total.shape)

    def tile(self, state_a: State, state_b: State) -> jax.Array:
        """Tau-a of all pairs, `(a, b)`."""
        return _kendall.mean_product(state_a, state_b, self.comparisons)

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs in a tile."""
        return _kendall.cost(state_a)

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over all permutations of the stimuli of one of the two, in closed form; 0 or `(a, b)`.

        For tau-a it is 0, without time: exchanging the stimuli of two entries turns the sign of their comparison.
        """
        if self.compare == "tau-a":
            return float(state_a["chance"][0])
        n, times = _rdms.sizes(state_a)
        if self.compare not in ("cosine", *WHITENED) and (self.center == "time" or times == 1):
            return 0.0
        key = "total" if self.totals else "other"
        expected = np.einsum("atu,btu->ab", np.float64(state_a[key]), np.float64(state_b[key])) / (n * (n - 1))
        if self.compare in WHITENED:
            expected += np.einsum("atu,btu->ab", np.float64(state_a["same"]), np.float64(state_b["same"])) / n
        return self.finish(expected, state_a, state_b)
