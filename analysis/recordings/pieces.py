"""One array of a file as what it is of the stimuli shown: per recording and subject, patterns or an RDM."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.formats import AXES, Array
from analysis.recordings.axes import OTHER_STIMULUS, PAIR, axes_of
from analysis.recordings.clocks import BIN_ENDS, TIME_LABELS, times_of
from analysis.recordings.dissimilarities import closest_form, side, squared
from analysis.recordings.matching import NAMING, Match, ShownStimuli, matched
from zoo.wording import counted

__all__ = ["Piece", "pieces_of"]

WHOSE = ("subject", "subjects", "subject_id", "participant", "participant_id", "animal", "animal_id", "monkey")
"""Labels that say whose rows or units are."""

REGIONS = ("region", "brain_region", "area", "brain_area", "roi", "location")
"""Labels of units of which each value is a recording of its own."""


class Piece(NamedTuple):
    """What one array holds of one subject.

    Attributes:
      name: of the recording within its file, "" where it has none.
      who: the subject, "" where there are none.
      patterns: `(repeat, stimulus, time, unit)`, NaN where a repeat is missing; None for an RDM.
      rdm: `(stimulus, stimulus)`; None for patterns.
      kept: which of the stimuli shown its stimuli are, rising.
      times: ms, `(time,)`, empty where there are none.
      in_time: whether the array has a time axis.
      aligned: whether its units, if any, are those of the array's other subjects.
      said: how it was read, for its receipt.
    """

    name: str
    who: str
    patterns: np.ndarray | None
    rdm: np.ndarray | None
    kept: np.ndarray
    times: np.ndarray
    in_time: bool
    aligned: bool
    said: tuple[str, ...]

    def at(self, stimuli: np.ndarray) -> "Piece":
        """The same of some of its stimuli, by their places among those shown."""
        rows = np.searchsorted(self.kept, stimuli)
        patterns = None if self.patterns is None else self.patterns[:, rows]
        rdm = None if self.rdm is None else self.rdm[np.ix_(rows, rows)]
        return self._replace(patterns=patterns, rdm=rdm, kept=self.kept[rows])


def pieces_of(
    where: str, name: str, array: Array, loose: Mapping[str, np.ndarray], shown: ShownStimuli
) -> list[Piece] | None:
    """The pieces of an array, None where it is no recording of the stimuli shown.

    Args:
      where: the array and its file.
      name: of the array.
      array: as the file has it.
      loose: labels in the file that belong to no axis yet.
      shown: what the networks were shown.

    Raises:
      ValueError: one sentence.
    """
    counts = {shown.stimuli}
    if shown.held_out and "image" in shown.conditions:
        counts.add(shown.held_out)
    counts |= {len(x) for label, x in loose.items() if label.lower() in NAMING or label in shown.conditions}
    loose_times = {label: x for label, x in loose.items() if label in (*TIME_LABELS, BIN_ENDS)}
    axes = axes_of(where, array, counts, len(next(iter(loose_times.values()), ())))
    if axes is None:
        return None
    lengths = dict(zip(axes, array.values.shape))
    if PAIR in lengths:
        lengths["stimulus"] = side(lengths[PAIR])
    labels = {axis: _labels_of(axis, length, array, loose) for axis, length in lengths.items()}
    x = array.values.astype(np.float64)
    if np.isinf(x).any():
        raise ValueError(f"{where} holds {int(np.isinf(x).sum())} infinite values; leave such units or subjects out.")
    if PAIR in axes or OTHER_STIMULUS in axes:
        return list(_of_rdms(where, name, x, axes, labels, shown))
    return list(_of_patterns(where, name, x, axes, labels, shown, array.unit_of_time))


def _labels_of(axis: str, length: int, array: Array, loose: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The labels of an axis: the file's, and of those that stand beside the array the ones whose names fit."""
    fitting = {
        "stimulus": lambda name: name not in (*TIME_LABELS, BIN_ENDS) and name.lower() not in (*WHOSE, *REGIONS),
        "subject": lambda name: name.lower() in WHOSE,
        "time": lambda name: name in (*TIME_LABELS, BIN_ENDS),
        "unit": lambda name: name.lower() in (*WHOSE, *REGIONS),
    }.get(axis, lambda name: False)
    beside = {name: x for name, x in loose.items() if len(x) == length and fitting(name)}
    return {**beside, **array.labels.get(axis, {})}


