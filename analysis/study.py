"""The comparison of a zoo directory: every member, trained and untrained, on its task's probe, and what explains it.

analysis/<task>.nc            similarity of every pair under every measure, labelled
analysis/<task>-rdms.nc       mean RDM of every model and layer, trained and untrained
analysis/<task>-fields.csv    per measure, layer and varied field: share of the geometry, permutation test
analysis/<task>-means.csv     per measure, layer and pair of models: mean similarity, trained and untrained
analysis/<task>-categories.csv  per member, layer and condition: category structure, where a probe of images has classes
analysis/<task>-layers.nc     with all layers compared: which depth of one network is like which of another

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

from analysis import comparison
from analysis.embedding import angular
from analysis.factors import DEPTH, LAYERS, depths, layer_counts, levels, singular, tested_fields, told_apart
from analysis.layers import correspondence
from analysis.probes import finished_alike, probes, shapes_of
from analysis.representations import Representations, representations
from analysis.statistics import explained, holm, references, within_between
from analysis.stimuli import read_stimuli
from zoo.lookup import nearest
from zoo.store import load

ENDS = (".nc", "-rdms.nc", "-fields.csv", "-means.csv", "-categories.csv", "-layers.nc")
"""What the files of one comparison end with."""

MOST_GROUPS = 24
"""Groups of members whose means are set against each other; a field of more levels is read in the similarities."""


def study(
    directory: Path,
    measures: Sequence[str] = ("cka", "rsa"),
    *,
    layers: Sequence[str] = (),
    all_layers: bool = False,
    space: str = "mean",
    exclude_degenerate: bool = False,
    probe: str | os.PathLike[str] | None = None,
    say: Callable[[str], Any] = print,
) -> None:
    """Compare all members of a zoo directory, probe by probe, and write `analysis/`.

    Args:
      directory: a trained zoo.
      measures: see `analysis.compare`.
      layers: names; all of them where none is given.
      all_layers: compare unequal layers too.
      space: see `analysis.representations`.
      exclude_degenerate: leave out constant and NaN representations instead of stopping at them.
      probe: a file of images to show instead of the tasks' own probes; see `analysis.stimuli.read_stimuli`.
      say: takes one line per probe and measure.
    """
    trained = load(directory)
    if unfinished := sum(status in ("pending", "training") for status in trained.members["status"]):
        say(f"{unfinished} of {len(trained.members)} members are not trained to their end and are left out")
    chosen = [comparison.measure(name) for name in measures]  # a wrong name ends here, before anything is computed
    stimuli = None if probe is None else read_stimuli(probe)
    if stimuli is not None and f"-{stimuli.name}".endswith(tuple(end.split(".")[0] for end in ENDS[1:])):
        raise ValueError(f"A probe may not be called {stimuli.name!r}: results have this name; rename {probe}.")
    known = probes(trained, stimuli)
    names = {task: _layer_names(found) for task, found in known.items()} if layers else {}
    for layer in layers:
        if not any(layer in of_task for of_task in names.values()):
            everything = dict.fromkeys(name for of_task in names.values() for name in of_task)
            raise ValueError(f"{trained.path} has no layer {layer!r}; {nearest(layer, everything)}.")
    for task in known:
        here = [layer for layer in layers if layer in names[task]]
        if layers and not here:
            continue
        found = representations(trained, here or None, task=task, untrained=True, space=space, probe=stimuli)
        settings: dict[str, Any] = dict(layers="all" if all_layers else "equal", exclude_degenerate=exclude_degenerate)
        result = comparison.compare(found, chosen, **settings)
        result.attrs |= dict(task=task, stimuli=stimuli.name if stimuli else "", layers=settings["layers"])
        shown = known[task].cohorts[0].members[0].task
        result.attrs |= dict(chance=float(shown.chance), solved=float(shown.solved))
        result.attrs["finished"] = finished_alike(trained, result["member_a"].to_numpy())
        start = f"{task}-{stimuli.name}" if stimuli else task
        _write(trained.path / "analysis" / start, found, result, tested_fields(trained, result["member_a"].to_numpy()))
        measured = [variable.attrs for variable in result.data_vars.values() if "kind" in variable.attrs]
        count = len(set(result["member_a"].to_numpy()))
        states = f"{count} members, trained and untrained, at {len(set(result['layer_a'].to_numpy()))} layers"
        states += f" ({found.space} of maps)" if found.space else ""
        if left_out := _listed(result.attrs["excluded"]):
            say(f"{start}: left out as constant over all stimuli or not finite: {left_out}")
        for variable in result.data_vars.values():
            if undefined := _listed(variable.attrs.get("undefined", "")):
                say(f"{start}: {variable.attrs['name']} is undefined where activity is flat or overflows: {undefined}")
        measures_ = ", ".join(attrs["name"] for attrs in measured)
        say(f"{start}: {states}, {measured[0]['n_stimuli']} stimuli, {measures_}")


def _listed(names: str, most: int = 3) -> str:
    """How many items, and the first few names, of a list "a; b; c"; "" for none."""
    items = [name for name in names.split("; ") if name]
    more = ", ..." if len(items) > most else ""
    plural = "s" if len(items) > 1 else ""
    return f"{len(items)} representation{plural} ({', '.join(items[:most])}{more})" if items else ""


def _layer_names(probe: Any) -> set[str]:
    return {name for cohort in probe.cohorts for name in shapes_of(cohort, probe.inputs)}


def _write(start: Path, found: Representations, result: xr.Dataset, fields: list[str]) -> None:
    """All files of one comparison; those that this one does not make, and an earlier one left, go."""
    tests, means = [], []
    with threadpool_limits(1, "blas"):  # small products: threads gain little, and on busy cores wait for each other
        for measure, layer, table, similarity in slices(result):
            label = {"measure": measure, "layer": layer}
            tests.append(_explained(similarity, table, fields, label))
            means.append(_means(similarity, table, fields, label))
    rdms = mean_rdms(found, set(result["a"].to_numpy().tolist()))
    names = [name for name, variable in result.data_vars.items() if "kind" in variable.attrs]
    layers = [correspondence(result, str(name), fields) for name in names] if result.attrs["layers"] == "all" else []
    start.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=start.parent, prefix=".part-") as folder:  # a full disk costs nothing that was
        parts, files = ({end: place / (start.name + end) for end in ENDS} for place in (Path(folder), start.parent))
        comparison.save(result, parts[".nc"])
        comparison.save(rdms, parts["-rdms.nc"])
        pd.concat(means).to_csv(parts["-means.csv"], index=False)
        pd.concat(tests).to_csv(parts["-fields.csv"], index=False)
        if len(found.categories):
            found.categories.to_csv(parts["-categories.csv"], index=False)
        if layers and layers[0].attrs["networks"]:
            comparison.save(xr.concat(layers, pd.Index(names, name="measure")), parts["-layers.nc"])
        # A report looks for the fields: the first to go and the last to come, so that it never mixes two studies.
        files["-fields.csv"].unlink(missing_ok=True)
        for end in sorted(ENDS, key=lambda end: end == "-fields.csv"):
            files[end].unlink(missing_ok=True)
            if parts[end].exists():
                parts[end].replace(files[end])


def slices(result: xr.Dataset) -> list[tuple[str, str, pd.DataFrame, np.ndarray]]:
    """`(measure, layer, table, similarity)` for every measure and layer: one row of the table per item.

    The table has the coordinates and, as `layers`, how many layers the network has.
    """
    columns = [str(name) for name in result.coords if str(name).endswith("_a")]
    table = pd.DataFrame({name.removesuffix("_a"): result[name].to_numpy() for name in columns})
    table.insert(0, "item", result["a"].to_numpy())
    if "layer_depth" in table and LAYERS not in table:
        table[LAYERS] = layer_counts(table)
    found = []
    for name, variable in result.data_vars.items():
        if "kind" not in variable.attrs:
            continue
        for layer in dict.fromkeys(table["layer"]):
            rows = np.flatnonzero(table["layer"] == layer)
            part = table.iloc[rows].reset_index(drop=True)
            found.append((str(name), str(layer), part, variable.to_numpy()[np.ix_(rows, rows)]))
    return found


def _explained(similarity: np.ndarray, table: pd.DataFrame, fields: list[str], label: dict[str, str]) -> pd.DataFrame:
    """The tests of all fields that vary.

    Members of one cohort with one seed start alike and see the same trials: where a field varies between them, its
    levels are near copies of one network, fine to compare with each other, but no independent evidence on another
    field. Other fields are therefore tested on the mean over such a field, which does not stand among their strata.

    Fields with a level for nearly every configuration leave hardly two configurations in one stratum. Where that allows
    no field a p below 1 in 1,000, the others are tested without these, with the number of their entries, `depth`, in
    their place. The test of `depth` is of all that comes with it: a kernel that only shallow networks have is a part.
    """
    defined = np.isfinite(similarity.diagonal())
    rows = np.flatnonzero(table["trained"] & (table["status"] != "diverged") & defined)
    part = table.iloc[rows].reset_index(drop=True).replace("", np.nan)
    distance = angular(similarity[np.ix_(rows, rows)])
    present = [field for field in fields if len(levels(part[field])) > 1]
    groups = part.groupby(["cohort", "seed"])
    copies = [field for field in present if field != "model" and (groups[field].nunique() > 1).any()]
    own = [field for field in present if field not in copies]
    first: Any = explained(distance, part, own).assign(not_held="")
    loose = [] if (first["testable"] & (first["smallest_p"] < 1e-3)).any() else singular(part, own)
    loose = loose if len(loose) < len(own) else []
    if loose:
        own = [field for field in own if field not in loose]
        deep = depths(part, loose)
        if DEPTH not in part and len(set(deep)) > 1:
            part, own = part.assign(**{DEPTH: deep}), [*own, DEPTH]
        others = explained(distance, part, own, not_held=loose).assign(not_held=", ".join(loose))
        first = pd.concat([first.loc[loose].assign(testable=False, p=1.0), others])
    tests = [first.assign(averaged_over=", ".join(copies))]
    for field in copies:
        others = [copy for copy in copies if copy != field]
        test = explained(distance, part, [*own, field], not_held=[f for f in loose if f not in own]).loc[[field]]
        tests.append(test.assign(averaged_over=", ".join(others), not_held=", ".join(loose)))
    result = pd.concat(tests).reset_index(names="field")
    result["p_holm"] = holm(result["p"].to_numpy(float), result["testable"].to_numpy(bool))
    return result.assign(**label).reindex(columns=[*label, *result.columns])


def _means(similarity: np.ndarray, table: pd.DataFrame, fields: list[str], label: dict[str, str]) -> pd.DataFrame:
    rows = []
    kind = (told_apart(table, fields) or ["model"])[0]  # the model where there are several, else the first that varies
    kind = kind if len(set(table[kind])) <= MOST_GROUPS else "model"
    gone = table["status"] == "diverged"
    for trained in (True, False):
        which = np.flatnonzero((table["trained"] == trained) & ~(trained & gone))
        frame = within_between(similarity[np.ix_(which, which)], table[kind].iloc[which].tolist())
        state = "trained" if trained else "untrained"
        rows += [{"state": state, "pairs_of": name, "mean": m, "pairs": n} for name, m, n in frame.itertuples()]
    kept = np.flatnonzero(~(table["trained"] & gone))
    against = references(similarity[np.ix_(kept, kept)], table.iloc[kept].reset_index(drop=True), fields)
    names = ("same configuration, other seed", "other configuration", "trained / untrained", "untrained / untrained")
    rows += [
        {"state": "reference", "pairs_of": name, "mean": mean, "pairs": count}
        for name, mean, count in zip(names, against[:4], against.pairs)
    ]
    return pd.DataFrame([{**label, "groups": kind, **row} for row in rows])


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
