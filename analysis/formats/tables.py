"""Tables, `.csv`, `.tsv` and `.parquet`: a row per stimulus and a column per unit, or a row per measurement.

Columns of texts, and those whose names are words for a stimulus, a repeat, a subject or a unit, are labels. A table
with a column for the unit and one for the value (long form) has a row per measurement.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.formats import Array, Contents, why

SUFFIXES = (".csv", ".tsv", ".parquet")

VALUE = ("value", "response", "rate", "firing_rate", "count", "spike_count", "activity", "beta")
"""What the column of values of a table in long form is called."""

UNITS = ("unit", "unit_id", "neuron", "neuron_id", "neuroid", "neuroid_id", "voxel", "channel", "cell", "electrode")
"""What its column of units is called."""

NUMBERED = ("repeat", "repetition", "trial", "subject", "session", "animal", "presentation", "index", "stimulus")
"""Columns of numbers that are labels, besides those that end with `_id`."""


def read(path: Path) -> Contents:
    """A table's columns of numbers as one array, and its others as labels of the rows.

    Raises:
      ValueError: one sentence.
    """
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", skipinitialspace=True)
    except ImportError:
        raise ValueError(f"{path} needs the package pyarrow: pip install 'model-zoo-trainer[parquet]'.") from None
    except Exception as error:  # pandas raises whatever it stumbles over
        raise ValueError(f"{path} cannot be read as a table ({why(error)}).") from None
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    table.columns = [str(column).strip() for column in table.columns]
    unit = next((column for column in table if column.lower() in UNITS), None)
    value = next((column for column in table if column.lower() in VALUE), None)
    if unit is not None and value is not None:
        return _long(path, table, unit, value)
    labels = [column for column in table if _is_label(table, column)]
    numbers = table.drop(columns=labels)
    if not len(numbers.columns) or not len(table):
        raise ValueError(f"{path} has no column of numbers; a table has a row per stimulus and a column per unit.")
    axes = ("stimulus", "unit")
    named = {"stimulus": _columns(table[labels]), "unit": {"unit": np.array(numbers.columns, str)}}
    return Contents({"": Array(numbers.to_numpy(np.float64), axes, named)}, {}, {})


def _is_label(table: Any, column: str) -> bool:
    numbers = pd.api.types.is_numeric_dtype(table[column])
    name = column.lower()
    return not numbers or name in NUMBERED or name.endswith("_id") or name.startswith("unnamed:")


def _columns(labels: Any) -> dict[str, np.ndarray]:
    """Labels by name; what pandas calls "Unnamed: 0" is the index that it wrote itself, a number per row."""
    named = {name: labels[name] for name in labels if not name.lower().startswith("unnamed:")}
    return {name: x.to_numpy(str if x.dtype.kind not in "iufb" else None) for name, x in named.items()}


def _long(path: Path, table: Any, unit: str, value: str) -> Contents:
    """A row per measurement, as `(row, unit)`, with one row per distinct set of the other labels."""
    others = [column for column in table if column not in (unit, value)]
    if not others:
        raise ValueError(f"{path} says of each value its {unit} and not its stimulus; add a column stimulus.")
    twice = table.duplicated([*others, unit]).sum()
    if twice:
        raise ValueError(
            f"{path} has {twice} values of the same {', '.join(others)} and {unit}; add a column repeat that tells "
            "them apart."
        )
    wide = table.pivot(index=others, columns=unit, values=value)
    labels = _columns(wide.index.to_frame(index=False))
    units = {unit: wide.columns.to_numpy(str)}
    return Contents(
        {"": Array(wide.to_numpy(np.float64), ("stimulus", "unit"), {"stimulus": labels, "unit": units})}, {}, {}
    )
