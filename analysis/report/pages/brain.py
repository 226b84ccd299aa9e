"""Which networks are like a recording: each at its best layer with its limits, and how that goes with the task.

The layer is chosen on other stimuli than it is scored on; limits are over stimuli and subjects.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import artefacts
from analysis.report.compared import Compared
from analysis.report.figures import GREY, colours_of, levels_of
from analysis.report.pages import Picture
from analysis.scoring.brain_outcomes import accuracy_words, brain_lines
from analysis.words import measure_words, row_words

ORDER = 115
TAKES = "comparison"

ONE_COLOUR = "#3b6fb6"


def applies(compared: Compared) -> bool:
    return compared.has(artefacts.BRAIN)


def figures(compared: Compared) -> Iterator[Picture]:
    """One per recording."""
    table, accuracy = _table(compared, artefacts.BRAIN), _table(compared, artefacts.BRAIN_ACCURACY)
    field = compared.colouring()
    shown = compared.table.reset_index().drop_duplicates("member").set_index("member")
    for name in (field, "score"):
        if name in shown:
            table[f"of_{name}"] = shown[name].reindex(table["member"]).to_numpy()
    for recording in table["recording"].unique():
        part = table[table["recording"] == recording]
        yield f"{recording}-brain", draw(part, accuracy[accuracy["recording"] == recording], compared.title, field)


def lines(compared: Compared) -> Iterator[str]:
    brain, accuracy, tests = (
        _table(compared, end) for end in (artefacts.BRAIN, artefacts.BRAIN_ACCURACY, artefacts.BRAIN_FIELDS)
    )
    return brain_lines(brain, accuracy, tests)


def _table(compared: Compared, end: str) -> Any:
    texts: Any = dict.fromkeys(("measure", "recording", "layer", "kind", "member", "model", "given", "field"), str)
    return pd.read_csv(compared.path(end), dtype=texts, keep_default_na=False, na_values=[""])


def draw(table: Any, accuracy: Any, title: str, field: str) -> Figure:
    """Per measure two panels: networks in the order of their scores with limits, untrained ones hollow, and the noise
    ceiling as a band; and brain score against task score.

    Args:
      table: rows of one recording, with `BRAIN_COLUMNS`, `of_score` and `of_<field>`.
      accuracy: of the recording, see `analysis.scoring.brain_outcomes.accuracy_table`.
      title: of the figure.
      field: the column that colours networks.
    """
    measures = list(dict.fromkeys(table["measure"]))
    figure = Figure(figsize=(11.5, 3.6 * len(measures) + 1.0), layout="constrained")
    panels = figure.subplots(len(measures), 2, squeeze=False, width_ratios=[1.6, 1])
    column = f"of_{field}"
    levels = levels_of(table[column]) if column in table else []
    colours = colours_of(levels) if 1 < len(levels) <= 8 else {}
    for (left, right), measure in zip(panels, measures):
        part: Any = table[(table["measure"] == measure) & table["score"].notna()]
        if part["ceiling_lower"].notna().any():
            low, high = part["ceiling_lower"].iloc[0], part["ceiling_upper"].iloc[0]
            left.axhspan(low, high, color="#cccccc", alpha=0.7, lw=0, label="noise ceiling")
        for kind in ("network", "untrained"):
            here = part[part["kind"] == kind].sort_values("score", ascending=part["way"].iloc[0] == "distance")
            _points(left, np.arange(1, len(here) + 1), here, column, colours, kind == "network")
        trained = part[(part["kind"] == "network") & part["of_score"].notna()]
        _points(right, trained["of_score"].astype(float), trained, column, colours, True)
        short, name = measure_words(measure)[1], measure_words(measure)[0]
        left.set(xlabel="rank among trained, and among untrained, networks", ylabel=f"{short} at the best layer")
        left.set_title(f"{name}, {measure}\nn = {part['n_stimuli'].iloc[0]:g} stimuli", loc="left", fontsize=9)
        right.set(xlabel="task score", ylabel=f"{short} at the best layer")
        row = accuracy[accuracy["measure"] == measure]
        if len(row) and pd.notna(row["rho"].iloc[0]):
            right.set_title(accuracy_words(row.iloc[0]).replace("; given", ";\ngiven"), loc="left", fontsize=8)
    entries = [(panels[0, 0].scatter([], [], s=26, color=c), row_words(field, level)) for level, c in colours.items()]
    entries += [(panels[0, 0].scatter([], [], s=26, facecolors="none", edgecolors=GREY), "untrained")]
    figure.legend(*zip(*entries), loc="outside right upper", fontsize=8)
    note = "bars: 95 % limits over stimuli and subjects; the layer is chosen on other stimuli than it is scored on"
    figure.suptitle(f"{title}\nagainst {table['recording'].iloc[0]}\n{note}", x=0.01, ha="left", fontsize=10)
    return figure


def _points(axes: Any, x: Any, part: Any, column: str, colours: dict[Any, Any], trained: bool) -> None:
    if not len(part):
        return
    plain = ONE_COLOUR if trained else GREY
    shade = [colours.get(level, plain) for level in part[column]] if column in part and trained else [plain] * len(part)
    if part["low"].notna().any():
        axes.vlines(x, part["low"], part["high"], color=shade, lw=0.8, alpha=0.6)
    fill: Any = dict(color=shade, lw=0) if trained else dict(facecolors="white", edgecolors=shade, lw=0.8)
    axes.scatter(x, part["score"], s=16, zorder=2, **fill)
