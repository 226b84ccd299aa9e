"""Training curves: loss and score against steps, of every task."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.activations.probes import names_apart
from analysis.inference.factors import tested_fields
from analysis.report.compared import colouring, title_of
from analysis.report.figures import colour_of, levels_of, names_of
from analysis.report.pages import Picture
from zoo.spec.fields import fields_of, name_of, values_of
from zoo.store.reader import Trained
from zoo.training.status import DIVERGED_WORD

ORDER = 90
TAKES = "zoo"


class Trainees(NamedTuple):
    """The members of one task that have been trained.

    Attributes:
      task: of the first.
      ids: theirs.
    """

    task: Any
    ids: list[str]


def applies(trained: Trained) -> bool:
    return not trained.curves.empty


def figures(trained: Trained) -> Iterator[Picture]:
    """Those of members that have not diverged."""
    for name, (task, ids) in by_task(trained).items():
        table = trained.members.set_index("member").loc[ids]
        kept: Any = table[table["status"] != DIVERGED_WORD]
        if len(kept):
            groups = dict(zip(kept.index, names_of(kept, [colouring(table, tested_fields(trained, ids))])))
            title = title_of(trained, name)
            title += f" ({len(table) - len(kept)} diverged members left out)" if len(kept) < len(table) else ""
            yield f"{name}-curves", draw(trained.curves, groups, task.chance, task.solved, title)


def lines(trained: Trained) -> tuple[()]:
    return ()


def by_task(trained: Trained) -> dict[str, Trainees]:
    """What a reader calls a task -> its members that have a curve; tasks that differ in a static field are two."""
    begun, of_tasks = set(trained.curves["member"]), {}
    for member in trained.zoo.members:
        if member.id in begun:
            values, known = values_of(member.task), fields_of(type(member.task))
            static = tuple((field, value) for field, value in values.items() if not known[field].traced)
            of_tasks.setdefault(str((name_of(member.task), static)), Trainees(member.task, [])).ids.append(member.id)
    names = names_apart(
        {key: [trained.zoo.by_id[member].task for member in each.ids] for key, each in of_tasks.items()}
    )
    return {names[key]: each for key, each in of_tasks.items()}


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
