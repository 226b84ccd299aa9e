"""How far the principal components of one network are found in others.

Of every network the leading principal components over rows (stimulus, time) are the targets. Each other network
predicts them, on stimuli that the regression has not seen, and the *universality* of a component is the mean over
predictors of the correlation of prediction and component (Chen & Bonner 2025, Science Advances). With X the centred
rows of a predictor, mu a small penalty and the folds F whole stimuli, prediction is ridge regression, of all components
of all networks at once, in the form that is the smaller one,

    Y_F = X_F (X_rest' X_rest + mu I)^-1 X_rest' Y_rest = X_F X_rest' (X_rest X_rest' + mu I)^-1 Y_rest.
"""

from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

__all__ = ["Dimensions", "mean_over_predictors", "universality"]

FOLDS = 5
PENALTY = 1e-3
"""mu, of the mean squared length of a predictor's rows: with it there may be more units than rows."""

LEAST_STIMULI = 10
"""For five folds of two."""


class Dimensions(NamedTuple):
    """The leading principal components of networks.

    Attributes:
      by_predictor: correlation of each with what another network predicts, `(network, predictor, component)`; NaN where
        a network has fewer, and of itself. Their mean over predictors is the universality.
      share: of the variance, `(network, component)`.
      kept: correlation of the RDM of a network's `few` most universal components with its RDM, `(network,)`.
    """

    by_predictor: np.ndarray
    share: np.ndarray
    kept: np.ndarray

    @property
    def index(self) -> np.ndarray:
        """The universality of each, `(network, component)`."""
        return mean_over_predictors(self.by_predictor)


def mean_over_predictors(values: np.ndarray) -> np.ndarray:
    """`(network, predictor, component)` -> `(network, component)`; NaN where nothing predicts."""
    known = np.isfinite(values)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, values, 0).sum(1) / np.maximum(count, 1), np.nan)


def universality(patterns: list[np.ndarray], components: int = 20, few: int = 10) -> Dimensions:
    """The universality of every network's leading components among the others.

    Args:
      patterns: of each network, `(stimulus, unit)` or `(stimulus, time, unit)`; units are free to differ.
      components: how many of each.
      few: the most universal ones that are asked whether they keep the geometry.

    Raises:
      ValueError: fewer than 3 networks, or fewer than `LEAST_STIMULI` stimuli.
    """
    if len(patterns) < 3:
        raise ValueError(f"There are {len(patterns)} networks; each is predicted by others, so that 3 are needed.")
    stimuli = len(patterns[0])
    if stimuli < LEAST_STIMULI:
        raise ValueError(f"The probe has {stimuli} stimuli; regressions on unseen ones need {LEAST_STIMULI}.")
    times = patterns[0].shape[1] if patterns[0].ndim == 3 else 1
    rows = [_centred(x.reshape(stimuli * times, -1)) for x in patterns]
    targets, share = zip(*(_components(x, components) for x in rows))
    folds = _folds(stimuli, times)
    stacked = np.concatenate(targets, 1)
    total = np.zeros((len(rows), stacked.shape[1]))
    with threadpool_limits(1, "blas"):
        for place, x in enumerate(rows):
            total[place] = _correlations(_predicted(x, stacked, folds), stacked, folds)
    whose = np.repeat(np.arange(len(rows)), [x.shape[1] for x in targets])
    found = np.full((len(rows), len(rows), components), np.nan)
    kept = np.full(len(rows), np.nan)
    for place, own in enumerate(targets):
        others = np.arange(len(rows)) != place
        found[place, others, : own.shape[1]] = total[others][:, whose == place]
        best = np.argsort(-found[place, others, : own.shape[1]].mean(0))[:few]
        kept[place] = _alike(rows[place], own[:, best], stimuli)
    return Dimensions(found, np.stack([np.pad(s, (0, components - len(s))) for s in share]), kept)


def _centred(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x - x.mean(0, keepdims=True)


def _components(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on the leading principal components, `(row, component)`, of those with some variance, and their shares."""
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    kept = np.flatnonzero(s[:count] > 1e-6 * max(s[0], 1e-300))
    return u[:, kept] * s[kept], s[kept] ** 2 / max(float((s**2).sum()), 1e-300)


def _folds(stimuli: int, times: int) -> list[np.ndarray]:
    """The rows of each fold: whole stimuli at random, the same in every run."""
    order = np.random.default_rng(0).permutation(stimuli)
    return [np.flatnonzero(np.isin(np.arange(stimuli * times) // times, part)) for part in np.array_split(order, FOLDS)]


def _predicted(x: np.ndarray, targets: np.ndarray, folds: list[np.ndarray]) -> np.ndarray:
    """What a network `(row, unit)` says of targets `(row, target)` on rows that it was not fitted to."""
    predicted, penalty = np.empty_like(targets), PENALTY * float((x**2).sum()) / len(x)
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(x)), fold)
        seen, mean = x[rest], targets[rest].mean(0)
        wanted = targets[rest] - mean
        if seen.shape[1] < len(rest):
            weights = np.linalg.solve(seen.T @ seen + penalty * np.eye(seen.shape[1]), seen.T @ wanted)
        else:
            weights = seen.T @ np.linalg.solve(seen @ seen.T + penalty * np.eye(len(rest)), wanted)
        predicted[fold] = mean + x[fold] @ weights
    return predicted


def _correlations(predicted: np.ndarray, targets: np.ndarray, folds: list[np.ndarray]) -> np.ndarray:
    """The mean over folds of the correlation in each, `(target,)`; 0 where one of them is constant there."""
    values = []
    for fold in folds:
        p, t = (x[fold] - x[fold].mean(0) for x in (predicted, targets))
        size = np.sqrt((p**2).sum(0) * (t**2).sum(0))
        values.append(np.where(size > 1e-300, (p * t).sum(0) / np.maximum(size, 1e-300), 0))
    return np.mean(values, 0)


def _alike(x: np.ndarray, part: np.ndarray, stimuli: int) -> float:
    """The correlation of the distances between stimuli in two representations."""
    upper = np.triu_indices(stimuli, 1)

    def distances(x: np.ndarray) -> np.ndarray:
        flat = x.reshape(stimuli, -1)
        squares = (flat**2).sum(1)
        return (squares[:, None] + squares[None] - 2 * flat @ flat.T)[upper]

    if not part.size:
        return np.nan
    return float(np.corrcoef(distances(x), distances(part))[0, 1])
