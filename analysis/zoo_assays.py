"""The assays of a zoo directory: one assay of every network, trained and untrained, kept as one labelled file.

What an assay is stands in `analysis/assays/__init__.py`; where its file lies in `analysis.artefacts`. Cohorts are
assayed two at a time; what one has given is kept in a journal until the whole result is written, so that a killed run
goes on. What it gives of untrained networks is kept for good, for other moments of the same training. The key of what
is kept has all that decides it: the assay's name with its options, its code and that of all it uses, the networks' too,
the members and how far they were trained, the probe, the moment, and the assays that it needed.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from analysis import artefacts
from analysis.activations.probes import Probe, finished, finished_alike, names_apart, probes_of
from analysis.assays import _giving, _pictures, full_name
from analysis.assays._assayed import Assayed
from analysis.assays._distances import Networks, comparison_of_distances
from analysis.comparison_files import remove_comparison, write_comparison
from analysis.engine.journal import result_key
from analysis.engine.progress import SECONDS_UNTOLD, Progress, telling
from analysis.engine.side_by_side import in_order
from analysis.engine.sources import source_hash
from analysis.inference.factors import tested_fields
from analysis.labelled_comparison import ComparedTask, plain_array
from zoo import lookup
from zoo.spec.cohorts import Cohort
from zoo.spec.contracts import check_contract, made
from zoo.spec.fields import checked, name_of, values_of
from zoo.spec.settings import score_level
from zoo.store.reader import Trained, load
from zoo.tasks import is_environment, score_words
from zoo.training.status import DIVERGED_WORD
from zoo.wording import counted

__all__ = ["assay_of", "assay_zoo", "left_out", "read_result"]

NO_LABELS = ("member", "steps", "loss")
"""Columns of the member table that are no labels of a result."""

SOURCE = "source"
"""The attribute of a result that says of which code of the assay it is."""

COHORTS_AT_ONCE = 2

LEFT_OUT = "left_out"
"""The attribute of a result that says which cohorts the assay refused."""


def assay_of(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """An assay from its name and some of its options, checked.

    Raises:
      ValueError: there is no such assay or option, the option's value is not allowed, or the assay's file breaks the
        contract.
    """
    return made("assay", name, options or {})


def assay_zoo(
    directory: str | os.PathLike[str], assay: Any, at: str | int = "last", say: Callable[[str], Any] = print
) -> xr.Dataset:
    """One assay of all networks of a zoo directory that are trained to their end and that it takes.

    Args:
      directory: a trained zoo.
      assay: an `Assay`, or its name.
      at: "last", or a step of which there is a checkpoint; "score=0.5", one of `Training.score_levels`, for the
        networks that have reached it; "initial" for the untrained networks alone, which are there anyhow.
      say: takes the lines for the terminal, and others on how far it is where it takes long.

    Returns:
      What `read_result` gives of the file that was written.

    Raises:
      ValueError: no member is trained to its end; none is of a kind that the assay takes, or it refuses all; no
        checkpoint at this step; assays that need each other; an assay's file that breaks the contract.
    """
    if isinstance(assay, str):
        assay = assay_of(assay)
    else:
        check_contract("assay", type(assay))
        assay = checked(assay)
    with telling(say) as progress:
        return _AssayRun(load(directory), assay, str(at), progress).result(assay)


def read_result(path: Path) -> tuple[Any, xr.Dataset]:
    """An assay, and its result as it was written.

    Returns:
      The assay with its options. The dataset has `member` as its first dimension, every network twice, and the
      coordinate `trained` says which is which; the columns of the member table are coordinates, and so are `probe`,
      the id of what the network was shown, and `probe_name`, how a reader calls it. A ragged result has them along its
      own dimension.

    Raises:
      ValueError: the file cannot be read, or was written by an assay that is not there or has other options now.
    """
    result = artefacts.read_dataset(path, "result of an assay")
    if not {"assay", "options", "name"} <= result.attrs.keys() or not set(_giving.LABELS) <= set(result.coords):
        raise ValueError(f"{path} is no result of an assay, or of an earlier version.")
    options = {n: tuple(v) if isinstance(v, list) else v for n, v in json.loads(result.attrs["options"]).items()}
    return assay_of(result.attrs["assay"], options), result


class _AssayRun:
    """Assays of one directory at one moment: the one that was asked for, and those that it needs."""

    def __init__(self, trained: Trained, assay: Any, at: str, progress: Progress):
        self.trained, self.progress = trained, progress
        self.say = say = progress.say
        members = trained.members
        done = finished(trained)
        if not done.any():
            raise ValueError(f"{trained.path} has no member that is trained to its end; train it first.")
        if left := int((~done).sum()):
            say(f"{left} of {len(members)} members are not trained to their end and are left out")
        if score_level(at) is not None:
            reached = members["member"].isin(trained.with_checkpoint(members["member"], at))
            if not (done & reached).any():
                raise ValueError(f"No member of {trained.path} that is trained to its end has reached {at}.")
            if left := int((done & ~reached).sum()):
                say(f"{left} of {int(done.sum())} members have not reached {at} and are left out")
            done &= reached
        self.table: pd.DataFrame = members[done].set_index("member", drop=False)
        if diverged := int(np.count_nonzero(self.table["status"] == DIVERGED_WORD)):
            say(f"{counted(diverged, 'diverged member')} in the tables, and in no line or picture of trained networks")
        self.specs = {member.id: member for member in trained.zoo.members}
        self.at = self._moment(at, [member for cohort in self._cohorts(assay) for member in self._members(cohort)])
        self.probes: dict[str, Probe] = {c.id: probe for probe in probes_of(trained).values() for c in probe.cohorts}
        self.journal = trained.path / artefacts.FOLDER / artefacts.ASSAYS / artefacts.JOURNAL
        self.running: list[str] = []

    def _moment(self, text: str, members: Sequence[str]) -> str | int:
        """A moment of training from its text: "last", "initial", a score, or the number of a step that all members
        have."""
        if text in ("last", "initial"):
            return text
        if (level := score_level(text)) is not None:
            return f"score={level}"
        steps = self.trained.steps(members)
        if text.isdecimal() and int(text) in steps:
            return int(text) or "initial"
        raise ValueError(
            f'at is {text!r}; it must be "last", "initial", "score=0.5" or a step at which all these networks have a '
            f"checkpoint: {', '.join(map(str, steps))}."
        )

    def result(self, assay: Any) -> xr.Dataset:
        """The result of one assay, with those that it needs: read where it was written, else computed and written."""
        name = full_name(assay)
        if name in self.running:
            raise ValueError(f"The assays {', '.join(self.running)} need each other; one of them must not.")
        self.running.append(name)
        needs = {other: self.result(assay_of(other)) for other in assay.needs}
        self.running.pop()
        cohorts = self._cohorts(assay)
        name += "" if self.at == "last" else f"@{self.at}"
        path = artefacts.assay_path(self.trained.path, name)
        parts = [(cohort, is_trained) for cohort in cohorts for is_trained in self._states()]
        keys = [self._key(assay, cohort, is_trained) for cohort, is_trained in parts]
        labels = self._labels()
        of_distances = source_hash("analysis.comparison_files") if hasattr(assay, "distances") else ""
        key = result_key([*keys, of_distances, labels.to_csv()], ())
        if (known := _known(path, key)) is not None:
            self.say(f"{name}: was done before")
            self._end(assay, known, path)
            return known
        count = sum(len(self._members(cohort)) for cohort in cohorts)
        both = ", trained and untrained" if len(self._states()) > 1 else ""
        self.say(f"{name}: {counted(count, 'network')} in {counted(len(cohorts), 'cohort')}{both}")
        begin = time.monotonic()
        results, states = [], []
        refused: dict[str, list[str]] = {}
        given = self._given(assay, list(zip(keys, parts)), needs)
        for cohort, is_trained, result in self.progress.over(
            given, f"{name}: cohorts, trained and untrained", len(parts)
        ):
            if isinstance(result, ValueError):
                refused.setdefault(str(result), []).append(cohort.id)
            else:
                results.append(result)
                states.append(is_trained)
        if not results:
            raise ValueError(next(iter(refused)))
        result = _labelled(_giving.joined(assay, results), results, states, labels)
        options = json.dumps(values_of(assay))
        scored = json.dumps({name_of(c.members[0].task): score_words(c.members[0].task) for c in cohorts})
        result.attrs = {
            "scored": scored,
            "assay": name_of(assay),
            "options": options,
            "name": name,
            "at": str(self.at),
            "key": key,
            SOURCE: source_hash(type(assay).__module__),
            LEFT_OUT: json.dumps([_left_out(sentence, cohorts) for sentence, cohorts in refused.items()]),
        }
        # The result last: where it is, all that is made of it is.
        for line in self._compared(assay, result):
            self.say(line)
        for probe, table in _giving.tables_of(assay, result):
            table.to_csv(artefacts.assay_table(self.trained.path, probe, name), index=False)
        artefacts.write_dataset(result, path)
        for each in keys:
            artefacts.remove(self.journal / f"{each}.nc")
        if self.journal.is_dir() and not any(self.journal.iterdir()):
            self.journal.rmdir()
        if (seconds := time.monotonic() - begin) > SECONDS_UNTOLD:
            self.say(f"{name}: took {seconds:.0f} s")
        written = artefacts.read_dataset(path, "result of an assay")
        self._end(assay, written, path)
        return written

    def _compared(self, assay: Any, result: xr.Dataset) -> Iterator[str]:
        """Writes the comparisons that an assay's distances are, and says what was left out of them."""
        if not hasattr(assay, "distances"):
            return
        self.progress.doing("distances")
        name, folder = result.attrs["name"], self.trained.path
        given = _giving.distances_of(assay, result)
        for probe, part in _pictures.probes(result):
            called = artefacts.comparison_of_assay(probe, name)
            if probe not in given:
                remove_comparison(folder, called)
                continue
            members = part["member"].to_numpy().tolist()
            specs = [self.specs[member] for member in members]
            task = specs[0].task
            levels = float(task.chance), float(task.solved), finished_alike(self.trained, members)
            of_task = ComparedTask(name_of(task), "", *levels, name, probe)
            kinds = [(spec.task, spec.model, spec.seed) for spec in specs]
            table, trained = self.table.loc[members], part["trained"].to_numpy()
            networks = Networks(table, trained, kinds, str(part["probe"].to_numpy()[0]))
            comparison = comparison_of_distances(name_of(assay), given[probe], networks, of_task)
            if left_out := len(comparison.excluded):
                yield f"{called}: {counted(left_out, 'network')} of which no distance is known, left out"
            if len(comparison.items):
                write_comparison(folder, called, comparison, tested_fields(self.trained, comparison.items["member"]))
                words = ", ".join(comparison.measures)
                yield f"{called}: {counted(len(comparison.items), 'network')} compared by distance: {words}"
            else:
                remove_comparison(folder, called)

    def _end(self, assay: Any, result: xr.Dataset, path: Path) -> None:
        """The lines of the assay that was asked for; those that it needs say only what was left out."""
        for line in left_out(result):
            self.say(f"{result.attrs['name']}: {line}")
        if not self.running:
            for line in _giving.lines_of(assay, result):
                self.say(line)
            self.say(f"{result.attrs['name']} in {path}")

    def _states(self) -> tuple[bool, ...]:
        return (False,) if self.at == "initial" else (True, False)

    def _members(self, cohort: Cohort) -> list[str]:
        return [member.id for member in cohort.members if member.id in self.table.index]

    def _cohorts(self, assay: Any) -> list[Cohort]:
        """Those with finished members that the assay takes; an error where there are none."""
        there = [cohort for cohort in self.trained.zoo.cohorts if self._members(cohort)]
        kinds = {cohort.id: _kinds(cohort) for cohort in there}
        if fitting := [cohort for cohort in there if kinds[cohort.id] <= assay.takes]:
            return fitting
        has = sorted({" ".join(sorted(kind)) for kind in kinds.values()})
        raise ValueError(
            f"{self.trained.path} has nothing that {name_of(assay)} can be asked of: its networks are "
            f"{', '.join(has)}; {name_of(assay)} takes {', '.join(sorted(assay.takes))}."
        )

    def _labels(self) -> pd.DataFrame:
        """Member -> its row of the member table, the probe that it was shown, and that probe's name."""
        tasks: dict[str, list[Any]] = {}
        shown = {}
        for cohort in self.trained.zoo.cohorts:
            for member in cohort.members:
                if member.id in self.table.index:
                    probe = self.probes[cohort.id].id
                    shown[member.id] = probe, f"{name_of(member.task)}-{probe}"
                    tasks.setdefault(shown[member.id][1], []).append(member.task)
        names = names_apart(tasks)
        probes, keys = zip(*(shown[member] for member in self.table.index))
        columns: Any = {"probe": probes, "probe_name": [names[key] for key in keys]}
        return self.table.rename(columns={name: f"member.{name}" for name in columns}).assign(**columns)

    def _key(self, assay: Any, cohort: Cohort, is_trained: bool) -> str:
        """A hash of all that decides what the assay gives for one cohort."""
        rows = self.table.loc[self._members(cohort), ["member", "steps", "loss", "score"]]
        source = source_hash(type(assay).__module__, *(type(part).__module__ for part in cohort.members[0].parts))
        recipe = self.trained.recipe(cohort.id)
        words = (full_name(assay), source, jax.__version__, cohort.id, json.dumps(recipe, sort_keys=True))
        of_needs = [self._key(assay_of(other), cohort, is_trained) for other in assay.needs]
        when = self.at if is_trained else "initial"
        return result_key([*words, self.probes[cohort.id].id, when, rows.to_csv(index=False), *of_needs], ())

    def _given(
        self, assay: Any, parts: Sequence[tuple[str, tuple[Cohort, bool]]], needs: Mapping[str, xr.Dataset]
    ) -> Iterator[tuple[Cohort, bool, xr.Dataset | ValueError]]:
        """Cohort, state and result of every part, or why the assay refuses it, in order."""

        def of_cohort(own: Sequence[tuple[str, tuple[Cohort, bool]]]) -> list[Any]:
            given = []
            for key, (cohort, is_trained) in own:
                try:
                    result: Any = self._part(assay, key, cohort, is_trained, needs)
                except ValueError as error:
                    if isinstance(error, _giving.BrokenContract) or not lookup.says_itself(error):
                        raise
                    result = error
                given.append((cohort, is_trained, result))
            return given

        by_cohort: dict[str, list[Any]] = {}
        for part in parts:
            by_cohort.setdefault(part[1][0].id, []).append(part)
        for given in in_order(of_cohort, list(by_cohort.values()), COHORTS_AT_ONCE):
            yield from given

    def _part(
        self, assay: Any, key: str, cohort: Cohort, is_trained: bool, needs: Mapping[str, xr.Dataset]
    ) -> xr.Dataset:
        """What the assay gives for one cohort, trained or not: as it was kept, or computed and kept."""
        path = self.journal / f"{key}.nc"
        if not is_trained:
            path = artefacts.untrained_path(self.trained.path, full_name(assay), cohort.id)
        if (known := _known(path, key)) is not None:
            return known
        members, at = self._members(cohort), self.at if is_trained else "initial"
        given = {name: _of_networks(result, members, is_trained) for name, result in needs.items()}
        if missing := [other for other, result in given.items() if not result["member"].size]:
            raise ValueError(f"The assay needs {' and '.join(missing)}, which gave nothing of these networks.")
        result = _giving.result_of(assay, Assayed(self.trained, cohort, members, at, self.probes[cohort.id], given))
        artefacts.write_dataset(result.assign_attrs(key=key), path)
        return result


