"""Probes: which members meet them, and which layers there are to be seen."""

import dataclasses

import numpy as np
import pytest

from analysis.activations.probes import names_apart, probes_of, shapes_of
from models import cnn
from zoo import Training, Zoo
from zoo.tasks import digits, flipflop


def test_layers_stand_in_the_models_order_however_many_there_are():
    spec = Zoo("deep", task=digits.Task(), model=cnn.Model(channels=(1,) * 11, pool=1), training=Training(), seeds=[0])
    (cohort,) = spec.cohorts
    names = [name for name in shapes_of(cohort, np.zeros((2, 8, 8, 1), np.float32)) if not name.endswith(".pre")]
    assert names == [*(f"conv{i}" for i in range(1, 12)), "dense1", "output"]


def test_members_of_another_versions_fields_are_refused_and_not_silently_left_out(zoo, monkeypatch):
    monkeypatch.setattr(zoo, "members", zoo.members.replace(zoo.members["member"][0], "digits-cnn-0123456789"))
    with pytest.raises(ValueError, match="holds 1 members that its spec does not name, such as digits-cnn-0123456789"):
        probes_of(zoo)


def test_groups_of_one_task_are_called_by_the_fields_that_tell_them_apart() -> None:
    two, three = flipflop.Task(bits=2), flipflop.Task(bits=3)
    noisy = dataclasses.replace(three, noise=0.1)
    apart = {"a": "flipflop bits=2", "b": "flipflop bits=3", "c": "digits"}
    assert names_apart({"a": [two, two], "b": [three, noisy], "c": [digits.Task()]}) == apart
    assert names_apart({"a": [two]}) == {"a": "flipflop"}
    assert names_apart({"a": [three], "b": [three]}) == {"a": "a", "b": "b"}
