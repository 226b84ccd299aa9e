"""The comparison of a zoo directory: every member, trained and untrained, on its task's probe, and what explains it.

Every file that it writes is named in `analysis.artefacts`. On images of a file the comparison is called
<task>-<name of the file>: what was compared before stays.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis import DEFAULT_MEASURES, artefacts, exports
from analysis.activations.copies import COPY_COUNT, equal_places, first_of_copies
from analysis.activations.extraction import representations
from analysis.activations.inputs import check_items, gathered
from analysis.activations.probes import Probe, finished, finished_alike, probes_of, shapes_of
from analysis.activations.stimuli import Stimuli, read_stimuli
from analysis.activations.types import Group, Outside, Representations
from analysis.comparison import Choices, comparison_of
from analysis.comparison_files import write_comparison
from analysis.engine.journal import Journal
from analysis.engine.progress import Progress, telling
from analysis.geometry.correlation_rdms import correlation_rdm
from analysis.geometry.layer_correspondence import correspondence
from analysis.inference.factors import tested_fields
from analysis.labelled_comparison import ComparedTask, Comparison
from analysis.measures import _choice
from analysis.scoring.brain_outcomes import accuracy_table, brain_lines, field_table
from analysis.scoring.brain_scores import brain_table
from analysis.scoring.partialling import check_control, confound, with_partial
from analysis.scoring.recording_scores import Joined, networks_from, outside, score_lines, score_table
from zoo import lookup
from zoo.store.reader import Trained, load
from zoo.training.status import DIVERGED_WORD, UNFINISHED
from zoo.wording import counted

__all__ = ["Request", "compare_zoo", "mean_rdms"]


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be compared of a zoo directory, and what is to be made of it.

    Attributes:
      measures: see `analysis.compare`.
      only: the task to compare, of several; all of them where none is named.
      layers: names; all of them where none is given.
      all_layers: compare unequal layers too.
      space: see `analysis.representations`.
      exclude_degenerate: leave out constant and NaN representations instead of stopping at them.
      probe: a file of images, or inputs over time, to show instead of the tasks' own probes; see
        `analysis.activations.stimuli.read_stimuli`.
      against: files of recordings, which join with their baselines; see `analysis.recordings`.
      networks: a folder of networks trained elsewhere, which join those of the zoo; see `analysis.recordings.networks`.
      pool: put the units of a recording's subjects together, as those of one.
      export: further formats, of `analysis.artefacts.EXPORTS`.
      control: what to take out of similarities besides, "input" or a condition; see `analysis.scoring.partialling`.
      nulls, intervals, dtype: see `analysis.compare`.
      interactions: test every pair of fields, too.
    """

    measures: Sequence[str] = DEFAULT_MEASURES
    only: str = ""
    layers: Sequence[str] = ()
    all_layers: bool = False
    space: str = "mean"
    exclude_degenerate: bool = False
    probe: str | os.PathLike[str] | None = None
    against: Sequence[str | os.PathLike[str]] = ()
    networks: Path | None = None
    pool: bool = False
    export: Sequence[str] = ()
    control: str = ""
    nulls: int = 0
    intervals: bool = False
    interactions: bool = False
    dtype: str = "float32"

    @property
    def choices(self) -> Choices:
        """How the representations are compared."""
        layers = "all" if self.all_layers else "equal"
        return Choices(self.dtype, layers, self.exclude_degenerate, True, self.nulls, self.intervals)


class CheckedRequest(NamedTuple):
    """A request that was checked against the directory; nothing of it was computed.

    Attributes:
      measures: that were asked for.
      stimuli: the images to show, None where each task's own probe is.
      probes: by task, what its networks are shown.
      layers: by task, the layers to compare; None for all of them.
      recordings: by task, what joins from files; tasks that no recording is of are not in it.
      networks: by task, networks trained elsewhere that join, and their fields; tasks that none is of are not in it.
    """

    measures: list[Any]
    stimuli: Stimuli | None
    probes: dict[str, Probe]
    layers: dict[str, list[str] | None]
    recordings: dict[str, Joined]
    networks: dict[str, tuple[list[Group], list[str]]]


