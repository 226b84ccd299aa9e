"""The matrix of every measure at every layer, ordered and named by what varies; in words, the means of the first.

What is told is of the measure and the layer that `Compared.told` names; the rest is in the files.
"""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.labelled_comparison import MeasureRecord
from analysis.report.compared import Compared
from analysis.report.figures import (
    GUESTS,
    STATES,
    about,
    draw_matrix,
    guest_names,
    levels_of,
    measure_title,
    names_of,
    runs,
    states_of,
)
from analysis.report.pages import Picture
from analysis.words import field_words

ORDER = 20
TAKES = "comparison"

MOST_LABELS = 40
LONGEST_LABEL = 60
"""Rows of a heat map that are named, and the letters that a name may have."""

WITHOUT_GROUP = "untrained / untrained, other seed"
"""The mean that is told of untrained networks that are of no group."""


def applies(compared: Compared) -> bool:
    return True


def figures(compared: Compared) -> Iterator[Picture]:
    for shown in compared.shown:
        yield f"{shown.stem}-heatmap", draw(shown.values, shown.table, shown.fields, shown.record, shown.title)


def lines(compared: Compared) -> Iterator[str]:
    means, (measure, layer) = compared.means, compared.told
    part: Any = means[(means["measure"] == measure) & (means["layer"] == layer)]
    kind = part["groups"].iloc[0]  # the first of several fields, which has a row for each pair of its levels
    part = part[(part["groups"] == kind) | (part["state"] == "reference")]
    rows = part.to_dict("records")
    value = {(row["state"], row["pairs_of"]): row["mean"] for row in rows}
    pairs = {(row["state"], row["pairs_of"]): row["pairs"] > 0 for row in rows}
    between = pairs["trained", "between"]
    groups = "architectures" if kind == "model" else f"levels of {kind}"
    record = compared.comparison.measures[measure].record
    yield f"  {measure} at {layer} is a {record.kind}: {record.way}; {about(record)}"
    for state in ("trained", "untrained"):
        words = [f"{value[state, 'within']:.2f}" + (" within" if between else "")] * pairs[state, "within"]
        words += [f"{value[state, 'between']:.2f} between {groups}"] * pairs[state, "between"]
        if not words and state == "untrained":  # copies have no level of a field of training
            words = [f"{value['reference', WITHOUT_GROUP]:.2f}"] * pairs["reference", WITHOUT_GROUP]
        yield f"  {measure} at {layer}, {state}: {', '.join(words) or 'no pairs'}"
    mixed = next(row["mean"] for row in rows if row["pairs_of"].startswith("trained / untrained"))
    yield f"  {measure} at {layer}, trained with untrained: {mixed:.2f}"


def draw(
    similarity: np.ndarray, table: pd.DataFrame, fields: Sequence[str], record: MeasureRecord, title: str
) -> Figure:
    """Values of every pair, ordered and labelled by hyperparameters: trained, untrained, and what files brought in."""
    ranks = table.assign(state_=[STATES.index(state) for state in states_of(table)])
    ranks = ranks.assign(**{field: _ranks(table[field]) for field in fields})
    order = ranks.sort_values(list(dict.fromkeys(["state_", *fields, "seed"]))).index.to_numpy()
    table, similarity = table.iloc[order].reset_index(drop=True), similarity[np.ix_(order, order)]
    states = states_of(table)
    labels, named = _row_labels(table, fields, states)
    starts, names = runs(labels)
    ends = [*starts[1:], len(labels)]
    longest = max(map(len, names), default=0)
    figure = Figure(figsize=(6.8 + 0.055 * longest, 6.4), layout="constrained")
    axes = figure.subplots()
    draw_matrix(figure, axes, similarity, record)
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends)]
    size = 8 if len(names) <= 24 else 6
    axes.set_xlabel(axes.get_xlabel() or "the same networks, in the same order")
    axes.set_xticks([])  # the same names as the rows
    axes.set_yticks(middles, names, fontsize=size)
    axes.tick_params(length=0)
    for edge in starts[1:]:
        axes.axhline(edge - 0.5, color="white", lw=0.4)
        axes.axvline(edge - 0.5, color="white", lw=0.4)
    for edge in runs(states.tolist())[0][1:]:
        axes.axhline(edge - 0.5, color="white", lw=2)
        axes.axvline(edge - 0.5, color="white", lw=2)
    ordered = f"{measure_title(record)}; "
    ordered += f"networks ordered by {', '.join(dict.fromkeys([*map(field_words, fields), 'seed']))}"
    if len(named) < len(fields):
        ordered += f"; named by {', '.join(map(field_words, named)) or 'model'}"
    ordered = textwrap.fill(ordered, 92)
    empty = "; grey: undefined" if np.isnan(similarity).any() else ""
    axes.set_title(f"{title}\n{ordered};\n{about(record)}{empty}", loc="left")
    return figure


def _row_labels(table: pd.DataFrame, fields: Sequence[str], states: Any) -> tuple[list[str], list[str]]:
    """Names of a heat map's rows, and the fields in them: as many of the first as give few and short names."""
    guests = [name if state in GUESTS else "" for name, state in zip(guest_names(table), states)]
    labels: list[str] = []
    for count in range(len(fields), -1, -1):
        named = list(fields[:count])
        names = names_of(table, named) if count else [str(model) for model in table["model"]]
        labels = [guest or f"{name} {state}".strip() for name, state, guest in zip(names, states, guests)]
        blocks = runs(labels)[1]
        if len(blocks) <= MOST_LABELS and max(map(len, blocks), default=0) <= LONGEST_LABEL:
            return labels, named
    return labels, []


def _ranks(values: Any) -> list[int]:
    order = {level: i for i, level in enumerate(levels_of(values))}
    return [order.get(value, -1) for value in values]
