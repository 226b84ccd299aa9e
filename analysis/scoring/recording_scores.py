"""Networks against recordings: scores, what they are worth beside baselines, and the ceiling that noise sets."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.activations import baselines, spaces
from analysis.activations.probes import Probe, kept_every
from analysis.activations.stimuli import Stimuli
from analysis.activations.types import RDM, Group, Outside
from analysis.labelled_comparison import ZOO, Comparison, Measured, MeasureRecord
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.members import halves, members_of
from analysis.recordings.networks import read_networks
from analysis.recordings.pieces import Piece
from analysis.recordings.reading import NOTHING, read_file
from analysis.scoring import ceilings
from analysis.scoring.partialling import partial
from analysis.words import short_names
from zoo.training.status import DIVERGED_WORD

__all__ = ["SCORE_COLUMNS", "Joined", "networks_from", "outside", "score_lines", "score_table"]

SCORE_COLUMNS = (
    *("measure", "recording", "layer", "kind", "name", "model", "score", "sem", "subjects", "partial"),
    *("ceiling_lower", "ceiling_upper", "n_stimuli"),
)
"""The columns of a table of scores; see `score_table`."""

CONTROL = "baseline/silhouette"
"""What partial scores are given: an outline alone is as good as many networks in early visual cortex."""

OTHER_HALF = "other half of the units"


class Joined(NamedTuple):
    """What joins one task's networks, and the part of the probe on which it can.

    Attributes:
      members: recordings, halves of their units, baselines.
      stimuli: places among the stimuli shown, rising: those that are compared.
      steps: places among the networks' time steps that were kept, rising.
    """

    members: list[Outside]
    stimuli: np.ndarray
    steps: np.ndarray


def outside(
    files: Sequence[str | os.PathLike[str]],
    known: Mapping[str, Probe],
    stimuli: Stimuli | None = None,
    *,
    pool: bool = False,
    say: Callable[[str], Any] = lambda line: None,
) -> dict[str, Joined]:
    """The recordings of the files, the halves of their units, and the baselines, by task; {} where there is no file.

    Of several tasks a recording joins those whose stimuli it is of.

    Args:
      files: see `analysis.recordings.reading.read_recordings`.
      known: what the networks were shown, task by task.
      stimuli: the images of the probe, where they are of a file.
      pool: see `analysis.recordings.members.members_of`.
      say: takes a line per recording on how it was read, and for whatever is left out.

    Raises:
      ValueError: a file cannot be read, is of no task's stimuli, or has the name of another.
    """
    shown = {task: _shown(probe) for task, probe in known.items()}
    by_task: dict[str, list[tuple[str, Piece]]] = {}
    for path in files:
        wrong: list[ValueError] = []
        for task in known:
            lines: list[str] = []
            try:
                by_task.setdefault(task, []).extend(read_file(path, shown[task], lines.append))
            except ValueError as error:
                wrong.append(error)
                continue
            for line in lines:
                say(line)
        if len(wrong) == len(known):
            raise _most_telling(wrong, known)
    joined = {}
    for task, pieces in by_task.items():
        if pieces:
            joined[task] = _joined(known[task], shown[task], pieces, stimuli, pool, say)
    return joined


def networks_from(
    folder: Path, known: Mapping[str, Probe], space: str, *, say: Callable[[str], Any] = lambda line: None
) -> dict[str, tuple[list[Group], list[str]]]:
    """By task, the networks of a folder as groups of items, and the fields that they differ in.

    Args:
      folder: see `analysis.recordings.networks`; they join the tasks whose stimuli they were shown.
      known: what the zoo's networks were shown, task by task.
      space: how maps become patterns, see `analysis.activations.spaces`.
      say: takes a line per network.

    Raises:
      ValueError: the folder cannot be read, or is of no task's stimuli.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder of networks at {folder}.")
    found: dict[str, tuple[list[Group], list[str]]] = {}
    wrong: list[ValueError] = []
    for task, probe in known.items():
        lines: list[str] = []
        try:
            found[task] = read_networks(folder, _shown(probe), spaces.parse(space), lines.append)
        except ValueError as error:
            wrong.append(error)
            continue
        for line in lines:
            say(f"{task}: read {line}")
    if not found:
        raise wrong[0]
    return found


