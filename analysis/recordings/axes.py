"""What the axes of an array are: from its names, else from the stimuli shown, and refused where it could be two things.

    (n, unit)                     patterns
    (n, time, unit)               trajectories
    (subject, n, unit)            patterns of several subjects; refused where (n, n, unit) could be either of the two
    (subject, n, time, unit)      trajectories of several subjects
    (n, n), symmetric, diagonal 0 or NaN, or one triangle of it, or (n (n - 1) / 2,), its upper triangle row by row: RDM
    (subject, n, n), (n, n, subject), or (subject, n (n - 1) / 2): RDMs of several subjects

n is the number of stimuli shown, or of the labels in the file that name or describe them.
"""

import numpy as np

from analysis.formats import AXES, Array
from analysis.recordings.dissimilarities import closest_form, side

__all__ = ["OTHER_STIMULUS", "PAIR", "axes_of"]

OTHER_STIMULUS, PAIR = "stimulus'", "pair"
"""The second axis of an RDM, and the axis of its upper triangle."""


def axes_of(where: str, array: Array, counts: set[int], times: int) -> tuple[str, ...] | None:
    """The axes of an array, None where it is no recording of the stimuli.

    Args:
      where: the array and its file.
      array: as the file has it.
      counts: how many stimuli it can be of.
      times: how many times the file names, 0 where it names none.

    Raises:
      ValueError: one sentence: it could be two things, its axes have unknown names, or it is nearly an RDM.
    """
    x = array.values
    if x.dtype.kind not in "fiub" or not 1 <= x.ndim <= 5 or not x.size:
        return None
    if array.axes:
        return _named(where, array)
    if array.is_rdm or x.ndim == 1:
        return _of_rdms(where, x, counts)
    if x.ndim > 4:
        return None
    form = closest_form(x) if x.ndim < 4 and x.shape[-1] in counts else ""
    if form:
        return _of_square(where, x, form, times, counts)
    if x.ndim == 3 and x.shape[0] in counts and closest_form(x.transpose(2, 0, 1)) == "rdm":
        return ("stimulus", OTHER_STIMULUS, "subject")
    if times and x.ndim == 3:
        return _by_time(where, x, times, counts)
    if x.ndim == 2 and x.shape[0] in counts and x.shape[1] == times:
        return "stimulus", "time"
    at = [axis for axis in range(x.ndim) if x.shape[axis] in counts]
    if x.ndim == 2 and 0 not in at and side(x.shape[1]) in counts:
        return ("subject", PAIR)
    return _by_place(where, x, at)


def _of_rdms(where: str, x: np.ndarray, counts: set[int]) -> tuple[str, ...] | None:
    """A triangle, or what a file calls RDMs."""
    if x.ndim == 1:
        return (PAIR,) if side(len(x)) in counts else None
    if x.shape[-1] == x.shape[-2]:
        if x.shape[-1] not in counts:
            raise ValueError(
                f"{where} is an RDM of {x.shape[-1]} stimuli and the networks were shown "
                f"{' or '.join(map(str, sorted(counts)))}; show them the recording's stimuli with --probe, or name the "
                "stimuli in an array beside it."
            )
        return (("subject",) if x.ndim == 3 else ()) + ("stimulus", OTHER_STIMULUS)
    return ("subject", PAIR) if side(x.shape[-1]) in counts else None


