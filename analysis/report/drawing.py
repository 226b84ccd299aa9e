"""The pictures of a zoo directory and the numbers that matter, from what training and comparison left there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from analysis import comparison
from analysis.geometry.embedding import FEWEST_UNITS
from analysis.inference.factors import told_apart
from analysis.report import depth, figures, maps, relations
from analysis.report.compared import Compared, categories_of, colouring, comparisons
from analysis.report.score_chart import scores
from analysis.report.summary import summary_lines
from analysis.scoring.measure_agreement import agreement
from analysis.scoring.recording_scores import networks
from analysis.zoo_comparison import slices
from zoo.files import write_atomically
from zoo.store.reader import Trained, load

DRAWN = ".drawn.json"
"""The file among the pictures that says which of them belong to which comparison."""


def report(directory: Path) -> Iterator[str]:
    """Draw `figures/*.png` of a compared zoo directory; yields the lines to print."""
    trained = load(directory)
    paths = sorted((trained.path / "analysis").glob("*-fields.csv"))
    if not paths:
        raise ValueError(f"{trained.path} has no comparison to report; run compare first.")
    results = {name: comparison.load(paths[0].with_name(f"{name}.nc")) for name in map(_name, paths)}
    fitting = {name: result for name, result in results.items() if _fits(result, trained)}
    for name in [name for name in results if name not in fitting]:
        yield f"{name} was compared by an earlier version or in another zoo; compare it again to have it drawn"
    if not fitting:
        raise ValueError(f"{trained.path} has no comparison that can be reported; run compare again.")
    folder, drawn = trained.path / "figures", _drawn(trained.path / "figures")
    with figures.style(), threadpool_limits(1, "blas"):
        for study in comparisons(trained, fitting):
            before, drawn[study.name] = drawn.get(study.name, []), []
            for name, figure in _figures(trained, study):
                drawn[study.name].append(re.sub(r"[^\w.-]+", "_", name) + ".png")
                write_atomically(folder / DRAWN, json.dumps(drawn, indent=1).encode())
                # Level 3: a third less time than the default for a matrix, the file hardly larger.
                about = dict(bbox_inches="tight", pad_inches=0.1, pil_kwargs=dict(compress_level=3))
                figure.savefig(folder / drawn[study.name][-1], **about)
            for name in set(before) - set(drawn[study.name]):  # of what this comparison has replaced
                (folder / Path(name).name).unlink(missing_ok=True)
            yield from summary_lines(trained, study)
    count = sum(len(drawn[name]) for name in fitting)
    yield f"{count} pictures in {folder}, matrices and tests in {trained.path / 'analysis'},"
    yield f"members in {trained.path / 'members.csv'}."


def _drawn(folder: Path) -> dict[str, list[str]]:
    """Comparison -> its pictures, as earlier reports have drawn them."""
    try:
        return json.loads((folder / DRAWN).read_text())
    except (OSError, ValueError):
        return {}


def _name(fields: Path) -> str:
    """The name of a comparison, from the path of its tests."""
    return fields.name.removesuffix("-fields.csv")


def _fits(result: xr.Dataset, trained: Trained) -> bool:
    """Whether a comparison says what a report needs, of members that are there."""
    there = set(trained.members["member"])
    return "finished" in result.attrs and there.issuperset(networks(result)["member_a"].to_numpy().tolist())


def _figures(trained: Trained, study: Compared) -> Iterator[tuple[str, Any]]:
    folder, name, title = trained.path / "analysis", study.name, study.title
    compared: dict[str, list[tuple[str, pd.DataFrame, np.ndarray]]] = {}
    for measure, layer, table, similarity in slices(study.result):
        present = told_apart(table, study.fields)
        attrs, where = study.result[measure].attrs, f"{title}, layer {layer}"
        guests = np.isin(figures.states_of(table), list(maps.GUESTS))  # stay, with empty cells
        defined = np.flatnonzero(np.isfinite(similarity).any(1) | guests)
        table, similarity = table.iloc[defined].reset_index(drop=True), similarity[np.ix_(defined, defined)]
        start = f"{name}-{layer}-{measure}"
        compared.setdefault(layer, []).append((measure, table, similarity))
        yield f"{start}-heatmap", figures.heat_map(similarity, table, present, attrs, where)
        if attrs["kind"] == "score" or not len(table):
            continue  # a score has no distance: nothing to lay out
        yield f"{start}-mds", maps.mds(similarity, table, present, attrs, where, study.fields)
        if (clusters := relations.clusters(similarity, table, present, attrs, where)) is not None:
            yield f"{start}-clusters", clusters
    by = study.fields if len(study.table[study.fields].astype(str).drop_duplicates()) >= FEWEST_UNITS else []
    agreeing = {layer: _agreement(study, slices_, by) for layer, slices_ in compared.items()}
    if agreeing := {layer: found for layer, found in agreeing.items() if found is not None}:
        yield f"{name}-agreement", relations.agreement(agreeing, "configurations" if by else "members", title)
    if (folder / f"{name}-scores.csv").exists():
        table: Any = pd.read_csv(folder / f"{name}-scores.csv", keep_default_na=False, na_values=[""])
        known = {measure: study.result[measure].attrs for measure in table["measure"].unique()}
        level = {key: attrs["chance"] for key, attrs in known.items() if not isinstance(attrs["chance"], str)}
        table = table.assign(chance=table["measure"].map(level).astype(float))
        table["measure"] = table["measure"].map({key: attrs["name"] for key, attrs in known.items()})
        for recording in table["recording"].unique():
            yield f"{name}-{recording}-scores", scores(table[table["recording"] == recording], title)
    means = comparison.load(folder / f"{name}-rdms.nc")
    for layer in dict.fromkeys(means["layer"].to_numpy().tolist()):
        yield f"{name}-{layer}-rdms", figures.rdms(means, layer, title)
    field = colouring(study)
    categories = categories_of(trained, study)
    if categories is not None:
        yield f"{name}-categories", depth.category_structure(categories, field, title)
    if (folder / f"{name}-layers.nc").exists():
        found = comparison.load(folder / f"{name}-layers.nc")
        for measure in found["measure"].to_numpy().tolist():
            part = found.sel(measure=measure)
            if int(part["pairs"].sum()):
                yield f"{name}-layers-{measure}", depth.layers(part, study.result[measure].attrs, title)
    if study.own:
        kept: Any = study.table[study.table["status"] != "diverged"]
        gone = len(study.table) - len(kept)
        groups = dict(zip(kept.index, figures.names_of(kept, [field])))
        attrs = study.result.attrs
        note = f"{title} ({gone} diverged members left out)" if gone else title
        yield f"{name}-curves", figures.curves(trained.curves, groups, attrs["chance"], attrs["solved"], note)


def _agreement(study: Compared, compared: list[tuple[str, pd.DataFrame, np.ndarray]], by: list[str]) -> Any:
    """How far the measures of one layer agree over trained networks that all of them have; None for one measure."""
    chosen: dict[str, Any] = {}
    for measure, table, similarity in compared:
        good = (figures.states_of(table) == "trained") & (table["status"] != "diverged").to_numpy()
        names = table["item"].to_numpy()[good]
        chosen[measure] = pd.DataFrame(similarity[np.ix_(good, good)], names, names)
    shared = [item for item in next(iter(chosen.values())).index if all(item in part.index for part in chosen.values())]
    if len(chosen) < 2 or len(shared) < 3:
        return None
    values = {measure: part.loc[shared, shared].to_numpy() for measure, part in chosen.items()}
    rows = compared[0][1].set_index("item").loc[shared, by].astype(str)
    groups = list(rows.itertuples(index=False, name=None)) if by else None
    return agreement(values, {measure: study.result[measure].attrs["kind"] for measure in values}, groups)