def _joined(
    probe: Probe,
    shown: ShownStimuli,
    pieces: list[tuple[str, Piece]],
    stimuli: Stimuli | None,
    pool: bool,
    say: Callable[[str], Any],
) -> Joined:
    recorded = members_of(pieces, shown, pool)
    for line in recorded.receipt:
        say(f"read {line}")
    alone = [recording for recording in recorded.members if not recording.labels["subject"]]
    members = recorded.members + [half for recording in alone for half in halves(recording)]
    if len(recorded.stimuli) < shown.stimuli:
        say(f"{len(recorded.stimuli)} of {shown.stimuli} stimuli were recorded, and these are compared")
    steps = recorded.steps if len(shown.times) else None
    references = [baseline.at(recorded.stimuli, steps) for baseline in _baselines(probe, stimuli)]
    return Joined(members + references, recorded.stimuli, recorded.steps)


def _most_telling(errors: Sequence[ValueError], known: Mapping[str, Probe]) -> ValueError:
    """Of what is wrong with a file for each task, what is wrong with it for the task whose stimuli it is of."""
    telling = [error for error in errors if NOTHING not in str(error)]
    if telling or len(known) == 1:
        return [*telling, *errors][0]
    first = len(next(iter(known.values())).inputs)
    counts = " or ".join(f"{len(probe.inputs)} ({task})" for task, probe in known.items())
    return ValueError(str(errors[0]).replace(f"{NOTHING} {first} stimuli", f"{NOTHING} {counts} stimuli"))


def _shown(probe: Probe) -> ShownStimuli:
    """What a recording is read for."""
    task = probe.cohorts[0].members[0].task
    steps = np.arange(probe.steps)[:: kept_every(probe)] if probe.dt else np.zeros(0)
    times = getattr(task, "start", 0.0) + probe.dt * steps
    return ShownStimuli(len(probe.inputs), probe.conditions, times, getattr(task, "test_size", 0))


def _baselines(probe: Probe, stimuli: Stimuli | None) -> list[Outside]:
    """What is known of the stimuli without a network."""
    task = probe.cohorts[0].members[0].task
    if stimuli is not None and stimuli.inputs is not None:
        return baselines.of_sequences(probe.at_kept(probe.inputs, kept_every(probe)))
    if probe.dt:
        targets, every = np.asarray(task.probe(task.data()).targets), kept_every(probe)
        if targets.dtype == np.int32:  # classes, by step or by trial
            steps = probe.inputs.shape[:2]
            classes = np.broadcast_to(targets if targets.ndim == 2 else targets[:, None], steps)
            targets = np.eye(task.outputs)[classes]
        return baselines.of_sequences(*(probe.at_kept(x, every) for x in (probe.inputs, targets)))
    if stimuli is not None and stimuli.images is not None:
        return baselines.of_images(probe.inputs, stimuli.images, probe.conditions)
    levels = np.rint(255 * (probe.inputs * np.asarray(task.deviation) + np.asarray(task.mean)))
    return baselines.of_images(probe.inputs, levels if levels.shape[-1] == 3 else levels[..., 0], probe.conditions)


