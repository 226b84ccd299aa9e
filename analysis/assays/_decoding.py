"""Linear decoding of task variables from activity, time step by time step, cross-validated over stimuli.

Ridge regression in closed form: with A the activity of the training stimuli less its mean, and Y the variable less its
mean, W = (A'A + k I)^-1 A'Y, k = penalty x the mean eigenvalue of A'A. A variable of classes is one column of 0 and 1 a
class, and the largest prediction is the class: of two classes, with a small penalty, this is Fisher's linear
discriminant.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from analysis.assays._components import FLAT


class Variable(NamedTuple):
    """What is decoded.

    Attributes:
      values: `(stimulus,)`, float: a number, or of a class its place among the classes.
      classes: how many there are; 0 of a number.
    """

    values: np.ndarray
    classes: int

    @property
    def chance(self) -> float:
        """What the best constant gives: the share of the commonest class, or an R^2 of 0."""
        return float(np.bincount(self.values.astype(int)).max() / len(self.values)) if self.classes else 0.0

    def columns(self, order: np.ndarray) -> np.ndarray:
        """What is regressed, with the stimuli in another order, `(stimulus, column)`."""
        values = self.values[order]
        return (
            (values[:, None] == np.arange(self.classes)[None]).astype(np.float64) if self.classes else values[:, None]
        )

    def score(self, predicted: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Accuracy, or R^2 over all held-out stimuli, of predictions `(time, stimulus, column)`, `(time,)`."""
        values = self.values[order][None]
        if self.classes:
            return (predicted.argmax(-1) == values).mean(1)
        return 1 - ((predicted[..., 0] - values) ** 2).sum(1) / ((values - values.mean()) ** 2).sum()


def variable_of(values: np.ndarray, most: int) -> Variable | None:
    """A condition of the probe, ready to be decoded: classes if it is text or at most so many whole numbers, else a
    number. None where it does not vary, is text of more values, or has fewer than two stimuli a class: there is nothing
    to learn a class from when its only stimulus is held out."""
    values = np.asarray(values)
    kinds, places = np.unique(values, return_inverse=True)
    is_number = values.dtype.kind in "iufb"
    if len(kinds) < 2 or (not is_number and len(kinds) > most):
        return None
    if not is_number or (values.dtype.kind in "iub" and len(kinds) <= most):
        if len(values) < 2 * len(kinds):
            return None
        return Variable(places.reshape(values.shape).astype(np.float64), len(kinds))
    return Variable(values.astype(np.float64), 0)


def folds_of(stimuli: int, variables: Mapping[str, Variable], folds: int, seed: int) -> list[np.ndarray]:
    """The held-out stimuli of every fold: each stimulus in one, at random, every class in all as evenly as can be:
    else the commonest class among the others would be the rarest in the fold, and predictions worse than chance."""
    order = np.random.default_rng(seed).permutation(stimuli)
    classes = [variable.values[order] for variable in variables.values() if variable.classes]
    order = order[np.lexsort(classes[::-1])] if classes else order
    return [np.sort(order[fold::folds]) for fold in range(folds)]


def shuffles_of(folds: list[np.ndarray], count: int, seed: int) -> np.ndarray:
    """Orders of the stimuli that leave each in its fold, `(shuffle, stimulus)`: how many of a class a fold has, and the
    bias that comes of it, stay as they are."""
    draw, orders = np.random.default_rng(seed), np.zeros((count, sum(map(len, folds))), int)
    for order in orders:
        for fold in folds:
            order[fold] = draw.permutation(fold)
    return orders


def predicted(activity: np.ndarray, targets: np.ndarray, folds: list[np.ndarray], penalty: float) -> np.ndarray:
    """What is predicted of every stimulus from the stimuli of the other folds.

    Args:
      activity: `(stimulus, time, unit)`.
      targets: `(stimulus, column)`, the same at all times.
      folds: held-out stimuli.
      penalty: of the ridge, in units of the mean eigenvalue.

    Returns:
      `(time, stimulus, column)`.
    """
    x = np.swapaxes(np.asarray(activity, np.float64), 0, 1)
    result = np.zeros((len(x), x.shape[1], targets.shape[1]))
    for held_out in folds:
        rest = np.setdiff1d(np.arange(x.shape[1]), held_out)
        mean, middle = x[:, rest].mean(1, keepdims=True), targets[rest].mean(0, keepdims=True)
        a, b, y = x[:, rest] - mean, x[:, held_out] - mean, targets[rest] - middle
        total = (a**2).sum((1, 2))
        flat = total <= FLAT * (x[:, rest] ** 2).sum((1, 2))
        a = np.where(flat[:, None, None], 0.0, a)
        ridge = np.where(flat, 1.0, penalty * total / a.shape[2])[:, None, None]
        across = np.swapaxes(a, 1, 2)
        if a.shape[2] <= a.shape[1]:
            weights = np.linalg.solve(across @ a + ridge * np.eye(a.shape[2])[None], across @ y[None])
        else:
            weights = across @ np.linalg.solve(
                a @ across + ridge * np.eye(a.shape[1])[None], np.broadcast_to(y[None], (len(x), *y.shape))
            )
        result[:, held_out] = b @ weights + middle[None]
    return result


class Decoded(NamedTuple):
    """How well a variable is decoded: accuracy or R^2, `(time,)` and, of shuffled stimuli, `(shuffle, time)`."""

    score: np.ndarray
    shuffled: np.ndarray


def decoded(
    activity: np.ndarray,
    variables: Mapping[str, Variable],
    folds: list[np.ndarray],
    penalty: float,
    orders: np.ndarray,
) -> dict[str, Decoded]:
    """Every variable, decoded from one network.

    Args:
      activity: `(stimulus, time, unit)`; finite.
      variables: name -> what is decoded.
      folds, penalty: as `predicted` takes them.
      orders: of the stimuli when they are shuffled, `(shuffle, stimulus)`.
    """
    every = [np.arange(activity.shape[0]), *orders]
    columns = {name: [variable.columns(order) for order in every] for name, variable in variables.items()}
    whole = [each for of_variable in columns.values() for each in of_variable]
    ends = np.cumsum([each.shape[1] for each in whole])[:-1]
    parts = iter(np.split(predicted(activity, np.concatenate(whole, axis=1), folds, penalty), ends, axis=2))
    result = {}
    for name, variable in variables.items():
        scores = np.stack([variable.score(next(parts), order) for order in every])
        result[name] = Decoded(scores[0], scores[1:])
    return result
