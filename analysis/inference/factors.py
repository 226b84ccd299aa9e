"""The fields that a comparison asks about: what was varied, and which of it can be told apart."""

import ast
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from zoo.spec.member import varied

__all__ = [
    "DEPTH",
    "FEW_LEVELS",
    "LAYER_COUNT",
    "MISSING",
    "MOST_LEVELS",
    "SEED",
    "depths",
    "layer_counts",
    "levels",
    "sampled_fields",
    "scaled",
    "singular",
    "tested_fields",
    "texts_of",
    "told_apart",
]

SEED = "seed"
"""The column of seeds: a block, never a tested field."""

FEW_LEVELS = 6
"""Levels that are never too many."""

MOST_LEVELS = 24
"""Levels of a field that a legend names, and groups of members whose means are set against each other."""

MISSING = "(none)"
"""What stands for a field that a member does not have: a level of its own."""

LAYER_COUNT = "layers"
"""The derived field that pictures show for those with too many levels: how many layers a network has."""

DEPTH = "depth"
"""The derived field that tests hold constant for those with too many levels: how many entries these have."""


def tested_fields(trained: Any, ids: Iterable[str]) -> list[str]:
    """What was varied among members: the model, the learning rule, and every field that is not the seed."""
    table = trained.members[trained.members["member"].isin(list(ids))]
    columns = varied(trained.zoo.members)  # of all members: a name must not depend on the subset
    parts = [name for name in ("model", "rule") if name in table]
    return [name for name in (*parts, *columns) if len(set(table[name].dropna())) > 1]


def levels(values: Any) -> set[Any]:
    """The distinct values of a field among the members that have it."""
    return {value for value in values.dropna().tolist() if value != ""}


def texts_of(table: pd.DataFrame, field: str) -> np.ndarray:
    """A field of every member as text, `(member,)`, and `MISSING` where there is none."""
    values = np.asarray(table[field], object)
    return np.array([MISSING if gone else str(value) for value, gone in zip(values, pd.isna(values))], object)


def layer_counts(table: Any) -> np.ndarray:
    """The number of layers of each row's network, from its deepest item."""
    return table.groupby("member")["layer_depth"].transform("max").to_numpy(int) + 1


def depths(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """How many entries the fields of each row have that are tuples, written as text: "3".

    Fields whose numbers never differ are counted once, such as the channels and kernels of convolutions (a kernel that
    is one number is of any length); others follow: "3, 2". The number of all layers would not do: a dense layer more is
    then a convolution less, whose kernel goes with it.
    """

    def entries(text: str) -> int:
        return len(ast.literal_eval(text)) if text.startswith("(") else 0

    several: list[np.ndarray] = []
    for field in fields:
        count = table[field].astype(str).map(entries).to_numpy(int)
        for i, other in enumerate(several):
            if not ((count > 0) & (other > 0) & (count != other)).any():
                several[i] = np.maximum(count, other)
                break
        else:
            several.append(count)
    return [", ".join(map(str, row)) for row in zip(*(counts.tolist() for counts in several if counts.any()))]


def singular(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """Fields with a level for nearly every configuration, such as the kernel sizes of networks drawn at random."""
    configurations = len(table[list(fields)].astype(str).drop_duplicates())
    counts = {field: len(levels(table[field])) for field in fields}
    allowed = max(FEW_LEVELS, min(MOST_LEVELS, configurations / 2))
    return [field for field, count in counts.items() if count > allowed]


def sampled_fields(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """The `singular` fields that are numbers, such as learning rates drawn at random: tested as numbers, not levels."""

    def number(level: object) -> bool:
        return isinstance(level, Real) and not isinstance(level, bool | np.bool_)

    return [field for field in singular(table, fields) if all(map(number, levels(table[field])))]


def scaled(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Numbers as a regression takes them: log10 where all are positive and span more than a decade (and whether)."""
    values = np.asarray(values, np.float64)
    there = values[np.isfinite(values)]
    logarithm = len(there) > 0 and there.min() > 0 and there.max() > 10 * there.min()
    return (np.log10(values), True) if logarithm else (values, False)


def told_apart(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """The fields that a picture shows: those of more than one level that are numbers or not `singular`.

    Where text or tuples are left out, the number of layers follows, if it varies.
    """
    several = [field for field in fields if len(levels(table[field])) > 1]
    gone = {f for f in singular(table, several) if any(isinstance(level, str) for level in levels(table[f]))}
    if gone and len(gone) == len(several):  # better many levels than none
        gone = {field for field in gone if len(levels(table[field])) > MOST_LEVELS}
    stands_in = gone and LAYER_COUNT in table and LAYER_COUNT not in several and len(levels(table[LAYER_COUNT])) > 1
    return [field for field in several if field not in gone] + [LAYER_COUNT] * bool(stands_in)