def score_table(comparison: Comparison, members: Sequence[Outside]) -> Any:
    """How like each recording every network is at every layer, and every baseline, under each measure.

    A score is the mean over a recording's subjects of the similarity with each of them, never with their mean: so it is
    on the scale of the noise ceiling. Nothing is clipped, and nothing divided by the ceiling. Networks that diverged,
    and recordings that a measure cannot take, are left out.

    Args:
      comparison: with the members among its items.
      members: the recordings, halves and baselines in it.

    Returns:
      A row per measure, recording and thing set beside it, with the columns `SCORE_COLUMNS`: `kind` is "network",
      "untrained", "baseline" or "recording"; `name` the member, or what else it is; `sem` the standard error over
      subjects, empty for one; `partial` the mean over subjects of the partial score given the silhouette, empty where
      the silhouette leaves less than 1e-5 of a map's squared norm; the ceiling, of two subjects or more, its lower and
      upper bound. Both are empty for measures that are not the cosine of one map per item.
    """
    place = {item: i for i, item in enumerate(comparison.names)}
    members = [member for member in members if member.name in place]
    beside: Any = pd.concat([_of_networks(comparison.items), _of_others(members, place)], ignore_index=True)
    by_recording: dict[str, list[Outside]] = {}
    for member in members:
        if member.labels["source"] == "recording" and member.labels["subject"] != "mean":
            by_recording.setdefault(member.labels["recording"], []).append(member)
    tables = []
    for name, measured in comparison.measures.items():
        value = measured.values.astype(np.float64)
        left = _left_of(value, measured.record, place)
        for recording, subjects in by_recording.items():
            columns = np.array([place[subject.name] for subject in subjects])
            rows = beside[(beside["recording"] != recording)]
            similarity = _of_each(value, rows["places"], columns)
            if np.isnan(similarity).all():
                continue
            table: Any = rows.drop(columns=["places", "recording"]).assign(score=similarity.mean(1))
            table["sem"] = ceilings.scores(similarity).se
            table["partial"] = _of_each(left, rows["places"], columns).mean(1)
            pair = [place[half.name] for half in members if _is_half(half, recording)]
            if len(pair) == 2:
                both = (value[pair[0], pair[1]] + value[pair[1], pair[0]]) / 2
                reference = dict(layer="", kind="recording", name=OTHER_HALF, model="", score=both)
                table = pd.concat([table, pd.DataFrame([reference])], ignore_index=True)
            lower, upper = _ceiling(measured.record, subjects, value[np.ix_(columns, columns)])
            about = dict(measure=name, recording=recording, subjects=len(columns), n_stimuli=measured.record.n_stimuli)
            tables.append(table.assign(**about, ceiling_lower=lower, ceiling_upper=upper))
    return pd.concat(tables, ignore_index=True)[[*SCORE_COLUMNS]] if tables else pd.DataFrame(columns=[*SCORE_COLUMNS])


def _left_of(value: np.ndarray, record: MeasureRecord, place: Mapping[str, int]) -> np.ndarray:
    """`(item, item)`: the similarities given the silhouette; NaN where it is not there or nothing can be taken out."""
    control = place.get(CONTROL)
    if control is None or not _is_plain_cosine(record) or np.isnan(value[control, control]):
        return np.full_like(value, np.nan)
    return partial(value, [control])


def _of_each(value: np.ndarray, places: Any, columns: np.ndarray) -> np.ndarray:
    """`(row, column)`: the mean over a row's items, which are several where a recording's subjects have no mean."""
    if all(len(each) == 1 for each in places):
        return value[np.ix_(np.concatenate(list(places)) if len(places) else [], columns)]
    return np.stack([value[np.ix_(each, columns)].mean(0) for each in places])


def _is_plain_cosine(record: MeasureRecord) -> bool:
    """Whether values are the cosine of one map per item of which nothing was taken out."""
    return record.cosine and not record.control


def _is_half(member: Outside, recording: str) -> bool:
    return member.labels["source"] == "half" and member.labels["recording"] == recording


def _of_networks(items: Any) -> Any:
    """Rows of the networks that did not diverge."""
    trained = items["trained"]
    kept = (items["source"] == ZOO) & ~(trained & (items["status"] == DIVERGED_WORD))
    rows = pd.DataFrame({"places": list(np.flatnonzero(kept)[:, None]), "recording": ""})
    rows["kind"] = np.where(trained[kept], "network", "untrained")
    return rows.assign(
        layer=items["layer"][kept].to_numpy(),
        name=items["member"][kept].to_numpy(),
        model=items["model"][kept].to_numpy(),
    )


