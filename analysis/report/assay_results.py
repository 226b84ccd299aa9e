"""What the report says and shows of the assays of a zoo directory: their own lines and pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xarray as xr
from cycler import cycler

from analysis import artefacts
from analysis.report import figures
from analysis.zoo_assays import read_result
from zoo.store.reader import Trained

__all__ = ["assay_figures", "assay_lines"]


def assay_lines(trained: Trained) -> Iterator[str]:
    """The lines of every assay whose result there is, under its name; nothing where there are none.

    Args:
      trained: what `zoo.load` gives.
    """
    for path in artefacts.assays(trained.path):
        try:
            assay, result = _read(trained, path)
        except ValueError as refusal:
            yield str(refusal)
            continue
        yield f"{result.attrs['name']}:"
        yield from (f"  {line}" for line in assay.lines(result))


def assay_figures(trained: Trained, folder: Path) -> list[Path]:
    """Draws every assay whose result can be read.

    Args:
      trained: what `zoo.load` gives.
      folder: of the pictures.
    """
    drawn = []
    for path in artefacts.assays(trained.path):
        try:
            assay, result = _read(trained, path)
        except ValueError:  # `assay_lines` says so
            continue
        with figures.style() as _, figures.mpl.rc_context({"axes.prop_cycle": cycler(color=figures.PALETTE)}):
            drawn += assay.figures(result, folder)
    return drawn


def _read(trained: Trained, path: Path) -> tuple[Any, xr.Dataset]:
    """An assay and its result; a ValueError where it cannot be shown here."""
    try:
        assay, result = read_result(path)
    except ValueError as error:
        raise ValueError(f"{path.stem} cannot be shown; run assay again: {error}") from None
    if not set(trained.members["member"]).issuperset(result["member"].to_numpy().tolist()):
        raise ValueError(f"{path.stem} was assayed in another zoo; run assay again to have it shown")
    return assay, result
