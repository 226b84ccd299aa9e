"""Networks against recordings: scores, what they are worth beside baselines, and the ceiling that noise sets."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from analysis.activations import baselines
from analysis.activations.extraction import MOST_TIMES
from analysis.activations.probes import Probe
from analysis.activations.recordings import NOTHING, Outside, Shown, halves, read_recordings
from analysis.activations.stimuli import Stimuli
from analysis.activations.types import RDM
from analysis.measures import _choice
from analysis.scoring import ceilings

__all__ = ["COLUMNS", "ZOO", "networks", "outside", "partial", "score_lines", "scores"]

COLUMNS = (
    *("measure", "recording", "layer", "kind", "name", "model", "score", "sem", "subjects", "partial"),
    *("ceiling_lower", "ceiling_upper", "n_stimuli"),
)
"""The columns of a table of scores; see `scores`."""

ZOO, OWN = "zoo", ("recording", "subject", "source")
"""The source of networks, and the labels that only an outside item has."""

CONTROL = "baseline/silhouette"
"""What partial scores are given: an outline alone is as good as many networks in early visual cortex."""

OTHER_HALF = "other half of the units"


def outside(
    files: Sequence[str | os.PathLike[str]],
    known: Mapping[str, Probe],
    stimuli: Stimuli | None = None,
    *,
    measures: Sequence[Any] = (),
    say: Callable[[str], Any] = lambda line: None,
) -> dict[str, list[Outside]]:
    """The recordings of the files, the halves of their units, and the baselines, by task; {} where there is no file.

    Of several tasks a recording joins those whose stimuli it is of.

    Args:
      files: see `analysis.activations.recordings.read_recordings`.
      known: what the networks were shown, task by task.
      stimuli: the images of the probe, where they are of a file.
      measures: halves and baselines that one of these cannot be had of, by their size, are left out.
      say: takes a line for whatever is left out or resampled.

    Raises:
      ValueError: a file cannot be read, is of no task's stimuli, or has the name of another.
    """
    found: dict[str, list[Outside]] = {}
    for path in files:
        wrong: list[ValueError] = []
        for task, probe in known.items():
            try:
                recordings = read_recordings(path, _shown(probe), say)
            except ValueError as error:
                wrong.append(error)
                continue
            alone = [recording for recording in recordings if not recording.labels["subject"]]
            more = recordings + [half for recording in alone for half in halves(recording)]
            found.setdefault(task, []).extend(more)
        if len(wrong) == len(known):
            raise _most_telling(wrong, known)
    for members in found.values():
        twice = [name for name, count in Counter(member.name for member in members).items() if count > 1]
        if twice:
            raise ValueError(f"Two recordings are called {twice[0]!r}; rename a file.")
    whole = {task: members + _baselines(known[task], stimuli) for task, members in found.items()}
    return {task: [member for member in members if _possible(member, measures, say)] for task, members in whole.items()}


def _most_telling(errors: Sequence[ValueError], known: Mapping[str, Probe]) -> ValueError:
    """Of what is wrong with a file for each task, what is wrong with it for the task whose stimuli it is of."""
    telling = [error for error in errors if NOTHING not in str(error)]
    if telling or len(known) == 1:
        return [*telling, *errors][0]
    first = len(next(iter(known.values())).inputs)
    counts = " or ".join(f"{len(probe.inputs)} ({task})" for task, probe in known.items())
    return ValueError(str(errors[0]).replace(f"{NOTHING} {first} stimuli", f"{NOTHING} {counts} stimuli"))


def _possible(member: Outside, measures: Sequence[Any], say: Callable[[str], Any]) -> bool:
    """Whether every measure can be had of a member; a recording is kept, and refused by `compare` with the fix."""
    if member.labels["source"] == "recording" or not isinstance(member.array, np.ndarray):
        return True
    stimuli, *times, units = member.array.shape
    for measure in measures:
        if measure.fault(stimuli, times[0] if times else 1, units):
            say(f"{member.name} is left out: {measure.name} cannot be had of its {units} units")
            return False
    return True


def _every(probe: Probe) -> int:
    """Of how many time steps one is kept, as `representations` does."""
    return -(-probe.inputs.shape[1] // MOST_TIMES) if probe.dt else 1


def _shown(probe: Probe) -> Shown:
    task = probe.cohorts[0].members[0].task
    steps = np.arange(probe.inputs.shape[1])[:: _every(probe)] if probe.dt else np.zeros(0)
    times = getattr(task, "start", 0.0) + probe.dt * steps
    return Shown(len(probe.inputs), probe.conditions, times, getattr(task, "test_size", 0))


def _baselines(probe: Probe, stimuli: Stimuli | None) -> list[Outside]:
    task = probe.cohorts[0].members[0].task
    if probe.dt:
        targets, every = np.asarray(task.probe(task.data()).targets), _every(probe)
        return baselines.of_sequences(probe.inputs[:, ::every], targets[:, ::every])
    if stimuli is not None:
        return baselines.of_images(probe.inputs, stimuli.images, probe.conditions)
    levels = np.rint(255 * (probe.inputs * np.asarray(task.deviation) + np.asarray(task.mean)))
    return baselines.of_images(probe.inputs, levels if levels.shape[-1] == 3 else levels[..., 0], probe.conditions)


def networks(result: xr.Dataset) -> xr.Dataset:
    """A comparison without what came from outside: networks alone, with their labels as they were."""
    if "source_a" not in result:
        return result
    inside = np.flatnonzero(result["source_a"].to_numpy() == ZOO)
    alone = result.isel(a=inside, b=inside).drop_vars([f"{name}_{end}" for name in OWN for end in "ab"])
    for name, labels in alone.coords.items():  # integers had to be floats beside what has none
        if labels.dtype.kind == "f" and len(labels) and (labels == np.floor(labels)).all():
            alone = alone.assign_coords({name: labels.astype(int)})
    return alone


def partial(score: Any, with_control: Any, control: Any) -> Any:
    """The correlation that is left of `score`, r_xy, once a third, z, is taken out of both.

        r_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2))

    Of Spearman correlations, the partial Spearman correlation; of CKA, the cosine of what is left of both centred Gram
    matrices once their projections on that of z are subtracted.

    Args:
      score: r_xy, of a network and a subject.
      with_control: r_xz, of the network and the control.
      control: r_yz, of the subject and the control.
    """
    left = (1 - np.square(with_control)) * (1 - np.square(control))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(left > 1e-12, (score - with_control * control) / np.sqrt(left), np.nan)


def scores(result: xr.Dataset, members: Sequence[Outside]) -> Any:
    """How like each recording every network is at every layer, and every baseline, under each measure.

    A score is the mean over a recording's subjects of the similarity with each of them, never with their mean: so it is
    on the scale of the noise ceiling. Nothing is clipped, and nothing divided by the ceiling. Networks that diverged,
    and recordings that a measure cannot take, are left out.

    Args:
      result: what `compare(..., others=members)` gave.
      members: the recordings, halves and baselines in it.

    Returns:
      A row per measure, recording and thing set beside it, with the columns `COLUMNS`: `kind` is "network",
      "untrained", "baseline" or "recording"; `name` the member, or what else it is; `sem` the standard error over
      subjects, empty for one; `partial` the mean over subjects of the partial score given the silhouette; the ceiling,
      of two subjects or more, its lower and upper bound. Both are empty for measures other than RSA and CKA.
    """
    labels = [str(name) for name in result.coords if str(name).endswith("_a")]
    columns = {name.removesuffix("_a"): result[name].to_numpy() for name in labels}
    items: Any = pd.DataFrame({"item": result["a"].to_numpy(), **columns})
    place = {item: i for i, item in enumerate(items["item"])}
    members = [member for member in members if member.name in place]
    beside: Any = pd.concat([_of_networks(items), _of_others(members, place)], ignore_index=True)
    by_recording: dict[str, list[Outside]] = {}
    for member in members:
        if member.labels["source"] == "recording" and member.labels["subject"] != "mean":
            by_recording.setdefault(member.labels["recording"], []).append(member)
    tables = []
    for name, variable in result.data_vars.items():
        if "kind" not in variable.attrs:
            continue
        value = variable.to_numpy().astype(np.float64)
        for recording, subjects in by_recording.items():
            own = np.array([place[subject.name] for subject in subjects])
            rows = beside[(beside["recording"] != recording)]
            similarity = value[np.ix_(rows["place"], own)]
            if np.isnan(similarity).all():
                continue
            table: Any = rows.drop(columns=["place", "recording"]).assign(score=similarity.mean(1))
            table["sem"], table["partial"] = ceilings.scores(similarity).se, np.nan
            if CONTROL in place and _is_cosine(variable.attrs):
                z = place[CONTROL]
                given = partial(similarity, value[rows["place"], z][:, None], value[z, own][None])
                given[rows["place"] == z] = np.nan
                table["partial"] = given.mean(1)
            pair = [place[half.name] for half in members if _is_half(half, recording)]
            if len(pair) == 2:
                both = (value[pair[0], pair[1]] + value[pair[1], pair[0]]) / 2
                reference = dict(layer="", kind="recording", name=OTHER_HALF, model="", score=both)
                table = pd.concat([table, pd.DataFrame([reference])], ignore_index=True)
            lower, upper = _ceiling(variable.attrs, subjects, value[np.ix_(own, own)])
            about = dict(
                measure=str(name), recording=recording, subjects=len(own), n_stimuli=variable.attrs["n_stimuli"]
            )
            tables.append(table.assign(**about, ceiling_lower=lower, ceiling_upper=upper))
    return pd.concat(tables, ignore_index=True)[[*COLUMNS]] if tables else pd.DataFrame(columns=[*COLUMNS])


def _is_half(member: Outside, recording: str) -> bool:
    return member.labels["source"] == "half" and member.labels["recording"] == recording


def _of_networks(items: Any) -> Any:
    """Rows of the networks that did not diverge."""
    trained = items["trained"]
    kept = (items["source"] == ZOO) & ~(trained & (items["status"] == "diverged"))
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


def _ceiling(attrs: dict[str, Any], subjects: Sequence[Outside], similarity: np.ndarray) -> tuple[float, float]:
    """Lower and upper bound under RSA and CKA for two subjects or more; else both empty."""
    if len(subjects) < 2 or "control" in attrs or not np.isfinite(similarity).all():
        return np.nan, np.nan
    ready = [subject.array.array for subject in subjects if isinstance(subject.array, RDM)]
    if len(ready) == len(subjects) and str(attrs["name"]).startswith("rsa("):
        found = ceilings.noise_ceiling(np.stack(ready), _choice.measure(attrs["name"]).compare)
    elif _is_cosine(attrs):
        found = ceilings.map_ceiling(similarity)
    else:
        return np.nan, np.nan
    return found.lower, found.upper


def _is_cosine(attrs: dict[str, Any]) -> bool:
    """Whether a measure is the cosine of one map per member, a correlation for instance."""
    whole = attrs["identity"] == 1 and attrs["kind"] == "similarity" and "control" not in attrs
    return whole and str(attrs["name"]).startswith(("rsa(", "cka("))


def score_lines(table: Any) -> Iterator[str]:
    """Lines for the terminal: per recording the networks' best layer, the untrained ones there, baselines, ceiling.

    Of the measures rsa is told where it is among them, else the first.
    """
    for recording in dict.fromkeys(table["recording"]):
        part = table[table["recording"] == recording]
        measures = list(dict.fromkeys(part["measure"]))
        measure = next((name for name in measures if name.startswith("rsa")), measures[0])
        part = part[part["measure"] == measure]
        first, trained = part.iloc[0], part[part["kind"] == "network"]
        of = f", mean over {first['subjects']} subjects" if first["subjects"] > 1 else ""
        ceiling = "" if pd.isna(first["ceiling_lower"]) else _between(first["ceiling_lower"], first["ceiling_upper"])
        yield f"against {recording} ({measure}{of}, n = {first['n_stimuli']} stimuli{ceiling})"
        by_layer = trained.groupby("layer", sort=False)[["score", "partial"]].mean().dropna(subset="score")
        if len(by_layer):
            far = _choice.measure(measure.partition("_given_")[0]).kind == "distance"
            layer = by_layer["score"].idxmin() if far else by_layer["score"].idxmax()
            best = by_layer.loc[layer]
            given = "" if pd.isna(best["partial"]) else f" ({_number(best['partial'])} given the silhouette)"
            untrained = part[(part["kind"] == "untrained") & (part["layer"] == layer)]["score"].mean()
            count = (trained["layer"] == layer).sum()
            line = f"  mean of {count} networks at their best layer here, {layer}: {_number(best['score'])}{given}"
            yield line + ("" if pd.isna(untrained) else f"; untrained there {_number(untrained)}")
        others = part[part["kind"].isin(["baseline", "recording"])].dropna(subset="score")
        if len(others):
            names = others["name"].str.rpartition("/")[2]
            yield "  beside it: " + ", ".join(f"{n} {_number(s)}" for n, s in zip(names, others["score"]))


def _between(lower: float, upper: float) -> str:
    return f"; noise ceiling {_number(lower)} to {_number(upper)}"


def _number(value: float) -> str:
    text = f"{round(value, 2) + 0.0:.2f}"  # no minus before a zero
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
