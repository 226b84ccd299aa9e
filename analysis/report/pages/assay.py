"""What an assay has found of the networks, in its own words and pictures."""

from collections.abc import Iterator

from analysis.assays import _giving
from analysis.report.assay_results import AssayResult
from analysis.report.pages import Picture

ORDER = 120
TAKES = "assay"


def applies(of: AssayResult) -> bool:
    return True


def figures(of: AssayResult) -> Iterator[Picture]:
    return _giving.figures_of(of.assay, of.result)


def lines(of: AssayResult) -> Iterator[str]:
    yield f"{of.result.attrs['name']}:"
    yield from (f"  {line}" for line in _giving.lines_of(of.assay, of.result))
