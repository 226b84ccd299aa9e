"""Training curves: medians over members, those that stopped included."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.pages import curves
from models import vanilla
from zoo import Zoo
from zoo.tasks import flipflop


def test_a_stopped_members_curve_stays_where_it_is_in_the_picture() -> None:
    frame = pd.DataFrame(
        {"member": list("aabbb"), "step": [0, 1, 0, 1, 2], "loss": [1.0, 0.1, 1.0, 9.0, 9.0], "score": [0.5] * 5}
    )
    figure = curves.draw(frame, {"a": "g", "b": "g"}, chance=0.1, solved=0.9, title="t")
    medians = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(medians, [1.0, 4.55, 4.55])


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
