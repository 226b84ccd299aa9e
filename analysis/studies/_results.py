"""What a study has found of some of its networks: what the answers to its claims are made of."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from analysis import artefacts
from analysis.activations.probes import probes_of
from analysis.assays import full_name
from analysis.engine.journal import result_key
from analysis.engine.sources import source_hash
from analysis.geometry.embedding import true_distance
from analysis.labelled_comparison import Comparison
from analysis.zoo_assays import assay_of, read_result
from zoo.files import write_atomically
from zoo.store.reader import Trained
from zoo.training.status import DIVERGED_WORD, SOLVED_WORD, UNFINISHED
from zoo.wording import counted

__all__ = ["ALL", "ASKED_STATES", "BEFORE", "SOLVED", "Pairs", "Results"]

ALL, SOLVED, BEFORE = "all", "solved", "untrained"
ASKED_STATES = (ALL, SOLVED, BEFORE)
"""Of which networks a claim is asked: all that were trained to their end and stayed finite, those that solved their
task, and the first again before training."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """How far networks are from each other.

    Attributes:
      values: `(network, network)`, a true distance, or the values of a measure that is none.
      table: one row per network, with the columns of the member table.
    """

    values: np.ndarray
    table: pd.DataFrame


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """What was found of some networks of a zoo directory.

    Attributes:
      trained: the directory.
      state: which networks, one of `ASKED_STATES`.
      known: what `once` has computed.
    """

    trained: Trained
    state: str = ALL
    known: dict[Any, Any] = dataclasses.field(default_factory=dict)

    def once(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        """What several claims need, computed at the first: of these networks, under a key."""
        if key not in self.known:
            self.known[key] = compute()
        return self.known[key]

    def kept(
        self, name: str, words: Sequence[Any], modules: Sequence[str], compute: Callable[[], pd.DataFrame]
    ) -> pd.DataFrame:
        """A table that takes long: as it was written of the same networks with the same code, or computed and written.

        Args:
          name: of the file.
          words: what decides the table, beside the networks and their probes.
          modules: whose code decides it, with all that they use.
          compute: gives it.
        """
        parts = {type(part).__module__ for member in self.trained.zoo.members for part in member.parts}
        probes = [probe.id for probe in probes_of(self.trained).values()]
        sources = source_hash(*modules, *sorted(parts))
        key = result_key([*words, sources, jax.__version__, *probes, self.trained.members.to_csv(index=False)], ())
        path = self.trained.path / artefacts.FOLDER / f".{name}-{key[:16]}.csv"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, compute().to_csv(index=False).encode())
        return pd.read_csv(path)

    def comparisons(self, end: str) -> list[str]:
        """The names of the directory's comparisons that end so."""
        return [name for name in artefacts.names(self.trained.path) if name.endswith(end)]

    @functools.cached_property
    def members(self) -> pd.DataFrame:
        """The rows of the member table of these networks."""
        table: Any = self.trained.members
        gone = table["status"].isin([DIVERGED_WORD, *UNFINISHED])
        kept = table["status"] == SOLVED_WORD if self.state == SOLVED else ~gone
        return table[kept].set_index("member", drop=False)

    def of_task(self, task: str) -> pd.DataFrame:
        """Those rows that are of one task.

        Raises:
          ValueError: there are none.
        """
        rows: Any = self.members[self.members["task"] == task]
        if rows.empty:
            there = sorted(self.trained.members["task"].unique())
            if task not in there:
                raise ValueError(f"{task}: no network of the zoo does it; they do {', '.join(there)}.")
            what = "solved it" if self.state == SOLVED else "is trained to its end"
            raise ValueError(f"{task}: no network {what}.")
        return rows

    def pairs(self, name: str, variable: str, layer: str, *, true: bool = True) -> Pairs:
        """Values of a comparison between these networks, without those of which none are known.

        Args:
          name: of the comparison: a task, or "<task>-<assay>".
          variable: the measure's, by its full name or its family.
          layer: where.
          true: as true distances, see `analysis.geometry.embedding.true_distance`; else as the measure gives them.

        Raises:
          ValueError: there is no such comparison, measure or layer; or fewer than two networks are left.
        """
        comparison = _comparison(artefacts.path_of(self.trained.path, name, artefacts.COMPARISON)).networks()
        measured = comparison.measures[_variable(comparison, name, variable)]
        items = comparison.items
        there = items["member"].isin(self.members.index.tolist()) & (items["layer"] == layer)
        rows = np.flatnonzero(there & (items["trained"] == (self.state != BEFORE)))
        values = measured.values[np.ix_(rows, rows)]
        known = np.isfinite(values.diagonal()) & (np.isfinite(values).sum(1) > 1)
        rows, values = rows[known], values[np.ix_(known, known)]
        if len(rows) < 2:
            raise ValueError(f"{name}: {counted(len(rows), 'network')} can be compared by {variable} at {layer}.")
        if true:
            values = true_distance(values, measured.record.kind)
        return Pairs(values, self.members.loc[items["member"].iloc[rows].tolist()].reset_index(drop=True))

    def assay(self, name: str, **options: Any) -> xr.Dataset:
        """What an assay has found of these networks, along its first dimension.

        Raises:
          ValueError: it was not run, or none of these networks is in it.
        """
        path = artefacts.assay_path(self.trained.path, full_name(assay_of(name, options)))
        if not path.exists():
            raise ValueError(f"{path.stem} was not run on {self.trained.path}.")
        result = _assay(path)
        first = result["member"].dims[0]
        kept = np.isin(result["member"].to_numpy(), self.members.index.to_numpy())
        kept &= result["trained"].to_numpy() == (self.state != BEFORE)
        if not kept.any():
            raise ValueError(f"{path.stem}: has none of these networks.")
        return result.isel({first: np.flatnonzero(kept)})


@functools.lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> Comparison:
    return Comparison.load(path)


def _comparison(path: Path) -> Comparison:
    """The comparison of a file, read once while the file stays."""
    if not path.exists():
        raise ValueError(f"There is no comparison {path.stem} in {path.parent}.")
    return _read(path, path.stat().st_mtime_ns)


def _variable(comparison: Comparison, name: str, asked: str) -> str:
    """The variable of a measure that was asked for by its family, its choices or its full name."""
    for variable, measured in comparison.measures.items():
        if asked in (variable, measured.record.name):
            return variable
    raise ValueError(f"{name}: was not compared by {asked}.")


@functools.lru_cache(maxsize=8)
def _read_assay(path: Path, changed: int) -> xr.Dataset:
    return read_result(path)[1]


def _assay(path: Path) -> xr.Dataset:
    return _read_assay(path, path.stat().st_mtime_ns)
