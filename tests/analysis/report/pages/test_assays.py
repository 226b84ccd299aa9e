"""Assays in a report: asked where there are results, of the whole zoo, with their pictures beside the others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis import artefacts
from analysis.report.pages import assays


def test_assays_are_shown_where_one_has_a_result_and_draw_into_the_reports_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: Any = SimpleNamespace(path=tmp_path)
    assert not assays.applies(trained)
    result = artefacts.assay_path(tmp_path, "lesions")
    result.parent.mkdir(parents=True)
    result.touch()
    assert assays.applies(trained)
    monkeypatch.setattr(assays, "assay_lines", lambda of: iter([f"lesions of {of.path}"]))
    monkeypatch.setattr(assays, "assay_figures", lambda of, folder: [folder / "assay-lesions.png"])
    assert list(assays.lines(trained)) == [f"lesions of {tmp_path}"]
    assert assays.figures(trained) == [tmp_path / "figures" / "assay-lesions.png"]
