"""Cross-validated linear regression in closed form: folds of stimuli, what ridge leaves over, partial least squares."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Int

PENALTIES = 10.0 ** np.arange(-4, 4)
"""Ridge penalties, as multiples of the mean squared length of a centred row, tr(K) / rows.

Rows of a trajectory are many but alike: with 100 for the most, unrelated random walks (8 stimuli, 25 times) stay .01 to
.02 below the R^2 of predicting the mean, with 1,000 within .007 of it.
"""


class Folds(NamedTuple):
    """Which stimuli are held out together.

    Attributes:
      fold: `(stimulus,)`, the fold in which each is held out.
      place: `(stimulus,)`, its place in that fold.
      members: `(fold, place)`, the stimuli of each fold; places that a smaller fold lacks hold the number of stimuli.
    """

    fold: Int[np.ndarray, " stimulus"]
    place: Int[np.ndarray, " stimulus"]
    members: Int[np.ndarray, "fold place"]


@cache
def split(stimuli: int, folds: int) -> Folds:
    """Random folds whose sizes differ by one at most, the same in every run; with `folds` 0 every stimulus is one.

    They come from the raw words of NumPy's Philox generator, which no version changes.
    """
    if folds:
        order = np.argsort(np.random.Philox(key=0).random_raw(stimuli), kind="stable")
    else:
        folds, order = stimuli, np.arange(stimuli)
    fold, place = np.empty(stimuli, np.int32), np.empty(stimuli, np.int32)
    fold[order], place[order] = np.arange(stimuli) % folds, np.arange(stimuli) // folds
    members = np.full((folds, place.max() + 1), stimuli)
    members[fold, place] = np.arange(stimuli)
    return Folds(fold, place, members)


def intercepts(stimuli: int, times: int, center: str) -> np.ndarray:
    """An orthonormal basis of what is predicted without any unit, `(stimulus, time, intercept)`.

    One intercept for each time with center=time, one for all with center=grand.
    """
    columns = np.eye(times) if center == "time" else np.full((times, 1), times**-0.5)
    return np.broadcast_to(columns * stimuli**-0.5, (stimuli, *columns.shape))


def rotated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred rows `(row, unit)` in the axes of their principal components, and the components' sums of squares."""
    if 2 * x.shape[1] <= len(x):
        size, axes = np.linalg.eigh(x.T @ x)
        return x @ axes, np.maximum(size, 0)
    size, axes = (part[..., -x.shape[1] :] for part in np.linalg.eigh(x @ x.T))
    size = np.maximum(size, 0)
    return axes * size**0.5, size


def is_wide(rows: int, columns: int, held: int) -> bool:
    """Whether the regression is better held as maps of rows by rows than as factors of `columns` columns.

    With more columns than half of the rows factors save nothing; and they cancel, since little is left over.
    """
    return 2 * (columns + held) > rows


def by_fold(x: np.ndarray, folds: Folds) -> np.ndarray:
    """`(stimulus, time, ...)` as `(fold, row, ...)`, rows that a smaller fold lacks 0."""
    padded = np.concatenate([x, np.zeros_like(x[:1])])[folds.members]
    return padded.reshape(len(folds.members), -1, *x.shape[2:])


def selection(folds: Folds, times: int, chosen: np.ndarray) -> np.ndarray:
    """Which of all rows the rows of the chosen folds are, `(chosen, row, row)`; 0 for rows that a fold lacks."""
    stimuli = folds.members[chosen][:, :, None] == np.arange(len(folds.fold))
    rows = stimuli[:, :, None, :, None] * np.eye(times)[:, None]
    return rows.reshape(len(chosen), folds.members.shape[1] * times, len(folds.fold) * times)


def leverage(z: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """`(I - H_RR)^-1` of every fold R, `(fold, row, row)`, from `(fold, row, column)` with `H = Z diag(inverse) Z'`."""
    return np.linalg.inv(np.eye(z.shape[1]) - (z * inverse) @ z.swapaxes(1, 2))


def left_over(z: np.ndarray, size: np.ndarray, penalty: float, base: np.ndarray, folds: Folds) -> np.ndarray:
    """The operator C with `C y = y - prediction of y by the other folds`, `(row, row)`, rows ordered by fold.

    `z`, `size`: all principal axes, as `rotated` gives them; `base`: the intercepts. The rest of the regression on
    all rows, `I - H`, is made from the eigenvalues of what is left over, which stay exact where it is next to nothing.
    Rows that a smaller fold lacks are 0.
    """
    stimuli, times, axes = z.shape
    rows, base = z.reshape(-1, axes), base.reshape(stimuli * times, -1)
    kept = size > size.max() * np.finfo(float).eps * len(rows)
    kept[: max(0, axes + base.shape[1] - len(rows))] = False  # the smallest: what the intercepts take out
    size, unit = size[kept], rows[:, kept] / size[kept] ** 0.5
    if len(size) + base.shape[1] == len(rows):
        rest = (unit * (penalty / (size + penalty))) @ unit.T
    else:
        rest = np.eye(len(rows)) - (unit * (size / (size + penalty))) @ unit.T - base @ base.T
    rest = by_fold(rest.reshape(stimuli, times, -1), folds)
    rest = by_fold(rest.reshape(-1, stimuli, times).transpose(1, 2, 0), folds)  # (fold, row, rows of all folds)
    width = rest.shape[1]
    of_fold = rest.reshape(*rest.shape[:2], -1, width)[np.arange(len(rest)), :, np.arange(len(rest))]
    of_fold = of_fold + np.eye(width) * (np.abs(of_fold).sum(2, keepdims=True) == 0)
    return np.linalg.solve(of_fold, rest).reshape(-1, rest.shape[2])


def partial_least_squares(x: np.ndarray, y: np.ndarray, components: int) -> np.ndarray:
    """Coefficients `(unit of x, unit of y)` of PLS regression of centred `y` on centred `x`, both `(row, unit)`.

    PLS2 (Wold et al. 1984): the direction `w` of `x` with the largest covariance with `y`, the first singular vector
    of `x'y`, gives the score `t = x w`; `x` less its regression on `t` gives the next. It ends before `components`
    where nothing is left to predict from or to predict.
    """
    weights: list[np.ndarray] = []
    loadings: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    first = np.linalg.norm(cross := x.T @ y)
    for _ in range(min(components, *x.shape)):
        if np.linalg.norm(cross) <= 1e-12 * first:
            break
        w = _first_left(cross)
        t = x @ w
        t, length = t / (t @ t), t @ t
        weights.append(w)
        loadings.append(x.T @ t)
        targets.append(y.T @ t)
        x = x - np.outer(length * t, loadings[-1])
        cross = x.T @ y
    if not weights:
        return np.zeros((x.shape[1], y.shape[1]))
    w, p, q = (np.stack(part, 1) for part in (weights, loadings, targets))
    return w @ np.linalg.solve(p.T @ w, q.T)


def _first_left(a: np.ndarray) -> np.ndarray:
    """The first left singular vector, from the smaller of the two Gram matrices."""
    wide = a.shape[0] <= a.shape[1]
    gram: Any = a @ a.T if wide else a.T @ a
    _, vector = scipy.linalg.eigh(gram, subset_by_index=[len(gram) - 1] * 2)
    vector = vector[:, 0] if wide else a @ vector[:, 0]
    return vector / np.linalg.norm(vector)
