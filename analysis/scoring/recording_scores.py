"""Networks against recordings: scores, what they are worth beside baselines, and the ceiling that noise sets."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.activations import baselines
from analysis.activations.probes import Probe, kept_every
from analysis.activations.recordings import NOTHING, Outside, ShownStimuli, halves, read_recordings
from analysis.activations.stimuli import Stimuli
from analysis.activations.types import RDM
from analysis.labelled_comparison import ZOO, Comparison, Measured, MeasureRecord
from analysis.scoring import ceilings
from analysis.scoring.partialling import partial
from analysis.words import short_names
from zoo.training.status import DIVERGED_WORD

__all__ = ["SCORE_COLUMNS", "outside", "score_lines", "score_table"]

SCORE_COLUMNS = (
    *("measure", "recording", "layer", "kind", "name", "model", "score", "sem", "subjects", "partial"),
    *("ceiling_lower", "ceiling_upper", "n_stimuli"),
)
"""The columns of a table of scores; see `score_table`."""

CONTROL = "baseline/silhouette"
"""What partial scores are given: an outline alone is as good as many networks in early visual cortex."""

OTHER_HALF = "other half of the units"


def outside(
    files: Sequence[str | os.PathLike[str]],
    known: Mapping[str, Probe],
    stimuli: Stimuli | None = None,
    *,
    say: Callable[[str], Any] = lambda line: None,
) -> dict[str, list[Outside]]:
    """The recordings of the files, the halves of their units, and the baselines, by task; {} where there is no file.

    Of several tasks a recording joins those whose stimuli it is of.

    Args:
      files: see `analysis.activations.recordings.read_recordings`.
      known: what the networks were shown, task by task.
      stimuli: the images of the probe, where they are of a file.
      say: takes a line for whatever is left out or resampled.

    Raises:
      ValueError: a file cannot be read, is of no task's stimuli, or has the name of another.
    """
    by_task: dict[str, list[Outside]] = {}
    for path in files:
        wrong: list[ValueError] = []
        for task, probe in known.items():
            try:
                recordings = read_recordings(path, _shown(probe), say)
            except ValueError as error:
                wrong.append(error)
                continue
            alone = [recording for recording in recordings if not recording.labels["subject"]]
            both_halves = [half for recording in alone for half in halves(recording)]
            by_task.setdefault(task, []).extend(recordings + both_halves)
        if len(wrong) == len(known):
            raise _most_telling(wrong, known)
    for members in by_task.values():
        twice = [name for name, count in Counter(member.name for member in members).items() if count > 1]
        if twice:
            raise ValueError(f"Two recordings are called {twice[0]!r}; rename a file.")
    return {task: members + _baselines(known[task], stimuli) for task, members in by_task.items()}


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
    if probe.dt:
        targets, every = np.asarray(task.probe(task.data()).targets), kept_every(probe)
        if targets.dtype == np.int32:  # classes, by step or by trial
            steps = probe.inputs.shape[:2]
            classes = np.broadcast_to(targets if targets.ndim == 2 else targets[:, None], steps)
            targets = np.eye(task.outputs)[classes]
        return baselines.of_sequences(*(probe.at_kept(x, every) for x in (probe.inputs, targets)))
    if stimuli is not None:
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
            similarity = value[np.ix_(rows["place"], columns)]
            if np.isnan(similarity).all():
                continue
            table: Any = rows.drop(columns=["place", "recording"]).assign(score=similarity.mean(1))
            table["sem"] = ceilings.scores(similarity).se
            table["partial"] = left[np.ix_(rows["place"], columns)].mean(1)
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


def _is_plain_cosine(record: MeasureRecord) -> bool:
    """Whether values are the cosine of one map per item of which nothing was taken out."""
    return record.cosine and not record.control


def _is_half(member: Outside, recording: str) -> bool:
    return member.labels["source"] == "half" and member.labels["recording"] == recording


def _of_networks(items: Any) -> Any:
    """Rows of the networks that did not diverge."""
    trained = items["trained"]
    kept = (items["source"] == ZOO) & ~(trained & (items["status"] == DIVERGED_WORD))
    rows = pd.DataFrame({"place": np.flatnonzero(kept), "recording": ""})
    rows["kind"] = np.where(trained[kept], "network", "untrained")
    return rows.assign(
        layer=items["layer"][kept].to_numpy(),
        name=items["member"][kept].to_numpy(),
        model=items["model"][kept].to_numpy(),
    )


def _of_others(members: Sequence[Outside], place: dict[str, int]) -> Any:
    """Rows of the baselines, and of each recording, by the mean of its subjects."""
    rows = [
        dict(
            place=place[member.name],
            recording=member.labels["recording"],
            kind=member.labels["source"],
            layer="",
            name=member.labels["recording"],
            model="",
        )
        for member in members
        if member.labels["source"] in ("baseline", "recording") and member.labels["subject"] in ("", "mean")
    ]
    columns = ["place", "recording", "kind", "layer", "name", "model"]
    return pd.DataFrame(rows, columns=columns).astype({"place": int})


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
