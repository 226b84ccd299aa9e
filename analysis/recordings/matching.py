"""Which rows of a file are which of the stimuli shown: by label, never by the order of a file that has labels.

A label *names* stimuli where its values differ between all that were shown, as an image's file name does, and else it
*describes* them, as a category does. Rows are matched by labels that name stimuli, or by the combination of those that
describe, where it is of one stimulus only; whatever else describes stimuli has to agree. A file without any such label
is read in its own order, and that is said.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from zoo.wording import counted

__all__ = ["NAMING", "Match", "ShownStimuli", "matched"]

NAMING = (
    *("stimulus", "stimulus_id", "stimulus_name", "stimulus_index", "image", "image_id", "image_name", "image_index"),
    *("image_file_name", "filename", "file_name", "object", "object_id", "object_name", "item", "item_id"),
    *("condition", "condition_id", "condition_name", "conditions", "stimuli", "images", "filenames", "labels"),
)
"""Labels of files that name stimuli, whatever the networks' conditions are called."""

ROW_NUMBERS = ("index",)
"""Labels that may be no more than a number per row."""


class ShownStimuli(NamedTuple):
    """What the networks were shown.

    Attributes:
      stimuli: how many.
      conditions: name -> one label per stimulus.
      times: ms of each time step that was kept of the networks, empty where there is no time.
      held_out: images of the task's held-out set; a file of all of them is read at the rows that the condition `image`
        names. 0 where there is none.
    """

    stimuli: int
    conditions: Mapping[str, np.ndarray]
    times: np.ndarray = np.zeros(0)
    held_out: int = 0


class Match(NamedTuple):
    """The rows of a file that are of the stimuli shown.

    Attributes:
      rows: `(kept, repeat)`, rows of the file; -1 where a stimulus has fewer repeats than another.
      kept: `(kept,)`, which of the stimuli shown are in the file, rising.
      how: what told, for the receipt.
    """

    rows: np.ndarray
    kept: np.ndarray
    how: str


class _Naming(NamedTuple):
    """A way to tell stimuli: `place` is the stimulus shown of every row, -1 where it is none of them."""

    label: str
    condition: str
    place: np.ndarray


def matched(where: str, length: int, labels: Mapping[str, np.ndarray], shown: ShownStimuli) -> Match:
    """Matches the rows of an array to the stimuli shown.

    Args:
      where: the array and its file.
      length: of its axis of stimuli.
      labels: of that axis, name -> `(length,)`.
      shown: what the networks were shown.

    Raises:
      ValueError: one sentence: labels that are not known of the stimuli shown, disagree with each other or with them,
        or the array has none and another number of rows.
    """
    ways = [way for label, x in labels.items() for way in _ways(where, label, x, shown)]
    complete = [way for way in ways if (way.place >= 0).all()]
    # Texts may name more than was shown; numbers of which some are unknown count something else.
    partial = [way for way in ways if (way.place >= 0).any() and labels[way.label].dtype.kind in "US"]
    chosen = _agreeing(where, complete) or _agreeing(where, partial) or _by_descriptions(labels, shown)
    if chosen is None:
        return _in_order(where, length, labels, shown)
    _check_descriptions(where, labels, shown, chosen.place)
    found = chosen.place[chosen.place >= 0]
    kept, counts = np.unique(found, return_counts=True)
    rows = np.full((len(kept), counts.max()), -1)
    for row, place in zip(rows, kept):
        mine = np.flatnonzero(chosen.place == place)
        row[: len(mine)] = mine
    as_well = f" as {chosen.condition}" if chosen.condition not in ("", chosen.label) else ""
    how = f"stimuli by {chosen.label}{as_well}"
    if len(kept) < shown.stimuli:
        how += f", {len(kept)} of the {shown.stimuli} shown"
    if others := int((chosen.place < 0).sum()):
        how += f"; {counted(others, 'row')} of stimuli that were not shown left out"
    return Match(rows, kept, how)


def _ways(where: str, label: str, x: np.ndarray, shown: ShownStimuli) -> list[_Naming]:
    """How a label of a file can name stimuli."""
    same = [name for name in shown.conditions if name == label and _distinct(shown.conditions[name])]
    if same:
        names = same
    elif label.lower() in NAMING or label.lower() in ROW_NUMBERS:
        names = [name for name, values in shown.conditions.items() if _distinct(values)]
    else:
        return []
    ways = [_Naming(label, name, _places(x, shown.conditions[name])) for name in names]
    numbers = x.dtype.kind in "iuf" and bool((x == np.rint(x)).all())
    in_order = bool(np.array_equal(x, np.arange(len(x)))) if numbers else False
    if numbers and not same and not (label.lower() in ROW_NUMBERS and in_order):
        ways += _counted_off(where, label, x.astype(int), shown.stimuli)
    return [way for way in ways if (way.place >= 0).any()]


def _counted_off(where: str, label: str, x: np.ndarray, stimuli: int) -> list[_Naming]:
    """Numbers as places among the stimuli shown, counted from 0, or from 1 as MATLAB does."""
    low, high = int(x.min()), int(x.max())
    if low < 0 or high > stimuli:
        return []
    if low > 0 and high < stimuli:
        raise ValueError(
            f"{where} numbers its stimuli by {label} from {low} to {high}, of {stimuli} shown; whether they count from "
            f"0 or from 1 cannot be told: name the stimuli instead, or rename {label}."
        )
    if low == 0 and high == stimuli:
        return []
    return [_Naming(label, "place" + (", counted from 1" if low else ""), x - (low > 0))]


