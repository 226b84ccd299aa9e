"""Reports on the disk: refusals are said before all else, pictures are kept by who drew them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from analysis.report import writing


def test_a_comparison_that_cannot_be_drawn_is_named_before_a_directory_with_nothing_at_all_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing: Any = SimpleNamespace(path=tmp_path, members=pd.DataFrame({"member": []}), curves=pd.DataFrame())
    monkeypatch.setattr(writing, "load", lambda directory: nothing)
    monkeypatch.setattr(writing, "read_comparisons", lambda trained: ({}, ["digits is old"]))
    lines = writing.report(tmp_path)
    assert next(lines) == "digits is old"
    with pytest.raises(ValueError, match="has nothing to report, not even the curve of a network; train it first"):
        next(lines)
    assert not list(tmp_path.iterdir())


def test_what_earlier_reports_drew_is_nothing_where_that_cannot_be_read(tmp_path: Path) -> None:
    assert writing._drawn(tmp_path) == {}
    (tmp_path / writing.DRAWN).write_text('{"digits": ["a.png"')
    assert writing._drawn(tmp_path) == {}
    (tmp_path / writing.DRAWN).write_text('{"digits": ["a.png"]}')
    assert writing._drawn(tmp_path) == {"digits": ["a.png"]}


@pytest.mark.parametrize("member", ["applies", "figures", "lines"])
def test_what_a_page_runs_into_is_one_sentence_with_its_file(member: str, tmp_path: Path) -> None:
    page: Any = SimpleNamespace(__file__="pages/mine.py", ORDER=1, TAKES="zoo")
    for name, given in (("applies", True), ("figures", []), ("lines", [])):
        setattr(page, name, (lambda of: {}["score"]) if name == member else (lambda of, given=given: given))
    with pytest.raises(ValueError, match=rf"^pages/mine\.py: {member} ends with KeyError, \"'score'\"\.$"):
        list(writing._Drawing([page], tmp_path, set()).shown("zoo", None, ""))
