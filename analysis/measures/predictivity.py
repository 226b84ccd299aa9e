"""Predictivity: how well one representation predicts another by cross-validated linear regression."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from analysis.arithmetic import HIGHEST
from analysis.measures import _crossvalidation as cv
from analysis.measures._family import Family, State, at_stimuli, index
from analysis.measures._time import TIMES, in_time
from models import setting

FAR = 30.0  # entries of W above this cost float32 more than a digit where they cancel


@dataclasses.dataclass(frozen=True)
class Measure(Family):
    """Element [a, b]: how well a predicts b on stimuli that the regression has not seen.

    Whole stimuli are held out, never single rows (stimulus, time). Intercepts are not penalised: one for each time,
    or one for all (`center`). The ridge penalty is one of 1e-4, 1e-3 ... 1e3 times `tr(K) / rows` of
    the predictor, the best for each pair by the summed squared error of all held-out rows; it comes with the value, as
    `penalty`. Choosing and scoring by the same folds flatters a little: noise (40 members) is above the chance level
    of R^2 by .016 (5 folds: .022) with 12 stimuli and 6 units, .002 (.003) with 40 and 10, .000 with 100 and 128.

    score=r2: `1 - SSE / SST`, both summed over stimuli, times and units (a pooled R^2), SST around the mean over all
    stimuli, the held-out ones too. With H the regression on all rows, what is left of fold R is

        C_R y = (I - H_RR)^-1 ((I - H) y)_R,    so SSE = <A, y y'>,    A = sum_R C_R' C_R = (I - H) W (I - H),

    W the blocks `(I - H_RR)^-2`: one matrix product gives all ordered pairs at all penalties. Predicting by the mean
    of the others gives less than 0, with one stimulus of n left out `1 - (n / (n - 1))^2`; this is the chance level.

    score=correlation: for every unit of b the Pearson correlation of prediction and target within a held-out fold,
    averaged over the folds; of these the median over units (Yamins et al. 2014; Schrimpf et al. 2018). Correlations
    are taken within folds because the training mean falls where the held-out mean rises: over all folds together a
    useless predictor has a negative correlation, leaving one out -1. With center=time the fold's mean at each time
    is removed from both. A unit that is constant in a fold does not count there.

    Attributes:
      score: "r2" or "correlation".
      method: "ridge", or, for correlations, "pls": partial least squares, as in Brain-Score.
      folds: random folds of stimuli, the same in every run; 0 leaves out one stimulus at a time, or with correlations
        means 10, since one stimulus has none.
      components: of "pls"; fewer where the training rows or the units are fewer.
      time: how time enters, "samples" | "features" | "mean" | "last"; see `analysis.measures._time.in_time`.
      center: "time" gives every time its own intercept (the condition-independent time course is no success), "grand"
        one to all.
    """

    score: str = setting("r2", choices=("r2", "correlation"))
    method: str = setting("ridge", choices=("ridge", "pls"))
    folds: int = setting(0, least=0)
    components: int = setting(25, least=1)
    time: str = setting("samples", choices=TIMES)
    center: str = setting("time", choices=("time", "grand"))

    kind: ClassVar[str] = "score"
    symmetric: ClassVar[bool] = False
    identity: ClassVar[float] = math.nan
    words: ClassVar[dict[str, tuple[str, Any]]] = {"leave-one-out": ("folds", 0)}

    def __post_init__(self) -> None:
        if self.score == "correlation" and self.folds == 0:
            object.__setattr__(self, "folds", 10)
        super().__post_init__()
        if self.folds == 1:
            raise ValueError("predictivity has no folds=1, which leaves nothing to learn from; give 0 or at least 2.")
        if self.method == "pls" and self.score == "r2":
            raise ValueError("predictivity has no method='pls' with score='r2'; give score='correlation' too.")
        if self.method == "ridge" and self.components != 25:
            raise ValueError(f"predictivity has no components={self.components} with method='ridge', only with 'pls'.")

    @property
    def form(self) -> str:
        return "inner" if self.score == "r2" else "pair"

    @property
    def host(self) -> bool:
        return self.method == "pls"

    @property
    def extras(self) -> tuple[str, ...]:
        return ("penalty",) if self.method == "ridge" else ()

    @property
    def always(self) -> tuple[str, ...]:
        if self.score == "r2":
            return ("score", "folds")
        return ("score", "method", "folds", *(["components"] if self.method == "pls" else []))

    @property
    def redeals(self) -> bool:
        return self.folds > 0

    @property
    def estimator(self) -> str:
        by = f"{self.folds} folds of stimuli" if self.folds else "leaving out one stimulus at a time"
        if self.method == "pls":
            return f"partial least squares, {by}, mean within-fold correlation, median over units"
        of = "pooled over units" if self.score == "r2" else "mean within-fold correlation, median over units"
        return f"ridge, the best of {len(cv.PENALTIES)} penalties for each pair, {by}, {of}"

    @property
    def least(self) -> int:
        """The fewest stimuli: one for each fold, for correlations three; leaving one out, two to learn from."""
        return 3 if not self.folds else self.folds * (1 if self.score == "r2" else 3)

    @property
    def invariances(self) -> tuple[str, ...]:
        return ("permutation", *(["orthogonal"] if self.score == "r2" else []), "scaling", "translation")

    def prepare(self, x: Any) -> State:
        """The state of members `(member, stimulus, time, unit)`, made in float64 on the host.

        `z` `(member, stimulus, time, axis)`: rows centred, in their principal axes, of summed square 1; `share`
        `(member,)`: how much of that lies between stimuli, NaN where rows vary by no more than rounding.

        For r2, the maps: `w` `(member, penalty, stimulus, time, place, time)`: W, places those of the stimulus's fold;
        `f` `(member, penalty, column)` and `core` `(member, penalty, column, column)`: the diagonal F and `F Z'WZ F`
        of `I - H = I - Z F Z'`, Z with intercepts as further columns; `wzf`: the rows of `W Z F` where folds have
        several stimuli; `far` `(member, penalty, stimulus, time, row)`: `C_R'` of folds that lie far from all others,
        whose W is left out, since it is large and cancels. Where units are many, `w` alone: A, with all stimuli as
        places.

        For correlations, in the order of folds: `y` `(member, fold, row, unit)`: the units, `real` `(member, fold,
        row)`: which rows there are; and for ridge `columns` `(member, fold, row, column)`, `f`, and `v` `(member,
        penalty, fold, row, row)`, `(I - H_RR)^-1`; where units are many `c` `(member, penalty, row, row)` in their
        place.
        """
        kind = np.asarray(x).dtype
        x = in_time(np.asarray(x, np.float64), self.time)
        if x.shape[1] < self.least:
            raise ValueError(
                f"{self.name} needs at least {self.least} stimuli, but there are {x.shape[1]}; "
                f"{'give fewer folds' if self.folds else 'give more stimuli'}."
            )
        noise = 32 * np.finfo(kind).eps
        with threadpool_limits(1, "blas"), ThreadPoolExecutor() as pool:
            states = list(pool.map(partial(self._one, noise=noise, kind=kind), x))
        return {name: _stacked([state[name] for state in states]) for name in states[0]}

    def _one(self, x: np.ndarray, noise: float | np.floating, kind: np.dtype) -> State:
        """One member's state, without the member axis."""
        stimuli, times, _ = x.shape
        folds = cv.split(stimuli, self.folds)
        raw = (x**2).sum((0, 1))
        x = x - x.mean(0 if self.center == "time" else (0, 1), keepdims=True)
        x = x * ((x**2).sum((0, 1)) > noise**2 * raw)
        total = (x**2).sum()
        constant = total == 0
        x = x / (1.0 if constant else total**0.5)
        between = times * (x.mean(1) ** 2).sum() if self.center == "grand" else 1.0
        z, size = cv.rotated(x.reshape(stimuli * times, -1))
        z = z.reshape(stimuli, times, -1)
        state = dict(z=z, share=np.array(np.nan if constant else between))
        if self.score == "correlation":
            real = cv.by_fold(np.ones((stimuli, times)), folds)
            state |= dict(y=cv.by_fold(x, folds), real=real)
        if self.method == "ridge":
            penalties = cv.PENALTIES / (stimuli * times)
            base = cv.intercepts(stimuli, times, self.center)
            state |= (_factors if self.score == "r2" else _operators)(z, size, penalties, base, folds)
        return {name: leaf.astype(kind) for name, leaf in state.items()}

    def left(self, state: State, p: Any, q: Any) -> jax.Array:
        """Stimuli `p` by stimuli `q` of A, `(member * penalty, entry)`, a member's penalties side by side."""
        p, q = index(p), index(q)
        w, stimuli = state["w"], state["z"].shape[1]
        members, penalties, _, _, places, _ = w.shape
        if places == stimuli:  # many units: A itself
            return jnp.take(w[:, :, p], q, 4).reshape(members * penalties, -1)
        folds = cv.split(stimuli, self.folds)
        fold, place = jnp.asarray(folds.fold), jnp.asarray(folds.place)
        block = jnp.take(w[:, :, p], place[q], 4)
        block = jnp.where((fold[p][:, None] == fold[q][None])[None, None, :, None, :, None], block, 0)
        zp, zq = (self._columns(state, rows) for rows in (p, q))
        wp, wq = (self._weighted(state, rows, z) for rows, z in ((p, zp), (q, zq)))
        drawn = jnp.einsum("nqus,nkrs->nkqur", zq, state["core"], precision=HIGHEST) - wq
        zp, zq = (jnp.broadcast_to(z[:, None], other.shape) for z, other in ((zp, wp), (zq, wq)))
        left = jnp.concatenate([zp, -wp, state["far"][:, :, p]], -1)
        right = jnp.concatenate([drawn, zq, state["far"][:, :, q]], -1)
        block = block + jnp.einsum("nkptr,nkqur->nkptqu", left, right, precision=HIGHEST)
        return block.reshape(members * penalties, -1)

    def _columns(self, state: State, rows: jax.Array) -> jax.Array:
        """Z of some stimuli, intercepts as further columns, `(member, stimulus, time, column)`."""
        z = state["z"]
        base = jnp.asarray(cv.intercepts(z.shape[1], z.shape[2], self.center), z.dtype)[rows]
        return jnp.concatenate([z[:, rows], jnp.broadcast_to(base, (len(z), *base.shape))], -1)

    def _weighted(self, state: State, rows: jax.Array, z: jax.Array) -> jax.Array:
        """Rows of `W Z F`, `(member, penalty, stimulus, time, column)`: held, or made where a stimulus is a fold."""
        if "wzf" in state:
            return state["wzf"][:, :, rows]
        weights = state["w"][:, :, rows][..., 0, :]
        return jnp.einsum("nkptu,npur->nkptr", weights, z, precision=HIGHEST) * state["f"][:, :, None, None]

    def right(self, state: State, p: Any, q: Any) -> jax.Array:
        """Stimuli `p` by stimuli `q` of the Gram matrix, of trace 1, `(member, entry)`."""
        z = state["z"]
        return jnp.einsum("nitr,njur->nitju", at_stimuli(z, p), at_stimuli(z, q), precision=HIGHEST).reshape(len(z), -1)

    def finish(self, inner: np.ndarray, state_a: State, state_b: State) -> tuple[np.ndarray, np.ndarray]:
        """Errors `(a * penalty, b)` to R^2 and the chosen penalty's multiple, both `(a, b)`.

        NaN where a representation is constant but for rounding: it predicts nothing, and has no variance to predict.
        """
        errors = np.asarray(inner).reshape(len(state_a["z"]), len(cv.PENALTIES), -1)
        known = np.asarray(state_a["share"])[:, None] + np.asarray(state_b["share"])  # NaN if one is
        value = np.where(np.isnan(known), np.nan, 1 - errors.min(1))
        return value, np.where(np.isnan(value), np.nan, cv.PENALTIES[errors.argmin(1)])

    def chance(self, state_a: State, state_b: State) -> float | np.ndarray:
        """The mean over permutations of the stimuli, if all that a gives is the mean of the training stimuli.

        With folds of m of n stimuli `- sum_R m (2n - m) / (n (n - 1) (n - m))`, which leaving one out is `1 - (n / (n -
        1))^2`, times the share of b's variance that lies between stimuli, 1 unless center=grand. Correlations: 0, but
        unknown with center=grand, where a shared time course is a success.
        """
        stimuli, times = state_b["z"].shape[1:3]
        whole = self.center == "time" or times == 1
        if self.score == "correlation":
            return 0.0 if whole else math.nan
        m = np.bincount(cv.split(stimuli, self.folds).fold)
        worse = float((m * (2 * stimuli - m) / (stimuli * (stimuli - 1) * (stimuli - m))).sum())
        if whole:
            return -worse
        return np.broadcast_to(-worse * np.asarray(state_b["share"]), (len(state_a["z"]), len(state_b["z"])))

    def tile(self, state_a: State, state_b: State) -> Any:
        """Median correlations `(a, b)` and, with ridge, the chosen penalty's multiple, `(a, b)`."""
        y, real, times = state_b["y"], state_b["real"], state_b["z"].shape[2]
        known = state_a["share"][:, None] + state_b["share"][None]
        if self.method == "pls":
            predicted = self._predictions(state_a, state_b)
            return _median_correlation(predicted, y, real, known, times, self.center)

        def better(place: Any, best: Any) -> Any:
            least, error, penalty = best
            rest = _rest(state_a, y, place)
            size = (rest**2).sum((2, 3, 4))
            chosen = size < least
            error = jnp.where(chosen[:, :, None, None, None], rest, error)
            return jnp.where(chosen, size, least), error, jnp.where(chosen, multiples[place], penalty)

        multiples = jnp.asarray(cv.PENALTIES, y.dtype)
        start = jnp.full(known.shape, jnp.inf, y.dtype), jnp.zeros((*known.shape, *y.shape[1:]), y.dtype), known
        _, error, penalty = jax.lax.fori_loop(0, len(multiples), better, start)
        value = _median_correlation(y[None] - error, y, real, known, times, self.center)
        return value, jnp.where(jnp.isnan(value), jnp.nan, penalty)

    def cost(self, state_a: State, state_b: State) -> int:
        """Bytes that one pair needs: a few arrays of the size of the target's rows."""
        return 8 * math.prod(state_b["y"].shape[1:]) * state_b["y"].dtype.itemsize

    def _predictions(self, state_a: State, state_b: State) -> np.ndarray:
        """Held-out predictions `(a, b, fold, row, unit)` by partial least squares; every pair and fold by itself."""
        stimuli, times = state_a["z"].shape[1:3]
        folds = cv.split(stimuli, self.folds)
        axis = 0 if self.center == "time" else (0, 1)
        xs = np.stack([cv.by_fold(np.asarray(z, np.float64), folds) for z in state_a["z"]])
        ys, real = np.asarray(state_b["y"], np.float64), np.asarray(state_a["real"][0], bool)
        predicted = np.zeros((len(xs), *ys.shape))

        def fit(a: int, b: int, fold: int) -> None:
            others = np.arange(len(real)) != fold
            x, y = (part[others][real[others]].reshape(-1, times, part.shape[-1]) for part in (xs[a], ys[b]))
            at, level = x.mean(axis, keepdims=True), y.mean(axis, keepdims=True)
            x, y = ((part - mean).reshape(-1, part.shape[-1]) for part, mean in ((x, at), (y, level)))
            held = xs[a, fold].reshape(-1, times, xs.shape[-1]) - at
            values = held @ cv.partial_least_squares(x, y, self.components) + level
            predicted[a, b, fold] = values.reshape(predicted.shape[3:])

        with threadpool_limits(1, "blas"), ThreadPoolExecutor() as pool:
            every = np.ndindex(len(xs), len(ys), len(real))
            list(pool.map(lambda which: fit(*which), every))
        return predicted.astype(state_b["y"].dtype)