class TaskResult(NamedTuple):
    """One task's comparison, before anything of it is written.

    Attributes:
      name: of the comparison.
      shown: the representations that it is of.
      comparison: with what came from elsewhere.
      others: what came from elsewhere.
      scores: the table of scores, None where there are no recordings.
      brain: that of scores at layers chosen on other stimuli, None where there are none.
      fields: that networks trained elsewhere differ in.
    """

    name: str
    shown: Representations
    comparison: Comparison
    others: list[Outside]
    scores: pd.DataFrame | None
    brain: pd.DataFrame | None
    fields: list[str]


def compare_zoo(directory: Path, request: Request = Request(), say: Callable[[str], Any] = print) -> None:
    """Compares all members of a zoo directory, probe by probe, and writes `analysis/`.

    Args:
      directory: a trained zoo.
      request: what is compared, and how.
      say: takes a line before what takes long, lines on how far it is meanwhile, and what was found.
    """
    with telling(say) as progress:
        _compare(directory, request, progress)


def _compare(directory: Path, request: Request, progress: Progress) -> None:
    say, trained = progress.say, load(directory)
    if unfinished := sum(status in UNFINISHED for status in trained.members["status"]):
        say(f"{unfinished} of {len(trained.members)} members are not trained to their end and are left out")
    progress.doing("preparing")
    plan = _plan(trained, request, say)
    folder = trained.path / artefacts.FOLDER / artefacts.JOURNAL
    journal = Journal(folder)
    # All tasks before the first is written: what one of them cannot have leaves everything as it was.
    results = [_result(trained, request, plan, task, journal, progress) for task in plan.layers]
    for result in results:
        items: Any = result.comparison.networks().items
        fields = tested_fields(trained, items["member"])
        fields += [name for name in result.fields if name not in fields and items[name].nunique(dropna=False) > 1]
        progress.at(result.name)
        progress.doing("tests and means")
        brain = _of_brain(result, fields)
        _write(trained.path, result, fields, request, brain)
        for line in _lines(result, brain):
            say(line)
    artefacts.remove(folder)


def _plan(trained: Trained, request: Request, say: Callable[[str], Any]) -> CheckedRequest:
    """What is to be done; a request that cannot be met ends here, before anything is computed."""
    measures = [_choice.measure(name) for name in request.measures]
    exports.check_formats(request.export)
    done = counted(int(finished(trained).sum()), "member")
    say(f"{trained.path.name}: comparing {done}, trained and untrained, by {', '.join(m.name for m in measures)}")
    stimuli = None if request.probe is None else read_stimuli(request.probe)
    stems = tuple(end.split(".")[0] for end in artefacts.ENDS if end[0] == "-")
    if stimuli is not None and (f"-{stimuli.name}".endswith(stems) or stimuli.name in lookup.names("assay")):
        raise ValueError(f"A probe may not be called {stimuli.name!r}: results have this name; rename {request.probe}.")
    probes = probes_of(trained, stimuli)
    if stimuli is not None and request.only not in probes and request.only in set(trained.members["task"]):
        raise ValueError(
            f"Task {request.only} cannot be shown this probe; leave out --probe {request.probe} to compare it."
        )
    if request.only and request.only not in probes:
        raise ValueError(
            f"{trained.path} has no task {request.only!r} to compare; {lookup.nearest(request.only, probes)}."
        )
    probes = {task: probe for task, probe in probes.items() if request.only in ("", task)}
    layers = _layers_of(trained, request.layers, probes)
    if request.control:
        check_control(request.control, measures, probes.values())
    for task, probe in probes.items():
        if probe.dt and probe.lasts.max() > probe.steps:
            say(
                f"{task}: trials last {probe.steps} to {probe.lasts.max()} time steps; the first {probe.steps} of all "
                "are compared"
            )
        repeated = len(probe.inputs) - len(equal_places(len(probe.inputs), lambda i, probe=probe: [probe.inputs[i]]))
        if repeated:
            say(
                f"{task}: {repeated} of {len(probe.inputs)} stimuli of the probe are the same as another: copies are "
                "no samples, and raise similarities"
            )
    recordings = outside(request.against, probes, stimuli, pool=request.pool, say=say)
    networks = networks_from(request.networks, probes, request.space, say=say) if request.networks else {}
    return CheckedRequest(measures, stimuli, probes, layers, recordings, networks)


