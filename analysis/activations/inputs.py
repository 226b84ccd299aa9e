"""What a comparison compares: representations from a zoo, from a mapping and from elsewhere, checked at the door."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.activations.copies import ROUNDING, equal_places
from analysis.activations.types import RDM, RDMs, Repeats, Representations, array_of
from analysis.labelled_comparison import ZOO, LeftOut

__all__ = [
    "Items",
    "array_of",
    "check_distinct",
    "check_items",
    "gathered",
    "kind_of",
    "lacking",
    "refusals",
    "rows_of",
    "stimuli_of",
]


LEAST = 4
"""Stimuli that a comparison needs, whatever the measure: of three, two unrelated geometries are alike by chance."""

REFERENCES = ("baseline", "half")
"""The `source` of what stands beside recordings only."""

MOST_COPIED = 0.02
"""The share of stimuli that may be copies of others: large sets of images have some."""


class Items(NamedTuple):
    """What is compared, in the order of the result.

    Attributes:
      names: one per item.
      labels: one row per item.
      groups: items of one kind and shape each: arrays `(item, stimulus, time, unit)`, `Repeats` or `RDMs`.
      places: for each group, its items' places in the order of the result.
    """

    names: list[str]
    labels: pd.DataFrame
    groups: list[Any]
    places: list[np.ndarray]


def kind_of(group: Any) -> str:
    """What a group's items are: "patterns", "trajectories", "repeats" or "rdms"."""
    if isinstance(group, RDMs):
        return "rdms"
    if isinstance(group, Repeats):
        return "repeats"
    return "trajectories" if group.shape[2] > 1 else "patterns"


def gathered(representations: Any, others: Sequence[Any], dtype: str) -> Items:
    """The items of `Representations` or a mapping, and after them those from elsewhere.

    Args:
      representations: see `analysis.compare`.
      others: each with `name`, `array` and `labels`, such as `analysis.activations.types.Outside`; they have no
        layer.
      dtype: of arrays.
    """
    if isinstance(representations, Representations):
        items = _of_zoo(representations, dtype)
    elif isinstance(representations, Mapping):
        items = _of_arrays(representations, dtype)
    else:
        kind = type(representations).__name__
        raise ValueError(f"compare takes Representations or a mapping of name to array, not a {kind}.")
    if others:
        _no_two([other.name for other in others])
        from_elsewhere = _of_arrays({other.name: other.array for other in others}, dtype)
        labels = pd.DataFrame([other.labels for other in others]).astype(object)
        items = Items(
            items.names + from_elsewhere.names,
            _joined(items.labels, labels),
            items.groups + from_elsewhere.groups,
            items.places + [place + len(items.names) for place in from_elsewhere.places],
        )
    if not items.names:
        raise ValueError("There is nothing to compare: no representation was given.")
    _no_two(items.names)
    return items


def _no_two(names: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"Two representations are called {twice[0]!r}; names must differ.")


