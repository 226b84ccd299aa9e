"""Unit matching: how well single units of one network are found again among those of another."""

import dataclasses
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog
from threadpoolctl import threadpool_limits

from analysis.measures._family import Family, State
from analysis.measures._time import in_time
from models import setting
from zoo.devices.startup import cores

COPIES = 512  # most copies of units for which an assignment (8 ms) stands in for a transport problem (60 ms)


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """Correlations of matched units (Li et al. 2015, Convergent learning; Khosla & Williams 2024, Soft matching).

    With `r[u, v]` the Pearson correlation of unit u of a and unit v of b over all rows (stimulus, time), the value is

        one-to-one: the mean of r over the pairs of the best assignment; of unequal populations all units of the
                    smaller are matched and the rest of the larger is left out, so that a large one finds more,
        soft:       max sum_uv T[u, v] r[u, v] over T >= 0 with rows that sum to 1 / units_a, columns to 1 / units_b:
                    optimal transport, in which every unit of both counts; for equal populations it is one-to-one,
        best:       the mean over the units of b of their largest r among the units of a, which may serve many:
                    directed, a predicts b.

    Soft has a form that is a true distance between populations of centred units of norm 1 (Khosla & Williams 2024, with
    normalised units), `sqrt(min sum_uv T[u, v] |x_u - y_v|^2) = sqrt(2 (1 - soft))`, 0 to 2.

    A unit that does not vary has no correlation and is left out. Values of unrelated populations are above 0, by the
    search for the largest, and grow with the units: compare with the untrained networks. Each rotation of a population
    changes the value: the axes of single units are what is compared.

    Attributes:
      match: "one-to-one" | "soft" | "best".
      values: "correlation", or "distance" for soft matching.
      signed: without it a unit and its mirror image, `-x_u`, count as the same, which a network of odd activations,
        such as tanh, cannot tell apart.
      time: "samples" correlates over (stimulus, time), "mean" and "last" over stimuli; the rows of a trajectory are no
        independent samples, so that the number of stimuli is what counts for errors. Not offered is "features", which
        would match units at one time with units at another.
      center: "time" subtracts the mean over stimuli at each time, "grand" the mean over all rows.
    """

    match: str = setting("one-to-one", choices=("one-to-one", "soft", "best"))
    values: str = setting("correlation", choices=("correlation", "distance"))
    signed: bool = setting(True, choices=(True, False))
    time: str = setting("samples", choices=("samples", "mean", "last"))
    center: str = setting("time", choices=("time", "grand"))

    form: ClassVar[str] = "pair"
    host: ClassVar[bool] = True
    least: ClassVar[int] = 3
    invariances: ClassVar[tuple[str, ...]] = ("permutation", "scaling", "translation")
    words: ClassVar[dict[str, tuple[str, Any]]] = {"distance": ("values", "distance"), "unsigned": ("signed", False)}
    always: ClassVar[tuple[str, ...]] = ("match",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values == "distance" and self.match != "soft":
            raise ValueError(f"matching has no values='distance' with match={self.match!r}; only match='soft' has one.")

    @property
    def kind(self) -> str:
        return "distance" if self.values == "distance" else "similarity" if self.symmetric else "score"

    @property
    def is_metric(self) -> bool:
        return self.values == "distance"

    @property
    def symmetric(self) -> bool:
        return self.match != "best"

    @property
    def identity(self) -> float:
        return 0.0 if self.values == "distance" else 1.0

    @property
    def estimator(self) -> str:
        over = {"one-to-one": "units of the smaller population", "soft": "the transport plan", "best": "units of b"}
        return f"mean over {over[self.match]}; constant units left out"

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        `x`: units centred and of norm 1, `(member, row, unit)`, 0 where a unit does not vary; `varies`
        `(member, unit)`: more than by rounding noise.
        """
        x = np.asarray(in_time(x, self.time))
        x = np.ldexp(x, -np.frexp(np.abs(x).max((1, 2, 3), keepdims=True))[1])  # squares neither under- nor overflow
        size = np.sqrt(np.einsum("nitp,nitp->np", x, x))
        x = x - x.mean(1 if self.center == "time" else (1, 2), keepdims=True)
        x = x.reshape(len(x), -1, x.shape[3])
        norm = np.linalg.norm(x, axis=1)
        varies = norm > 32 * np.finfo(x.dtype).eps * size
        scale = np.divide(1, norm, out=np.zeros_like(norm), where=varies)
        return dict(x=x * scale[:, None], varies=varies)

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs: its correlations, and as much again for their search."""
        return 16 * state_a["x"].shape[2] * state_b["x"].shape[2]

    def tile(self, state_a: State, state_b: State) -> np.ndarray:
        """All values `(a, b)`, pairs in threads."""
        rows, columns = [[x[:, kept] for x, kept in zip(s["x"], s["varies"])] for s in (state_a, state_b)]
        half = self.symmetric and np.array_equal(state_a["x"], state_b["x"])  # members with themselves
        pairs = [(i, j) for i in range(len(rows)) for j in range(i if half else 0, len(columns))]
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
            of_pairs = list(pool.map(lambda pair: self._value(rows[pair[0]], columns[pair[1]]), pairs))
        values = np.empty((len(rows), len(columns)), state_a["x"].dtype)
        for (i, j), value in zip(pairs, of_pairs):
            values[i, j] = value
            if half:
                values[j, i] = value
        return values

    def _value(self, a: np.ndarray, b: np.ndarray) -> float:
        if not (a.shape[1] and b.shape[1]):
            return math.nan
        r = (a.T @ b).astype(np.float64)
        strength = r if self.signed else np.abs(r)
        if self.match == "best":
            return float(strength.max(0).mean())
        plan: Callable[[np.ndarray], Plan] = _assignment if self.match == "one-to-one" else _transport
        rows, columns, share = plan(strength)
        if self.values == "correlation":
            return float(share @ strength[rows, columns])
        sign = 1.0 if self.signed else np.where(r[rows, columns] < 0, -1.0, 1.0)
        return math.sqrt(share @ ((a[:, rows] - sign * b[:, columns]) ** 2).sum(0))  # near 0 no digits cancel


Plan = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Matched rows, their columns, and the share of each such pair; shares sum to 1."""


def _assignment(strength: np.ndarray) -> Plan:
    rows, columns = linear_sum_assignment(strength, maximize=True)
    return rows, columns, np.full(len(rows), 1 / len(rows))


def _transport(strength: np.ndarray) -> Plan:
    """The transport between uniform weights that carries the most, exactly.

    Populations of p and q units are copied until both number lcm(p, q), which makes it an assignment; where these are
    too many, the linear program is solved by the simplex method.
    """
    p, q = strength.shape
    copies = math.lcm(p, q)
    if copies <= max(COPIES, p, q):
        up, across = copies // p, copies // q
        rows, columns, share = _assignment(np.repeat(np.repeat(strength, up, 0), across, 1))
        return rows // up, columns // across, share
    sums = sparse.vstack(
        [sparse.kron(sparse.eye_array(p), np.ones((1, q))), sparse.kron(np.ones((1, p)), sparse.eye_array(q))]
    )
    margins = np.r_[np.full(p, q), np.full(q, p)]
    transport = linprog(-strength.ravel(), A_eq=sums.tocsc(), b_eq=margins, method="highs-ds").x.reshape(p, q)
    rows, columns = np.nonzero(transport)
    return rows, columns, transport[rows, columns] / (p * q)