def _layers_of(trained: Trained, wanted: Sequence[str], probes: Mapping[str, Probe]) -> dict[str, list[str] | None]:
    """By task, the wanted layers that its networks have, None for all; tasks that have none of them are left out."""
    if not wanted:
        return dict.fromkeys(probes)
    names = {
        task: {name for cohort in probe.cohorts for name in shapes_of(cohort, probe.inputs)}
        for task, probe in probes.items()
    }
    for layer in wanted:
        if not any(layer in of_task for of_task in names.values()):
            everything = dict.fromkeys(name for of_task in names.values() for name in of_task)
            raise ValueError(f"{trained.path} has no layer {layer!r}; {lookup.nearest(layer, everything)}.")
    by_task = {task: [layer for layer in wanted if layer in names[task]] for task in probes}
    return {task: layers for task, layers in by_task.items() if layers}


def _result(
    trained: Trained, request: Request, plan: CheckedRequest, task: str, journal: Journal, progress: Progress
) -> TaskResult:
    """One task's representations and their comparison."""
    progress.at(task)
    progress.doing("showing the networks the probe")
    options: dict[str, Any] = dict(task=task, untrained=True, space=request.space, probe=plan.stimuli)
    shown = representations(trained, plan.layers[task], **options)
    groups, fields = plan.networks.get(task, ([], []))
    shown = dataclasses.replace(shown, groups=(*shown.groups, *groups))
    others = [confound(request.control, plan.probes[task])] if request.control else []
    if task in plan.recordings:
        members, stimuli, steps = plan.recordings[task]
        shown = shown.at(stimuli, steps)
        others = [*members, *(other.at(stimuli, steps) for other in others)]
    comparison = comparison_of(shown, plan.measures, others, request.choices, journal, progress)
    if request.control:
        comparison = with_partial(comparison, request.control)
    definition = plan.probes[task].cohorts[0].members[0].task
    images = plan.stimuli.name if plan.stimuli else ""
    of_task = ComparedTask(
        task,
        images,
        float(definition.chance),
        float(definition.solved),
        finished_alike(trained, comparison.networks().items["member"]),
    )
    comparison = dataclasses.replace(comparison, of_task=of_task)
    table, brain = None, None
    if task in plan.recordings:
        table = score_table(comparison, others)
        by_name = {measure.name: measure for measure in plan.measures}
        named = {called: measured.record.name for called, measured in comparison.measures.items()}
        measures = {called: by_name[name] for called, name in named.items() if name in by_name}
        items, _ = check_items(gathered(shown, others, request.dtype), exclude_degenerate=True)
        progress.at(task)
        members = comparison.networks().items["member"]
        brain = brain_table(items, measures, request.dtype, progress, first_of_copies(shown, members, trained=False))
    return TaskResult(f"{task}-{images}" if images else task, shown, comparison, others, table, brain, fields)