def _joined(labels: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Rows of both; what is known of networks only is missing of the others, but that these are not trained."""
    networks = labels.assign(source=ZOO) if "source" not in labels else labels
    if "trained" in networks and "trained" not in others:
        others = others.assign(trained=False)
    return pd.concat([networks.astype(object), others], ignore_index=True)


def _of_zoo(representations: Representations, dtype: str) -> Items:
    """The items of a zoo's members, group by group."""
    names = [str(name) for group in representations.groups for name in group.names]
    tables = [group.labels.reset_index(drop=True).astype(object) for group in representations.groups]
    labels = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if not len(labels.columns):
        labels = pd.DataFrame(index=range(len(names)))
    groups = []
    for group in representations.groups:
        array = _whole(group.array)
        if array.ndim not in (3, 4):
            raise ValueError(
                f"The group of {group.names[0]!r} has shape {array.shape}; it must be (item, stimulus, unit) or "
                "(item, stimulus, time, unit)."
            )
        groups.append(_typed(array if array.ndim == 4 else array[:, :, None], dtype))
    ends = np.cumsum([0] + [len(group) for group in groups])
    return Items(names, labels, groups, [np.arange(start, end) for start, end in pairwise(ends)])


def _of_arrays(arrays: Mapping[str, Any], dtype: str) -> Items:
    """The items of a mapping, those of one kind and shape in one group; they have no labels."""
    names = [str(name) for name in arrays]
    each = []
    for name, value in zip(names, arrays.values()):
        kind = type(value) if isinstance(value, (RDM, Repeats)) else None
        array = _whole(value.array if isinstance(value, (RDM, Repeats)) else value)
        axes = {RDM: "(stimulus, stimulus)", Repeats: "(repeat, stimulus, unit) or (repeat, stimulus, time, unit)"}
        wanted = axes.get(kind, "(stimulus, unit) or (stimulus, time, unit)")
        if array.ndim not in {RDM: (2,), Repeats: (3, 4)}.get(kind, (2, 3)):
            what = f"{kind.__name__} " if kind else ""
            raise ValueError(f"Representation {name!r} has {what}shape {array.shape}; it must be {wanted}.")
        if array.dtype.kind not in "fiub":
            raise ValueError(f"Representation {name!r} holds {array.dtype}; it must hold real numbers.")
        if kind is RDM:
            _check_rdm(name, array)
        elif array.ndim == (3 if kind else 2):
            array = array[..., None, :]
        each.append((RDMs if kind is RDM else kind, array))
    keys = [(kind, array.shape) for kind, array in each]
    groups, places = [], []
    for key in dict.fromkeys(keys):
        rows = [i for i, other in enumerate(keys) if other == key]
        array = _typed(np.stack([each[i][1] for i in rows]), dtype)
        groups.append(key[0](array) if key[0] else array)
        places.append(np.array(rows))
    return Items(names, pd.DataFrame(index=range(len(names))), groups, places)


def _whole(value: Any) -> np.ndarray:
    """An array; what a masked one hides is missing, NaN, where NumPy would bring out what lies below the mask."""
    return value.astype(float).filled(np.nan) if np.ma.is_masked(value) else np.asarray(value)


def _typed(array: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # what overflows is refused at the door
        return array.astype(dtype, copy=False)


def _check_rdm(name: str, array: np.ndarray) -> None:
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"RDM {name!r} has shape {array.shape}; it must be (stimulus, stimulus).")
    array = array.astype(np.float64)
    scale = np.abs(array[np.isfinite(array)]).max(initial=0)
    if np.abs(array - array.T).max(initial=0) > 1e-5 * scale or np.abs(array.diagonal()).max(initial=0) > 1e-5 * scale:
        raise ValueError(f"RDM {name!r} must be symmetric with zeros on its diagonal.")


def check_items(items: Items, exclude_degenerate: bool = False) -> tuple[Items, list[LeftOut]]:
    """The door: everything that would make a meaningless number is refused here, by name, and nowhere deeper.

    Returns:
      The items to compare, and those left out because they are NaN or constant over stimuli.
    """
    counts = {stimuli_of(group): items.names[place[0]] for group, place in zip(items.groups, items.places)}
    if len(counts) > 1:
        (count, first), (other_count, second) = list(counts.items())[:2]
        raise ValueError(
            f"{first!r} has {count} stimuli and {second!r} has {other_count}; all must be given the same stimuli."
        )
    if (stimuli := next(iter(counts))) < LEAST:
        raise ValueError(f"A comparison needs at least {LEAST} stimuli, not {stimuli}.")
    excluded: list[int] = []
    keep = []
    for group, place in zip(items.groups, items.places):
        array = array_of(group)
        good = np.ones(len(array), bool)
        for row, (x, index) in enumerate(zip(array, place)):
            if fault := _fault(x, kind_of(group)):
                good[row] = False
                excluded.append(int(index))
                if not exclude_degenerate:
                    raise ValueError(
                        f"The representation of {_describe(items, index)} {fault}; exclude_degenerate=True "
                        "(--exclude-degenerate) compares the others."
                    )
        keep.append(good)
    if not excluded:
        return items, []
    if len(excluded) == len(items.names):
        raise ValueError(f"All {len(excluded)} representations are NaN or constant; nothing is left to compare.")
    left = np.setdiff1d(np.arange(len(items.names)), excluded)
    parts = [(rows_of(a, g), np.searchsorted(left, p[g])) for a, p, g in zip(*items[2:], keep) if g.any()]
    groups, places = (list(column) for column in zip(*parts))
    kept = Items([items.names[i] for i in left], items.labels.iloc[left], groups, places)
    return kept, [_left_out(items, i) for i in sorted(excluded)]


def check_distinct(items: Items) -> None:
    """Refuses stimuli that are there twice: what is the same in every item is one stimulus, no two samples.

    Unrelated networks would be found alike, since copies are alike in each: 25 stimuli shown twice give a debiased CKA
    of .8. Whole numbers, such as one-hot classes, are equal by design.
    """
    arrays = [array_of(group) for group in items.groups if not isinstance(group, RDMs)]
    if not arrays or all(np.array_equal(array[:1], np.rint(array[:1])) for array in arrays):
        return
    arrays = [array if array.ndim == 4 else array.mean(1) for array in arrays]  # of repeats their mean
    candidates = equal_places(arrays[0].shape[1], lambda stimulus: [arrays[0][0, stimulus]])
    pairs = [(places[0], other) for places in candidates for other in places[1:]]
    twice = [
        (a, b)
        for a, b in pairs
        if all(_same(array[:, a], array[:, b]) for array in arrays) and any(array[:, a].any() for array in arrays)
    ]
    if len(twice) > MOST_COPIED * arrays[0].shape[1]:
        more = f", and {len(twice) - 1} more" if len(twice) > 1 else ""
        raise ValueError(
            f"Stimuli {twice[0][0]} and {twice[0][1]}{more}, are the same in every representation: copies are no "
            "samples, and make unrelated networks alike; give each stimulus once."
        )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= ROUNDING * np.abs(a).max())


