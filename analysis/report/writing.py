"""The pictures of a zoo directory and the numbers that matter, from what training and comparison left there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from analysis import artefacts
from analysis.geometry.embedding import FEWEST_UNITS
from analysis.inference.factors import told_apart
from analysis.report import depth, embedding_maps, figures, relations
from analysis.report.compared import Compared, in_order, read_comparisons
from analysis.report.score_chart import scores
from analysis.report.summary import summary_lines
from analysis.scoring.measure_agreement import agreement
from analysis.zoo_comparison import Slice, slices
from zoo.files import write_atomically
from zoo.store.reader import load

DRAWN = ".drawn.json"
"""The file among the pictures that says which of them belong to which comparison."""

Pictures = Iterator[tuple[str, Figure]]
"""Pictures with the names of their files, without the suffix."""


def report(directory: Path) -> Iterator[str]:
    """Draws `figures/*.png` of a compared zoo directory; yields the lines to print."""
    trained = load(directory)
    comparisons, refusals = read_comparisons(trained)
    yield from refusals
    if not comparisons:
        raise ValueError(f"{trained.path} has no comparison that can be reported; run compare again.")
    folder, drawn = trained.path / "figures", _drawn(trained.path / "figures")
    with figures.style(), threadpool_limits(1, "blas"):
        for compared in in_order(trained, comparisons):
            before, drawn[compared.name] = drawn.get(compared.name, []), []
            for name, figure in _pictures(compared):
                drawn[compared.name].append(re.sub(r"[^\w.-]+", "_", name) + ".png")
                write_atomically(folder / DRAWN, json.dumps(drawn, indent=1).encode())
                # Level 3: a third less time than the default for a matrix, the file hardly larger.
                options: Any = dict(bbox_inches="tight", pad_inches=0.1, pil_kwargs=dict(compress_level=3))
                figure.savefig(folder / drawn[compared.name][-1], **options)
            for name in set(before) - set(drawn[compared.name]):  # of what this comparison has replaced
                (folder / Path(name).name).unlink(missing_ok=True)
            yield from summary_lines(compared)
    count = sum(len(drawn[name]) for name in comparisons)
    yield f"{count} pictures in {folder}, matrices and tests in {trained.path / artefacts.FOLDER},"
    yield f"members in {trained.path / 'members.csv'}."


def _drawn(folder: Path) -> dict[str, list[str]]:
    """Comparison -> its pictures, as earlier reports have drawn them."""
    try:
        return json.loads((folder / DRAWN).read_text())
    except (OSError, ValueError):
        return {}


def _pictures(compared: Compared) -> Pictures:
    """All pictures of one comparison, in the order in which they are drawn."""
    defined: list[Slice] = []
    for whole in slices(compared.comparison):
        defined.append(_defined(whole))
        yield from _of_slice(compared, defined[-1], told_apart(whole.table, compared.fields))
    yield from _of_agreement(compared, defined)
    yield from _of_scores(compared)
    means = compared.mean_rdms()
    for layer in dict.fromkeys(means["layer"].to_numpy().tolist()):
        yield f"{compared.name}-{layer}-rdms", figures.rdms(means, layer, compared.title)
    yield from _of_depth(compared)
    if not compared.of_task.stimuli:
        yield f"{compared.name}-curves", _curves(compared)


def _defined(whole: Slice) -> Slice:
    """A slice without the networks of which nothing is known; what came from elsewhere stays, with empty cells."""
    guests = np.isin(figures.states_of(whole.table), list(embedding_maps.GUESTS))
    rows = np.flatnonzero(np.isfinite(whole.values).any(1) | guests)
    return whole._replace(table=whole.table.iloc[rows].reset_index(drop=True), values=whole.values[np.ix_(rows, rows)])


def _of_slice(compared: Compared, shown: Slice, present: list[str]) -> Pictures:
    """One measure at one layer, by the fields that vary there: the matrix, and of distances the map and the tree."""
    record = compared.comparison.measures[shown.variable].record
    start, title = f"{compared.name}-{shown.layer}-{shown.variable}", f"{compared.title}, layer {shown.layer}"
    yield f"{start}-heatmap", figures.heat_map(shown.values, shown.table, present, record, title)
    if record.kind == "score" or not len(shown.table):
        return  # a score has no distance: nothing to lay out
    yield f"{start}-mds", embedding_maps.mds(shown.values, shown.table, present, record, title, compared.fields)
    if (clusters := relations.clusters(shown.values, shown.table, present, record, title)) is not None:
        yield f"{start}-clusters", clusters


def _of_agreement(compared: Compared, defined: list[Slice]) -> Pictures:
    """How far the measures agree, layer by layer; nothing where there is one measure."""
    by_layer: dict[str, list[Slice]] = {}
    for each in defined:
        by_layer.setdefault(each.layer, []).append(each)
    several = len(compared.table[compared.fields].astype(str).drop_duplicates()) >= FEWEST_UNITS
    fields = compared.fields if several else []
    tables = {layer: _agreement(compared, of_layer, fields) for layer, of_layer in by_layer.items()}
    if known := {layer: table for layer, table in tables.items() if table is not None}:
        over = "configurations" if fields else "members"
        yield f"{compared.name}-agreement", relations.agreement(known, over, compared.title)


def _agreement(compared: Compared, of_layer: list[Slice], fields: list[str]) -> pd.DataFrame | None:
    """How far the measures of one layer agree over trained networks that all of them have; None for one measure."""
    values: dict[str, Any] = {}
    for variable, _, table, block in of_layer:
        good = (figures.states_of(table) == "trained") & (table["status"] != "diverged").to_numpy()
        names = table["item"].to_numpy()[good]
        values[variable] = pd.DataFrame(block[np.ix_(good, good)], names, names)
    shared = [item for item in next(iter(values.values())).index if all(item in part.index for part in values.values())]
    if len(values) < 2 or len(shared) < 3:
        return None
    matrices = {variable: part.loc[shared, shared].to_numpy() for variable, part in values.items()}
    rows = of_layer[0].table.set_index("item").loc[shared, fields].astype(str)
    groups = list(rows.itertuples(index=False, name=None)) if fields else None
    kinds = {variable: compared.comparison.measures[variable].record.kind for variable in matrices}
    return agreement(matrices, kinds, groups)


def _of_scores(compared: Compared) -> Pictures:
    """A picture per recording, where there are any."""
    table: Any = compared.scores()
    if table is None:
        return
    records = {measure: compared.comparison.measures[measure].record for measure in table["measure"].unique()}
    chance = {measure: record.chance for measure, record in records.items()}
    table = table.assign(chance=table["measure"].map(chance).astype(float))
    table["measure"] = table["measure"].map({measure: record.name for measure, record in records.items()})
    for recording in table["recording"].unique():
        yield f"{compared.name}-{recording}-scores", scores(table[table["recording"] == recording], compared.title)


def _of_depth(compared: Compared) -> Pictures:
    """Category structure along the depth of networks, and layers against layers, where there are any."""
    categories, field = compared.categories(), compared.colouring()
    if categories is not None:
        yield f"{compared.name}-categories", depth.category_structure(categories, field, compared.title)
    correspondence = compared.layers()
    if correspondence is None:
        return
    for variable in correspondence["measure"].to_numpy().tolist():
        of_measure = correspondence.sel(measure=variable)
        if int(of_measure["pairs"].sum()):
            record = compared.comparison.measures[variable].record
            yield f"{compared.name}-layers-{variable}", depth.layers(of_measure, record, compared.title)


def _curves(compared: Compared) -> Figure:
    """The training curves of members that have not diverged."""
    kept: Any = compared.table[compared.table["status"] != "diverged"]
    gone = len(compared.table) - len(kept)
    groups = dict(zip(kept.index, figures.names_of(kept, [compared.colouring()])))
    title = f"{compared.title} ({gone} diverged members left out)" if gone else compared.title
    levels = compared.of_task.chance, compared.of_task.solved
    return figures.curves(compared.trained.curves, groups, *levels, title)