def _factors(z: np.ndarray, size: np.ndarray, penalties: np.ndarray, base: np.ndarray, folds: cv.Folds) -> State:
    """What `left` makes the maps A of one member from; see `Measure.prepare`."""
    stimuli, times, axes = z.shape
    held = folds.members.shape[1]
    if cv.is_wide(stimuli * times, axes + base.shape[2], held * times):
        at = folds.fold * held + folds.place
        maps = []
        for penalty in penalties:
            c = cv.left_over(z, size, penalty, base, folds)
            c = c.reshape(len(c), -1, times)[:, at].reshape(len(c), -1)
            maps.append((c.T @ c).reshape(stimuli, times, stimuli, times))
        return dict(w=np.stack(maps))
    columns = cv.by_fold(np.concatenate([z, base], 2), folds)
    rows = np.concatenate([z, base], 2).reshape(stimuli * times, -1)
    parts: dict[str, list[np.ndarray]] = dict(w=[], core=[], far=[], **({"f": []} if held == 1 else {"wzf": []}))
    for penalty in penalties:
        f = np.concatenate([1 / (size + penalty), np.ones(base.shape[2])])
        v = cv.leverage(columns, f)
        w = v @ v
        far = np.flatnonzero(w.diagonal(0, 1, 2).max(1) > FAR)
        c = v[far] @ (cv.selection(folds, times, far) - (columns[far] * f) @ rows.T)
        parts["far"].append(c.reshape(-1, len(rows)).T.reshape(stimuli, times, -1))
        w[far] = 0
        wz = w @ columns
        parts["core"].append(f[:, None] * (columns.reshape(-1, len(f)).T @ wz.reshape(-1, len(f))) * f)
        parts["w"].append(w.reshape(-1, held, times, held, times)[folds.fold, folds.place])
        if held == 1:
            parts["f"].append(f)
        else:
            parts["wzf"].append((wz * f).reshape(-1, held, times, len(f))[folds.fold, folds.place])
    return {name: _stacked(part) for name, part in parts.items()}


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """A new first axis; the last axis is filled up with zeros to the longest."""
    if not parts[0].ndim:
        return np.array(parts)
    most = max(part.shape[-1] for part in parts)
    return np.stack([np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, most - part.shape[-1])]) for part in parts])


