"""Pieces of arrays as members of a comparison: at the stimuli and times that all share with the networks."""

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from analysis.activations.types import RDM, Outside, Repeats
from analysis.recordings.clocks import at_steps
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.pieces import Piece

__all__ = ["LEAST_UNITS_HALVED", "MOST_BINS", "Recorded", "halves", "members_of"]

LEAST_SHARED = 4
"""Stimuli that recordings must share with what was shown."""

MOST_BINS = 25
"""Times of a recording at which networks without time are set beside it, each a member; more are averaged in bins."""

LEAST_UNITS_HALVED = 16
"""Recordings of fewer units are not halved."""

WHO = r"(?:[-_ ]?(\d+)|[-_ ]([A-Za-z0-9]+)|([A-Z])(?![A-Za-z]))(?=$|[^A-Za-z0-9])"
APART = r"(?:^|(?<=[^A-Za-z]))"
SUBJECT_IN_NAME = re.compile(APART + r"(?:[Ss]ubject|[Ss]ubj|[Ss]ub|[Pp]articipant|[Mm]onkey|[Aa]nimal)" + WHO)
SESSION_IN_NAME = re.compile(APART + r"(?:[Ss]ession|[Ss]ess|[Ss]es|[Rr]un)" + WHO)
"""What in a name, such as `sub-01` or `session_2`, says whose or when, and not what was recorded."""


class Recorded(NamedTuple):
    """Members from files, and the part of the probe on which they can be compared with the networks.

    Attributes:
      members: recordings, subject by subject.
      stimuli: places among the stimuli shown, rising: those that all recordings are of.
      steps: places among the networks' time steps that were kept, rising: those that all recordings cover.
      receipt: a line per recording on how it was read.
    """

    members: list[Outside]
    stimuli: np.ndarray
    steps: np.ndarray
    receipt: list[str]


def members_of(pieces: Sequence[tuple[str, Piece]], shown: ShownStimuli, pool: bool = False) -> Recorded:
    """The members that pieces make, of several subjects one each and, where their units or RDMs correspond, their mean.

    Pieces whose names differ by a subject, `sub-01`, are subjects of one recording; those that differ by a session,
    `session_2`, are more units of it, or RDMs to be averaged.

    Args:
      pieces: the name of a recording, its file's among it, and a piece of it.
      shown: what the networks were shown.
      pool: put the units of a recording's subjects together, as those of one.

    Raises:
      ValueError: two of one name, too few stimuli or times in common, RDMs to be pooled.
    """
    recordings = _by_recording(pieces)
    stimuli = reduce(np.intersect1d, [piece.kept for each in recordings.values() for piece in each])
    if len(stimuli) < LEAST_SHARED:
        raise ValueError(
            f"{', '.join(recordings)} have {len(stimuli)} of the stimuli shown in common; a comparison needs "
            f"{LEAST_SHARED}."
        )
    steps, receipt, taken = np.arange(len(shown.times)), [], {}
    for name, each in recordings.items():
        if pool and len(each) > 1:
            each = [_pooled(name, each)]
        said = list(dict.fromkeys(line for piece in each for line in piece.said))
        if len(each) > 1 and each[0].rdm is None:
            said.insert(0, f"{len(each)} subjects")
        each = [piece.at(stimuli) for piece in each]
        for place, piece in enumerate(each):
            if piece.in_time and len(shown.times) and piece.patterns is not None:
                x, covered, how = at_steps(name, piece.patterns, piece.times, shown.times)
                each[place] = piece._replace(patterns=x, times=shown.times[covered])
                steps = np.intersect1d(steps, covered)
                said += [how] * bool(how and how not in said)
        taken[name] = each
        receipt.append(f"{name}: {'; '.join(said)}")
    if len(shown.times) and len(steps) < 2:
        raise ValueError(f"{', '.join(recordings)} have {len(steps)} of the networks' time steps in common; give two.")
    members = []
    for name, each in taken.items():
        at = [_at_times(piece, shown.times[steps]) for piece in each]
        members += _members(name, at, images=not len(shown.times))
    return Recorded(members, stimuli, steps, receipt)


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


# --- whose, and when -------------------------------------------------------------------------------------------------


def _by_recording(pieces: Sequence[tuple[str, Piece]]) -> dict[str, list[Piece]]:
    """Pieces by the recording that they are of, one per subject: a name may say whose it is, and when."""
    alike: dict[str, list[tuple[str, Piece]]] = {}
    for name, piece in pieces:
        found = None if piece.who else SUBJECT_IN_NAME.search(name)
        if found:
            piece = piece._replace(who=_id(found), aligned=piece.rdm is not None)
        base = _without(_without(name, found), SESSION_IN_NAME.search(_without(name, found)))
        alike.setdefault(base, []).append((name, piece))
    recordings: dict[str, list[Piece]] = {}
    for base, named in alike.items():
        if len({name for name, _ in named}) == 1:  # one subject or session is no reason to call it otherwise
            called, named = named[0][0], [(name, piece) for name, piece in pieces if name == named[0][0]]
        else:
            called = base
        for who in dict.fromkeys(piece.who for _, piece in named):
            own = [(name, piece) for name, piece in named if piece.who == who]
            if len({name for name, _ in own}) < len(own):
                of = f", subject {who}" if who else ""
                raise ValueError(f"Two recordings are called {own[0][0]!r}{of}; rename one.")
            sessions = [piece for _, piece in own]
            one = _one_of_sessions(called, sessions) if len(sessions) > 1 else sessions[0]
            recordings.setdefault(called, []).append(one)
    return recordings


def _id(found: re.Match[str]) -> str:
    return "".join(group or "" for group in found.groups())


