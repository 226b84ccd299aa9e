"""Kinds of RDMs as inner products: patterns from which any block of the RDM is one matrix product.

The state of members with patterns holds

- `x`, `(member, stimulus, time, unit)`: a row is a (stimulus, time);
- `sign`, `(member, unit)`, where some units count negatively: `<a, b> = sum_p sign_p a_p b_p`;
- `length`, `(member, stimulus, time)`: the `<x, x>` of each row;

so that `D[a, b] = length_a + length_b - 2 <x_a, x_b>`. That of ready RDMs holds `rdm`, `(member, stimulus, stimulus)`.
It is made on the host, one member at a time, in double precision: `member` is the state of one, without that axis.
"""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import helmert, solve_triangular

from analysis.arithmetic import HIGHEST
from analysis.measures._family import State, at_stimuli

RDMS = ("correlation", "euclidean", "cosine", "mahalanobis", "crossnobis", "poisson")
PRIOR_RATE, PRIOR_WEIGHT = 1.0, 0.1
"""What a rate is drawn to before its logarithm is taken, and with what weight (the prior of Schütt et al. 2023)."""


def patterns(x: np.ndarray, rdm: str, eps: float, sign: np.ndarray | None = None) -> State:
    """The state of one member `(stimulus, time, unit)`.

    - correlation, `1 - r` over units, and cosine, `1 - cos`. A row without variance over units, or of zeros, has no
      direction: it is given correlation 0 with every other, dissimilarity 1.
    - euclidean, `|x_a - x_b|^2 / units`; mahalanobis and crossnobis are the same of whitened patterns, which
      `over_stimuli` and `over_repeats` make.
    - poisson, `sum_p (m_a - m_b) (log m_a - log m_b) / units`, the symmetrised Kullback-Leibler divergence of Poisson
      variables with rates `m = (x + rate weight) / (1 + weight)`. It is an inner product of `m + log m` less one of
      `m - log m`.

    Args:
      eps: the precision that `x` was given in.
      sign: of each unit, if any is negative.
    """
    units = x.shape[2]
    if rdm in ("correlation", "cosine"):
        size = (x * x).sum(2)
        if rdm == "correlation":
            x = x - x.mean(2, keepdims=True)
        length = (x * x).sum(2)
        flat = length <= (8 * eps) ** 2 * size
        scale = np.where(flat, 0, np.sqrt(0.5 / np.where(flat, 1, length)))
        return dict(x=scale[..., None] * x, length=np.full_like(length, 0.5))
    if rdm == "poisson":
        rate = (x + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)
        rate, log = (part - part.mean((0, 1)) for part in (rate, np.log(rate)))
        wide, narrow = (float((part * part).sum()) or 1.0 for part in (rate, log))
        even = (narrow / wide) ** 0.25  # of one size, they lose least in the difference
        x = np.concatenate([rate * even + log / even, rate * even - log / even], 2) / (2 * units**0.5)
        sign = np.repeat([1.0, -1.0], units)
    else:
        x = (x - x.mean((0, 1))) / units**0.5  # nearer to the origin: less cancellation
    x = near_one(x)
    return dict(x=x, length=(x * x).sum(2)) if sign is None else dict(x=x, sign=sign, length=(x * x * sign).sum(2))


def near_one(x: np.ndarray) -> np.ndarray:
    """Divided by the power of 2 that brings its largest value near 1: no comparison sees an RDM's scale.

    In single precision the squares of dissimilarities would under- or overflow.
    """
    return np.ldexp(x, -np.frexp(np.abs(x).max())[1])


def dissimilarities(state: State, p: Any, q: Any) -> jax.Array:
    """Stimuli `p` by stimuli `q` of every member's RDM, `(member, stimulus, time, stimulus, time)`."""
    if "rdm" in state:
        return at_stimuli(at_stimuli(state["rdm"], p).swapaxes(1, 2), q).swapaxes(1, 2)[:, :, None, :, None]
    x, length = state["x"], state["length"]
    signed = x * state["sign"][:, None, None] if "sign" in state else x
    products = jnp.einsum("nitp,njup->nitju", at_stimuli(x, p), at_stimuli(signed, q), precision=HIGHEST)
    return at_stimuli(length, p)[:, :, :, None, None] + at_stimuli(length, q)[:, None, None] - 2 * products


