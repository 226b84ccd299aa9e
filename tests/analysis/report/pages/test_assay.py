"""Assays in a report: every result in its own words, under its full name."""

from types import SimpleNamespace
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from analysis.report.assay_results import AssayResult
from analysis.report.pages import assay


def test_an_assay_is_shown_in_its_own_words_and_pictures_under_its_full_name() -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    kind: Any = SimpleNamespace(lines=lambda result: ["deep"], figures=lambda result: [("flipflop", figure)])
    of = AssayResult("assay-depth(by=hand)", kind, xr.Dataset(attrs={"name": "depth(by=hand)"}))
    assert assay.applies(of)
    assert list(assay.lines(of)) == ["depth(by=hand):", "  deep"]
    assert list(assay.figures(of)) == [("flipflop", figure)]
