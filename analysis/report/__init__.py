"""The pictures of a zoo directory and the numbers that matter, from what training and comparison left there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from analysis import comparison
from analysis.against import networks, score_lines
from analysis.agreement import agreement
from analysis.designs import THESE
from analysis.embedding import FEWEST_UNITS
from analysis.factors import LAYERS, MOST_LEVELS, layer_counts, levels, tested_fields, told_apart
from analysis.probes import finished_alike
from analysis.report import depth, figures, maps, relations
from analysis.report.scores import scores
from analysis.study import slices
from zoo.files import write_atomically
from zoo.trained import Trained, load

DRAWN = ".drawn.json"
"""The file among the pictures that says which of them belong to which comparison."""


class Study(NamedTuple):
    """One comparison of a zoo directory.

    Attributes:
      name: what its files start with: the task, and the probe's name where the images came from a file.
      title: of its figures.
      own: whether the probe is the task's own.
      result: similarities.
      fields: what was varied among its members.
      table: one row per member.
    """

    name: str
    title: str
    own: bool
    result: xr.Dataset
    fields: list[str]
    table: pd.DataFrame


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
        for study in _studies(trained, fitting):
            before, drawn[study.name] = drawn.get(study.name, []), []
            for name, figure in _figures(trained, study):
                drawn[study.name].append(re.sub(r"[^\w.-]+", "_", name) + ".png")
                write_atomically(folder / DRAWN, json.dumps(drawn, indent=1).encode())
                # Level 3: a third less time than the default for a matrix, the file hardly larger.
                about = dict(bbox_inches="tight", pad_inches=0.1, pil_kwargs=dict(compress_level=3))
                figure.savefig(folder / drawn[study.name][-1], **about)
            for name in set(before) - set(drawn[study.name]):  # of what this comparison has replaced
                (folder / Path(name).name).unlink(missing_ok=True)
            yield from summary(trained, study)
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


def _studies(trained: Trained, results: dict[str, xr.Dataset]) -> Iterator[Study]:
    """The comparisons of a directory, in the zoo's order, the tasks' own probes first."""
    order = trained.members["member"].tolist()

    def place(name: str) -> tuple[bool, int]:
        return bool(results[name].attrs["stimuli"]), order.index(networks(results[name])["member_a"].to_numpy()[0])

    spec = trained.manifest["spec"]["name"]
    for name in sorted(results, key=place):
        result = results[name]
        alone = networks(result)
        own, ids = not result.attrs["stimuli"], dict.fromkeys(alone["member_a"].to_numpy().tolist())
        table: Any = trained.members.set_index("member").loc[list(ids)]
        if "layer_depth_a" in alone.coords and LAYERS not in table:
            items = pd.DataFrame({"member": alone["member_a"], "layer_depth": alone["layer_depth_a"]})
            counts = items.assign(layers=layer_counts(items)).drop_duplicates("member").set_index("member")["layers"]
            table = table.assign(**{LAYERS: counts.reindex(table.index)})
        title = name if name == spec else f"{spec}: {name}"
        title += f" ({space} of maps)" if (space := result.attrs["space"]) not in ("", "mean") else ""
        yield Study(name, title, own, result, tested_fields(trained, table.index), table)


def _figures(trained: Trained, study: Study) -> Iterator[tuple[str, Any]]:
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
    field = _colouring(study)
    categories = _categories(trained, study)
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


def _agreement(study: Study, compared: list[tuple[str, pd.DataFrame, np.ndarray]], by: list[str]) -> Any:
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


def _colouring(study: Study) -> str:
    """The field that groups members in pictures of all: the first that can be told apart, unless it has many levels."""
    first = [*told_apart(study.table, study.fields), "model"][0]
    return first if len(levels(study.table[first])) <= MOST_LEVELS else "model"


def _categories(trained: Trained, study: Study) -> pd.DataFrame | None:
    """Category structure, with the field that colours it; of networks that have not diverged."""
    path = trained.path / "analysis" / f"{study.name}-categories.csv"
    if not path.exists():
        return None
    table: Any = pd.read_csv(path)
    table = table[(table["status"] != "diverged") | ~table["trained"]]
    field = _colouring(study)
    if field not in table:
        table = table.assign(**{field: study.table[field].reindex(table["member"]).to_numpy()})
    return table if len(table) else None


def summary(trained: Trained, study: Study) -> Iterator[str]:
    """The few numbers that matter of one comparison: the first measure at the last layer; the rest is in the files."""
    table = study.table
    yield (
        f"{study.name}: {len(table)} members, {(table['status'] == 'solved').mean():.0%} solved; "
        f"score {table['score'].median():.4f} (median), {table['score'].min():.4f} (lowest)"
    )
    if (since := finished_alike(trained, table.index) - study.result.attrs["finished"]) > 0:
        yield f"  {since} members were trained to their end since; compare again to have them in"
    folder = trained.path / "analysis"
    means, tests = (pd.read_csv(folder / f"{study.name}-{name}.csv") for name in ("means", "fields"))
    measure, layer = means["measure"].iloc[0], _last_layer(networks(study.result))
    part: Any = means[(means["measure"] == measure) & (means["layer"] == layer)]
    value = {(row["state"], row["pairs_of"]): row["mean"] for row in records(part)}
    pairs = {(row["state"], row["pairs_of"]): row["pairs"] > 0 for row in records(part)}
    between = np.isfinite(value["trained", "between"])
    kind = part["groups"].iloc[0]
    groups = "architectures" if kind == "model" else f"levels of {kind}"
    for state in ("trained", "untrained"):
        words = [f"{value[state, 'within']:.2f}" + (" within" if between else "")] * pairs[state, "within"]
        words += [f"{value[state, 'between']:.2f} between {groups}"] * bool(between)
        yield f"  {measure} at {layer}, {state}: {', '.join(words) or 'no pairs'}"
    yield f"  {measure} at {layer}, trained with untrained: {value['reference', 'trained / untrained']:.2f}"
    categories = _categories(trained, study)
    if categories is not None:
        yield from category_lines(categories)
    if (folder / f"{study.name}-layers.nc").exists():
        words = depth.identification(comparison.load(folder / f"{study.name}-layers.nc").isel(measure=0))
        yield from [f"  {measure}: {'; '.join(words)}"] if words else []
    yield from field_lines(tests[(tests["measure"] == measure) & (tests["layer"] == layer)], measure, layer)
    if (scores := folder / f"{study.name}-scores.csv").exists():
        yield from score_lines(pd.read_csv(scores, dtype={"layer": str, "name": str}))


def _last_layer(result: xr.Dataset) -> str:
    """The deepest of the layers that the most networks have."""
    layer = result["layer_a"].to_numpy()
    depth = result["layer_depth_a"].to_numpy() if "layer_depth_a" in result.coords else np.arange(len(layer))
    of = {str(name): (np.sum(layer == name), depth[layer == name].mean()) for name in dict.fromkeys(layer)}
    return max(of, key=lambda name: of[name])


def category_lines(table: pd.DataFrame) -> Iterator[str]:
    """From the first to the last layer: medians of the category index, and in how many networks it rises."""
    layers: Any = table.groupby("member")["layer"].nunique()
    single = int((layers == 1).sum())
    note = f"; {single} networks of one layer neither rise nor fall" if single else ""
    for condition in dict.fromkeys(table["condition"]):
        words = []
        for state, trained in (("trained", True), ("untrained", False)):
            part: Any = table[(table["condition"] == condition) & (table["trained"] == trained)]
            ordered = part.sort_values("depth", kind="stable").groupby("member")["index"]
            # Not pandas' own first and last, which pass over a dead layer's NaN.
            ends = ordered.agg(first=lambda index: index.iloc[0], last=lambda index: index.iloc[-1]).dropna()
            rises, falls = (ends["last"] > ends["first"]).sum(), (ends["last"] < ends["first"]).sum()
            first, last = ends.median()
            count = part["member"].nunique()
            words.append(f"{first:z.2f} -> {last:z.2f} {state} (of {count}, rises in {rises}, falls in {falls})")
        yield f"  category index of {condition}, first -> last layer: {', '.join(words)}{note}"


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return frame.to_dict("records")


def field_lines(tests: Any, measure: str, layer: str) -> Iterator[str]:
    """A line per field that could be tested, and one that names the others."""
    tests = tests.assign(members="all") if "members" not in tests else tests
    among: Any = tests[(tests["members"] == "solved") & tests["testable"].astype(bool)]
    solved = {test["field"]: test for test in records(among)}
    tests = tests[tests["members"] == "all"]
    can = tests["testable"].astype(bool)
    for test in records(tests[can]):
        yield f"  {test['field']}: {_effect(test, measure, layer)}{_among_solved(test, solved)}"
    loose = [text for text in tests["not_held"].dropna().unique() if text] if can.any() and "not_held" in tests else []
    if loose:
        yield f"  not held constant in these tests, with a level for nearly every configuration: {loose[0]}"
    if rest := [field for field in tests["field"][~can] if field not in ", ".join(loose).split(", ")]:
        yield f"  too few configurations at {layer} for a test of {', '.join(rest)}"


def _among_solved(test: dict[str, Any], solved: dict[str, dict[str, Any]]) -> str:
    """What changes where members that did not solve their task are left out."""
    other = solved.get(test["field"])
    if other is None or (other["p"] <= 0.05) == (test["p"] <= 0.05):
        return ""
    return f"; among the {other['solved']} members that solved the task p = {other['p']:.2g}"


def _effect(test: dict[str, Any], measure: str, layer: str) -> str:
    distinct = f"{test['distinct']:.6g} distinct permutations, smallest possible p {test['smallest_p']:.2g}"
    over = test["averaged_over"]
    also = f", {over}" if isinstance(over, str) and over else ""
    share = max(test["share"], 0.0)
    only = f", about {THESE}" if test.get("about") == THESE else ""
    return (
        f"explains {share:.0%} of what separates trained configurations (means over seeds{also}) in {measure} at "
        f"{layer}; p = {test['p']:.2g} ({distinct}){only}"
    )