def _without(name: str, found: re.Match[str] | None) -> str:
    """A name without what was found in it, and without the separators that this leaves; of a name that is nothing else
    its word, "monkey" of "monkeyA"."""
    if found is None:
        return name
    rest = re.sub(r"[-_ ]{2,}", "_", name[: found.start()] + name[found.end() :])
    parts = [part.strip("-_ ") for part in rest.split("/") if part.strip("-_ ")]
    return "/".join(parts) or found.group().removesuffix(_id(found)).strip("-_ ")


def _one_of_sessions(name: str, pieces: list[Piece]) -> Piece:
    stimuli = reduce(np.intersect1d, [piece.kept for piece in pieces])
    each = [piece.at(stimuli) for piece in pieces]
    rdms = [piece.rdm for piece in each if piece.rdm is not None]
    if len(rdms) == len(each):
        return each[0]._replace(rdm=np.mean(rdms, axis=0), said=(*each[0].said, f"the mean of {len(each)} sessions"))
    return _side_by_side(name, each, f"units of {len(each)} sessions together")


def _pooled(name: str, pieces: list[Piece]) -> Piece:
    stimuli = reduce(np.intersect1d, [piece.kept for piece in pieces])
    each = [piece.at(stimuli) for piece in pieces]
    return _side_by_side(name, each, f"units of {len(each)} subjects together")._replace(who="")


def _side_by_side(name: str, pieces: list[Piece], said: str) -> Piece:
    """The units of several pieces at the same stimuli and times as one's."""
    patterns = [piece.patterns for piece in pieces if piece.patterns is not None]
    if len(patterns) < len(pieces):
        raise ValueError(f"{name} holds RDMs, whose units cannot be put together; leave out --pool.")
    apart = any(not np.array_equal(piece.times, pieces[0].times) for piece in pieces)
    if apart or len({x.shape[2] for x in patterns}) > 1:
        raise ValueError(f"{name} has other times in some of its subjects or sessions; give all the same.")
    most = max(len(x) for x in patterns)
    filled = [np.pad(x, ((0, most - len(x)), (0, 0), (0, 0), (0, 0)), constant_values=np.nan) for x in patterns]
    units = ", ".join(str(x.shape[-1]) for x in patterns)
    return pieces[0]._replace(patterns=np.concatenate(filled, -1), said=(*pieces[0].said, f"{said} ({units})"))


# --- members ---------------------------------------------------------------------------------------------------------


def _at_times(piece: Piece, steps: np.ndarray) -> Piece:
    """A piece at those of the networks' steps that all pieces cover."""
    if not piece.in_time or not len(steps) or piece.patterns is None:
        return piece
    rows = np.searchsorted(piece.times, steps)
    return piece._replace(patterns=piece.patterns[:, :, rows], times=piece.times[rows])


def _members(recording: str, pieces: list[Piece], images: bool) -> list[Outside]:
    """One member per subject, and per time where networks have none, and the subjects' mean where there is one."""
    members = []
    for piece in pieces:
        for time, x in _in_bins(piece) if images and piece.in_time else [("", piece)]:
            name = recording + (f"/{piece.who}" if piece.who else "") + time
            labels = {"recording": recording + time, "subject": piece.who, "source": "recording"}
            members.append(Outside(name, _array(x), labels, _repeats(x)))
    if not all(piece.aligned for piece in pieces):
        return members
    by_time: dict[str, list[Outside]] = {}
    for member in members:
        by_time.setdefault(member.labels["recording"], []).append(member)
    return [one for name, each in by_time.items() for one in [*each, *_mean(name, each)]]


def _in_bins(piece: Piece) -> list[tuple[str, Piece]]:
    """A piece time by time, at most `MOST_BINS`: for networks that have none."""
    assert piece.patterns is not None
    count = piece.patterns.shape[2]
    times = piece.times if len(piece.times) == count else np.arange(count)
    unit = " ms" if len(piece.times) == count else ""
    means = []
    for part in np.array_split(np.arange(count), min(count, MOST_BINS)):
        mean = piece.patterns[:, :, part].mean(2, keepdims=True)
        means.append((f"@{times[part].mean():g}{unit}", piece._replace(patterns=mean, in_time=False)))
    return means


def _bare(piece: Piece) -> np.ndarray:
    """`(repeat, stimulus, time, unit)`, or without the time axis where there is none."""
    assert piece.patterns is not None
    return piece.patterns if piece.in_time else piece.patterns[:, :, 0]


def _array(piece: Piece) -> Any:
    """Repeats where every one is there, else their mean over those that are; an RDM as it is."""
    if piece.rdm is not None:
        return RDM(piece.rdm)
    x = _bare(piece)
    if len(x) > 1 and np.isfinite(x).all():
        return Repeats(x)
    return x[0] if len(x) == 1 else np.nanmean(x, axis=0)


def _repeats(piece: Piece) -> np.ndarray | None:
    return None if piece.rdm is not None or len(_bare(piece)) == 1 else _bare(piece)


def _mean(recording: str, members: list[Outside]) -> list[Outside]:
    """The mean over subjects, where all are of one kind and shape; that of patterns takes units to correspond."""
    bare = [x.array.array if isinstance(x.array, (RDM, Repeats)) else x.array for x in members]
    if len(members) == 1 or len({(type(x.array), array.shape) for x, array in zip(members, bare)}) > 1:
        return []
    first, mean = members[0], np.mean(bare, axis=0)
    mean = type(first.array)(mean) if isinstance(first.array, (RDM, Repeats)) else mean
    return [Outside(f"{recording}/mean", mean, {**first.labels, "subject": "mean"})]
