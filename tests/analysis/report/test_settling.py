"""Settled pictures: labels that would run together are not there, and names stand beside their points in the axes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.geometry.embedding import angular
from analysis.labelled_comparison import MeasureRecord
from analysis.report import figures, settling
from analysis.report.pages import clusters, heatmap, mds, scores
from analysis.report.settling import settle
from analysis.scoring.recording_scores import SCORE_COLUMNS
from tests.analysis.report.pictures import DISTANCE, RECORD, SCORE, table_of_scores, with_guests, zoo

FIELDS = ["model", "hidden"]


def many_guests(count: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A zoo of so many items, of them a dozen recordings that all lie at one place."""
    table, similarity = zoo(max(count // 4, 2), 2)
    table = table.iloc[: max(count - 3, 3)].reset_index(drop=True)
    table, similarity = with_guests(table, similarity[: len(table), : len(table)])
    if count < 10:
        return table, similarity
    last = table.iloc[[-2] * 10].assign(recording=[f"f/a long name of area {i}" for i in range(10)])
    place = [*range(len(table)), *[len(table) - 2] * 10]
    return pd.concat([table, last], ignore_index=True), similarity[np.ix_(place, place)]


def pictures(count: int) -> dict[str, Figure]:
    """What pages draw of so many items, heat maps under a measure of every kind."""
    table, similarity = many_guests(count)
    found: dict[str, Any] = {}
    for record, values in ((RECORD, similarity), (DISTANCE, angular(similarity)), (SCORE, similarity)):
        found[f"heatmap of a {record.kind}"] = heatmap.draw(values, table, FIELDS, record, "zoo")
    found["tree"] = clusters.draw(similarity, table, FIELDS, RECORD, "zoo")
    found["map"] = mds.draw(similarity, table, FIELDS, RECORD, "zoo")
    rows = [table_of_scores().assign(layer=f"conv{i}", recording="IT") for i in range(max(count // 10, 1))]
    found["scores"] = scores.draw(pd.concat(rows)[[*SCORE_COLUMNS]], "zoo")
    return found


def seen(texts: Any) -> list[Any]:
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def overlapping(boxes: list[Any]) -> int:
    return sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("count", [3, 300])
def test_on_no_page_labels_run_together_or_an_axis_is_without_words(count: int) -> None:
    with figures.style():
        for name, figure in pictures(count).items():
            settle(figure)
            for axes in filter(lambda axes: axes.get_visible(), figure.axes):
                for axis in (axes.xaxis, axes.yaxis):
                    assert settling.ticks_apart(axis), name
                    labels = seen(axis.get_ticklabels())
                    if labels and labels[0].get_rotation() == 0:  # measured without the module's own measure
                        inside = [label.get_window_extent().padded(-0.5) for label in labels]
                        assert not overlapping(inside), name
                numbers = [label for label in seen(axes.get_xticklabels()) if label.get_text()[-1].isdigit()]
                assert not numbers or axes.get_xlabel() or name == "scores", f"{name}: an axis of numbers says nothing"
                names = [settling._of_text(text) for text in seen(axes.texts) if text.get_gid() == settling.NAME]
                assert not overlapping(names), name
                assert all(axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1) for box in names), name
                assert all(axes.bbox.containsy(box.y0) and axes.bbox.containsy(box.y1) for box in names), name


@pytest.mark.parametrize("turn", [0, 45])
def test_of_labels_that_run_together_those_stay_that_have_room_and_others_are_not_touched(turn: int) -> None:
    figure = Figure(figsize=(3, 3), layout="constrained")
    axes = figure.subplots()
    axes.set_xticks(range(60), [f"network {i}" for i in range(60)], rotation=turn, ha="right", fontsize=7)
    axes.set_yticks([0, 1], ["a", "b"])
    settle(figure)
    kept = [label.get_text() for label in seen(axes.get_xticklabels())]
    assert kept[0] == "network 0"
    assert 2 <= len(kept) <= 20
    assert axes.get_xticklabels()[0].get_rotation() == turn
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert settling.ticks_apart(axes.xaxis)


def test_labels_that_run_together_are_noticed() -> None:
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    axes.set_xticks([0, 0.01, 1], ["one", "two", "three"])
    figure.draw_without_rendering()
    assert not settling.ticks_apart(axes.xaxis)


def test_numbers_keep_their_format_where_some_are_left_out() -> None:
    figure = Figure(figsize=(1.4, 2), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(0, 20000)
    axes.set_xticks(axes.get_xticks())
    axes.xaxis.set_major_locator(settling.FixedLocator([*range(0, 20001, 2000)]))
    settle(figure)
    labels = [label.get_text() for label in seen(axes.get_xticklabels())]
    assert labels[0] == "0"
    assert 1 < len(labels) < 11


def test_a_figure_is_widened_until_its_title_ends_before_its_legend() -> None:
    figure = Figure(figsize=(4, 3), layout="constrained")
    figure.subplots().plot([1, 2], label="a curve")
    figure.legend(loc="outside right upper")
    figure.suptitle("a title that is as long as the figure is wide, or so", x=0.01, ha="left")
    settle(figure)
    title, legend = figure.texts[0].get_window_extent(), figure.legends[0].get_window_extent()
    assert title.x1 < legend.x0


def test_a_record_says_which_way_its_values_are_read() -> None:
    assert MeasureRecord("cka", "similarity", 4).way == "higher is more alike, 1 is identical"
    assert DISTANCE.way == "lower is more alike, 0 is identical"
    assert SCORE.way == "higher is better, 1 is perfect"
