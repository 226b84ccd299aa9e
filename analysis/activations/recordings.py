"""Recordings, and other representations made elsewhere, from a file: arrays and ready RDMs, brought to one form.

What an array is follows from the stimuli that the networks were shown, n of them, and from nothing that is guessed:

    (n, unit)                     patterns
    (n, time, unit)               trajectories
    (subject, n, unit)            patterns of several subjects; refused where (n, n, unit) could be either of the two
    (subject, n, time, unit)      trajectories of several subjects
    (n, n), symmetric, diagonal 0, or (n (n - 1) / 2,), its upper triangle row by row: an RDM
    (subject, n, n), or (subject, n (n - 1) / 2): RDMs of several subjects

The names of axes in a netCDF or zarr file, or in an array `<name>_dims` beside the array, decide before its shape does.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.activations.recording_files import Content, content
from analysis.activations.types import RDM, Repeats

__all__ = ["Outside", "ShownStimuli", "halves", "read_recordings"]

AXES = ("subject", "repeat", "stimulus", "time", "unit")
"""The axes of an array, in the order that they are brought to."""

NOTHING = "holds nothing of the"
"""How an error begins that says that a file is of other stimuli."""

LEAST_UNITS_HALVED = 16
"""Recordings of fewer units are not halved."""


class Outside(NamedTuple):
    """A representation that no network of the zoo made: a recording, a subject of one, or a baseline.

    Attributes:
      name: unique.
      array: `(stimulus, unit)`, `(stimulus, time, unit)`, an `RDM`, or `Repeats`.
      labels: `recording`, what it belongs to, "file/array" or a baseline's name; `subject`, "mean" or a subject's name,
        "" where there are none; `source`, "recording", "half" (of its units) or "baseline".
    """

    name: str
    array: Any
    labels: dict[str, Any]


class ShownStimuli(NamedTuple):
    """What the networks were shown: the rows of a recording have to be the same, in the same order.

    Attributes:
      stimuli: how many.
      conditions: name -> one label per stimulus.
      times: ms of each time step that was kept of the networks, empty where there is no time.
      held_out: images of the task's held-out set; a file of all of them is read at the rows that the condition `image`
        names. 0 where there is none.
    """

    stimuli: int
    conditions: dict[str, np.ndarray]
    times: np.ndarray = np.zeros(0)
    held_out: int = 0


def read_recordings(
    path: str | os.PathLike[str], shown: ShownStimuli, say: Callable[[str], Any] = lambda line: None
) -> list[Outside]:
    """The recordings of a file: of several subjects one each, and then their mean.

    An `.npz`, `.npy`, `.mat` (up to v7), netCDF file or zarr directory; nothing is unpickled. In a `.mat`, structures
    with a field `RDM`, as the RSA toolbox of Nili et al. (2014) writes them, are RDMs; a name "what | who | when" says
    whose: of one subject's sessions the mean is taken. Where there is such a structure, or an array `firing_rate`, the
    file's other patterns are left out. Arrays with one entry per stimulus and the name of one of the networks'
    conditions must agree with it. `time_ms` names the time axis, which is resampled linearly to the networks' steps.

    The mean over subjects of patterns takes their units to correspond.

    Args:
      path: the file; a recording is called by its stem and the name of its array.
      shown: what the networks were shown.
      say: takes a line for what was left out or resampled.

    Raises:
      ValueError: one sentence, if it cannot be read, or does not fit what was shown.
    """
    path = Path(path)
    contents = content(path)
    _check_labels(path, contents, shown)
    # A file that says what it records is taken at its word; what stands beside is hands, stimuli, models.
    primary = {name for name in contents.arrays if name == "firing_rate"} or set(contents.ready)
    recorded: dict[str, list[tuple[str, Any]]] = {}
    left_out = []
    for name, entries in contents.ready.items():
        recorded[name] = [(who, _rdm(f"{name} in {path}", x, shown)) for who, x in entries]
    for name, x in contents.arrays.items():
        axes = None
        if name in primary or not primary or _is_rdm(x):
            axes = _axes(f"{name} in {path}", x, contents.axes.get(name), contents.times, shown)
        if axes is None:
            left_out += [f"{name} {x.shape}"] * (x.ndim > 1)
        elif name in recorded:
            raise ValueError(f"{path} has two recordings called {name!r}; rename one.")
        else:
            recorded[name] = _subjects(f"{name} in {path}", x, axes, contents, shown)
    if not recorded:
        raise ValueError(
            f"{path} {NOTHING} {shown.stimuli} stimuli that the networks were shown"
            f"{_held(left_out)}; give one row per stimulus, in their order, or show the file's stimuli with --probe."
        )
    if left_out:
        say(f"{path.name}: read {', '.join(recorded)}; left out {', '.join(left_out)}")
    members: list[Outside] = []
    for name, subjects in recorded.items():
        recording = f"{path.stem}/{name}" if name else path.stem
        members += _members(recording, [(who, _in_step(recording, x, contents, shown)) for who, x in subjects])
    if len(contents.times) and len(shown.times) and (line := _resampled(contents.times, shown.times)):
        say(f"{path.name}: {line}")
    return members


def halves(recording: Outside, key: int = 0) -> list[Outside]:
    """Two random halves of a recording's units, as members: how alike the same neurons' other half is.

    The reference for a recording without subjects, whose ceiling cannot be known. Each half has half the units, and so
    falls short of what two whole recordings would share; the Spearman-Brown formula, which is for correlations of sums,
    is not applied. None of an RDM, nor of fewer than `LEAST_UNITS_HALVED` units.

    Args:
      recording: `(stimulus, unit)` or `(stimulus, time, unit)`.
      key: of the division, the same for every recording with as many units.
    """
    if not isinstance(recording.array, np.ndarray) or recording.array.shape[-1] < LEAST_UNITS_HALVED:
        return []
    order = np.random.default_rng(key).permutation(recording.array.shape[-1])
    parts = order[: len(order) // 2], order[len(order) // 2 :]
    return [
        Outside(
            f"{recording.name}/half {i}",
            recording.array[..., np.sort(part)],
            {**recording.labels, "subject": f"half {i}", "source": "half"},
        )
        for i, part in enumerate(parts, start=1)
    ]


def _held(names: list[str]) -> str:
    return f" (it holds {', '.join(names)})" if names else ""


def _members(recording: str, subjects: list[tuple[str, Any]]) -> list[Outside]:
    """One member per subject and their mean, or the only one."""
    labels = {"recording": recording, "source": "recording"}
    if len(subjects) == 1:
        return [Outside(recording, subjects[0][1], {**labels, "subject": ""})]
    members = [Outside(f"{recording}/{who}", x, {**labels, "subject": who}) for who, x in subjects]
    first = members[0].array
    bare = [x.array if isinstance(x, (RDM, Repeats)) else x for _, x in subjects]
    mean = np.mean(bare, axis=0)
    mean = type(first)(mean) if isinstance(first, (RDM, Repeats)) else mean
    return [*members, Outside(f"{recording}/mean", mean, {**labels, "subject": "mean"})]


def _subjects(
    where: str, x: np.ndarray, axes: tuple[str, ...], contents: Content, shown: ShownStimuli
) -> list[tuple[str, Any]]:
    """`(name, array or RDM)` of every subject of an array whose axes are known, "" where it has no subjects."""
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{where} holds {x.dtype}; a recording must hold real numbers.")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(
            f"{where} holds {int(np.isnan(x).sum())} NaN and {int(np.isinf(x).sum())} infinite values; "
            "leave such units or subjects out."
        )
    ready = [axis for axis in axes if axis in ("pair", "stimulus'")]
    if not ready:
        x = x.transpose(sorted(range(x.ndim), key=lambda i: AXES.index(axes[i])))
    elif axes[-1] == "subject":
        x = np.moveaxis(x, -1, 0)
    each = x if "subject" in axes else x[None]
    names = contents.subjects if len(contents.subjects) == len(each) else [str(i) for i in range(1, len(each) + 1)]
    if ready:
        return [(who, _rdm(where, rdm, shown)) for who, rdm in zip(names, each)]
    stimulus = [axis for axis in AXES if axis in axes and axis != "subject"].index("stimulus")
    if each.shape[1 + stimulus] != shown.stimuli:
        each = each.take(shown.conditions["image"], 1 + stimulus)
    if "time" in axes and "unit" not in axes:
        each = each[..., None]
    if "repeat" in axes:
        return [(who, Repeats(repeats)) for who, repeats in zip(names, each)]
    return list(zip(names, each))


def _rdm(where: str, x: np.ndarray, shown: ShownStimuli) -> RDM:
    """One RDM `(n, n)` of the stimuli shown, from a matrix or an upper triangle."""
    x = np.asarray(x, np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{where} holds NaN or infinite dissimilarities; leave such subjects out.")
    if x.ndim == 1:
        n = _side(len(x))
        full = np.zeros((n, n))
        full[np.triu_indices(n, 1)] = x
        x = full + full.T
    if len(x) == shown.held_out != shown.stimuli:
        x = x[np.ix_(shown.conditions["image"], shown.conditions["image"])]
    if len(x) != shown.stimuli:
        raise ValueError(
            f"{where} is an RDM of {len(x)} stimuli and the networks were shown {shown.stimuli}; show them the "
            "recording's stimuli with --probe, or give an RDM of these."
        )
    return RDM((x + x.T) / 2)


def _side(pairs: int) -> int:
    """n for which there are so many pairs, 0 where there is none."""
    n = (1 + int(np.sqrt(1 + 8 * pairs))) // 2
    return n if n * (n - 1) // 2 == pairs else 0


def _is_rdm(x: np.ndarray) -> bool:
    """Whether it is a matrix, or a stack of them, that is symmetric with a diagonal of zeros."""
    return x.ndim in (2, 3) and bool(x.size) and _is_symmetric(x) and not np.diagonal(x, 0, -2, -1).any()


def _is_symmetric(x: np.ndarray) -> bool:
    if x.dtype.kind not in "fiub" or x.shape[-1] != x.shape[-2] or x.shape[-1] < 2:
        return False
    slack = 1e-5 * np.nanmax(np.abs(x), initial=0)  # a correlation rounded twice
    return bool(np.allclose(x, x.swapaxes(-2, -1), rtol=0, atol=slack, equal_nan=True))


def _axes(
    where: str, x: np.ndarray, named: tuple[str, ...] | None, times: np.ndarray, shown: ShownStimuli
) -> tuple[str, ...] | None:
    """What the axes of an array are, None where it is no recording of the stimuli shown; see the module's text."""
    counts = {shown.stimuli} | ({shown.held_out} if shown.held_out and "image" in shown.conditions else set())
    pairs = {n * (n - 1) // 2 for n in counts}
    if named and ("unit" in named or not _is_rdm(x)):
        return _checked(where, x, named, counts)
    if x.dtype.kind not in "fiub" or not 1 <= x.ndim <= 4 or not x.size:
        return None
    if x.ndim == 1:
        return ("pair",) if len(x) in pairs else None
    if x.ndim < 4 and _is_symmetric(x) and x.shape[-1] in counts:
        if _is_rdm(x):
            if x.ndim == 3 and len(x) == len(times):
                raise ValueError(f"{where} has an RDM for each of {len(x)} times; give that of one time, or a mean.")
            return ("stimulus", "stimulus'") if x.ndim == 2 else ("subject", "stimulus", "stimulus'")
        if x.ndim == 2:
            raise ValueError(
                f"{where} is symmetric with a diagonal up to {np.abs(np.diagonal(x)).max():g}: if these are "
                "similarities give dissimilarities, 1 - x, whose diagonal is 0; if they are patterns, an array "
                "<name>_dims = ['stimulus', 'unit'] beside it says so."
            )
    if x.ndim == 3 and x.shape[0] in counts and _is_rdm(x.transpose(2, 0, 1)):
        return ("stimulus", "stimulus'", "subject")
    if len(times) and x.ndim == 3:
        return _by_time(where, x, times, counts)
    if x.ndim == 2 and x.shape[0] in counts and x.shape[1] == len(times):
        return "stimulus", "time"
    at = [axis for axis in range(x.ndim) if x.shape[axis] in counts]
    if x.ndim == 2 and 0 not in at and x.shape[1] in pairs:
        return ("subject", "pair")
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


def _checked(where: str, x: np.ndarray, named: tuple[str, ...], counts: set[int]) -> tuple[str, ...] | None:
    """Names of axes as a file gives them: no recording without stimuli, and a sentence for anything unknown."""
    if len(named) != x.ndim or len(set(named)) < len(named) or not set(named) <= set(AXES):
        raise ValueError(
            f"{where} has {x.ndim} axes and they are called {', '.join(named)}; allowed: {', '.join(AXES)}, each once."
        )
    if "stimulus" not in named or not {"time", "unit"} & set(named):
        return None
    if (count := x.shape[named.index("stimulus")]) not in counts:
        raise ValueError(
            f"{where} has {count} stimuli and the networks were shown {min(counts)}; show them the recording's stimuli "
            "with --probe, or give a row for each."
        )
    return named


def _by_time(where: str, x: np.ndarray, times: np.ndarray, counts: set[int]) -> tuple[str, ...] | None:
    """The axes of three where the file has times: the one as long is time, the one with the stimuli is those."""
    time = [axis for axis in range(3) if x.shape[axis] == len(times)]
    stimulus = [axis for axis in range(3) if x.shape[axis] in counts]
    if not time or not stimulus:
        return None
    if len(time) > 1 or len(stimulus) > 1 or time == stimulus:
        raise ValueError(
            f"{where} has shape {x.shape}, in which {len(times)} times and {min(counts)} stimuli can be more than one "
            "axis; an array <name>_dims = ['stimulus', 'time', 'unit'] beside it, in its order, says which."
        )
    return tuple("time" if i in time else "stimulus" if i in stimulus else "unit" for i in range(3))


def _in_step(recording: str, x: Any, contents: Content, shown: ShownStimuli) -> Any:
    """Trajectories at the networks' time steps."""
    repeats = isinstance(x, Repeats)
    array = x.array if repeats else x
    if isinstance(x, RDM) or array.ndim < 3 + repeats or not len(shown.times):
        return x
    axis = array.ndim - 2
    steps, times = array.shape[axis], contents.times
    if len(times) != steps:
        if steps == len(shown.times):
            return x
        raise ValueError(
            f"{recording} has {steps} time steps and the networks {len(shown.times)}, from {shown.times[0]:g} to "
            f"{shown.times[-1]:g} ms; give its times as an array time_ms beside it."
        )
    if times[0] > shown.times[0] or times[-1] < shown.times[-1]:
        raise ValueError(
            f"{recording} was recorded from {times[0]:g} to {times[-1]:g} ms and the networks ran from "
            f"{shown.times[0]:g} to {shown.times[-1]:g} ms; a recording must cover the networks' time."
        )
    low = np.clip(np.searchsorted(times, shown.times, "right") - 1, 0, len(times) - 2)
    share = (shown.times - times[low]) / (times[low + 1] - times[low])
    share = share.reshape(-1, 1)
    array = (1 - share) * array.take(low, axis) + share * array.take(low + 1, axis)
    return Repeats(array) if repeats else array


def _resampled(times: np.ndarray, to: np.ndarray) -> str:
    if len(times) == len(to) and np.allclose(times, to):
        return ""
    return f"resampled from {len(times)} times to the networks' {len(to)}, {to[0]:g} to {to[-1]:g} ms"


def _check_labels(path: Path, contents: Content, shown: ShownStimuli) -> None:
    for name, values in contents.labels.items():
        if name not in shown.conditions:
            continue
        expected = shown.conditions[name]
        if len(values) == shown.held_out != shown.stimuli and "image" in shown.conditions:
            values = values[shown.conditions["image"]]
        if len(values) != len(expected):
            raise ValueError(
                f"{path} labels {len(values)} stimuli by {name} and the networks were shown {len(expected)}; show them "
                "the recording's stimuli with --probe, or give a row for each."
            )
        numbers = values.dtype.kind in "fiub" and expected.dtype.kind in "fiub"
        same = np.isclose(values, expected) if numbers else values.astype(str) == expected.astype(str)
        if not same.all():
            first = int(np.flatnonzero(~same)[0])
            raise ValueError(
                f"{path} says that stimulus {first} has {name} {values[first]} and the networks' has "
                f"{expected[first]}; bring its rows into the order of the stimuli shown."
            )