def _operators(z: np.ndarray, size: np.ndarray, penalties: np.ndarray, base: np.ndarray, folds: cv.Folds) -> State:
    """What `tile` makes one member's held-out errors from; see `Measure.prepare`."""
    stimuli, times, axes = z.shape
    if cv.is_wide(stimuli * times, axes + base.shape[2], folds.members.shape[1] * times):
        return dict(c=np.stack([cv.left_over(z, size, penalty, base, folds) for penalty in penalties]))
    columns = cv.by_fold(np.concatenate([z, base], 2), folds)
    f = np.stack([np.concatenate([1 / (size + penalty), np.ones(base.shape[2])]) for penalty in penalties])
    return dict(columns=columns, f=f, v=np.stack([cv.leverage(columns, of_penalty) for of_penalty in f]))


def _rest(state: State, y: jax.Array, place: Any) -> jax.Array:
    """Target less held-out prediction at one penalty, `(a, b, fold, row, unit)`."""
    if "c" in state:
        flat = y.reshape(len(y), -1, y.shape[3])
        rest = jnp.einsum("axy,byp->abxp", state["c"][:, place], flat, precision=HIGHEST)
        return rest.reshape(*rest.shape[:2], *y.shape[1:])
    z, f, v = state["columns"], state["f"][:, place], state["v"][:, place]
    inside = jnp.einsum("afxr,bfxp->abrp", z, y, precision=HIGHEST) * f[:, None, :, None]
    rest = y[None] - jnp.einsum("afxr,abrp->abfxp", z, inside, precision=HIGHEST)
    return jnp.einsum("afxy,abfyp->abfxp", v, rest, precision=HIGHEST)


