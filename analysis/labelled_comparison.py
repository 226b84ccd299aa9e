"""What a comparison is: one typed table of its items, the values of every measure, and what holds for all of them.

What is made of a comparison, tests, scores, exports and pictures, takes a `Comparison`. An `xarray.Dataset`, with every
label as a coordinate twice, is only what leaves the program: `Comparison.dataset()`, and the netCDF file that
`Comparison.save` writes.
"""

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import xarray as xr

from analysis import artefacts
from analysis.long_names import described

__all__ = [
    "OUTSIDE_LABELS",
    "ZOO",
    "ComparedTask",
    "Comparison",
    "EarlierFormat",
    "LeftOut",
    "MeasureRecord",
    "Measured",
]

COMPARISON_FORMAT = 2
"""The form of a stored comparison; files of another form are refused."""

ZOO = "zoo"
"""The `source` of networks, beside items that came from elsewhere."""

OUTSIDE_LABELS = ("recording", "subject", "source")
"""Labels that only items from elsewhere have."""

TEXT = "text"
"""How a stored comparison calls a column of texts; the other columns are called by their pandas type."""

BESIDE = {
    "z": "standard deviations above chance, over permutations of the stimuli,",
    "p": "probability of a value as far on the side of the similar, over permutations of the stimuli,",
    "low": "lower 95 % limit, jackknife over stimuli,",
    "high": "upper 95 % limit, jackknife over stimuli,",
}
"""What the variables beside a measure's values are."""

WAYS = {
    "similarity": "higher is more alike, 1 is identical",
    "distance": "lower is more alike, 0 is identical",
    "score": "higher is better, 1 is perfect",
}
"""Which way the values of a kind of measure are read."""


class EarlierFormat(ValueError):
    """A stored comparison has the form of another version, or is of another zoo."""

    @classmethod
    def of(cls, name: str) -> Self:
        """The refusal of the comparison of this name."""
        return cls(f"{name} was compared by an earlier version or in another zoo; compare it again to have it drawn")


@dataclasses.dataclass(frozen=True)
class MeasureRecord:
    """What a measure's values do not go without.

    Attributes:
      name: of the measure, with its choices.
      kind: "similarity", "distance" or "score".
      n_stimuli: how many stimuli the values are of, 0 of distances that an assay gives.
      estimator: what is estimated, in words.
      n_times: rows per stimulus, None where items differ in it.
      identity: the value of an item with itself, NaN where it is not one number.
      symmetric: whether the value of a and b is that of b and a; if not, row a predicts column b.
      invariances: what one may do to a representation without changing a value.
      precision: of matrix products.
      is_metric: whether the distance, or the angle of the similarity, keeps the triangle inequality.
      cosine: whether a value is the cosine of one map per item.
      rdm_compare: how RDMs are compared, "" where the measure compares no RDMs.
      chance: the value of unrelated items; None where it is not known in closed form or differs by pair.
      chance_by_pair: whether it is known and differs by pair.
      chance_sd: its standard deviation over permutations of the stimuli; None where that is not known.
      undefined: items whose map has no structure beyond rounding: their values are NaN.
      empty: items that the measure cannot be had of: their values are NaN.
      empty_because: why, "" where there are none.
      control: what was taken out of the values besides, "" where nothing was.
      nulls: how z and p were had, "" where there are none.
      limits: what `low` and `high` are over, "" where there are none.
    """

    name: str
    kind: str
    n_stimuli: int
    estimator: str = ""
    n_times: int | None = 1
    identity: float = 1.0
    symmetric: bool = True
    invariances: tuple[str, ...] = ()
    precision: str = "highest"
    is_metric: bool = True
    cosine: bool = False
    rdm_compare: str = ""
    chance: float | None = None
    chance_by_pair: bool = False
    chance_sd: float | None = None
    undefined: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    empty_because: str = ""
    control: str = ""
    nulls: str = ""
    limits: str = ""

    @property
    def way(self) -> str:
        """Which way is more alike, or better, in words."""
        return WAYS[self.kind]

    def attributes(self) -> dict[str, Any]:
        """The fields as attributes of netCDF: lists as JSON, true and false as 1 and 0, and what is None is absent."""
        attributes: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                value = int(value) if isinstance(value, bool) else value
                attributes[field.name] = json.dumps(value) if isinstance(value, tuple) else value
        return attributes

    @classmethod
    def of_attributes(cls, attributes: dict[Any, Any]) -> Self:
        """The record that `attributes` was made of; what else stands among them is passed over."""
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name not in attributes:  # none, or not known to an earlier version
                fields[field.name] = "" if isinstance(field.default, str) else None
            elif isinstance(field.default, tuple):
                fields[field.name] = tuple(json.loads(attributes[field.name]))
            elif isinstance(field.default, bool):
                fields[field.name] = bool(attributes[field.name])
            else:
                fields[field.name] = _plain(attributes[field.name])
        return cls(**fields)


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """One measure over all pairs of items.

    Attributes:
      record: what the values are of.
      values: `(item, item)`; NaN for pairs that were not compared or have no value.
      chance: `(item, item)`, where it differs by pair, else None.
      extras: what stands beside each value, such as z, p, low and high, by name, each `(item, item)`.
    """

    record: MeasureRecord
    values: np.ndarray
    chance: np.ndarray | None = None
    extras: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def select(self, rows: np.ndarray) -> "Measured":
        """The values of some items, with each other."""
        block = np.ix_(rows, rows)
        chance = None if self.chance is None else self.chance[block]
        extras = {name: values[block] for name, values in self.extras.items()}
        return Measured(self.record, self.values[block], chance, extras)


