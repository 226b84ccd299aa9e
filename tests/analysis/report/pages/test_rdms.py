"""Mean RDMs: stimuli are named by their conditions in words."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from analysis.report.pages import rdms
from tests.analysis.report.pictures import compared, drawn
from zoo.tasks import cifar10


def means() -> xr.Dataset:
    coords: dict[str, Any] = {"model": ("group", ["cnn"]), "layer": ("group", ["conv1"]), "trained": ("group", [True])}
    coords |= {"members": ("group", [3]), "condition_label": ("i", [0, 0, 1, 1])}
    return xr.Dataset({"rdm": (("group", "i", "j"), 1 - np.eye(4)[None])}, coords)


def of(stimuli: str) -> Any:
    task = SimpleNamespace(stimuli=stimuli)
    found = compared(pd.DataFrame({"model": ["cnn"]}, ["m"]), of_task=task)
    found.trained.task = lambda member: cifar10.Task()
    return found


def test_conditions_of_a_tasks_own_probe_are_in_its_words_and_those_of_a_file_in_the_files() -> None:
    assert rdms.labels_of(of(""), means()) == ("label", ["airplane"] * 2 + ["automobile"] * 2)
    assert rdms.labels_of(of("faces"), means()) == ("label", ["not label", "not label", "label", "label"])
    named = means().assign_coords(condition_label=("i", ["cat", "cat", "dog", "dog"]))
    assert rdms.labels_of(of("faces"), named) == ("label", ["cat", "cat", "dog", "dog"])
    assert rdms.labels_of(of(""), means().drop_vars("condition_label")) == ("", [])


def test_an_rdm_names_its_conditions_where_they_stand_and_says_which_way_is_alike() -> None:
    figure = drawn(rdms.draw(means(), "conv1", "zoo", ("label", ["zero", "zero", "one", "one"])))
    axes, _, bar = figure.axes
    assert [(label.get_position()[1], label.get_text()) for label in axes.get_yticklabels()] == [
        (0.5, "zero"),
        (2.5, "one"),
    ]
    assert "higher is less alike, 0 is identical" in bar.get_ylabel()
