"""What assays have found of the networks, in their own words and pictures."""

from collections.abc import Iterator
from pathlib import Path

from analysis import artefacts
from analysis.report.assay_results import assay_figures, assay_lines
from zoo.store.reader import Trained

ORDER = 120
TAKES = "zoo"


def applies(trained: Trained) -> bool:
    return bool(artefacts.assays(trained.path))


def figures(trained: Trained) -> list[Path]:
    return assay_figures(trained, trained.path / "figures")


def lines(trained: Trained) -> Iterator[str]:
    return assay_lines(trained)
