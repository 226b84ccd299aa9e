"""One comparison of a zoo directory, as the pictures and lines of a report take it, read from what was written."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from analysis import artefacts
from analysis.inference.factors import LAYERS, MOST_LEVELS, layer_counts, levels, tested_fields, told_apart
from analysis.labelled_comparison import ComparedTask, Comparison, EarlierFormat
from zoo.store.reader import Trained


class Compared(NamedTuple):
    """One comparison of a zoo directory.

    Attributes:
      trained: the zoo.
      name: what its files start with: the task, and the probe's name where the images came from a file.
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

    def tests(self) -> pd.DataFrame:
        """The tests of the fields; see `analysis.inference.field_tests.run_field_tests`."""
        return pd.read_csv(self._path(artefacts.FIELDS))

    def means(self) -> pd.DataFrame:
        """The mean similarities; see `analysis.inference.field_tests.group_means`."""
        return pd.read_csv(self._path(artefacts.MEANS))

    def mean_rdms(self) -> xr.Dataset:
        """The mean RDMs; see `analysis.zoo_comparison.mean_rdms`."""
        return artefacts.read_dataset(self._path(artefacts.MEAN_RDMS))

    def layers(self) -> xr.Dataset | None:
        """Layers against layers, see `analysis.geometry.layer_correspondence`; None where they were not compared."""
        path = self._path(artefacts.LAYERS)
        return artefacts.read_dataset(path) if path.exists() else None

    def scores(self) -> pd.DataFrame | None:
        """The scores of recordings, see `analysis.scoring.recording_scores.scores`; None where there are none."""
        path = self._path(artefacts.SCORES)
        if not path.exists():
            return None
        texts: Any = dict.fromkeys(("measure", "recording", "layer", "kind", "name", "model"), str)
        return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])

    def categories(self) -> pd.DataFrame | None:
        """Category structure, with the field that colours it; of networks that have not diverged."""
        path = self._path(artefacts.CATEGORIES)
        if not path.exists():
            return None
        table: Any = pd.read_csv(path)
        table = table[(table["status"] != "diverged") | ~table["trained"]]
        field = self.colouring()
        if field not in table:
            table = table.assign(**{field: self.table[field].reindex(table["member"]).to_numpy()})
        return table if len(table) else None

    def colouring(self) -> str:
        """The field that groups members in pictures of all: the first told apart, unless it has many levels."""
        first = [*told_apart(self.table, self.fields), "model"][0]
        return first if len(levels(self.table[first])) <= MOST_LEVELS else "model"

    def _path(self, end: str) -> Any:
        return artefacts.path_of(self.trained.path, self.name, end)


def read_comparisons(trained: Trained) -> tuple[dict[str, Comparison], list[str]]:
    """The comparisons of a directory by name, and a sentence for each that cannot be drawn.

    Raises:
      ValueError: there is none, or one cannot be read.
    """
    names = artefacts.names(trained.path)
    if not names:
        raise ValueError(f"{trained.path} has no comparison to report; run compare first.")
    fitting, refusals = {}, []
    there = set(trained.members["member"])
    for name in names:
        try:
            comparison = Comparison.load(artefacts.path_of(trained.path, name, artefacts.COMPARISON))
            if comparison.of_task is None or not there.issuperset(comparison.networks().items["member"]):
                raise EarlierFormat.of(name)
            fitting[name] = comparison
        except EarlierFormat as refusal:
            refusals.append(str(refusal))
    return fitting, refusals


def in_order(trained: Trained, comparisons: Mapping[str, Comparison]) -> Iterator[Compared]:
    """The comparisons of a directory, in the zoo's order, the tasks' own probes first."""
    order = trained.members["member"].tolist()

    def place(name: str) -> tuple[bool, int]:
        first = comparisons[name].networks().items["member"].iloc[0]
        return bool(_task_of(comparisons[name]).stimuli), order.index(first)

    spec = trained.manifest["spec"]["name"]
    for name in sorted(comparisons, key=place):
        comparison = comparisons[name]
        alone = comparison.networks().items
        table: Any = trained.members.set_index("member").loc[alone["member"].drop_duplicates().tolist()]
        if "layer_depth" in alone and LAYERS not in table:
            counts = alone.assign(layers=layer_counts(alone)).drop_duplicates("member").set_index("member")["layers"]
            table = table.assign(**{LAYERS: counts.reindex(table.index)})
        title = name if name == spec else f"{spec}: {name}"
        title += f" ({comparison.space} of maps)" if comparison.space not in ("", "mean") else ""
        fields = tested_fields(trained, table.index)
        yield Compared(trained, name, title, comparison, _task_of(comparison), fields, table)


def _task_of(comparison: Comparison) -> ComparedTask:
    if comparison.of_task is None:
        raise ValueError("A comparison of other representations is of no task and cannot be reported.")
    return comparison.of_task