def _of_others(members: Sequence[Outside], place: dict[str, int]) -> Any:
    """Rows of the baselines, and of each recording: of its subjects' mean, or of all subjects where there is none."""
    by_name: dict[tuple[str, str], list[Outside]] = {}
    for member in members:
        if member.labels["source"] in ("baseline", "recording"):
            by_name.setdefault((member.labels["source"], member.labels["recording"]), []).append(member)
    rows, order = [], {member.name: i for i, member in enumerate(members)}
    for (kind, recording), each in by_name.items():
        whole = [member for member in each if member.labels["subject"] in ("", "mean")] or each
        places = np.array([place[member.name] for member in whole])
        row = dict(places=places, recording=recording, kind=kind, layer="", name=recording, model="")
        rows.append((order[whole[0].name], row))
    rows = [row for _, row in sorted(rows, key=lambda each: each[0])]
    return pd.DataFrame(rows, columns=["places", "recording", "kind", "layer", "name", "model"])


def _ceiling(record: MeasureRecord, subjects: Sequence[Outside], similarity: np.ndarray) -> tuple[float, float]:
    """Lower and upper bound for two subjects or more, where the measure has them; else both empty."""
    if len(subjects) < 2 or record.control or not np.isfinite(similarity).all():
        return np.nan, np.nan
    ready = [subject.array.array for subject in subjects if isinstance(subject.array, RDM)]
    if len(ready) == len(subjects) and record.rdm_compare:
        ceiling = ceilings.noise_ceiling(np.stack(ready), record.rdm_compare)
    elif record.cosine:
        ceiling = ceilings.map_ceiling(similarity)
    else:
        return np.nan, np.nan
    return ceiling.lower, ceiling.upper


def score_lines(table: Any, measures: Mapping[str, Measured]) -> Iterator[str]:
    """Lines for the terminal: per recording the networks' best layer, the untrained ones there, baselines, ceiling.

    Of the measures the first that compares RDMs is told, else the first.

    Args:
      table: what `scores` returns.
      measures: of the comparison that it is of.
    """
    for recording in dict.fromkeys(table["recording"]):
        part = table[table["recording"] == recording]
        names = list(dict.fromkeys(part["measure"]))
        measure = next((name for name in names if measures[name].record.rdm_compare), names[0])
        part = part[part["measure"] == measure]
        first, trained = part.iloc[0], part[part["kind"] == "network"]
        of = f", mean over {first['subjects']} subjects" if first["subjects"] > 1 else ""
        way = measures[measure].record.way
        ceiling = "" if pd.isna(first["ceiling_lower"]) else _between(first["ceiling_lower"], first["ceiling_upper"])
        yield f"against {recording} ({measure}{of}, n = {first['n_stimuli']} stimuli; {way}{ceiling})"
        by_layer = trained.groupby("layer", sort=False)[["score", "partial"]].mean().dropna(subset="score")
        if len(by_layer):
            distance = measures[measure].record.kind == "distance"
            layer = by_layer["score"].idxmin() if distance else by_layer["score"].idxmax()
            best = by_layer.loc[layer]
            left = "" if pd.isna(best["partial"]) else f" ({_number(best['partial'])} given the silhouette)"
            untrained = part[(part["kind"] == "untrained") & (part["layer"] == layer)]["score"].mean()
            count = (trained["layer"] == layer).sum()
            line = f"  mean of {count} networks at their best layer here, {layer}: {_number(best['score'])}{left}"
            yield line + ("" if pd.isna(untrained) else f"; untrained there {_number(untrained)}")
        others = part[part["kind"].isin(["baseline", "recording"])].dropna(subset="score")
        if len(others):
            short = short_names(others["name"])
            yield "  beside it: " + ", ".join(f"{n} {_number(s)}" for n, s in zip(short, others["score"]))


def _between(lower: float, upper: float) -> str:
    return f"; noise ceiling {_number(lower)} to {_number(upper)}"


def _number(value: float) -> str:
    text = f"{round(value, 2) + 0.0:.2f}"  # no minus before a zero
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
