"""Training curves: medians over members, those that stopped included."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.choices import PictureChoices, under
from analysis.report.pages import curves
from models import vanilla
from tests.analysis.report.pictures import drawn
from zoo import Zoo
from zoo.tasks import flipflop, sine

TASK = flipflop.Task(bits=2)


def test_a_stopped_members_curve_stays_where_it_is_in_the_picture() -> None:
    frame = pd.DataFrame(
        {"member": list("aabbb"), "step": [0, 1, 0, 1, 2], "loss": [1.0, 0.1, 1.0, 9.0, 9.0], "score": [0.5] * 5}
    )
    figure = curves.draw(frame, pd.DataFrame({"model": ["g", "g"]}, ["a", "b"]), TASK, "t")
    medians = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(medians, [1.0, 4.55, 4.55])


def test_a_run_of_one_evaluation_shows_a_point_for_every_group_side_by_side() -> None:
    frame = pd.DataFrame({"member": list("abc"), "step": 5, "loss": [1.0, 2.0, 3.0], "score": 0.5})
    groups = pd.DataFrame({"learning_rate": [1e-3, 3e-3, None]}, list("abc"))
    loss, score = drawn(curves.draw(frame, groups, TASK, "t")).axes
    points = [line for line in score.lines if line.get_marker() == "o"]
    assert len({float(line.get_xdata()[0]) for line in points}) == 3
    assert [label.get_text() for label in loss.get_xticklabels()] == ["5"]
    names = [text.get_text() for text in loss.figure.legends[0].get_texts()]
    assert names == [f"learning rate {value} (n = 1)" for value in ("0.001", "0.003", "(none)")]


def test_losses_have_a_logarithmic_axis_where_they_span_a_decade_and_the_score_says_what_it_is() -> None:
    frame = pd.DataFrame({"member": "a", "step": [0, 10], "loss": [1.0, 0.5], "score": [0.1, 0.9]})
    groups = pd.DataFrame({"model": ["gru"]}, ["a"])
    loss, score = curves.draw(frame, groups, TASK, "t").axes
    assert loss.get_yscale() == "linear"
    assert "lower is better" in loss.get_ylabel()
    assert score.get_ylabel() == "per-bit accuracy, evaluation set\n(higher is better, 1 is perfect)"
    assert curves.draw(frame.assign(loss=[1.0, 0.05]), groups, TASK, "t").axes[0].get_yscale() == "log"
    assert curves.draw(frame.assign(loss=[1.0, 0.0]), groups, TASK, "t").axes[0].get_yscale() == "linear"


def test_scores_far_below_chance_do_not_flatten_what_was_learned() -> None:
    frame = pd.DataFrame({"member": "a", "step": [0, 10], "loss": [1.0, 0.5], "score": [-500.0, 0.9]})
    groups = pd.DataFrame({"model": ["gru"]}, ["a"])
    score = curves.draw(frame, groups, sine.Task(), "t").axes[1]
    assert score.get_ylim()[0] == -0.95
    assert "lower scores are not shown" in [text.get_text() for text in score.texts]
    score = curves.draw(frame.assign(score=[-0.3, 0.9]), groups, sine.Task(), "t").axes[1]
    assert "lower scores are not shown" not in [text.get_text() for text in score.texts]


def test_a_chosen_field_marks_curves_that_another_colours() -> None:
    frame = pd.DataFrame({"member": list("ab") * 2, "step": [0, 0, 1, 1], "loss": 1.0, "score": 0.5})
    groups = pd.DataFrame({"hidden": [8, 8], "model": ["gru", "lstm"]}, list("ab"))
    with under(PictureChoices(marks="model")):
        lines = curves.draw(frame, groups, TASK, "t").axes[0].lines
    assert [line.get_marker() for line in lines] == ["o", "s"]
    assert len({line.get_color() for line in lines}) == 1


def test_tasks_that_differ_in_a_static_field_have_curves_of_their_own_under_names_that_say_which() -> None:
    tasks = [flipflop.Task(bits=2), flipflop.Task(bits=3), flipflop.Task(bits=3, pulse_rate=0.1)]
    zoo = Zoo("two", task=tasks, model=vanilla.Model(hidden=3), seeds=2)
    begun = [member.id for member in zoo.members if member.seed == 0]
    trained: Any = SimpleNamespace(zoo=zoo, curves=pd.DataFrame({"member": begun}))
    found = curves.by_task(trained)
    assert {name: len(each.ids) for name, each in found.items()} == {
        "flipflop bits=2": 1,
        "flipflop bits=3": 2,
    }
