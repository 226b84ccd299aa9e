"""The comparison of a zoo directory: every member, trained and untrained, on its task's probe, and what explains it.

analysis/<task>.nc            similarity of every pair under every measure, labelled
analysis/<task>-rdms.nc       mean RDM of every model and layer, trained and untrained
analysis/<task>-fields.csv    per measure, layer and varied field: share of the geometry, permutation test
analysis/<task>-means.csv     per measure, layer and pair of models: mean similarity, trained and untrained
analysis/<task>-categories.csv  per member, layer and condition: category structure, where a probe of images has classes
analysis/<task>-layers.nc     with all layers compared: which depth of one network is like which of another
analysis/<task>-scores.csv    against recordings: how like each of them every network and baseline is, with its ceiling
analysis/<task>.zarr, -pairs.csv, -rdms.h5  on request, for other programs; see `analysis.exports`

On images of a file, <task> is <task>-<name of the file>: what was compared before stays.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from analysis import comparison, exports
from analysis.activations.extraction import representations
from analysis.activations.probes import finished_alike, probes_of, shapes_of
from analysis.activations.recordings import Outside
from analysis.activations.stimuli import read_stimuli
from analysis.activations.types import Representations
from analysis.geometry.layer_correspondence import correspondence
from analysis.inference.factors import LAYERS, layer_counts, tested_fields
from analysis.inference.field_tests import group_means, run_field_tests
from analysis.measures import _choice
from analysis.scoring.partialling import check, confound, given
from analysis.scoring.recording_scores import ZOO, networks, outside, score_lines, scores
from zoo.lookup import nearest
from zoo.store.reader import load

ENDS = (
    *(".nc", "-rdms.nc", "-fields.csv", "-means.csv", "-categories.csv", "-layers.nc", "-scores.csv"),
    *exports.ENDS.values(),
)
"""What the files of one comparison end with."""

NO_TESTS = ("measure", "layer", "field", "members", "testable", "not_held")
"""Columns of the tests where no measure is one that can be tested."""

TRAVEL = ("n_stimuli", "estimator", "chance")
"""What no mean of similarities goes without."""

JOURNAL = ".journal"
"""The folder of what a killed comparison goes on from, given the same command again."""


def compare_zoo(
    directory: Path,
    measures: Sequence[str] = ("cka", "rsa"),
    *,
    only: str = "",
    layers: Sequence[str] = (),
    all_layers: bool = False,
    space: str = "mean",
    exclude_degenerate: bool = False,
    probe: str | os.PathLike[str] | None = None,
    against: Sequence[str | os.PathLike[str]] = (),
    export: Sequence[str] = (),
    control: str = "",
    nulls: bool = False,
    intervals: bool = False,
    interactions: bool = False,
    dtype: str = "float32",
    say: Callable[[str], Any] = print,
) -> None:
    """Compare all members of a zoo directory, probe by probe, and write `analysis/`.

    Args:
      directory: a trained zoo.
      measures: see `analysis.compare`.
      only: the task to compare, of several; all of them where none is named.
      layers: names; all of them where none is given.
      all_layers: compare unequal layers too.
      space: see `analysis.representations`.
      exclude_degenerate: leave out constant and NaN representations instead of stopping at them.
      probe: a file of images to show instead of the tasks' own probes; see `analysis.activations.stimuli.read_stimuli`.
      against: files of recordings, which join with their baselines; see `analysis.activations.recordings`.
      export: further formats, of `analysis.exports.ENDS`.
      control: what to take out of similarities besides, "input" or a condition; see `analysis.scoring.partialling`.
      nulls, intervals, dtype: see `analysis.compare`.
      interactions: test every pair of fields, too.
      say: takes one line per probe and measure.
    """
    trained = load(directory)
    if unfinished := sum(status in ("pending", "training") for status in trained.members["status"]):
        say(f"{unfinished} of {len(trained.members)} members are not trained to their end and are left out")
    chosen = [_choice.measure(name) for name in measures]  # a wrong name ends here, before anything is computed
    exports.check_formats(export)
    stimuli = None if probe is None else read_stimuli(probe)
    if stimuli is not None and f"-{stimuli.name}".endswith(tuple(end.split(".")[0] for end in ENDS if end[0] == "-")):
        raise ValueError(f"A probe may not be called {stimuli.name!r}: results have this name; rename {probe}.")
    known = probes_of(trained, stimuli)
    if only and only not in known:
        raise ValueError(f"{trained.path} has no task {only!r} to compare; {nearest(only, known)}.")
    known = {task: found for task, found in known.items() if only in ("", task)}
    names = {task: _layer_names(found) for task, found in known.items()} if layers else {}
    for layer in layers:
        if not any(layer in of_task for of_task in names.values()):
            everything = dict.fromkeys(name for of_task in names.values() for name in of_task)
            raise ValueError(f"{trained.path} has no layer {layer!r}; {nearest(layer, everything)}.")
    if control:
        check(control, chosen, known.values())
    joining = outside(against, known, stimuli, measures=chosen, say=say)
    journal = trained.path / "analysis" / JOURNAL
    compared = []  # all tasks before the first is written: what one of them cannot have leaves everything as it was
    for task in known:
        here = [layer for layer in layers if layer in names[task]]
        if layers and not here:
            continue
        found = representations(trained, here or None, task=task, untrained=True, space=space, probe=stimuli)
        settings: dict[str, Any] = dict(layers="all" if all_layers else "equal", exclude_degenerate=exclude_degenerate)
        others = joining.get(task, [])
        if control:
            every = round(found.dt / known[task].dt) if known[task].dt else 1
            others = [*others, confound(control, known[task], every)]
        settings |= dict(nulls=nulls, intervals=intervals, dtype=dtype)
        whole = comparison.compare(found, chosen, others=others, journal=journal, **settings)
        if control:
            names_of = [name for name, variable in whole.data_vars.items() if "kind" in variable.attrs]
            whole = given(whole, dict(zip(map(str, names_of), chosen)), control)
        compared.append((task, found, whole, others))
    for task, found, whole, others in compared:
        whole.attrs |= dict(task=task, stimuli=stimuli.name if stimuli else "", layers="all" if all_layers else "equal")
        shown = known[task].cohorts[0].members[0].task
        whole.attrs |= dict(chance=float(shown.chance), solved=float(shown.solved))
        result = networks(whole)
        whole.attrs["finished"] = finished_alike(trained, result["member_a"].to_numpy())
        start = f"{task}-{stimuli.name}" if stimuli else task
        table = scores(whole, others) if task in joining else None
        fields = tested_fields(trained, result["member_a"].to_numpy())
        _write(trained.path / "analysis" / start, found, whole, fields, others, table, export, interactions)
        measured = [variable.attrs for variable in result.data_vars.values() if "kind" in variable.attrs]
        count = len(set(result["member_a"].to_numpy()))
        states = f"{count} members, trained and untrained, at {len(set(result['layer_a'].to_numpy()))} layers"
        states += f" ({found.space} of maps)" if found.space else ""
        if left_out := _listed(result.attrs["excluded"]):
            say(f"{start}: left out as constant over all stimuli or not finite: {left_out}")
        for variable in result.data_vars.values():
            if undefined := _listed(variable.attrs.get("undefined", "")):
                say(f"{start}: {variable.attrs['name']} is undefined where activity is flat or overflows: {undefined}")
            if variable.attrs.get("kind") == "similarity" and not variable.attrs["is_metric"]:
                say(
                    f"{start}: the angle of {variable.attrs['name']} may break the triangle inequality: read its maps,"
                    " trees and tests beside those of another measure"
                )
            if empty := _listed(variable.attrs.get("empty", "")):
                say(f"{start}: no value for {empty}: {variable.attrs['empty_because']}")
        measures_ = ", ".join(attrs["name"] for attrs in measured)
        say(f"{start}: {states}, {measured[0]['n_stimuli']} stimuli, {measures_}")
        for line in () if table is None else score_lines(table):
            say(line)
    exports.remove(journal)


def _listed(names: str, most: int = 3) -> str:
    """How many items, and the first few names, of a list "a; b; c"; "" for none."""
    items = [name for name in names.split("; ") if name]
    more = ", ..." if len(items) > most else ""
    plural = "s" if len(items) > 1 else ""
    return f"{len(items)} representation{plural} ({', '.join(items[:most])}{more})" if items else ""


def _layer_names(probe: Any) -> set[str]:
    return {name for cohort in probe.cohorts for name in shapes_of(cohort, probe.inputs)}


def _write(
    start: Path,
    found: Representations,
    whole: xr.Dataset,
    fields: list[str],
    others: Sequence[Outside],
    table: pd.DataFrame | None,
    export: Sequence[str],
    interactions: bool,
) -> None:
    """All files of one comparison; those that this one does not make, and an earlier one left, go."""
    tests, means, result = [], [], networks(whole)
    with threadpool_limits(1, "blas"):  # small products: threads gain little, and on busy cores wait for each other
        for measure, layer, items, similarity in slices(result):
            label = {"measure": measure, "layer": layer}
            kind = result[measure].attrs["kind"]
            if kind != "score":  # no distance: how well one predicts another is not how far they are
                tests.append(run_field_tests(similarity, items, fields, label, kind=kind, interactions=interactions))
            attrs = result[measure].attrs
            means.append(group_means(similarity, items, fields, label | {k: attrs[k] for k in TRAVEL}))
    rdms = mean_rdms(found, set(result["a"].to_numpy().tolist()))
    names = [name for name, variable in result.data_vars.items() if "kind" in variable.attrs]
    layers = [correspondence(result, str(name), fields) for name in names] if result.attrs["layers"] == "all" else []
    start.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=start.parent, prefix=".part-") as folder:  # a full disk costs nothing that was
        parts, files = ({end: place / (start.name + end) for end in ENDS} for place in (Path(folder), start.parent))
        comparison.save(whole, parts[".nc"])
        comparison.save(rdms, parts["-rdms.nc"])
        pd.concat(means).to_csv(parts["-means.csv"], index=False)
        pd.concat(tests or [pd.DataFrame(columns=NO_TESTS)]).to_csv(parts["-fields.csv"], index=False)
        if len(found.categories):
            found.categories.to_csv(parts["-categories.csv"], index=False)
        if layers and layers[0].attrs["networks"]:
            comparison.save(xr.concat(layers, pd.Index(names, name="measure")), parts["-layers.nc"])
        if table is not None:
            table.to_csv(parts["-scores.csv"], index=False)
        exports.export(Path(folder) / start.name, export, whole, found, others)
        # A report looks for the fields: the first to go and the last to come, so that it never mixes two studies.
        files["-fields.csv"].unlink(missing_ok=True)
        for end in sorted(ENDS, key=lambda end: end == "-fields.csv"):
            exports.remove(files[end])
            if parts[end].exists():
                parts[end].replace(files[end])


def slices(result: xr.Dataset) -> list[tuple[str, str, pd.DataFrame, np.ndarray]]:
    """`(measure, layer, table, similarity)` for every measure and layer: one row of the table per item.

    The table has the coordinates and, as `layers`, how many layers the network has. What came from outside joins every
    layer, after its networks; give `networks(result)` for these alone.
    """
    alone = networks(result)
    table = _items(alone)
    if "layer_depth" in table and LAYERS not in table:
        table[LAYERS] = layer_counts(table)
    guests: Any = _items(result)[~result["a"].isin(alone["a"]).to_numpy()]
    guests = guests[guests["source"] != "control"] if len(guests) else guests
    place = {item: i for i, item in enumerate(result["a"].to_numpy().tolist())}
    found = []
    for name, variable in result.data_vars.items():
        if "kind" not in variable.attrs:
            continue
        for layer in dict.fromkeys(table["layer"]):
            part = table[table["layer"] == layer].reset_index(drop=True)
            if len(guests):  # as objects: beside what has none, integers would become floats
                part = pd.concat([part.assign(source=ZOO).astype(object), guests.astype(object)], ignore_index=True)
            rows = [place[item] for item in part["item"]]
            found.append((str(name), str(layer), part, variable.to_numpy()[np.ix_(rows, rows)]))
    return found


def _items(result: xr.Dataset) -> pd.DataFrame:
    """The items of a comparison with their labels."""
    columns = [str(name) for name in result.coords if str(name).endswith("_a")]
    table = pd.DataFrame({name.removesuffix("_a"): result[name].to_numpy() for name in columns})
    table.insert(0, "item", result["a"].to_numpy())
    return table


def mean_rdms(found: Representations, compared: set[str]) -> xr.Dataset:
    """Correlation RDMs over stimuli (time and units together), averaged over the members of a model.

    Args:
      found: the representations.
      compared: names of the items that took part in the comparison; diverged members are left out too.

    Returns:
      `rdm (group, i, j)`, 1 - Pearson r, stimuli sorted by their conditions; `model`, `layer`, `trained`, `members` per
      group and the conditions per stimulus.
    """
    order = np.lexsort(list(found.conditions.values())[::-1]) if found.conditions else slice(None)
    sums: dict[tuple[str, str, bool], tuple[np.ndarray, np.ndarray, int]] = {}
    for group in found.groups:
        for name, labels, x in zip(group.names, group.labels.to_dict("records"), group.array):
            if name not in compared or (labels["trained"] and labels["status"] == "diverged"):
                continue
            rows = x[order].reshape(len(x), -1).astype(np.float64)
            rows = rows - rows.mean(1, keepdims=True)
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.where(norms > 0, norms, np.nan)
            key = (str(labels["model"]), str(labels["layer"]), bool(labels["trained"]))
            rdm = 1 - rows @ rows.T
            total, defined, count = sums.get(key, (0.0, 0, 0))
            sums[key] = (total + np.nan_to_num(rdm), defined + np.isfinite(rdm), count + 1)
    models, layers, states = zip(*sums)
    coords: dict[str, Any] = {
        "model": ("group", np.array(models)),
        "layer": ("group", np.array(layers)),
        "trained": ("group", np.array(states)),
        "members": ("group", np.array([count for _, _, count in sums.values()])),
    }
    coords |= {f"condition_{name}": ("i", np.asarray(values)[order]) for name, values in found.conditions.items()}
    mean = np.stack([total / np.where(defined > 0, defined, np.nan) for total, defined, _ in sums.values()])
    return xr.Dataset({"rdm": (("group", "i", "j"), mean.astype(np.float32))}, coords, {"probe": found.probe})
