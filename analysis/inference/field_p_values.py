"""Permutation tests of a term: of where its groups lie, and of how far they spread."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from analysis.inference.permutation_designs import Design, relabellings
from analysis.inference.sums_of_squares import TINY, aligned_cases, centroid_distances

__all__ = ["TermPs", "permutation_p"]


class TermPs(NamedTuple):
    """Two tests by the same permutations.

    Attributes:
      p: of the term's share of what the other terms leave.
      dispersion_p: of the term's share in the cases' deviations; NaN for an interaction, of which it is not asked.
    """

    p: float
    dispersion_p: float


class _Exchange(NamedTuple):
    """What stays the same over the permutations of a design.

    Attributes:
      codes: what is permuted: the labels, or the cases themselves where residuals are exchanged.
      rows: one per code: the columns that move with it, those of the effect and of its fit and, where residuals are
        exchanged, of the reduced model.
      shared: what other terms explain of a label's columns, the same in its whole stratum.
      left: inner products that the reduced model leaves, `R G R`.
      whole: their trace.
      floor: of what is divided by: anything smaller is rounding.
      aligned: inner products of the cases, their groups aligned on one centroid.
    """

    codes: Int[np.ndarray, " case"]
    rows: Float[np.ndarray, "code column"]
    shared: Float[np.ndarray, "case df"]
    left: Float[np.ndarray, "case case"]
    whole: float
    floor: float
    aligned: Float[np.ndarray, "case case"]


def permutation_p(inner: Float[np.ndarray, "case case"], design: Design, draws: int, seed: int) -> TermPs:
    """Permutation tests of a term within strata, given the other terms.

    Location: residuals under the reduced model are exchanged within strata and fitted anew (Freedman & Lane 1983; on
    distances, Anderson & Legendre 1999). With R the residual maker of the reduced model, E = R G R and Q an orthonormal
    basis, the sum of squares of a permutation is `tr(Q_perm^T E Q_perm)`, Q's rows permuted; the statistic is the
    effect's over what the reduced model leaves, which orders permutations as pseudo-F does. Where the other terms are
    constant within strata they fit none of the permuted residuals, and this is the permutation of labels within strata.

    Dispersion: cases, their groups aligned on one centroid, are exchanged in the same way; centroids are fitted anew.
    Exchanging only their distances to centroids instead finds a difference between groups of few in far more than 5 %:
    distances in one group are alike (of two cases, equal), for the centroid is made of them.

    Args:
      inner: inner products of the cases.
      design: the term and the others, and what is exchanged within which strata.
      draws: permutations at random, or all of them, each once, where there are no more.
      seed: of the draws.
    """
    exchange, exact = _exchange(inner, design), design.arrangements <= draws
    observed = _statistics(exchange, design, exchange.codes[None])
    reached, tried = np.zeros(len(observed), int), 0
    width = 3 * exchange.rows.shape[1]
    for relabelled in relabellings(exchange.codes, design.strata, draws, exact, seed, width=width):
        reached += (_statistics(exchange, design, relabelled) >= observed - 1e-9).sum(1)
        tried += len(relabelled)
    # Draws meet the observed partition as often as chance has it: they must not make p less than the design allows.
    p = np.maximum(reached / tried if exact else (reached + 1) / (tried + 1), design.smallest(draws))
    return TermPs(float(p[0]), math.nan if design.main_effects else float(p[1]))


def _exchange(inner: np.ndarray, design: Design) -> _Exchange:
    model, codes = design.model, design.codes
    half = inner - model.reduced @ (model.reduced.T @ inner)
    left = half - (half @ model.reduced) @ model.reduced.T
    aligned, fitted = aligned_cases(inner, model)
    if design.residuals:
        codes, rows = np.arange(len(inner)), np.concatenate([model.effect, fitted, model.reduced], 1)
    else:
        rows = fitted[np.unique(codes, return_index=True)[1]]
    floor = 1e-12 * abs(np.trace(inner)) + TINY
    return _Exchange(codes, rows, fitted - model.effect, left, np.trace(left), floor, aligned)


def _statistics(exchange: _Exchange, design: Design, relabelled: np.ndarray) -> np.ndarray:
    """Of each of some permutations `(draw, case)`, the statistics of location and dispersion, `(statistic, draw)`."""
    count, df, residuals = len(exchange.left), design.model.df, design.residuals
    moved = exchange.rows[relabelled.T]  # (case, draw, column)
    effect = moved[..., :df] if residuals else moved - exchange.shared[:, None]
    flat = effect.reshape(count, -1)
    squares = np.einsum("uc,uc->c", exchange.left @ flat, flat).reshape(-1, df).sum(1)
    by_others = 0.0
    if residuals:
        others = moved[..., 2 * df :].reshape(count, -1)
        by_others = np.einsum("uc,uc->c", exchange.left @ others, others).reshape(len(squares), -1).sum(1)
    location = squares / np.maximum(exchange.whole - by_others, exchange.floor)
    if design.main_effects:
        return location[None]
    distance = centroid_distances(exchange.aligned, effect, moved[..., df : 2 * df] if residuals else moved)
    reduced = design.model.reduced
    explained = np.einsum("ud,udr->dr", distance, moved[..., 2 * df :]) if residuals else distance.T @ reduced
    total = np.sum(distance**2, 0)
    rest = np.maximum(total - np.sum(explained**2, 1), 1e-12 * total + TINY)  # equal distances differ by rounding
    return np.stack([location, np.sum(np.einsum("ud,udc->dc", distance, effect) ** 2, 1) / rest])