def _of_square(where: str, x: np.ndarray, form: str, times: int, counts: set[int]) -> tuple[str, ...] | None:
    """Matrices as long as wide: RDMs, or what has to be said of them."""
    if form in ("rdm", "triangle"):
        if x.ndim == 3 and len(x) == times:
            raise ValueError(f"{where} has an RDM for each of {len(x)} times; give that of one time, or a mean.")
        return (("subject",) if x.ndim == 3 else ()) + ("stimulus", OTHER_STIMULUS)
    says = f"an array <name>_dims = {['subject'] * (x.ndim == 3) + ['stimulus', 'unit']} beside it says so"
    if form == "similarity" or (form == "symmetric" and x.ndim == 2):
        largest = np.nanmax(np.abs(np.diagonal(x, 0, -2, -1)))
        raise ValueError(
            f"{where} is symmetric with a diagonal up to {largest:g}: if these are similarities give dissimilarities, "
            f"1 - x, whose diagonal is 0; if they are patterns, {says}."
        )
    if form == "crooked":
        crooked = float(np.nanmax(np.abs(x - x.swapaxes(-2, -1))))
        raise ValueError(
            f"{where} has zeros on its diagonal and is not symmetric, by up to {crooked:g}: if it is an RDM give the "
            f"mean of both triangles; if these are patterns, {says}."
        )
    return _by_place(where, x, [axis for axis in range(x.ndim) if x.shape[axis] in counts])


def _by_place(where: str, x: np.ndarray, at: list[int]) -> tuple[str, ...] | None:
    """By the place of the axis that is as long as there are stimuli."""
    known = {
        2: {0: ("stimulus", "unit")},
        3: {0: ("stimulus", "time", "unit"), 1: ("subject", "stimulus", "unit")},
        4: {1: ("subject", "stimulus", "time", "unit")},
    }[x.ndim]
    fits = [axis for axis in at if axis in known]
    if len(fits) > 1:
        raise ValueError(
            f"{where} has shape {x.shape}, which can be ({', '.join(known[0])}) or ({', '.join(known[1])}); an array "
            f"<name>_dims = {list(known[1])} beside it says which."
        )
    if at and not fits:
        raise ValueError(
            f"{where} has shape {x.shape} with its {x.shape[at[0]]} stimuli on axis {at[0]}; bring it to "
            f"({', '.join(next(iter(known.values())))})."
        )
    return known[fits[0]] if fits else None


def _named(where: str, array: Array) -> tuple[str, ...] | None:
    """Names of axes as a file gives them: no recording without stimuli, and a sentence for anything unknown."""
    x, axes = array.values, array.axes
    if len(axes) != x.ndim or len(set(axes)) < len(axes):
        raise ValueError(f"{where} has {x.ndim} axes and they are called {', '.join(axes)}; name each, each once.")
    if PAIR in axes:
        return axes
    if "stimulus" not in axes:
        return None
    others = [axis for axis in axes if axis not in AXES]
    square = [axis for axis in others if x.shape[axes.index(axis)] == x.shape[axes.index("stimulus")]]
    if others == square and len(square) == 1 and "unit" not in axes:
        at = axes.index("stimulus"), axes.index(square[0])
        if array.is_rdm or closest_form(np.moveaxis(x, at, (-2, -1))) in ("rdm", "triangle"):
            return tuple(OTHER_STIMULUS if axis == square[0] else axis for axis in axes)
    if others:
        raise ValueError(
            f"{where} has {x.ndim} axes and they are called {', '.join(axes)}; allowed: {', '.join(AXES)}, each once."
        )
    return axes if {"time", "unit"} & set(axes) else None


def _by_time(where: str, x: np.ndarray, times: int, counts: set[int]) -> tuple[str, ...] | None:
    """The axes of three where the file has times: the one as long is time, the one with the stimuli is those."""
    time = [axis for axis in range(3) if x.shape[axis] == times]
    stimulus = [axis for axis in range(3) if x.shape[axis] in counts]
    if not time or not stimulus:
        return None
    if len(time) > 1 or len(stimulus) > 1 or time == stimulus:
        raise ValueError(
            f"{where} has shape {x.shape}, in which {times} times and {x.shape[stimulus[0]]} stimuli can be more than "
            "one axis; an array <name>_dims = ['stimulus', 'time', 'unit'] beside it, in its order, says which."
        )
    return tuple("time" if i in time else "stimulus" if i in stimulus else "unit" for i in range(3))
