"""Spectra: bases of representations, made on the host, and singular values of the products of all pairs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from analysis.arithmetic import HIGHEST
from analysis.measures._time import in_time
from zoo.devices.startup import cores

STEPS = 40  # of Newton-Schulz: of a product of two representations with spectra like 1 / k^2, 24 lose 4e-4 of a cosine
CLOSE = 5e-3  # below it 1 - cosine is taken again in double precision: an angle is its square root


class Rows(NamedTuple):
    """Centred representations in double precision.

    Attributes:
      x: `(member, stimulus, time, unit)`.
      noise: what rounding may have left in one entry, `(member,)`.
    """

    x: np.ndarray
    noise: np.ndarray

    @property
    def empty(self) -> np.ndarray:
        """Whether there is nothing but rounding noise, `(member,)`."""
        return np.sqrt((self.x**2).mean((1, 2, 3))) <= self.noise


def host() -> bool:
    """Whether LAPACK takes the singular values: on CPU. An accelerator has nothing as fast as matrix products."""
    return jax.default_backend() == "cpu"


# --- of one representation, on the host ------------------------------------------------------------------------------


def centred(x: Any, time: str, center: str) -> Rows:
    """`(member, stimulus, time, unit)` less its mean over stimuli, at each time or, center=grand, over times too."""
    x = np.asarray(x)
    eps = np.finfo(x.dtype).eps
    x = in_time(x.astype(np.float64), time)
    noise = 8 * eps * np.sqrt((x**2).mean((1, 2, 3)))
    for _ in range(2):  # a sum over rows is rounded: what the first mean left of a constant unit goes with the second
        x = x - x.mean(1 if center == "time" else (1, 2), keepdims=True)
    return Rows(x, noise)


def reduced(x: np.ndarray) -> np.ndarray:
    """`(member, row, unit)` rotated into as many features as there are rows, where there are more units."""
    if x.shape[2] <= x.shape[1]:
        return x
    r: Any = np.linalg.qr(x.swapaxes(1, 2), mode="r")  # x' = Q R, so that x = R' Q'
    return r.swapaxes(1, 2)


def bases(
    x: np.ndarray, noise: np.ndarray, variance: float = 1.0, components: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of `(member, row, unit)`, without those that are rounding noise.

    Args:
      x: centred.
      noise: what rounding may have left in one entry, `(member,)`.
      variance: keeps the fewest leading components that have this share of the variance.
      components: keeps so many leading components at most; 0 sets no limit.

    Returns:
      `u` `(member, row, k)`, `s` `(member, k)` and `v` `(member, unit, k)` with `x = u s v'`; 0 from a member's rank
      on.
    """
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    floor = noise * (x.shape[1] ** 0.5 + x.shape[2] ** 0.5)  # the largest singular value of a matrix of such noise
    keep = s > floor[:, None]
    if variance < 1:
        square = s**2
        keep &= square.cumsum(1) - square < variance * square.sum(1, keepdims=True)
    if components:
        keep[:, components:] = False
    return u * keep[:, None], s * keep, vt.swapaxes(1, 2) * keep[:, None]


# --- of all pairs, on the host or in a program -----------------------------------------------------------------------


def matmul(a: Any, b: Any) -> Any:
    """Products of stacked matrices."""
    return np.matmul(a, b) if host() else jnp.matmul(a, b, precision=HIGHEST)


def products(a: Any, b: Any) -> Any:
    """`x' y` for each x of `a` `(a, row, p)` and each y of `b` `(b, row, q)`: `(a, b, p, q)`."""
    return matmul(a.swapaxes(1, 2)[:, None], b[None])


def decomposed(m: Any) -> Any:
    """Singular value decompositions `u, s, v'` of `m` `(..., p, q)`, as many values as the smaller side has."""
    return (np if host() else jnp).linalg.svd(m, full_matrices=False)


