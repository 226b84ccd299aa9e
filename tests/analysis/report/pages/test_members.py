"""The heading of a comparison: what the score is, and what it is read against."""

from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.report.pages import members
from tests.analysis.report.pictures import compared
from zoo.tasks import flipflop


def test_a_score_is_never_said_without_what_it_is_of_and_which_way_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "finished_alike", lambda trained, ids: 2)
    table = pd.DataFrame({"status": ["solved", "unsolved"], "score": [1.0, 0.5]}, ["a", "b"])
    found = compared(table, of_task=SimpleNamespace(finished=2, chance=0.5, solved=0.99, assay=""))
    vars(found.trained)["task"] = lambda member: flipflop.Task()
    (line,) = members.lines(found)
    assert line == (
        "digits: 2 members, 50% solved; per-bit accuracy 0.7500 (median), 0.5000 (lowest); "
        "higher is better, 1 is perfect, chance 0.5, solved from 0.99"
    )