@partial(jax.jit, static_argnames=("times", "center"))
def _median_correlation(predicted: Any, y: Any, real: Any, known: Any, times: int, center: str) -> jax.Array:
    """Within-fold correlations, averaged over folds, `(a, b)`: the median over units.

    `predicted`: `(a, b, fold, row, unit)`; `y`: `(b, fold, row, unit)`; `real`: `(b, fold, row)`, 0 where a fold has
    no such row; `known`: `(a, b)`, NaN where a or b is constant. The fold's mean, with center=time that at each time,
    is taken out.
    """
    stimuli = real.reshape(*real.shape[:2], -1, times)[..., None]
    over = -3 if center == "time" else (-3, -2)

    def varied(x: jax.Array) -> jax.Array:
        x = x.reshape(*x.shape[:-2], -1, times, x.shape[-1])
        weight = stimuli.reshape((1,) * (x.ndim - stimuli.ndim) + stimuli.shape)
        return weight * (x - (weight * x).sum(over, keepdims=True) / weight.sum(over, keepdims=True))

    def squared(x: jax.Array) -> jax.Array:
        return (x**2).sum((-3, -2))

    def silent(x: jax.Array) -> jax.Array:
        """Whether a unit is constant over the stimuli of the other folds, `(b, fold, unit)`."""
        x = stimuli * x.reshape(*x.shape[:-2], -1, times, x.shape[-1])
        axes = (2,) if center == "time" else (2, 3)
        sums, squares, counts = (part.sum(axes, keepdims=True) for part in (x, x**2, stimuli))
        sums, squares, counts = (part.sum(1, keepdims=True) - part for part in (sums, squares, counts))
        rest = (squares - sums**2 / counts).sum((2, 3))
        return rest <= 32 * jnp.finfo(x.dtype).eps * (x**2).sum((1, 2, 3))[:, None]

    p, t = varied(predicted), varied(y)[None]
    tiny = (32 * jnp.finfo(y.dtype).eps) ** 2
    whole = (y**2).sum(-2)[None]
    flat = squared(p) <= tiny * (whole + (predicted**2).sum(-2))  # a constant prediction: of no use, 0
    flat |= silent(y)[None]  # and it is one, but for rounding, where the unit did not vary in training
    defined = squared(t) > tiny * whole
    both = jnp.where(flat | ~defined, 1, squared(p) * squared(t))
    r = jnp.where(flat, 0, (p * t).sum((-3, -2)) / both**0.5)
    folds = defined.sum(2)
    mean = jnp.where(defined, r, 0).sum(2) / jnp.where(folds > 0, folds, 1)
    median = jnp.nanmedian(jnp.where(folds > 0, mean, jnp.nan), -1)
    return jnp.where(jnp.isnan(known), jnp.nan, median)
