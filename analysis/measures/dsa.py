"""Dynamical similarity analysis: how alike the flows are that move two representations through time."""

import dataclasses
import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from analysis.measures import _rotations
from analysis.measures._family import Family, State
from analysis.measures._spectra import bases, centred, host, in_threads
from models import setting


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """Dynamical similarity analysis (Ostrow et al. 2023, Beyond geometry).

    Each member's trajectories are embedded with their past, `z_t = (x_t, x_t-1, ..., x_t-delays+1)`, all stimuli and
    times are reduced together to `rank` principal components of variance 1, v, and one linear map is fitted to all of
    its steps at once (dynamic mode decomposition by regression on principal components),

        A = argmin sum over stimuli and times of |v_t+1 - A v_t|^2,    rank x rank.

    Members are compared by their A, whatever the number of their units. That of vector fields is the paper's distance;
    that of eigenvalues is of spectra alone, and the same but for a factor only where both A are normal:

        eigenvalues: the Wasserstein distance of the two spectra in the complex plane, of equal weights,
                     min over matchings of sqrt(mean_k |l_k - m_match(k)|^2), found exactly,
        vector-field: min over orthogonal C of the angle arccos(<A, C B C'> / (|A| |B|)), 0 to pi, or of |A - C B C'|_F.

    Both are distances, the first of spectra only: flows that are not normal may share theirs and differ. The vector
    fields' minimum is searched from fixed starts, 20 ms a pair on a CPU core, and need not be the lowest, so that
    values are upper bounds and triangles may be off by as much: of 45 pairs of rank 10, .05 to .6 rad apart, half were
    as near as the best of 121 starts, nine in ten within .001 rad and all within .005. For normal A and B the squared
    euclidean distance is rank times that of the eigenvalues, if conjugates match conjugates.

    Which stimulus is which plays no part, so that a permutation of the stimuli is no null; geometry plays none beyond
    what the components leave out. Time is counted in steps: one grid of times for all. A member of fewer components
    than `rank` has eigenvalues of 0 in their place: what is gone after one step.

    Attributes:
      compare: "eigenvalues" | "vector-field".
      distance: of vector fields, "angular" | "euclidean"; the angle does not see how fast all of it decays.
      delays: time steps in an embedded state; 1 is the state itself. More of them make a flow linear that is not, or
        of which some units are hidden.
      rank: components that are kept; a choice to be varied, as the delays are.
      starts: pairs of random rotations from which vector fields are aligned, beside the one that lays eigenvectors
        on each other, the slowest to decay first.
      steps: gradient steps from each start.
      time: "samples": a measure of trajectories has no other.
      center: "time" subtracts the mean over stimuli at each time, and with it any input that all stimuli share; "grand"
        the mean over stimuli and times.
    """

    compare: str = setting("eigenvalues", choices=("eigenvalues", "vector-field"))
    distance: str = setting("angular", choices=("angular", "euclidean"))
    delays: int = setting(2, least=1)
    rank: int = setting(10, least=1)
    starts: int = setting(8, least=0)
    steps: int = setting(200, least=1)
    time: str = setting("samples", choices=("samples",))
    center: str = setting("time", choices=("time", "grand"))

    form: ClassVar[str] = "pair"
    kind: ClassVar[str] = "distance"
    identity: ClassVar[float] = 0.0
    takes: ClassVar[tuple[str, ...]] = ("trajectories",)
    invariances: ClassVar[tuple[str, ...]] = ("permutation", "orthogonal", "scaling", "translation")
    always: ClassVar[tuple[str, ...]] = ("compare", "delays", "rank")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compare == "eigenvalues" and self.distance != "angular":
            raise ValueError("dsa has no distance='euclidean' with compare='eigenvalues'; only with 'vector-field'.")

    @property
    def host(self) -> bool:
        return self.compare == "eigenvalues"

    @property
    def estimator(self) -> str:
        searched = f", best of {2 * self.starts + 1} starts" * (not self.host)
        return f"least squares over all steps of all stimuli{searched}"

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why no flow can be fitted to representations of this size, with the fix; "" where one can."""
        if times < 2:
            return "it needs trajectories, (stimulus, time, unit), and there is no time"
        if times <= self.delays:
            few = f"delays={self.delays} needs at least {self.delays + 1} time steps and there are {times}"
            return few + f"; choose delays of at most {times - 1}"
        free = stimuli - 1 if self.center == "time" else stimuli
        most = min(units * self.delays, free * (times - self.delays))
        if most < self.rank:
            sizes = f"{stimuli} stimuli, {times} times and {units} units"
            return f"rank={self.rank} is more than the {most} components of {sizes}; choose rank of at most {most}"
        return ""

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`.

        `flow`: A in the order of its eigenvalues, the slowest to decay first, as a real Schur form
        `(member, rank, rank)`; `spectrum`: the real and imaginary parts of its eigenvalues `(member, rank, 2)`. NaN for
        a member that does not vary.
        """
        dtype = np.asarray(x).dtype
        rows = centred(x, "samples", self.center)
        flow, spectrum = in_threads(self._flows, rows.x, rows.noise)
        return dict(flow=flow.astype(dtype), spectrum=spectrum.astype(dtype))

    def _flows(self, x: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        members, n, times, _ = x.shape
        steps = times - self.delays + 1
        past = [x[:, :, self.delays - 1 - d : times - d] for d in range(self.delays)]
        v = bases(np.concatenate(past, 3).reshape(members, n * steps, -1), noise)[0][..., : self.rank]
        weights = np.random.default_rng(0).standard_normal(n * steps)  # no direction of v is at a right angle to them
        v = v.reshape(members, n, steps, self.rank)
        ordered = []
        for delayed in v:
            before, after = delayed[:, :-1].reshape(-1, self.rank), delayed[:, 1:].reshape(-1, self.rank)
            flow = np.linalg.lstsq(before, after, rcond=None)[0].T
            ordered.append(_ordered(flow, weights @ delayed.reshape(-1, self.rank)))
        flows, spectra = map(np.stack, zip(*ordered))
        empty = ~v.any((1, 2, 3))
        flows[empty], spectra[empty] = np.nan, np.nan
        return flows, spectra

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs: distances of eigenvalues, or a dozen matrices for each start.

        On CPU more is named for vector fields: small tiles are as fast, and compute less twice on the diagonal.
        """
        matrices = 4 if self.host else 12 * (2 * self.starts + 1)
        needed = matrices * self.rank**2 * state_a["flow"].dtype.itemsize
        return max(needed, 2**20) if not self.host and host() else needed

    def tile(self, state_a: State, state_b: State) -> Any:
        """All values `(a, b)`."""
        return self._spectral(state_a, state_b) if self.host else self._aligned(state_a, state_b)

    def _spectral(self, state_a: State, state_b: State) -> np.ndarray:
        a, b = (np.asarray(state["spectrum"], np.float64) for state in (state_a, state_b))
        square = ((a[:, None, :, None] - b[None, :, None]) ** 2).sum(-1)
        values = np.full(square.shape[:2], math.nan)
        for i, j in zip(*np.nonzero(~np.isnan(square).any((2, 3)))):
            values[i, j] = square[i, j][linear_sum_assignment(square[i, j])].mean()
        return np.sqrt(values).astype(state_a["spectrum"].dtype)

    def _aligned(self, state_a: State, state_b: State) -> Any:
        flows = [state["flow"] for state in (state_a, state_b)]
        sizes = [jnp.sqrt(_rotations.inner(flow, flow)) for flow in flows]
        a, b = (flow / size[:, None, None] for flow, size in zip(flows, sizes))
        image = _rotations.nearest_image(a, b, self.starts, self.steps)
        if self.distance == "euclidean":
            apart = flows[0][:, None] - sizes[1][None, :, None, None] * image
        else:
            apart = a[:, None] - image
        same = (flows[0][:, None] == flows[1][None]).all((2, 3))
        chord = jnp.where(same, 0, jnp.sqrt(_rotations.inner(apart, apart)))
        if self.distance == "euclidean":
            return chord
        return 2 * jnp.arcsin(jnp.minimum(chord / 2, 1))  # an arccos would lose half of the digits near 0


def _ordered(flow: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A flow turned into the order of its eigenvalues, and these as real and imaginary parts `(rank, 2)`.

    Eigenvectors are only known up to their sign, complex ones up to their phase: both are fixed by making their sum
    with `weights` real and positive, so that a rotation of the units gives the same flow.
    """
    values: Any
    vectors: Any
    values, vectors = np.linalg.eig(flow)
    order = np.lexsort((-values.imag, np.abs(values.imag).round(9), -np.abs(values).round(9)))
    values, vectors = values[order], vectors[:, order]
    vectors = vectors * np.exp(-1j * np.angle(weights @ vectors))
    real = np.where(values.imag < 0, -vectors.imag, vectors.real)  # of a pair of conjugates, both parts of the first
    q, r = np.linalg.qr(real)
    q = q * np.where(np.diagonal(r) < 0, -1, 1)
    return q.T @ flow @ q, np.stack([values.real, values.imag], 1)
