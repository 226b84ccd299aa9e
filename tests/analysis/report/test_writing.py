"""Reports on the disk: refusals are said before all else, and nothing is drawn of networks without any value."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.report import writing
from analysis.zoo_comparison import Slice
from tests.analysis.report.pictures import with_guests, zoo


def test_a_comparison_that_cannot_be_drawn_is_named_before_a_directory_without_others_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(writing, "load", lambda directory: SimpleNamespace(path=directory))
    monkeypatch.setattr(writing, "read_comparisons", lambda trained: ({}, ["digits is old"]))
    lines = writing.report(tmp_path)
    assert next(lines) == "digits is old"
    with pytest.raises(ValueError, match="has no comparison that can be reported; run compare again"):
        next(lines)
    assert not list(tmp_path.iterdir())


def test_networks_without_any_value_are_left_out_and_recordings_without_one_stay() -> None:
    table, values = with_guests(*zoo())
    values[[3, -2]] = values[:, [3, -2]] = np.nan
    left: Any = writing._defined(Slice("cka", "rate", table, values))
    assert left.table["item"].tolist() == table["item"].drop(3).tolist()
    np.testing.assert_array_equal(left.values, np.delete(np.delete(values, 3, 0), 3, 1))


def test_what_earlier_reports_drew_is_nothing_where_that_cannot_be_read(tmp_path: Path) -> None:
    assert writing._drawn(tmp_path) == {}
    (tmp_path / writing.DRAWN).write_text('{"digits": ["a.png"')
    assert writing._drawn(tmp_path) == {}
    (tmp_path / writing.DRAWN).write_text('{"digits": ["a.png"]}')
    assert writing._drawn(tmp_path) == {"digits": ["a.png"]}
