"""Similarity with something else taken out: the input's own geometry, that of a condition, or an outline."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from analysis.activations.probes import Probe, kept_every
from analysis.activations.types import Outside
from analysis.labelled_comparison import Comparison, Measured
from zoo.lookup import nearest

__all__ = ["INPUT", "check_control", "confound", "partial", "with_partial"]

MOST_INDICATORS = 24
"""Levels of a number that are taken for classes, an indicator each, such as directions."""

INPUT = "input"
"""What networks were shown, taken as a representation."""

SPENT = 1e-5
"""Of a map's squared norm; with less left, what is left is the rounding of similarities in single precision."""


def partial(similarity: np.ndarray, confounds: Sequence[int]) -> np.ndarray:
    """Similarities with those of one or more members taken out, such as the input's own (Cui et al. 2022).

    For a measure that is the cosine of one map per member (CKA, correlations of RDMs), g, the cosine of what is left of
    two maps once their projection on the confounds' maps C is subtracted:

        G_ij = (g_ij - g_iC g_CC^-1 g_Cj) / sqrt(the same of ii and of jj),

    a partial correlation; of Spearman correlations, the partial Spearman correlation. Two untrained networks, alike
    because they see the same pictures, come out near 0.

    Args:
      similarity: `(member, member)`, 1 on the diagonal; members of another kind may be NaN.
      confounds: the places of the members to take out.

    Returns:
      `(member, member)`; NaN for the confounds themselves and for maps of whose squared norm they leave less than 1e-5.
    """
    g = np.asarray(similarity, np.float64)
    squares = g.diagonal()
    if g.ndim != 2 or g.shape[0] != g.shape[1] or np.nanmax(np.abs(squares - 1), initial=0) > 1e-3:
        raise ValueError("Taking out a member needs a similarity with 1 on the diagonal, the cosine of two maps.")
    out = np.unique(np.asarray(confounds, int) % len(g))
    if len(out) == 0 or np.isnan(g[np.ix_(out, out)]).any():
        raise ValueError(f"The confounds {list(confounds)} have no similarity with each other; name members that have.")
    cross = g[:, out]
    inverse = np.linalg.pinv(g[np.ix_(out, out)], rcond=1e-6, hermitian=True)  # two that say the same count once
    left = g - cross @ inverse @ cross.T
    norm = np.sqrt(np.where(left.diagonal() > SPENT * squares, left.diagonal(), np.nan))
    return left / (norm[:, None] * norm)


def confound(name: str, probe: Probe) -> Outside:
    """What is to be taken out, as a member of the comparison, at the time steps that are kept of the networks.

    Args:
      name: "input", or a condition of the probe: an indicator for each level, or, of a number with more than 24, the
        number.
      probe: what the networks were shown.
    """
    every = kept_every(probe)
    if name == INPUT:
        x = np.asarray(probe.inputs, np.float32)
        x = probe.at_kept(x, every) if probe.dt else x.reshape(len(x), -1)
    elif name in probe.conditions:
        labels = probe.conditions[name]
        levels, codes = np.unique(labels, return_inverse=True)
        x = np.eye(len(levels), dtype=np.float32)[codes.reshape(-1)]
        if labels.dtype.kind == "f" and len(levels) > MOST_INDICATORS:
            x = labels.astype(np.float32)[:, None]
        if probe.dt:
            times = -(-probe.steps // every)
            x = np.repeat(x[:, None], times, 1)
    else:
        raise ValueError(f"There is no condition {name!r} to take out; {nearest(name, [INPUT, *probe.conditions])}.")
    return Outside(f"control/{name}", x, {"recording": name, "subject": "", "source": "control"})


def with_partial(comparison: Comparison, name: str) -> Comparison:
    """The comparison with one more variable for each measure that is a cosine of maps: what is left of it.

    A partial correlation, see `partial`, which the tests and pictures of a comparison take for another measure,
    `cka_given_input`.

    Args:
      comparison: with the confound among its items.
      name: of the confound.
    """
    place = comparison.names.index(f"control/{name}")
    left: dict[str, Measured] = {}
    for variable, measured in comparison.measures.items():
        record, values = measured.record, measured.values
        if not record.cosine:
            continue
        if np.isnan(values[place, place]):
            raise ValueError(f"{name} has no geometry under {record.name}, so that nothing can be taken out.")
        unknown: dict[str, Any] = dict(chance=None, chance_by_pair=False, chance_sd=None)
        record = dataclasses.replace(record, name=f"{record.name} given {name}", control=name, **unknown)
        left[f"{variable}_given_{name}"] = Measured(record, partial(values, [place]).astype(values.dtype))
    return dataclasses.replace(comparison, measures=comparison.measures | left)


def check_control(name: str, measures: Sequence[Any], probes: Iterable[Probe]) -> None:
    """Refuses what cannot be taken out, before anything is computed."""
    if not any(measure.cosine for measure in measures):
        names = ", ".join(measure.name for measure in measures)
        raise ValueError(f"Nothing can be taken out of {names}; of cka and rsa it can.")
    for probe in probes:
        confound(name, probe)
