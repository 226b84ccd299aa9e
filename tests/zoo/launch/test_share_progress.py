"""What a share tells arrives as it was told, once, also when the share begins again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.launch.share_progress import PROGRESS_FOLDER, Listener, Teller
from zoo.running.loaded_block import REPORTED, Progress


class Record:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.compiled: list[str] = []
        self.reports: list[Progress] = []

    def expect(self, members: dict[str, int], /) -> None:
        pytest.fail("a share does not know how many members there are")

    def compiling(self, cohort: str, /) -> None:
        self.compiled.append(cohort)

    def report(self, progress: Progress, /) -> None:
        self.reports.append(progress)

    def say(self, text: str, /) -> None:
        self.said.append(text)

    def tick(self) -> None: ...


def progress(taken: int, step: int) -> Progress:
    """Of a block of two members, one of which has diverged."""
    return Progress(
        "task-model-1", 3, taken, np.array([0, 2]), np.array([step, 1]), np.array([0.5, np.inf]), np.array([0.25, 0.1])
    )


def test_reports_sentences_and_cohorts_arrive_once_with_the_member_steps_since_the_last_look(tmp_path: Path) -> None:
    record = Record()
    listener = Listener(tmp_path, record)
    listener.listen(0)  # nothing was told yet
    with Teller(tmp_path, 0, "1") as teller:
        teller.compiling("task-model-1")
        teller.compiling("task-model-1")
        teller.report(progress(4, 2))
        teller.report(progress(6, 5))
        teller.say("a step is damaged")
    listener.listen(0)
    listener.listen(0)
    assert record.compiled == ["task-model-1"]
    assert record.said == ["Share 0: a step is damaged"]
    (report,) = record.reports
    assert (report.cohort, report.block, report.taken) == ("task-model-1", 3, 10)
    expected: Any = progress(10, 5)._replace(loss=np.array([0.5, np.nan]))  # JSON has no infinity
    for name in REPORTED:
        np.testing.assert_array_equal(getattr(report, name), getattr(expected, name))
    assert listener.blocks == {0: {"task-model-1/3"}}


def test_an_attempt_that_begins_again_is_said_and_its_steps_are_counted_from_zero(tmp_path: Path) -> None:
    record = Record()
    listener = Listener(tmp_path, record)
    for attempt, taken in (("1", 8), ("2", 5)):
        with Teller(tmp_path, 0, attempt) as teller:
            teller.report(progress(taken, taken))
        listener.listen(0)
    assert record.said == ["Share 0 has begun again."]
    assert [report.taken for report in record.reports] == [8, 5]


@pytest.mark.parametrize(
    "steps", [[10**30, 1], "many", None, [{}, 1]], ids=["beyond 64 bits", "no numbers", "nothing", "an object"]
)
def test_what_cannot_be_read_is_said_in_one_sentence_and_costs_no_other_report(tmp_path: Path, steps: Any) -> None:
    record = Record()
    listener = Listener(tmp_path, record)
    with Teller(tmp_path, 0, "1") as teller:
        teller.report(progress(4, 2))
    file = tmp_path / PROGRESS_FOLDER / "0.json"
    told = json.loads(file.read_text())
    told["blocks"]["task-model-1/3"]["step"] = steps
    file.write_text(json.dumps(told))
    listener.listen(0)
    (said,) = record.said
    assert said.startswith("What share 0 tells cannot be read (")
    assert not record.reports
    with Teller(tmp_path, 0, "1") as teller:
        teller.report(progress(4, 2))
    listener.listen(0)
    assert [report.taken for report in record.reports] == [4]
