"""One comparison of a zoo directory, as the pictures and lines of a report take it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from analysis.inference.factors import LAYERS, MOST_LEVELS, layer_counts, levels, tested_fields, told_apart
from analysis.scoring.recording_scores import networks
from zoo.store.reader import Trained


class Compared(NamedTuple):
    """One comparison of a zoo directory.

    Attributes:
      name: what its files start with: the task, and the probe's name where the images came from a file.
      title: of its figures.
      own: whether the probe is the task's own.
      result: similarities.
      fields: what was varied among its members.
      table: one row per member.
    """

    name: str
    title: str
    own: bool
    result: xr.Dataset
    fields: list[str]
    table: pd.DataFrame


def comparisons(trained: Trained, results: dict[str, xr.Dataset]) -> Iterator[Compared]:
    """The comparisons of a directory, in the zoo's order, the tasks' own probes first."""
    order = trained.members["member"].tolist()

    def place(name: str) -> tuple[bool, int]:
        return bool(results[name].attrs["stimuli"]), order.index(networks(results[name])["member_a"].to_numpy()[0])

    spec = trained.manifest["spec"]["name"]
    for name in sorted(results, key=place):
        result = results[name]
        alone = networks(result)
        own, ids = not result.attrs["stimuli"], dict.fromkeys(alone["member_a"].to_numpy().tolist())
        table: Any = trained.members.set_index("member").loc[list(ids)]
        if "layer_depth_a" in alone.coords and LAYERS not in table:
            items = pd.DataFrame({"member": alone["member_a"], "layer_depth": alone["layer_depth_a"]})
            counts = items.assign(layers=layer_counts(items)).drop_duplicates("member").set_index("member")["layers"]
            table = table.assign(**{LAYERS: counts.reindex(table.index)})
        title = name if name == spec else f"{spec}: {name}"
        title += f" ({space} of maps)" if (space := result.attrs["space"]) not in ("", "mean") else ""
        yield Compared(name, title, own, result, tested_fields(trained, table.index), table)


def colouring(study: Compared) -> str:
    """The field that groups members in pictures of all: the first that can be told apart, unless it has many levels."""
    first = [*told_apart(study.table, study.fields), "model"][0]
    return first if len(levels(study.table[first])) <= MOST_LEVELS else "model"


def categories_of(trained: Trained, study: Compared) -> pd.DataFrame | None:
    """Category structure, with the field that colours it; of networks that have not diverged."""
    path = trained.path / "analysis" / f"{study.name}-categories.csv"
    if not path.exists():
        return None
    table: Any = pd.read_csv(path)
    table = table[(table["status"] != "diverged") | ~table["trained"]]
    field = colouring(study)
    if field not in table:
        table = table.assign(**{field: study.table[field].reindex(table["member"]).to_numpy()})
    return table if len(table) else None
