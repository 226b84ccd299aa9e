"""One comparison of a zoo directory, as the pages of a report take it, read from what was written."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import artefacts
from analysis.comparison_files import Slice, slices
from analysis.inference.factors import LAYER_COUNT, MOST_LEVELS, layer_counts, levels, tested_fields
from analysis.labelled_comparison import ComparedTask, Comparison, EarlierFormat, MeasureRecord
from analysis.report.choices import chosen, shown_fields
from analysis.report.figures import GUESTS, states_of
from analysis.words import layer_words, subject_words
from zoo.store.reader import Trained


class ShownSlice(NamedTuple):
    """One measure at one layer, as pictures show it: without the networks of which nothing is known.

    Attributes:
      stem: of the names of its pictures: the layer, where there are layers, and the measure's variable.
      title: of its figures.
      layer: its name.
      variable: the measure's.
      record: of the measure.
      values: `(item, item)`, in the order of the table.
      table: one row per item; what came from elsewhere stays, with empty cells.
      fields: what is shown of the items, those chosen or what can be told apart.
    """

    stem: str
    title: str
    layer: str
    variable: str
    record: MeasureRecord
    values: np.ndarray
    table: pd.DataFrame
    fields: list[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """One comparison of a zoo directory.

    Attributes:
      trained: the zoo.
      name: what its files start with: the task, and the probe's name where the images came from a file; or the probe's
        name and the assay.
      title: of its figures.
      comparison: of all items.
      of_task: the task that it is of.
      fields: what was varied among its members.
      table: one row per member.
    """

    trained: Trained
    name: str
    title: str
    comparison: Comparison
    of_task: ComparedTask
    fields: list[str]
    table: pd.DataFrame

    def path(self, end: str) -> Path:
        """One of its files, there or not; `end` is one of `analysis.artefacts.ENDS`."""
        return artefacts.path_of(self.trained.path, self.name, end)

    def has(self, end: str) -> bool:
        """Whether it has this file."""
        return self.path(end).exists()

    @functools.cached_property
    def shown(self) -> list[ShownSlice]:
        """Every measure at every layer."""
        return [self._shown(whole) for whole in slices(self.comparison)]

    def _shown(self, whole: Slice) -> ShownSlice:
        variable, layer, table, values = whole
        rows = np.flatnonzero(np.isfinite(values).any(1) | np.isin(states_of(table), GUESTS))
        record, fields = self.comparison.measures[variable].record, shown_fields(table, self.fields)
        table, values = table.iloc[rows].reset_index(drop=True), values[np.ix_(rows, rows)]
        title, stem = f"{self.title}, {layer_words(layer)}", f"{layer}-{variable}"
        if not record.n_stimuli:  # an assay's, whose name is in the title, and no layer's
            title, stem = self.title, variable
        return ShownSlice(stem, title, layer, variable, record, values, table, fields)

    @functools.cached_property
    def means(self) -> pd.DataFrame:
        """The mean similarities; see `analysis.inference.field_tests.group_means`."""
        return pd.read_csv(self.path(artefacts.MEANS))

    @functools.cached_property
    def told(self) -> tuple[str, str]:
        """The measure and the layer that lines are of, for the rest is in the files: the first, at the last layer."""
        items = self.comparison.networks().items
        depths = items["layer_depth"] if "layer_depth" in items else pd.Series(np.arange(len(items)), items.index)
        by_layer = depths.groupby(items["layer"], sort=False).agg(["size", "mean"])  # the deepest that the most have
        layer = str(max(by_layer.index, key=lambda layer: tuple(by_layer.loc[layer])))
        return self.means["measure"].iloc[0], layer

    def colouring(self) -> str:
        """The field that groups its members in pictures of all."""
        return colouring(self.table, self.fields)


def colouring(table: pd.DataFrame, fields: Sequence[str]) -> str:
    """The field that groups members in pictures of all: the first shown, if it was chosen or has few levels."""
    first = [*shown_fields(table, fields), "model"][0]
    return first if first in chosen().by or len(levels(table[first])) <= MOST_LEVELS else "model"


def title_of(trained: Trained, task: str, name: str) -> str:
    """The title of figures: the zoo, and what is shown of it in words: "demo: Handwritten digits".

    Args:
      trained: the zoo.
      task: its name.
      name: what is shown: the task's name, and what sets it apart from others, as "flipflop bits=2".
    """
    return f"{trained.manifest['spec']['name']}: {subject_words(task, name)}"


def read_comparisons(trained: Trained) -> tuple[dict[str, Comparison], list[str]]:
    """The comparisons of a directory by name, and a sentence for each that cannot be drawn.

    Raises:
      ValueError: one cannot be read.
    """
    fitting, refusals = {}, []
    there = set(trained.members["member"])
    for name in artefacts.names(trained.path):
        try:
            comparison = Comparison.load(artefacts.path_of(trained.path, name, artefacts.COMPARISON))
            if comparison.of_task is None or not there.issuperset(comparison.networks().items["member"]):
                raise EarlierFormat.of(name)
            fitting[name] = comparison
        except EarlierFormat as refusal:
            refusals.append(str(refusal))
    return fitting, refusals


def compared_in_order(trained: Trained, comparisons: Mapping[str, Comparison]) -> Iterator[Compared]:
    """The comparisons of a directory, in the zoo's order: on tasks' own probes, on images of files, of assays."""
    order = trained.members["member"].tolist()

    def place(name: str) -> tuple[bool, bool, int]:
        first, of_task = comparisons[name].networks().items["member"].iloc[0], _task_of(comparisons[name])
        return bool(of_task.assay), bool(of_task.stimuli), order.index(first)

    for name in sorted(comparisons, key=place):
        comparison = comparisons[name]
        alone = comparison.networks().items
        table: Any = trained.members.set_index("member").loc[alone["member"].drop_duplicates().tolist()]
        if "layer_depth" in alone and LAYER_COUNT not in table:
            counts = alone.assign(layers=layer_counts(alone)).drop_duplicates("member").set_index("member")["layers"]
            table = table.assign(**{LAYER_COUNT: counts.reindex(table.index)})
        of_task = _task_of(comparison)
        title = title_of(trained, of_task.task, of_task.shown or name)
        title += f": {of_task.assay}" if of_task.assay else ""
        title += f" ({comparison.space} of maps)" if comparison.space not in ("", "mean") else ""
        fields = tested_fields(trained, table.index)
        yield Compared(trained, name, title, comparison, of_task, fields, table)


def of_assay(comparison: Comparison) -> bool:
    """Whether a comparison is of distances that an assay gave."""
    return bool(_task_of(comparison).assay)


def _task_of(comparison: Comparison) -> ComparedTask:
    if comparison.of_task is None:
        raise ValueError("A comparison of other representations is of no task and cannot be reported.")
    return comparison.of_task