def stimuli_of(group: Any) -> int:
    """The number of stimuli of a group of any kind."""
    return int(array_of(group).shape[2 if isinstance(group, Repeats) else 1])


def rows_of(group: Any, rows: np.ndarray) -> Any:
    """Some items of a group of any kind."""
    return group[rows] if isinstance(group, np.ndarray) else type(group)(group.array[rows])


def refusals(items: Items, measures: Iterable[Any]) -> dict[str, str]:
    """By name, why measures cannot be had of the items, as sentences.

    Ready RDMs, baselines and halves of recordings may lack what a measure needs: they have no values under it then.
    """
    refused = {}
    stimuli = stimuli_of(items.groups[0])
    for chosen in measures:
        if stimuli < chosen.least:
            refused[chosen.name] = f"{chosen.name} needs at least {chosen.least} stimuli, not {stimuli}."
            continue
        fits = False
        for group, place in zip(items.groups, items.places):
            reason = lacking(chosen, group)
            fits |= not reason
            needing = [] if isinstance(group, RDMs) else [index for index in place if not _may_lack(items, index)]
            if reason and needing:
                name = items.names[needing[0]]
                fix = "; leave the measure out" if reason.startswith("needs ") else ""  # a fault says its own
                refused[chosen.name] = f"{chosen.name} cannot be had of {name!r}: {reason}{fix}."
                break
        else:
            if not fits:
                refused[chosen.name] = f"{chosen.name} cannot be had of ready RDMs; rsa can."
    return refused


def lacking(measure: Any, group: Any) -> str:
    """What a measure needs that a group has not, with the fix where there is one; "" where it can be had of it."""
    if isinstance(group, RDMs):
        return "" if "rdms" in measure.takes else "is made of patterns, and of these only an RDM is known"
    times, units = array_of(group).shape[-2:]
    plain = {"patterns", "trajectories"} & set(measure.takes)
    if not plain and not isinstance(group, Repeats):
        return "needs repeats, (repeat, stimulus, unit)"
    if plain == {"trajectories"} and times == 1:
        return "needs trajectories, (stimulus, time, unit)"
    return measure.fault(stimuli_of(group), times, units).rstrip(".")


def _may_lack(items: Items, index: int) -> bool:
    return "source" in items.labels and items.labels["source"].iloc[index] in REFERENCES


def _fault(x: np.ndarray, kind: str) -> str:
    if not np.isfinite(x).all():
        return f"holds {int(np.isnan(x).sum())} NaN and {int(np.isinf(x).sum())} infinite values"
    if kind == "rdms":
        upper = x[np.triu_indices(len(x), 1)]
        return "is an RDM whose entries are all the same" if not np.ptp(upper) else ""
    spread = np.ptp(x, axis=1 if kind == "repeats" else 0).max(initial=0)
    return "is constant over its stimuli" if spread <= 8 * np.finfo(x.dtype).eps * np.abs(x).max(initial=0) else ""


def _left_out(items: Items, index: int) -> LeftOut:
    """An item by the labels that tell which network it is of."""
    labels = items.labels.iloc[index].dropna().to_dict() if len(items.labels.columns) else {}
    member, layer = (str(labels.get(column, "")) for column in ("member", "layer"))
    return LeftOut(items.names[index], member, layer, bool(labels.get("trained", True)))


def _describe(items: Items, index: int) -> str:
    item = _left_out(items, index)
    described = [f"{label} {text}" for label, text in (("member", item.member), ("layer", item.layer)) if text]
    return repr(item.name) + (f" ({', '.join(described)})" if described else "")
