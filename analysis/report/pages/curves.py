"""Training curves: loss and score against steps, of every task."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.activations.probes import names_apart
from analysis.inference.factors import MISSING, MOST_LEVELS, scaled, tested_fields
from analysis.report.choices import chosen
from analysis.report.compared import colouring, title_of
from analysis.report.figures import GREY, colour_scale, colours_of, levels_of, marks_of
from analysis.report.pages import Picture
from analysis.words import field_words, level_words
from zoo.spec.fields import fields_of, name_of, values_of
from zoo.store.reader import Trained
from zoo.tasks import score_words
from zoo.training.status import DIVERGED_WORD

ORDER = 90
TAKES = "zoo"


FEW_EVALUATIONS = 12
"""Evaluations up to which each is a mark on its curve; of more, about so many are, where marks tell fields apart."""


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
            fields = [colouring(table, tested_fields(trained, ids)), *filter(table.__contains__, [chosen().marks])]
            title = title_of(trained, name_of(task), name)
            title += f" ({len(table) - len(kept)} diverged members left out)" if len(kept) < len(table) else ""
            yield f"{name}-curves", draw(trained.curves, kept[list(dict.fromkeys(fields))], task, title)


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


def draw(frame: pd.DataFrame, groups: pd.DataFrame, task: Any, title: str) -> Figure:
    """Loss and score on the evaluation set against steps: median and the band from 10 to 90 % of each group.

    Where there are few evaluations each is a mark, so that one alone is seen. A loss of more than a decade has a
    logarithmic axis; a score is shown down to as far below chance as what counts as solved is above.

    Args:
      frame: member, step, loss, score.
      groups: the rows of the members that are drawn; their first column colours, that of `PictureChoices.marks` marks.
      task: theirs: its levels of the score, and what that is.
      title: of the figure.
    """
    # A member that reached its target has no later rows: it stays where it is.
    wide = (
        frame.iloc[[i for i, member in enumerate(frame["member"]) if member in groups.index]]
        .pivot_table(index="step", columns="member", values=["loss", "score"])
        .ffill()
    )
    frame = wide.stack(level="member", future_stack=True).reset_index()
    known: Any = groups.astype(object).where(groups.notna() & (groups != ""), MISSING)
    levels = levels_of(groups.iloc[:, 0])
    colours = colours_of(levels) | {MISSING: GREY}
    marks = marks_of(levels_of(groups[chosen().marks])) if chosen().marks in groups else {}
    figure = Figure(figsize=(11.0, 4.0), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    evaluations = len(wide)
    for axes, column in zip(panels, ("loss", "score")):
        kinds = _in_order(known, levels)
        for i, (key, rows) in enumerate(kinds):
            part: Any = frame[frame["member"].isin(rows)]
            band: Any = part.groupby("step")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
            if not np.isfinite(band[0.5]).any():
                continue
            colour, mark = colours[key[0]], marks.get(key[-1], "o" if evaluations <= FEW_EVALUATIONS else "")
            if evaluations == 1:  # side by side, and each band a line, which has no breadth
                band.index = band.index + (i + 1) / (len(kinds) + 1) - 0.5
                axes.vlines(band.index, band[0.1], band[0.9], color=colour, alpha=0.4, lw=2)
            axes.fill_between(band.index, band[0.1], band[0.9], color=colour, alpha=0.15, lw=0)
            words = ", ".join(_words(field, value) for field, value in zip(groups.columns, key))
            style: Any = dict(color=colour, lw=1.6, ms=4, marker=mark, markevery=max(1, evaluations // FEW_EVALUATIONS))
            axes.plot(band.index, band[0.5], label=f"{words} (n = {len(rows)})", **style)
        axes.set_xlabel("training step")
    if evaluations == 1:
        panels[0].set_xlim(wide.index[0] - 1, wide.index[0] + 1)
        panels[0].set_xticks(wide.index)
    else:
        panels[0].xaxis.get_major_locator().set_params(integer=True)
    if scaled(np.asarray(frame["loss"]))[1]:
        panels[0].set_yscale("log")
    panels[0].set_ylabel("loss, evaluation set\n(lower is better)")
    panels[1].set_ylabel(f"{score_words(task)}, evaluation set\n(higher is better, 1 is perfect)")
    for level, name in ((task.chance, "chance"), (task.solved, "solved")):
        panels[1].axhline(level, color="#777777", lw=0.8, ls=":")
        where = dict(xycoords=("axes fraction", "data"), textcoords="offset points", xytext=(3, 0))
        panels[1].annotate(name, (1, level), va="center", fontsize=8, annotation_clip=False, **where)
    # R^2 of networks that have hardly begun goes down without end, and would leave a line of what they learn.
    if panels[1].get_ylim()[0] < (lowest := task.chance - (task.solved - task.chance)):
        panels[1].set_ylim(bottom=lowest)
        panels[1].annotate("lower scores are not shown", (0.98, 0.02), xycoords="axes fraction", ha="right", fontsize=8)
    if len(levels) > MOST_LEVELS and not any(isinstance(level, str) for level in levels):
        figure.colorbar(colour_scale(levels), ax=panels[1], pad=0.12, label=field_words(groups.columns[0]))
    elif len(levels) <= MOST_LEVELS:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", fontsize=8)
    figure.suptitle(f"{title}\nlines: medians of members; bands: 10 to 90 % of them", x=0.01, ha="left", fontsize=10)
    return figure


def _in_order(groups: pd.DataFrame, levels: list[Any]) -> list[tuple[tuple[Any, ...], list[str]]]:
    """The values of each group and its members, in the order of the levels that colour them."""
    place = {level: i for i, level in enumerate(levels)}
    found: dict[tuple[Any, ...], list[str]] = {}
    for member, key in zip(groups.index, groups.itertuples(index=False, name=None)):
        found.setdefault(key, []).append(member)
    return sorted(found.items(), key=lambda item: (place.get(item[0][0], len(place)), str(item[0][1:])))


def _words(field: str, value: Any) -> str:
    return str(value) if field == "model" else f"{field_words(field)} {level_words(value)}"