def nuclear_norms(a: Any, b: Any) -> Any:
    """Sums of the singular values of `x' y` for each x of `a` `(a, row, p)` and each y of `b` `(b, row, q)`: `(a, b)`.

    By LAPACK on the host, else by `newton_schulz`.
    """

    def norms(a: Any) -> Any:
        m = products(a, b)
        return np.linalg.svd(m, compute_uv=False).sum(-1) if host() else newton_schulz(m)

    return by_member(norms, a)


def newton_schulz(m: jax.Array | np.ndarray) -> jax.Array:
    """Nuclear norms of `m` `(..., p, q)` by matrix products only: `<Q, m>` with the polar factor Q of m.

    The cubic iteration `Q <- Q (3 - Q' Q) / 2` from `m / |m|` raises every singular value of Q towards 1 and none
    above it, those of 1e-7 of the norm within 40 steps, so that the nuclear norm is approached from below: at 128 x 128
    it is at most 1e-6 of itself short, whatever the spectrum, and rounding adds 1e-7.
    """
    m = m if m.shape[-1] <= m.shape[-2] else m.swapaxes(-1, -2)
    size = jnp.sqrt((m**2).sum((-2, -1), keepdims=True))

    def step(_: Any, q: jax.Array) -> jax.Array:
        gram = jnp.matmul(q.swapaxes(-1, -2), q, precision=HIGHEST)
        return 1.5 * q - 0.5 * jnp.matmul(q, gram, precision=HIGHEST)

    q = jax.lax.fori_loop(0, STEPS, step, m / jnp.where(size > 0, size, 1))
    return (q * m).sum((-2, -1))


def best_cosines(a: Any, b: Any) -> Any:
    """The largest `<x, y Q>` over orthogonal Q for all x of `a` `(a, row, p)` and y of `b` `(b, row, q)`, of norm 1.

    Representations of unequal width count as padded with zeros. On the host the result is in double precision, and as
    exact where x and y are nearly alike: 1e-7 more or less of the cosine would there be 4e-4 of the angle.
    """
    cosines = nuclear_norms(a, b)
    if not host():
        equal = (a[:, None] == b[None]).all((2, 3)) if a.shape[2] == b.shape[2] else False
        return jnp.where(equal, 1, jnp.minimum(cosines, 1))
    cosines = cosines.astype(np.float64)

    def again(i: np.integer, j: np.integer) -> float:
        x, y = a[i].astype(np.float64), b[j].astype(np.float64)
        same = np.array_equal(x, y)
        return 1.0 if same else float(np.linalg.norm(x.T @ y, "nuc") / (np.linalg.norm(x) * np.linalg.norm(y)))

    close = np.nonzero(cosines > 1 - CLOSE)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        cosines[close] = list(pool.map(again, *close))
    return np.minimum(cosines, 1)


def by_member(function: Callable[..., Any], *arrays: Any) -> Any:
    """`function` of arrays with the member axis first: on the host by all cores, else as a part of the program."""
    return in_threads(function, *arrays) if host() else function(*arrays)


def in_threads(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """`function` of arrays with the member axis first, one member at a time by all cores; its results are joined.

    BLAS is kept to one thread a worker: on matrices as wide as a layer its threads mostly wait for each other.
    """
    members = len(arrays[0])
    one_by_one = (np.split(array, members) for array in arrays)
    whole: Any = None
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        for i, result in enumerate(pool.map(function, *one_by_one)):
            if whole is None:
                whole = jax.tree.map(lambda leaf: _aligned((members, *leaf.shape[1:]), leaf.dtype), result)
            jax.tree.map(lambda into, leaf, i=i: np.copyto(into[i : i + 1], leaf), whole, result)
    return whole


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An empty array whose memory a CPU device can take over as it is; NumPy's own is copied."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def fault(stimuli: int, features: int) -> str:
    """Why linear maps of so many features say nothing of so few stimuli; "" where they do."""
    if features < stimuli - 1:
        return ""
    return f"a linear map of {features} features fits any {stimuli} centred stimuli exactly"