class ComparedTask(NamedTuple):
    """The task of a zoo directory that a comparison is of.

    Attributes:
      task: its name.
      stimuli: the name of the file of images that was shown, "" where it was the task's own probe.
      chance: the task's score of a network that knows nothing.
      solved: the score that counts as solved.
      finished: how many members were trained to their end on this task when they were compared.
      assay, shown: the full name of the assay that gave the values, and its probe's name; "" of representations.
    """

    task: str
    stimuli: str
    chance: float
    solved: float
    finished: int
    assay: str = ""
    shown: str = ""


class LeftOut(NamedTuple):
    """An item that was left out because it is NaN or constant over stimuli.

    Attributes:
      name: of the item.
      member, layer: its labels, "" where it has none, or where an earlier version has written the comparison.
      trained: whether the member is trained.
    """

    name: str
    member: str = ""
    layer: str = ""
    trained: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Every pair of items under every measure.

    Attributes:
      items: one row per item, its index the items' names; a column per label, and `units`, 0 of ready RDMs. Columns are
        bool, int64 or float64, and text, "" where an item has none; where items lack a whole number or a truth value,
        the column is pandas' Int64 or boolean and they are NA, and a float that lacks is NaN.
      measures: variable -> its values; a variable is called by the measure's family, or by its full name where there
        are several of one family.
      probe: the probe's id, "" where none is known.
      space: how maps of convolution layers were reduced, "" where there are none.
      dt: ms between the time steps compared, 0 where there are none.
      layers: "equal", or "all" where items of unequal layers were compared too.
      excluded: the items that were left out.
      of_task: which task of a zoo directory it is of; None for other representations.
    """

    items: pd.DataFrame
    measures: dict[str, Measured]
    probe: str = ""
    space: str = ""
    dt: float = 0.0
    layers: str = "equal"
    excluded: tuple[LeftOut, ...] = ()
    of_task: ComparedTask | None = None

    @property
    def names(self) -> list[str]:
        """The items' names."""
        return self.items.index.tolist()

    @property
    def is_network(self) -> np.ndarray:
        """`(item,)`: which items are networks, and not from elsewhere."""
        source = self.items["source"] if "source" in self.items else pd.Series(ZOO, self.items.index)
        return (source == ZOO).to_numpy(bool)

    def select(self, rows: np.ndarray) -> "Comparison":
        """Some of the items; a column in which then nothing is missing is of a plain type again."""
        items = self.items.iloc[rows]
        items = items.assign(**{name: _filled(column) for name, column in items.items()})
        measures = {name: measured.select(rows) for name, measured in self.measures.items()}
        return dataclasses.replace(self, items=items, measures=measures)

    def networks(self) -> "Comparison":
        """The comparison without what came from elsewhere, and without the labels that only such items have."""
        if "source" not in self.items:
            return self
        alone = self.select(np.flatnonzero(self.is_network))
        return dataclasses.replace(alone, items=alone.items.drop(columns=list(OUTSIDE_LABELS), errors="ignore"))

    def dataset(self) -> xr.Dataset:
        """The comparison as it leaves the program.

        Returns:
          A variable per measure over the dimensions `a` and `b`, indexed by the items' names, with every column of the
          table as a coordinate twice, `<column>_a` and `<column>_b`, and a measure's `MeasureRecord` in its attributes,
          beside `long_name` and `units` of each; `<variable>_chance` where it differs by pair; `<variable>_<extra>`.
        """
        variables: dict[str, Any] = {}
        for name, measured in self.measures.items():
            record = measured.record
            if measured.chance is not None:
                about = _named(f"chance level of {record.name}: mean over permutations of the stimuli")
                variables[f"{name}_chance"] = (("a", "b"), measured.chance, about)
            named = {"long_name": f"{record.name}, a {record.kind}", "extras": json.dumps(list(measured.extras))}
            variables[name] = (("a", "b"), measured.values, record.attributes() | named)
            for extra, values in measured.extras.items():
                about = _named(f"{BESIDE.get(extra, extra)} of {record.name}")
                variables[f"{name}_{extra}"] = (("a", "b"), values, about)
        columns = {str(name): plain_array(column) for name, column in self.items.items()}
        coords: dict[str, Any] = {}
        for dimension in ("a", "b"):
            coords[dimension] = (dimension, np.array(self.names))
            coords |= {f"{column}_{dimension}": (dimension, labels) for column, labels in columns.items()}
        about: dict[str, Any] = {"format": COMPARISON_FORMAT, "probe": self.probe, "space": self.space, "dt": self.dt}
        about |= {"layers": self.layers, "excluded": json.dumps(self.excluded)}
        about["columns"] = json.dumps({str(name): _type_of(column) for name, column in self.items.items()})
        return described(xr.Dataset(variables, coords, about | (self.of_task._asdict() if self.of_task else {})))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the comparison as netCDF; a reader sees the old file or the new one, never a part."""
        artefacts.write_dataset(self.dataset(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Comparison":
        """Reads what `save` wrote.

        Raises:
          EarlierFormat: an earlier version has written it.
          ValueError: there is no such file, or it cannot be read.
        """
        dataset = artefacts.read_dataset(path)
        about = {name: _plain(value) for name, value in dataset.attrs.items()}
        if about.get("format") != COMPARISON_FORMAT:
            raise EarlierFormat.of(Path(path).stem)
        types = json.loads(about["columns"]).items()
        columns = {name: _restored(dataset[f"{name}_a"].to_numpy(), kind) for name, kind in types}
        items = pd.DataFrame(columns, index=pd.Index(dataset["a"].to_numpy().tolist()))
        measures = {}
        for name, variable in dataset.data_vars.items():
            if "kind" not in variable.attrs:
                continue
            record = MeasureRecord.of_attributes(variable.attrs)
            chance = dataset[f"{name}_chance"].to_numpy() if record.chance_by_pair else None
            extras = {extra: dataset[f"{name}_{extra}"].to_numpy() for extra in json.loads(variable.attrs["extras"])}
            measures[str(name)] = Measured(record, variable.to_numpy(), chance, extras)
        of_task = {field: about[field] for field in ComparedTask._fields if field in about}  # not all of earlier ones
        rows = json.loads(about["excluded"])
        excluded = tuple(LeftOut(row) if isinstance(row, str) else LeftOut(*row) for row in rows)  # once names alone
        rest = {name: about[name] for name in ("probe", "space", "dt", "layers")}
        return cls(items, measures, excluded=excluded, of_task=ComparedTask(**of_task) if of_task else None, **rest)


def typed_column(values: Iterable[Any], names: pd.Index) -> pd.Series:
    """A label of all items as a column of `Comparison.items`, of the type that all values have that are not missing.

    Args:
      values: one per item; None or NaN where an item has none. What is no number and no truth value is told as text.
      names: of the items, the column's index.
    """
    labels = list(values)
    missing = [bool(pd.isna(label)) if np.ndim(label) == 0 else False for label in labels]
    present = [label for label, gone in zip(labels, missing) if not gone]
    if present and all(isinstance(label, (bool, np.bool_)) for label in present):
        kind = "boolean" if any(missing) else "bool"
    elif present and all(_is_number(label, (int, np.integer)) for label in present):
        kind = "Int64" if any(missing) else "int64"
    elif present and all(_is_number(label, (int, float, np.number)) for label in present):
        kind = "float64"
        labels = [np.nan if gone else label for label, gone in zip(labels, missing)]
    else:
        return pd.Series(["" if gone else str(label) for label, gone in zip(labels, missing)], names)
    nullable = kind in ("boolean", "Int64")
    return pd.Series([None if nullable and gone else label for label, gone in zip(labels, missing)], names, dtype=kind)


def plain_array(column: pd.Series) -> np.ndarray:
    """A column of `Comparison.items` as netCDF knows it: bool, numbers (NaN where missing) or texts ("" where so)."""
    kind = _type_of(column)
    if kind == "Int64":
        return column.to_numpy(np.float64, na_value=np.nan)
    if kind in (TEXT, "boolean"):
        return np.array(["" if gone else str(value) for value, gone in zip(column.tolist(), column.isna())])
    return column.to_numpy()


def plain_columns(items: pd.DataFrame) -> pd.DataFrame:
    """The table for tests and pictures, which know no NA: a column that lacks values is of objects, with NaN there."""
    columns = {}
    for name, column in items.items():
        filled = _filled(column)
        if _type_of(filled) in ("Int64", "boolean"):
            filled = filled.astype(object).where(filled.notna(), np.nan)
        columns[name] = filled
    return pd.DataFrame(columns)


def _named(words: str) -> dict[str, str]:
    return {"name": words, "long_name": words}


def _plain(attribute: Any) -> Any:
    """An attribute as netCDF gives it back, as Python's own number or text."""
    return attribute.item() if isinstance(attribute, np.generic) else attribute


def _is_number(label: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(label, kinds) and not isinstance(label, (bool, np.bool_))


def _type_of(column: pd.Series) -> str:
    name = str(column.dtype)
    return name if name in ("bool", "boolean", "int64", "Int64", "float64") else TEXT


def _filled(column: pd.Series) -> pd.Series:
    """A nullable column in which nothing is missing, as a plain one."""
    plain = {"Int64": "int64", "boolean": "bool"}.get(_type_of(column))
    return column.astype(plain) if plain and not column.isna().any() else column


def _restored(labels: np.ndarray, kind: str) -> Any:
    """The column that `plain_array` told."""
    if kind == "Int64":
        return pd.array([None if np.isnan(label) else int(label) for label in labels], dtype="Int64")
    if kind == "boolean":
        return pd.array([None if label == "" else label == "True" for label in labels.tolist()], dtype="boolean")
    return labels.tolist() if kind == TEXT else labels
