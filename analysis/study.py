"""The comparison of a zoo directory: every member, trained and untrained, on its task's probe, and what explains it.

analysis/<task>.nc            similarity of every pair under every measure, labelled
analysis/<task>-rdms.nc       mean RDM of every model and layer, trained and untrained
analysis/<task>-fields.csv    per measure, layer and varied field: share of the geometry, permutation test
analysis/<task>-means.csv     per measure, layer and pair of models: mean similarity, trained and untrained
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from analysis import comparison
from analysis.embedding import angular
from analysis.representations import Representations, probes, representations
from analysis.statistics import explained, references, within_between
from zoo.checkpoints import write_atomically
from zoo.spec import members, varied
from zoo.store import load


def study(
    directory: Path,
    measures: Sequence[str] = ("cka", "rsa"),
    *,
    layers: Sequence[str] = (),
    all_layers: bool = False,
    space: str = "mean",
    exclude_degenerate: bool = False,
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
      say: takes one line per probe and measure.
    """
    trained = load(directory)
    chosen = [comparison.measure(name) for name in measures]  # a wrong name ends here, before anything is computed
    for task in probes(trained):
        found = representations(trained, list(layers) or None, task=task, untrained=True, space=space)
        settings: dict[str, Any] = dict(layers="all" if all_layers else "equal", exclude_degenerate=exclude_degenerate)
        result = comparison.compare(found, chosen, **settings)
        fields = tested_fields(trained, task)
        tests, means = [], []
        for measure, layer, table, similarity in slices(result):
            label = {"measure": measure, "layer": layer}
            tests.append(_explained(similarity, table, fields, label))
            means.append(_means(similarity, table, fields, label))
        folder = trained.path / "analysis"
        comparison.save(result, folder / f"{task}.nc")
        comparison.save(mean_rdms(found), folder / f"{task}-rdms.nc")
        write_atomically(folder / f"{task}-fields.csv", pd.concat(tests).to_csv(index=False).encode())
        write_atomically(folder / f"{task}-means.csv", pd.concat(means).to_csv(index=False).encode())
        items = f"{result.sizes['a']} items of {int(result['trained_a'].sum())} trained"
        names = ", ".join(v.attrs["name"] for v in result.data_vars.values() if "kind" in v.attrs)
        for variable in result.data_vars.values():
            for item in filter(None, variable.attrs.get("undefined", "").split("; ")):
                say(f"{task}: {variable.attrs['name']} is undefined for {item}: its activity is flat or overflows")
        say(f"{task}: {items}, {next(iter(result.data_vars.values())).attrs['n_stimuli']} stimuli, {names}")


def tested_fields(trained: Any, task: str) -> list[str]:
    """What was varied among the members of a probe: the model, and every field that is not the seed."""
    ids = {m.id for cohort in probes(trained)[task].cohorts for m in cohort.members}
    group = [member for member in members(trained.zoo) if member.id in ids]
    models = ["model"] if len({type(m.model) for m in group}) > 1 else []
    return models + [name for name in varied(group) if name in trained.members]


def slices(result: xr.Dataset) -> list[tuple[str, str, pd.DataFrame, np.ndarray]]:
    """`(measure, layer, table, similarity)` for every measure and layer: one row of the table per item."""
    columns = [str(name) for name in result.coords if str(name).endswith("_a")]
    table = pd.DataFrame({name.removesuffix("_a"): result[name].to_numpy() for name in columns})
    table.insert(0, "item", result["a"].to_numpy())
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
    defined = np.isfinite(similarity.diagonal())
    rows = np.flatnonzero(table["trained"] & (table["status"] != "diverged") & defined)
    part = table.iloc[rows].reset_index(drop=True)
    part = part.replace("", np.nan) if len(part) else part
    present = [field for field in fields if part[field].nunique() > 1]
    tests = explained(angular(similarity[np.ix_(rows, rows)]), part, present).reset_index()
    return tests.assign(**label).reindex(columns=[*label, *tests.columns])


def _means(similarity: np.ndarray, table: pd.DataFrame, fields: list[str], label: dict[str, str]) -> pd.DataFrame:
    rows = []
    kind = (fields or ["model"])[0]  # the model where there are several, else the first field that was varied
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


def mean_rdms(found: Representations) -> xr.Dataset:
    """Correlation RDMs over stimuli (time and units together), averaged over the members of a model.

    Returns:
      `rdm (group, i, j)`, 1 - Pearson r, stimuli sorted by their conditions; `model`, `layer`, `trained`, `members` per
      group and the conditions per stimulus.
    """
    order = np.lexsort(list(found.conditions.values())[::-1]) if found.conditions else slice(None)
    sums: dict[tuple[str, str, bool], list[np.ndarray]] = {}
    for group in found.groups:
        for labels, x in zip(group.labels.to_dict("records"), group.array):
            rows = x[order].reshape(len(x), -1).astype(np.float64)
            rows = rows - rows.mean(1, keepdims=True)
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.where(norms > 0, norms, np.nan)
            key = (str(labels["model"]), str(labels["layer"]), bool(labels["trained"]))
            sums.setdefault(key, []).append(1 - rows @ rows.T)
    models, layers, states = zip(*sums)
    coords: dict[str, Any] = {
        "model": ("group", np.array(models)),
        "layer": ("group", np.array(layers)),
        "trained": ("group", np.array(states)),
        "members": ("group", np.array([len(rdms) for rdms in sums.values()])),
    }
    coords |= {f"condition_{name}": ("i", np.asarray(values)[order]) for name, values in found.conditions.items()}
    mean = np.stack([np.nanmean(rdms, axis=0) if len(rdms) > 1 else rdms[0] for rdms in sums.values()])
    return xr.Dataset({"rdm": (("group", "i", "j"), mean.astype(np.float32))}, coords, {"probe": found.probe})