def _lines(result: TaskResult, brain: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """What was compared, and what was left out of it, as lines for the terminal."""
    networks, start = result.comparison.networks(), result.name
    records = [measured.record for measured in networks.measures.values()]
    if left_out := _listed([item.name for item in networks.excluded]):
        yield f"{start}: left out as constant over all stimuli or not finite: {left_out}"
    for record in records:
        if undefined := _listed(record.undefined):
            yield f"{start}: {record.name} is undefined where activity is flat or overflows: {undefined}"
        if record.kind == "similarity" and not record.is_metric:
            yield (
                f"{start}: the angle of {record.name} may break the triangle inequality: read its maps,"
                " trees and tests beside those of another measure"
            )
        if empty := _listed(record.empty):
            yield f"{start}: no value for {empty}: {record.empty_because}"
    members, layers = (len(networks.items[label].unique()) for label in ("member", "layer"))
    states = f"{counted(members, 'member')}, trained and untrained, at {counted(layers, 'layer')}"
    states += f" ({networks.space} of maps)" if networks.space else ""
    names = ", ".join(record.name for record in records)
    yield f"{start}: {states}, {records[0].n_stimuli} stimuli, {names}"
    copies: Any = networks.items.drop_duplicates(["member", "trained"])[COPY_COUNT]
    if more := int(copies.sum()) - len(copies):
        yield f"{start}: {counted(more, 'more network')} equal to one of these with the same seed: copies count once"
    if result.scores is not None:
        yield from score_lines(result.scores, networks.measures)
    if brain:
        yield from brain_lines(*brain.values())


def _of_brain(result: TaskResult, fields: list[str]) -> dict[str, pd.DataFrame]:
    """The tables of brain scores, by how their files end; {} where there are none."""
    if result.brain is None or not len(result.brain):
        return {}
    items = result.comparison.networks().items
    accuracy, tests = (of(result.brain, items, fields) for of in (accuracy_table, field_table))
    return {artefacts.BRAIN: result.brain, artefacts.BRAIN_ACCURACY: accuracy, artefacts.BRAIN_FIELDS: tests}


def _listed(items: Sequence[str], most: int = 3) -> str:
    """How many items there are, and the names of the first few; "" for none."""
    rest = ", ..." if len(items) > most else ""
    plural = "s" if len(items) > 1 else ""
    return f"{len(items)} representation{plural} ({', '.join(items[:most])}{rest})" if items else ""


def _write(
    zoo: Path, result: TaskResult, fields: list[str], request: Request, brain: Mapping[str, pd.DataFrame]
) -> None:
    """Writes all files of one comparison."""
    networks, shown = result.comparison.networks(), result.shown
    rdms = mean_rdms(shown, set(networks.names))
    every_layer = networks.measures if networks.layers == "all" else {}
    depths = {variable: correspondence(networks, variable, fields) for variable in every_layer}

    def beside(parts: Mapping[str, Path]) -> None:
        artefacts.write_dataset(rdms, parts[artefacts.MEAN_RDMS])
        if len(shown.categories):
            shown.categories.to_csv(parts[artefacts.CATEGORIES], index=False)
        if depths and next(iter(depths.values())).attrs["networks"]:
            of_measures = xr.concat(list(depths.values()), pd.Index(list(depths), name="measure"))
            artefacts.write_dataset(of_measures, parts[artefacts.LAYERS])
        if result.scores is not None:
            result.scores.to_csv(parts[artefacts.SCORES], index=False)
        for end, table in brain.items():
            table.to_csv(parts[end], index=False)
        start = parts[artefacts.COMPARISON].with_name(result.name)
        exports.export(start, request.export, result.comparison, shown, result.others)

    write_comparison(zoo, result.name, result.comparison, fields, interactions=request.interactions, beside=beside)


def mean_rdms(shown: Representations, compared: set[str]) -> xr.Dataset:
    """RDMs, see `analysis.geometry.correlation_rdms`, averaged over the networks of a model.

    Args:
      shown: the representations.
      compared: names of the items that took part in the comparison; diverged members are left out too.

    Returns:
      `rdm (group, i, j)`, stimuli sorted by their conditions; `model`, `layer`, `trained`, `members` per
      group and the conditions per stimulus.
    """
    order = np.lexsort(list(shown.conditions.values())[::-1]) if shown.conditions else slice(None)
    sums: dict[tuple[str, str, bool], tuple[Any, int]] = {}
    for group in shown.groups:
        for name, labels, x in zip(group.names, group.labels.to_dict("records"), group.array):
            if name not in compared or (labels["trained"] and labels["status"] == DIVERGED_WORD):
                continue
            key = (str(labels["model"]), str(labels["layer"]), bool(labels["trained"]))
            total, count = sums.get(key, (0.0, 0))
            sums[key] = (total + correlation_rdm(x[order]), count + 1)
    models, layers, states = zip(*sums)
    coords: dict[str, Any] = {
        "model": ("group", np.array(models)),
        "layer": ("group", np.array(layers)),
        "trained": ("group", np.array(states)),
        "members": ("group", np.array([count for _, count in sums.values()])),
    }
    coords |= {f"condition_{name}": ("i", np.asarray(values)[order]) for name, values in shown.conditions.items()}
    mean = np.stack([total / count for total, count in sums.values()])
    over = "time and units" if shown.dt else "units"
    about = {"probe": shown.probe, "name": f"1 - Pearson r over {over}"}
    named = {"long_name": f"dissimilarity, 1 - Pearson r over {over}, mean over networks"}
    return xr.Dataset({"rdm": (("group", "i", "j"), mean.astype(np.float32), named)}, coords, about)