def _places(x: np.ndarray, names: np.ndarray) -> np.ndarray:
    """The stimulus shown that each value names, -1 for none."""
    if x.dtype.kind in "iufb" and names.dtype.kind in "iufb":
        order = np.argsort(names)
        at = np.clip(np.searchsorted(names[order], x), 0, len(names) - 1)
        near = [order[at], order[np.clip(at - 1, 0, None)]]
        close = [np.isclose(names[place], x, rtol=1e-6, atol=1e-9) for place in near]
        return np.where(close[0], near[0], np.where(close[1], near[1], -1))
    if (x.dtype.kind in "US") != (names.dtype.kind in "US"):
        return np.full(len(x), -1)
    for reduced in (str, _stem):
        known = {reduced(str(name)): place for place, name in enumerate(names)}
        place = np.array([known.get(reduced(str(value)), -1) for value in x])
        if len(known) == len(names) and (place >= 0).any():
            return place
    return np.full(len(x), -1)


def _stem(name: str) -> str:
    """A file's name without its folder and form."""
    return PurePath(name.strip().replace("\\", "/")).stem.lower()


def _distinct(values: np.ndarray) -> bool:
    return len(np.unique(values)) == len(values)


def _agreeing(where: str, ways: list[_Naming]) -> _Naming | None:
    """The first of several ways that say the same; a label of its own name goes before others."""
    named = [way for way in ways if way.label == way.condition] or ways
    for way in named[1:]:
        if not np.array_equal(way.place, named[0].place):
            first = int(np.flatnonzero(way.place != named[0].place)[0])
            raise ValueError(
                f"{where} names its stimuli by {named[0].label} (as {named[0].condition}) and by {way.label} (as "
                f"{way.condition}), which disagree, first in row {first}; leave one of them out."
            )
    return named[0] if named else None


def _described(labels: Mapping[str, np.ndarray], shown: ShownStimuli) -> list[str]:
    return [name for name in labels if name in shown.conditions]


def _by_descriptions(labels: Mapping[str, np.ndarray], shown: ShownStimuli) -> _Naming | None:
    """Rows by the combination of the labels that describe them, where no two stimuli shown share one."""
    names = _described(labels, shown)
    if not names:
        return None
    known = {key: place for place, key in enumerate(_keys([shown.conditions[name] for name in names]))}
    if len(known) < shown.stimuli:
        return None
    place = np.array([known.get(key, -1) for key in _keys([labels[name] for name in names])])
    return _Naming(" and ".join(names), "", place) if (place >= 0).all() else None


def _keys(columns: list[np.ndarray]) -> list[tuple[Any, ...]]:
    """A row's values as one key: numbers rounded, so that those of single and of double precision are the same."""
    plain = [
        [f"{float(value):.6g}" for value in column] if column.dtype.kind in "iufb" else [str(v) for v in column]
        for column in columns
    ]
    return list(zip(*plain))


def _in_order(where: str, length: int, labels: Mapping[str, np.ndarray], shown: ShownStimuli) -> Match:
    """The file's own order, where nothing in it speaks against that."""
    described = _described(labels, shown)
    unknown = [label for label in labels if label.lower() in NAMING and label not in described]
    if unknown:
        first, conditions = unknown[0], ", ".join(shown.conditions) or "none"
        raise ValueError(
            f"{where} names its stimuli by {first} ({labels[first][0]!s} ...), and of the stimuli shown no such name "
            f"is known (their conditions: {conditions}); put {first} beside the stimuli of the probe, or leave it out "
            "to have the rows taken in their order."
        )
    whole = "image" in shown.conditions and length == shown.held_out != shown.stimuli
    if length != shown.stimuli and not whole:
        raise ValueError(
            f"{where} has {length} stimuli and the networks were shown {shown.stimuli}; show them the recording's "
            "stimuli with --probe, or give a row for each, or an array stimulus beside it that names them."
        )
    rows = np.asarray(shown.conditions["image"]) if whole else np.arange(length)
    place = np.full(length, -1)
    place[rows] = np.arange(shown.stimuli)
    _check_descriptions(where, labels, shown, place)
    how = "rows by image" if whole else "order not checked"
    if described:
        how = f"{how}; its {' and '.join(described)} agree" if whole else f"order agrees with {' and '.join(described)}"
    return Match(rows[:, None], np.arange(shown.stimuli), how)


def _check_descriptions(where: str, labels: Mapping[str, np.ndarray], shown: ShownStimuli, place: np.ndarray) -> None:
    """Whatever a file says of a stimulus must be so of the one that was shown."""
    for name in _described(labels, shown):
        rows = np.flatnonzero(place >= 0)
        found, expected = labels[name][rows], shown.conditions[name][place[rows]]
        numbers = found.dtype.kind in "iufb" and expected.dtype.kind in "iufb"
        same = np.isclose(found, expected) if numbers else found.astype(str) == expected.astype(str)
        if not numbers and not same.all() and found.dtype.kind in "US" and expected.dtype.kind in "US":
            same = np.array([_stem(str(a)) == _stem(str(b)) for a, b in zip(found, expected)])
        if not same.all():
            row = rows[np.flatnonzero(~same)[0]]
            raise ValueError(
                f"{where} says that stimulus {row} has {name} {labels[name][row]} and the networks' has "
                f"{shown.conditions[name][place[row]]}; bring its rows into the order of the stimuli shown, or name "
                "them in an array stimulus beside it."
            )