def sizes(state: State) -> tuple[int, int]:
    """Stimuli and times."""
    return (state["rdm"].shape[-1], 1) if "rdm" in state else state["length"].shape[-2:]


def whole(member: State) -> np.ndarray:
    """The RDM of one member, `(stimulus, time, stimulus, time)`."""
    if "rdm" in member:
        return member["rdm"][:, None, :, None]
    n, times = sizes(member)
    rows, length = member["x"].reshape(n * times, -1), member["length"].ravel()
    products = (rows * member["sign"] if "sign" in member else rows) @ rows.T  # half the work if both are one array
    products *= -2
    products += length[:, None]
    products += length
    return products.reshape(n, times, n, times)


def settled(member: State, noise: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The RDM of one member for comparing its entries.

    Args:
      noise: if the standard deviation of entries is no more of the typical dissimilarity, they are all 0: ranks of
        rounding errors would look like any others.

    Returns:
      The flat RDM; its entries of different stimuli `(entry,)`, in the order (pair of stimuli, time, time); the
      difference up to which two of them tie.
    """
    n = sizes(member)[0]
    rdm, (i, j) = whole(member), np.triu_indices(n, 1)
    entries, size = rdm[i, :, j].ravel(), typical(member)
    if entries.std() <= noise * size:
        return np.zeros(rdm.size), np.zeros_like(entries), 0.0
    return rdm.ravel(), entries, 16 * float(np.finfo(rdm.dtype).eps) * max(float(np.abs(entries).max()), size)


def typical(member: State) -> float:
    """The typical dissimilarity of one member, noise included: the size of what rounding acts on."""
    n, times = sizes(member)
    if "rdm" in member:
        return float(np.abs(member["rdm"]).sum()) / (n * (n - 1))
    return 2 * float((member["x"] ** 2).sum()) / (n * times)


def sums(member: State) -> tuple[np.ndarray, np.ndarray]:
    """Sums that centring needs.

    Returns:
      `across` `(stimulus, time, time)`: each row's dissimilarities with all other stimuli, by their time; `within`, of
      the same shape: those with its own stimulus at each time.
    """
    n, times = sizes(member)
    if "rdm" in member:
        across = member["rdm"].sum(1)[:, None, None]
        return across, np.zeros_like(across)
    x, length = member["x"], member["length"]
    signed = x * member["sign"] if "sign" in member else x
    alone = x @ signed.swapaxes(1, 2)
    rest = length.sum(0) - length
    across = (n - 1) * length[..., None] + rest[:, None] - 2 * (x @ signed.sum(0).T - alone)
    within = length[..., None] + length[:, None] - 2 * alone
    within[:, np.eye(times, dtype=bool)] = 0
    return across, within


def over_stimuli(x: np.ndarray, center: str, eps: float) -> np.ndarray:
    """Patterns of one member `(stimulus, time, unit)`, whitened by the covariance of units over stimuli.

    Without repeats this is all there is to whiten by; times are pooled, with `center="time"` each around its mean.
    """
    slack = 64 * eps * np.abs(x).max((0, 1))
    residuals = without_rounding(x - x.mean(0 if center == "time" else (0, 1)), slack)
    return whitened(x - x.mean((0, 1)), shrunk(residuals, len(x) - 1), slack)


def over_repeats(x: np.ndarray, crossvalidated: bool, eps: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Patterns of one member `(repeat, stimulus, time, unit)`, whitened by the covariance of units over repeats.

    Without `crossvalidated` the mean over repeats, `(stimulus, time, unit)`. With it patterns and signs whose `<a, b>`
    is the mean, over the R ways to leave one repeat out, of that repeat's product with the mean of the others,
    `m m' - sum_f r_f r_f' / (R (R - 1))`: that of the mean `m`, less those of the residuals `r`, which are R - 1
    contrasts of repeats. Noise that is independent over repeats adds nothing on average (Walther et al. 2016).
    """
    repeats, n = x.shape[:2]
    slack = 64 * eps * np.abs(x).max((0, 1, 2))
    residuals = without_rounding((x - x.mean(0)).reshape(-1, *x.shape[2:]), slack)
    covariance = shrunk(residuals, (repeats - 1) * n)
    x = x - x.mean((1, 2), keepdims=True)
    if not crossvalidated:
        return whitened(x.mean(0), covariance, slack), None
    contrasts = np.tensordot(helmert(repeats), x, 1) / (repeats - 1) ** 0.5
    parts = np.concatenate([repeats**0.5 * x.mean(0)[None], contrasts])  # to be divided by R times as many units
    parts = whitened(parts.reshape(-1, *x.shape[2:]), covariance, slack * repeats**0.5)
    sign = np.repeat([1.0, -1.0], [x.shape[-1], (repeats - 1) * x.shape[-1]])
    return np.concatenate(np.split(parts, repeats), 2), sign


def without_rounding(residuals: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Residuals `(sample, time, unit)`, 0 of units in which nothing varies: what rounding left would correlate."""
    return np.where(np.abs(residuals).max((0, 1)) <= slack, 0, residuals)


def shrunk(residuals: np.ndarray, freedom: int) -> np.ndarray:
    """Covariance of units, drawn to its diagonal with the weight that has the least expected squared error.

        S = sum_k w_k / freedom,    S_pq -> (1 - weight) S_pq for p != q,
        weight = sum_pq var(s_pq) / sum_pq s_pq^2 over p != q,    s_pq = S_pq / sqrt(S_pp S_qq),

    with `w_k` the products of units of sample k (Schäfer & Strimmer 2005). A sample is a stimulus, or a repeat of one:
    its times are not independent of each other, so that they are averaged in `w_k`.

    Args:
      residuals: `(sample, time, unit)`, their mean taken out.
      freedom: samples less the means that were taken out.
    """
    samples, times, units = residuals.shape
    flat = residuals.reshape(-1, units)
    covariance = flat.T @ flat / (times * freedom)
    if times == 1:
        squares = (flat**2).T @ flat**2
    else:
        squares = np.zeros_like(covariance)
        for sample in residuals:
            squares += (sample.T @ sample / times) ** 2
    sd = np.sqrt(covariance.diagonal())
    scale = np.outer(sd, sd)
    scale[scale == 0] = np.inf
    mean, square = covariance * freedom / (scale * (samples - 1)), squares / (scale**2 * (samples - 1))
    other = ~np.eye(units, dtype=bool)
    size = (mean[other] ** 2).sum()
    weight = (samples / freedom**2 * (square - mean**2))[other].sum() / size if size else 1.0
    return covariance * np.where(other, 1 - np.clip(weight, 0, 1), 1)


def whitened(x: np.ndarray, covariance: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Centred patterns `(stimulus, time, unit)` so turned that noise is independent and of variance 1.

    A unit that nothing varies in is left at 0. Where a unit has signal and no noise, or the covariance no inverse,
    there is no such pattern: all is 0, which compares as NaN.

    Args:
      slack: `(unit,)`, what rounding may do to a unit.
    """
    silent = np.sqrt(covariance.diagonal()) <= slack
    result = np.zeros_like(x)
    if silent.all() or (np.abs(x[..., silent]) > slack[silent]).any():
        return result
    kept = ~silent
    with contextlib.suppress(np.linalg.LinAlgError):  # of 3 stimuli or so, with nothing drawn to the diagonal
        root = np.linalg.cholesky(covariance[np.ix_(kept, kept)])
        rows = solve_triangular(root, x[..., kept].reshape(-1, kept.sum()).T, lower=True).T
        result[..., kept] = rows.reshape(*x.shape[:2], -1)
    return result


def ready(d: Any) -> State:
    """The state of one member with a ready RDM, `(stimulus, stimulus)`."""
    return dict(rdm=near_one(np.where(np.eye(len(d), dtype=bool), 0, np.asarray(d, np.float64))))
