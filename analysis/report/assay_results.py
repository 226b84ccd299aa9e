"""The results of assays in a zoo directory, as the pages of a report take them, read from what was written."""

from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from analysis import artefacts
from analysis.zoo_assays import is_of_this_version, read_result
from zoo.store.reader import Trained

__all__ = ["ASSAY_PREFIX", "AssayResult", "picture_prefix", "read_assays"]

ASSAY_PREFIX = "assay-"
"""What the pictures of all assays start with."""


class AssayResult(NamedTuple):
    """What an assay gave for a zoo.

    Attributes:
      name: what the files of its pictures start with: of the assay's full name, which no other result has.
      assay: with its options.
      result: as `analysis.zoo_assays.read_result` gives it.
      is_older: whether it is of other code of the assay.
    """

    name: str
    assay: Any
    result: xr.Dataset
    is_older: bool = False


def picture_prefix(path: Path) -> str:
    """What the pictures of a result in this file start with."""
    return f"{ASSAY_PREFIX}{path.stem}"


def read_assays(trained: Trained) -> tuple[list[AssayResult], list[str]]:
    """The results of a directory, and a sentence for each that cannot be shown.

    Args:
      trained: what `zoo.load` gives.
    """
    there, results, refusals = set(trained.members["member"]), [], []
    for path in artefacts.assays(trained.path):
        try:
            assay, result = read_result(path)
        except ValueError as error:
            refusals.append(f"{path.stem} cannot be shown; run assay again: {error}")
            continue
        if there.issuperset(result["member"].to_numpy().tolist()):
            is_older = not is_of_this_version(assay, result)
            results.append(AssayResult(picture_prefix(path), assay, result, is_older))
        else:
            refusals.append(f"{path.stem} was assayed in another zoo; run assay again to have it shown")
    return results, refusals
