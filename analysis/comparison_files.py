"""What is made of a comparison of a zoo directory, whatever its values are of: slices, tests and means, files.

Every file is named in `analysis.artefacts`. A comparison of representations has more of them than one of distances that
an assay gives: those that are not there are not shown.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from analysis import artefacts
from analysis.inference.factors import LAYER_COUNT, layer_counts
from analysis.inference.field_tests import group_means, run_field_tests
from analysis.labelled_comparison import Comparison, MeasureRecord, plain_columns

__all__ = ["Slice", "remove_comparison", "slices", "write_comparison"]

NO_TESTS = ("measure", "layer", "field", "members", "testable", "not_held")
"""Columns of the tests where no measure is one that can be tested."""


class Slice(NamedTuple):
    """One measure at one layer.

    Attributes:
      variable: the measure's variable.
      layer: its name.
      table: one row per item: `item`, its name, the labels and, as `layers`, how many layers the network has; NaN, or
        "" of texts, where an item has no such label.
      values: `(item, item)`, in the order of the table.
    """

    variable: str
    layer: str
    table: pd.DataFrame
    values: np.ndarray


def slices(comparison: Comparison) -> list[Slice]:
    """Every measure at every layer of the networks.

    What came from elsewhere joins every layer, after its networks, but for what was taken out as a control; give
    `comparison.networks()` for networks alone.
    """
    network = comparison.is_network
    guests = np.flatnonzero(~network & (comparison.items.get("source", "") != "control"))
    if not len(guests):
        comparison = comparison.networks()
        network = comparison.is_network
    table: Any = comparison.items.reset_index(names="item")
    if "layer_depth" in table and LAYER_COUNT not in table:
        counts = pd.Series(layer_counts(plain_columns(table[network])), table.index[network], dtype="Int64")
        table[LAYER_COUNT] = counts.reindex(table.index)
    result = []
    for variable, measured in comparison.measures.items():
        for layer in dict.fromkeys(table["layer"][network]):
            rows = np.concatenate([np.flatnonzero(network & (table["layer"] == layer)), guests])
            part = plain_columns(table.iloc[rows].reset_index(drop=True))
            result.append(Slice(variable, str(layer), part, measured.values[np.ix_(rows, rows)]))
    return result


def write_comparison(
    zoo: Path,
    name: str,
    comparison: Comparison,
    fields: list[str],
    *,
    interactions: bool = False,
    beside: Callable[[Mapping[str, Path]], Any] = lambda parts: None,
) -> None:
    """Writes a comparison, the tests of the fields and the means; files of this name that are not made now go.

    Args:
      zoo: the zoo directory.
      name: of the comparison.
      comparison: with what came from elsewhere.
      fields: what was varied among its members.
      interactions: test every pair of fields, too.
      beside: writes what else belongs to it; it is given where, by the ends of `analysis.artefacts.ENDS`.
    """
    tests, means = _tests_and_means(comparison.networks(), fields, interactions)
    folder = zoo / artefacts.FOLDER
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as unfinished:  # a full disk costs nothing that was
        parts, files = ({end: place / (name + end) for end in artefacts.ENDS} for place in (Path(unfinished), folder))
        comparison.save(parts[artefacts.COMPARISON])
        means.to_csv(parts[artefacts.MEANS], index=False)
        tests.to_csv(parts[artefacts.FIELDS], index=False)
        beside(parts)
        # A report looks for the fields: the first to go and the last to come, so that it never mixes two comparisons.
        files[artefacts.FIELDS].unlink(missing_ok=True)
        for end in sorted(artefacts.ENDS, key=lambda end: end == artefacts.FIELDS):
            artefacts.remove(files[end])
            if parts[end].exists():
                parts[end].replace(files[end])


def remove_comparison(zoo: Path, name: str) -> None:
    """Removes all files of a comparison, those by which a report finds it first."""
    for end in sorted(artefacts.ENDS, key=lambda end: end != artefacts.FIELDS):
        artefacts.remove(artefacts.path_of(zoo, name, end))


def _tests_and_means(networks: Comparison, fields: list[str], interactions: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tests of the fields, and the mean similarities, of every measure at every layer."""
    tests, means = [], []
    with threadpool_limits(1, "blas"):  # small products: threads gain little, and on busy cores wait for each other
        for variable, layer, table, values in slices(networks):
            record, label = networks.measures[variable].record, {"measure": variable, "layer": layer}
            if record.kind != "score":  # no distance: how well one predicts another is not how far they are
                options: Any = dict(kind=record.kind, interactions=interactions)
                tests.append(run_field_tests(values, table, fields, label, **options))
            of_all = label | _references(variable, record)
            means.append(group_means(values, table, fields, of_all, kind=record.kind))
    return pd.concat(tests or [pd.DataFrame(columns=[*NO_TESTS])]), pd.concat(means)


def _references(variable: str, record: MeasureRecord) -> dict[str, Any]:
    """What no mean of similarities goes without: stimuli, estimator and chance, in words where it is no number."""
    words = f"differs by pair: {variable}_chance" if record.chance_by_pair else "no closed form"
    chance = words if record.chance is None else record.chance
    return {"n_stimuli": record.n_stimuli, "estimator": record.estimator, "chance": chance}