def _subjects(axes: tuple[str, ...], x: np.ndarray, labels: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """The names of the subjects along their axis."""
    count = x.shape[axes.index("subject")]
    named = next((of for name, of in labels["subject"].items() if name.lower() in WHOSE), None)
    return [str(i) for i in range(1, count + 1)] if named is None else [str(who) for who in named]


# --- RDMs ------------------------------------------------------------------------------------------------------------


def _of_rdms(
    where: str,
    name: str,
    x: np.ndarray,
    axes: tuple[str, ...],
    labels: Mapping[str, Mapping[str, np.ndarray]],
    shown: ShownStimuli,
) -> Iterator[Piece]:
    order = [axes.index(axis) for axis in ("subject", "stimulus", OTHER_STIMULUS, PAIR) if axis in axes]
    x = x.transpose(order)
    names = _subjects(axes, x.transpose(np.argsort(order)), labels) if "subject" in axes else [""]
    form = closest_form(x)
    full = squared(x)
    each = full if "subject" in axes else full[None]
    count = each.shape[-1]
    match = matched(where, count, labels.get("stimulus", {}), shown)
    if match.rows.shape[1] > 1:
        raise ValueError(f"{where} has stimuli twice, such as row {match.rows[0, 1]}; an RDM has each once.")
    rows = match.rows[:, 0]
    how = "an RDM" if len(names) == 1 else f"RDMs of {len(names)} subjects"
    said = [f"{how} of {count} stimuli" + (", from one triangle" if form == "triangle" or PAIR in axes else "")]
    for who, rdm in zip(names, each):
        taken = rdm[np.ix_(rows, rows)]
        if missing := int(np.isnan(taken[np.triu_indices(len(taken), 1)]).sum()):
            i, j = (rows[index[0]] for index in np.nonzero(np.triu(np.isnan(taken), 1)))
            of = f", subject {who}," if who else ""
            raise ValueError(
                f"{where}{of} holds NaN for {counted(missing, 'pair')} of stimuli, such as {i} and {j}; leave such "
                "stimuli or subjects out."
            )
        yield Piece(name, who, None, taken, match.kept, np.zeros(0), False, True, (*said, match.how))


# --- patterns --------------------------------------------------------------------------------------------------------


def _of_patterns(
    where: str,
    name: str,
    x: np.ndarray,
    axes: tuple[str, ...],
    labels: Mapping[str, Mapping[str, np.ndarray]],
    shown: ShownStimuli,
    unit_of_time: str,
) -> Iterator[Piece]:
    x = x.transpose(sorted(range(x.ndim), key=lambda i: AXES.index(axes[i])))
    for place, axis in enumerate(AXES):  # (subject, repeat, stimulus, time, unit)
        if axis not in axes:
            x = np.expand_dims(x, place)
    in_time = "time" in axes
    times = times_of(where, labels["time"], unit_of_time) if in_time else np.zeros(0)
    along = _subjects(axes, x, labels) if "subject" in axes else [""]
    shape = ", ".join(f"{axis} {n}" for axis, n in zip(AXES, x.shape) if axis in axes)
    for who, array in zip(along, x):
        for owner, rows in _owners(labels["stimulus"], x.shape[2]):
            chosen = {key: of[rows] for key, of in labels["stimulus"].items()}
            match = matched(where, len(rows), chosen, shown)
            ordered = _repeated(array[:, rows], match)
            for region, whose, units in _parts(labels.get("unit", {}), x.shape[-1]):
                called = f"{name} {region}".strip() if region else name
                subject = who or owner or whose
                said, aligned = (f"patterns ({shape})",), not whose
                piece = Piece(called, subject, ordered[..., units], None, match.kept, times, in_time, aligned, said)
                yield _complete(f"{where}{f', subject {subject}' if subject else ''}", piece, match.how)


def _owners(labels: Mapping[str, np.ndarray], length: int) -> list[tuple[str, np.ndarray]]:
    """The rows of every subject, where a label of the stimuli's axis says whose they are."""
    named = next((of for name, of in labels.items() if name.lower() in WHOSE), None)
    if named is None or len(np.unique(named)) == 1:
        return [("", np.arange(length))]
    return [(str(who), np.flatnonzero(named == who)) for who in dict.fromkeys(named.tolist())]


def _parts(labels: Mapping[str, np.ndarray], length: int) -> list[tuple[str, str, np.ndarray]]:
    """Region, subject and units of every part of the units that labels tell apart."""
    plain = {name.lower(): of.astype(str) for name, of in labels.items()}
    none = np.full(length, "")
    region = next((plain[name] for name in REGIONS if name in plain and len(np.unique(plain[name])) > 1), none)
    whose = next((plain[name] for name in WHOSE if name in plain and len(np.unique(plain[name])) > 1), none)
    pairs = dict.fromkeys(zip(region.tolist(), whose.tolist()))
    return [(a, b, np.flatnonzero((region == a) & (whose == b))) for a, b in pairs]


def _repeated(array: np.ndarray, match: Match) -> np.ndarray:
    """`(repeat, kept, time, unit)` of `(repeat, row, time, unit)`: rows of one stimulus are repeats of it."""
    taken = array[:, np.clip(match.rows, 0, None)]  # (repeat, kept, row, time, unit)
    if (match.rows < 0).any():
        taken = np.where((match.rows < 0)[None, :, :, None, None], np.nan, taken)
    taken = np.moveaxis(taken, 2, 1)
    return taken.reshape(-1, *taken.shape[2:])


def _complete(where: str, piece: Piece, how: str) -> Piece:
    """A piece without the stimuli that no unit, and the units that some stimulus, was not measured of."""
    x, said = piece.patterns, [*piece.said, how]
    assert x is not None
    if len(x) > 1:
        said.append(f"{len(x)} repeats")
    finite: Any = np.isfinite(x).any(0)
    measured = finite.all(1)  # (stimulus, unit): every time in one repeat or more
    missing = int(np.isnan(x).sum())
    stimuli = np.flatnonzero(measured.any(1))
    units = np.flatnonzero(measured[stimuli].all(0)) if len(stimuli) else np.zeros(0, int)
    if not len(units):
        raise ValueError(
            f"{where} holds {missing} NaN values, and no unit was measured at all stimuli; leave out the stimuli that "
            "few units were measured at."
        )
    if missing:
        part = [f"{missing} values missing"]
        if len(stimuli) < len(measured):
            part.append(f"{len(measured) - len(stimuli)} of {len(measured)} stimuli left out, measured of no unit")
        if len(units) < x.shape[-1]:
            part.append(f"{x.shape[-1] - len(units)} of {x.shape[-1]} units left out, not measured at some stimulus")
        said.append(", ".join(part))
    return piece._replace(patterns=x[:, stimuli][..., units], kept=piece.kept[stimuli], said=tuple(said))
