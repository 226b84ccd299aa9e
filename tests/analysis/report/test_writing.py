"""Reports on the disk: refusals are said before all else, pictures are kept by who drew them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.report import writing
from analysis.report.choices import PictureChoices
from analysis.report.figures import style


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


def test_a_picture_is_written_in_every_format_asked_for_the_same_file_each_time_with_its_text_as_text(
    tmp_path: Path,
) -> None:
    def draw() -> Figure:
        figure = Figure(figsize=(2, 2))
        figure.subplots().scatter([1, 2], [3, 4], label="Größe")
        figure.legend()
        return figure

    page: Any = SimpleNamespace(__file__="pages/dots.py", ORDER=1, TAKES="zoo", applies=bool, lines=lambda of: [])
    page.figures = lambda of: [("a-dots", draw())]
    files = {}
    for run in ("first", "second"):
        with style(PictureChoices(formats=("png", "pdf", "svg"))):
            list(writing._Drawing([page], tmp_path / run, set()).shown("zoo", "it", ""))
        files[run] = {path.name: path.read_bytes() for path in (tmp_path / run).iterdir()}
    assert files["first"] == files["second"]
    assert files["first"].keys() == {"a-dots.png", "a-dots.pdf", "a-dots.svg", writing.DRAWN}
    assert "Größe</text>" in files["first"]["a-dots.svg"].decode()
    assert b"/FontFile2" in files["first"]["a-dots.pdf"], "the whole font, TrueType"
    assert b"/Type3" not in files["first"]["a-dots.pdf"]
    with style(PictureChoices(formats=("svg",))):
        for _ in range(2):
            drawing = writing._Drawing([page], tmp_path / "first", set())
            list(drawing.shown("zoo", "it", ""))
            assert drawing.older == 2, "nobody's files for a paper are removed unasked"
        assert {path.name for path in (tmp_path / "first").iterdir()} == files["first"].keys()
        page.figures = lambda of: [("b-dots", draw())]
        list(writing._Drawing([page], tmp_path / "first", set()).shown("zoo", "it", ""))
    assert {path.name for path in (tmp_path / "first").iterdir()} == {"b-dots.svg", writing.DRAWN}, "shown no more"


@pytest.mark.parametrize("member", ["applies", "figures", "lines"])
def test_what_a_page_runs_into_is_one_sentence_with_its_file(member: str, tmp_path: Path) -> None:
    page: Any = SimpleNamespace(__file__="pages/mine.py", ORDER=1, TAKES="zoo")
    for name, given in (("applies", True), ("figures", []), ("lines", [])):
        setattr(page, name, (lambda of: {}["score"]) if name == member else (lambda of, given=given: given))
    with pytest.raises(ValueError, match=rf"^pages/mine\.py: {member} ends with KeyError, \"'score'\"\.$"):
        list(writing._Drawing([page], tmp_path, set()).shown("zoo", None, ""))