def is_of_this_version(assay: Any, result: xr.Dataset) -> bool:
    """Whether a result that was read is of the assay's code as it is now."""
    return result.attrs.get(SOURCE) == source_hash(type(assay).__module__)


def left_out(result: xr.Dataset) -> list[str]:
    """Which cohorts an assay refused, and why: a sentence for each reason."""
    return json.loads(result.attrs.get(LEFT_OUT, "[]"))


def _left_out(sentence: str, cohorts: Sequence[str]) -> str:
    names = list(dict.fromkeys(cohorts))
    return f"{sentence} Left out: {counted(len(names), 'cohort')}, {', '.join(names)}."


def _kinds(cohort: Cohort) -> set[str]:
    """What an assay must take to be asked of these networks."""
    member = cohort.members[0]
    return {member.model.family, *(["environment"] if is_environment(member.task) else [])}


def _known(path: Path, key: str) -> xr.Dataset | None:
    """What was written there of this key; None where there is nothing, something else, or a torn file."""
    if not path.exists():
        return None
    try:
        result = artefacts.read_dataset(path, "result of an assay")
    except ValueError:
        return None
    # How long its texts are and what its numbers are in this file must not decide how they are written in another.
    return result.drop_encoding() if result.attrs.get("key") == key else None


def _of_networks(result: xr.Dataset, members: Sequence[str], is_trained: bool) -> xr.Dataset:
    """The rows of a result that are of some networks."""
    rows = np.isin(result["member"].to_numpy(), members) & (result["trained"].to_numpy() == is_trained)
    return result.isel({result["member"].dims[0]: np.flatnonzero(rows)})


def _labelled(
    joined: xr.Dataset, parts: Sequence[xr.Dataset], trained: Sequence[bool], labels: pd.DataFrame
) -> xr.Dataset:
    """The results of all cohorts, with the labels of their members and their state."""
    first = str(joined["member"].dims[0])
    states = np.concatenate([np.full(part.sizes[first], state) for part, state in zip(parts, trained)])
    rows: Any = labels.loc[joined["member"].to_numpy().tolist()].drop(columns=list(NO_LABELS))
    columns = {}
    for name, column in rows.items():
        clashes = name in joined.variables or name in joined.dims
        columns[f"member.{name}" if clashes else str(name)] = (first, plain_array(column))
    return joined.assign_coords(trained=(first, states), **columns)
