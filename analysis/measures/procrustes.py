"""Shape distances: how far apart two representations are after the best rotation of one onto the other."""

import dataclasses
import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from analysis.measures import _spectra
from analysis.measures._family import Family, State
from analysis.measures._time import TIMES
from models import setting


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """Generalised shape metrics (Williams et al. 2021, Generalized shape metrics on neural representations).

    With X the centred rows (stimulus, time) by units, partly whitened, and Q any orthogonal matrix,

        X~ = X (alpha I + (1 - alpha) (X' X)^-1/2) c,    c such that |X~| = |X|,
        angular:   min over Q of arccos(<X~, Y~ Q> / (|X~| |Y~|)), 0 to pi/2,
        euclidean: min over Q of |X~ - Y~ Q|_F, in units of the activations times sqrt(rows),

    both of which follow from the nuclear norm of `X~' Y~`. The narrower representation counts as padded with zeros;
    directions without variance stay without it (`X' X` is inverted on its range). At alpha = 0 the cosine of the
    angular distance is the mean canonical correlation of representations of equal rank; of ranks r < s it is
    sqrt(r / s) times as much. In between alpha weighs against the scale of the activations and the number of rows, as
    in the paper: ten times the activations are at another distance, also where it is an angle. Unrelated
    representations are no right angle apart, the less so the more units there are: compare with the untrained networks.

    On CPU single precision is exact to 1e-6 rad, near 0 too; on an accelerator, where the nuclear norm is found by
    matrix products only, cosines are up to 1e-6 short: 2e-6 rad at half a radian, 1e-3 rad near 0. With alpha below 1
    directions of little variance count more, and with them the rounding of the activations.

    Held out (`folds`), whitening and Q come from the other stimuli, with all their times, and the value is the mean
    over folds of the cosine `<X~, Y~ Q> / (|X~| |Y~|)` on those left out: alignments do not profit from their own
    noise, and unrelated representations scatter around 0. It is no true metric, since the alignments of three pairs
    need not agree, and so called a score. Q leaves out directions in which the others do not vary.

    Attributes:
      distance: "angular" | "euclidean".
      alpha: from 1, rotations only, to 0, where any invertible linear map is undone.
      folds: 0, or into how many parts the stimuli are held out in turn: stimulus i in part i modulo folds.
      time: how time enters, "samples" | "features" | "mean" | "last"; see `analysis.measures._time.in_time`.
      center: "time" subtracts the mean over stimuli at each time, "grand" the mean over stimuli and times.
    """

    distance: str = setting("angular", choices=("angular", "euclidean"))
    alpha: float = setting(1.0, least=0.0, most=1.0)
    folds: int = setting(0, least=0)
    time: str = setting("samples", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    form: ClassVar[str] = "pair"
    always: ClassVar[tuple[str, ...]] = ("distance",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds == 1:
            raise ValueError("procrustes has no folds=1; it must be 0 or at least 2.")
        if self.folds and self.distance != "angular":
            raise ValueError(f"procrustes has no folds={self.folds} with distance='euclidean'; only with 'angular'.")

    @property
    def host(self) -> bool:
        return _spectra.host()

    @property
    def pads(self) -> bool:
        return not self.host

    @property
    def kind(self) -> str:
        return "score" if self.folds else "distance"

    @property
    def identity(self) -> float:
        return math.nan if self.folds else 0.0

    @property
    def least(self) -> int:
        return max(4, self.folds) if self.folds else 2

    @property
    def redeals(self) -> bool:
        return self.folds > 0

    @property
    def estimator(self) -> str:
        what = f"cosine on held-out stimuli, {self.folds} folds; no metric" if self.folds else "biased"
        return f"{what}; sees the scale of activations" if 0 < self.alpha < 1 else what

    @property
    def invariances(self) -> tuple[str, ...]:
        ends = self.distance == "angular" and self.alpha in (0, 1)
        more = ("scaling",) * ends + ("invertible",) * (ends and not self.alpha)
        return ("permutation", "orthogonal", "translation", *more)

    def fault(self, stimuli: int, times: int, units: int) -> str:
        """Why so many units, or (time, unit) where these are features, cannot be compared; "" where they can."""
        units = units * times if self.time == "features" else units
        reason = "" if self.alpha else _spectra.fault(stimuli, units)
        return reason and f"{reason}; choose alpha above 0, or fewer units"

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`; k is the smaller of their rows and units.

        `z`: X~ of norm 1, rotated, `(member, row, k)`; `size`: |X~|, NaN where there is nothing but rounding noise.
        Held out: `z` `(member, fold, stimulus, time, k)`, in the principal components of each fold's other stimuli,
        and `size` `(member, fold)`, of the part left out.
        """
        return _spectra.in_threads(self._state, np.asarray(x))

    def _state(self, x: np.ndarray) -> State:
        rows = _spectra.centred(x, self.time, self.center)
        z, size = self._held_out(rows) if self.folds else self._whitened(rows)
        size[rows.empty] = np.nan
        size[size == 0] = np.nan  # a part left out in which nothing varies that whitening keeps
        return dict(z=z.astype(x.dtype), size=size.astype(x.dtype))

    def _whitened(self, rows: _spectra.Rows) -> tuple[np.ndarray, np.ndarray]:
        x = _spectra.reduced(rows.x.reshape(len(rows.x), -1, rows.x.shape[3]))
        size = np.linalg.norm(x, axis=(1, 2))
        if self.alpha < 1:
            u, s, _ = _spectra.bases(x, rows.noise)
            x = u * (self.alpha * s + (1 - self.alpha))[:, None]
        norm = np.linalg.norm(x, axis=(1, 2), keepdims=True)
        return np.divide(x, norm, out=np.zeros_like(x), where=norm > 0), size

    def _held_out(self, rows: _spectra.Rows) -> tuple[np.ndarray, np.ndarray]:
        members, stimuli, times, units = rows.x.shape
        reduced = _spectra.reduced(rows.x.reshape(members, -1, units)).reshape(members, stimuli, times, -1)
        folds, sizes = [], []
        for left_out in self._parts(stimuli):
            others = reduced[:, ~left_out]
            mean = others.mean(1 if self.center == "time" else (1, 2), keepdims=True)
            _, s, v = _spectra.bases((others - mean).reshape(members, -1, reduced.shape[3]), rows.noise)
            x = reduced - mean
            z = np.einsum("nitp,npk->nitk", x, v)
            new = _square(x[:, left_out]) - _square(z[:, left_out])  # where the others do not vary: only scaled
            z = z * (self.alpha + (1 - self.alpha) * np.divide(1, s, out=np.zeros_like(s), where=s > 0))[:, None, None]
            folds.append(np.pad(z, [(0, 0)] * 3 + [(0, reduced.shape[3] - z.shape[3])]))
            sizes.append(np.sqrt(_square(z[:, left_out]) + self.alpha**2 * np.maximum(new, 0)))
        return np.stack(folds, 1), np.stack(sizes, 1)

    def _parts(self, stimuli: int) -> list[np.ndarray]:
        """For each fold, which stimuli are left out, `(stimulus,)`."""
        return [np.arange(stimuli) % self.folds == fold for fold in range(self.folds)]

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs: its product and what finds the spectrum of that."""
        return 4 * state_a["z"].shape[-1] * state_b["z"].shape[-1] * (8 if self.folds else state_a["z"].dtype.itemsize)

    def tile(self, state_a: State, state_b: State) -> Any:
        """All values `(a, b)`."""
        if self.folds:
            return self._held_out_cosines(state_a, state_b)
        xp = np if self.host else jnp
        a, b = state_a["size"][:, None], state_b["size"][None]
        cosine = xp.where(xp.isnan(a + b), xp.nan, _spectra.best_cosines(state_a["z"], state_b["z"]))
        return xp.arccos(cosine) if self.distance == "angular" else xp.sqrt((a - b) ** 2 + 2 * a * b * (1 - cosine))

    def _held_out_cosines(self, state_a: State, state_b: State) -> Any:
        a, b = state_a["z"], state_b["z"]
        if self.host:  # small directions count in Q as much as large ones
            a, b = a.astype(np.float64), b.astype(np.float64)

        def aligned(train_a: Any, test_a: Any, train_b: Any, test_b: Any) -> Any:
            u, s, vt = _spectra.decomposed(_spectra.products(train_a, train_b))
            u = u * (s > s[..., :1] * max(u.shape[-2], vt.shape[-1]) * np.finfo(s.dtype).eps)[..., None, :]
            test = _spectra.products(test_a, test_b)
            return (u * _spectra.matmul(test, vt.swapaxes(-1, -2))).sum((-2, -1))

        total: Any = 0.0
        for fold, left_out in enumerate(self._parts(a.shape[2])):
            of_a, of_b = (
                [z[:, fold][:, rows].reshape(len(z), -1, z.shape[-1]) for rows in (~left_out, left_out)] for z in (a, b)
            )
            sizes = state_a["size"][:, None, fold] * state_b["size"][None, :, fold]
            total += _spectra.by_member(lambda *x, of_b=of_b: aligned(*x, *of_b), *of_a) / sizes
        return total / self.folds


def _square(x: np.ndarray) -> np.ndarray:
    """Squared norms of `(member, stimulus, time, unit)`, `(member,)`."""
    return np.einsum("nitp,nitp->n", x, x)
