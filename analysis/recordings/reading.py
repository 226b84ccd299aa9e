"""Recordings from files: what each holds of the stimuli that networks were shown, with a receipt of how it was read."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.activations.stimuli import INPUTS_SHOWN
from analysis.formats import Contents, contents_of
from analysis.recordings.dissimilarities import closest_form, side
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.members import Recorded, members_of
from analysis.recordings.pieces import Piece, pieces_of

__all__ = ["NOTHING", "read_file", "read_recordings"]

NOTHING = "holds nothing of the"
"""How an error begins that says that a file is of other stimuli."""

PRIMARY = "firing_rate"
"""An array of this name is what its file records; what stands beside it is hands, stimuli, models."""


def read_recordings(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    shown: ShownStimuli,
    say: Callable[[str], Any] = lambda line: None,
    *,
    pool: bool = False,
) -> Recorded:
    """The recordings of files, by label: of several subjects one member each, and then their mean.

    The forms of files are the modules of `analysis.formats`; what an array is, see `analysis.recordings.axes`; which
    rows are which stimuli, see `analysis.recordings.matching`; subjects and sessions, `analysis.recordings.members`.

    Args:
      paths: a file or several; a recording is called by its file's stem and the name of its array.
      shown: what the networks were shown.
      say: takes a line per recording on how it was read, and one per file on what was left out.
      pool: put the units of a recording's subjects together, as those of one.

    Raises:
      ValueError: one sentence, if a file cannot be read, or does not fit what was shown.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    pieces = [piece for path in paths for piece in read_file(path, shown, say)]
    recorded = members_of(pieces, shown, pool)
    for line in recorded.receipt:
        say(line)
    return recorded


def read_file(
    path: str | os.PathLike[str], shown: ShownStimuli, say: Callable[[str], Any] = lambda line: None
) -> list[tuple[str, Piece]]:
    """The pieces of a file's arrays with the names of their recordings; says what of the file was left out, and why."""
    path = Path(path)
    contents = contents_of(path)
    # A file that says what it records is taken at its word.
    ready = {name for name, array in contents.arrays.items() if array.is_rdm}
    primary = {name for name in contents.arrays if name == PRIMARY} or ready
    pieces: list[tuple[str, Piece]] = []
    left_out = dict(contents.ignored)
    for name, array in contents.arrays.items():
        where = f"{name} in {path}" if name else str(path)
        if name in INPUTS_SHOWN:
            left_out[name] = "what was shown"
            continue
        if primary and name not in primary and not array.axes and closest_form(array.values) != "rdm":
            if array.values.ndim > 1:
                left_out[name] = f"{PRIMARY if PRIMARY in primary else 'RDMs'} beside it"
            continue
        found = pieces_of(where, name, array, contents.loose, shown)
        if found is None:
            if array.values.ndim > 1:
                left_out[name] = f"shape {array.values.shape}"
            continue
        pieces += [("/".join(part for part in (path.stem, piece.name) if part), piece) for piece in found]
    if not pieces:
        raise ValueError(
            f"{path} {NOTHING} {shown.stimuli} stimuli that the networks were shown{_held(contents, left_out)}; give "
            "one row per stimulus, in their order or with an array stimulus that names them, or show the file's "
            "stimuli with --probe."
        )
    _check_lengths(path, contents, pieces, shown)
    if left_out:
        say(f"{path.name}: left out {', '.join(f'{name} ({why})' for name, why in left_out.items())}")
    return pieces


def _check_lengths(path: Path, contents: Contents, pieces: list[tuple[str, Piece]], shown: ShownStimuli) -> None:
    """Refuses labels that would describe the stimuli, and are as many as no array has."""
    for label, x in contents.loose.items():
        of_axes = {
            length for array in contents.arrays.values() for length in array.values.shape if array.values.ndim > 1
        }
        of_axes |= {side(array.values.shape[-1]) for array in contents.arrays.values()}
        if label in shown.conditions and len(x) not in of_axes:
            raise ValueError(
                f"{path} labels {len(x)} stimuli by {label}, and {pieces[0][0]} is of {len(pieces[0][1].kept)}; give a "
                "label for each."
            )


def _held(contents: Contents, left_out: dict[str, str]) -> str:
    held = [f"{name} {x.values.shape}".strip() for name, x in contents.arrays.items()]
    held += [f"{name} ({why})" for name, why in left_out.items() if name not in contents.arrays]
    return f" (it holds {', '.join(held)})" if held else ""
