"""Training curves: loss and score against steps, of a comparison on the task's own probe."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.report.compared import Compared
from analysis.report.figures import colour_of, levels_of, names_of
from analysis.report.pages import Picture

ORDER = 90
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return not compared.of_task.stimuli  # on images of a file they would be the same again


def figures(compared: Compared) -> Iterator[Picture]:
    """Those of members that have not diverged."""
    kept: Any = compared.table[compared.table["status"] != "diverged"]
    gone = len(compared.table) - len(kept)
    groups = dict(zip(kept.index, names_of(kept, [compared.colouring()])))
    title = f"{compared.title} ({gone} diverged members left out)" if gone else compared.title
    levels = compared.of_task.chance, compared.of_task.solved
    yield "curves", draw(compared.trained.curves, groups, *levels, title)


def lines(compared: Compared) -> tuple[()]:
    return ()


def draw(frame: pd.DataFrame, groups: dict[str, str], chance: float, solved: float, title: str) -> Figure:
    """Loss and score on the evaluation set against steps: median and the band from 10 to 90 % of each group.

    Args:
      frame: member, step, loss, score.
      groups: member -> name of its group.
      chance, solved: the task's levels of the score.
      title: of the figure.
    """
    # A member that reached its target has no later rows: it stays where it is.
    wide = (
        frame.iloc[[i for i, member in enumerate(frame["member"]) if member in groups]]
        .pivot_table(index="step", columns="member", values=["loss", "score"])
        .ffill()
    )
    frame = wide.stack(level="member", future_stack=True).reset_index()
    frame = frame.assign(group=[groups[member] for member in frame["member"]])
    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, column in zip(panels, ("loss", "score")):
        for i, name in enumerate(levels_of(frame["group"])):
            part: Any = frame[frame["group"] == name]
            band = part.groupby("step")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
            colour = colour_of(i, len(set(frame["group"])), numeric=False)
            axes.fill_between(band.index, band[0.1], band[0.9], color=colour, alpha=0.2, lw=0)
            count = part["member"].nunique()
            axes.plot(band.index, band[0.5], color=colour, lw=1.6, label=f"{name} (n = {count})")
        axes.set_xlabel("training step")
        axes.set_ylabel(f"{column}, evaluation set")
    panels[0].set_yscale("log")
    for level, name in ((chance, "chance"), (solved, "solved")):
        panels[1].axhline(level, color="#777777", lw=0.8, ls=":")
        where = dict(xycoords=("axes fraction", "data"), textcoords="offset points", xytext=(3, 0))
        panels[1].annotate(name, (1, level), va="center", fontsize=8, annotation_clip=False, **where)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.suptitle(f"{title}: median and 10-90 % of members", x=0.01, ha="left", fontsize=10)
    return figure
