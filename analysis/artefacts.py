"""The files of the comparisons and assays of a zoo directory: each is named here once, for who writes it and for who
reads it.

All lie in the folder `analysis` of the zoo. Those of a comparison begin with its name, which is the task's, and on
images of a file `<task>-<name of the file>`, and of distances that an assay gives `<probe>-<assay>`. The results of
assays lie in the folder `assays` there, one each.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path

import xarray as xr

from analysis.long_names import described

__all__ = [
    "ASSAYS",
    "BRAIN",
    "BRAIN_ACCURACY",
    "BRAIN_FIELDS",
    "CATEGORIES",
    "COMPARISON",
    "ENDS",
    "EXPORTS",
    "FIELDS",
    "FOLDER",
    "JOURNAL",
    "LAYERS",
    "MEANS",
    "MEAN_RDMS",
    "SCORES",
    "UNTRAINED",
    "assay_path",
    "assay_table",
    "assays",
    "comparison_of_assay",
    "names",
    "path_of",
    "read_dataset",
    "remove",
    "untrained_path",
    "write_dataset",
]

FOLDER = "analysis"
"""The folder of a zoo directory that its comparisons lie in."""

JOURNAL = ".journal"
"""The folder in it that a killed comparison goes on from, when it is given the same command again; assays have one in
their own folder."""

ASSAYS = "assays"
"""The folder in it that the results of assays lie in."""

UNTRAINED = ".untrained"
"""The folder among them of what was measured before training, once for all moments of it."""

COMPARISON = ".nc"
"""The similarity of every pair of items under every measure; see `analysis.labelled_comparison`."""

MEAN_RDMS = "-rdms.nc"
"""The mean RDM of every model and layer, trained and untrained."""

FIELDS = "-fields.csv"
"""The tests of the varied fields; a comparison without this file was not written to its end."""

MEANS = "-means.csv"
"""The mean similarities per measure, layer and groups of every field, trained and untrained, and their differences."""

CATEGORIES = "-categories.csv"
"""The category structure per member, layer and condition, where a probe of images has classes."""

LAYERS = "-layers.nc"
"""Which depth of one network is like which depth of another, where all layers were compared."""

SCORES = "-scores.csv"
"""How like each recording every network and baseline is, where there are recordings."""

BRAIN = "-brain.csv"
"""How like each recording every network is at a layer chosen on other stimuli, with limits, ranks and tests."""

BRAIN_FIELDS = "-brain-tests.csv"
"""The tests of the varied fields on these scores."""

BRAIN_ACCURACY = "-brain-accuracy.csv"
"""How these scores go with how well networks do their task, over configurations."""

EXPORTS = {"zarr": ".zarr", "csv": "-pairs.csv", "rsatoolbox": "-rdms.h5"}
"""Formats for other programs, made on request, and what their files end with."""

ENDS = (
    COMPARISON,
    MEAN_RDMS,
    FIELDS,
    MEANS,
    CATEGORIES,
    LAYERS,
    SCORES,
    BRAIN,
    BRAIN_FIELDS,
    BRAIN_ACCURACY,
    *EXPORTS.values(),
)
"""What the files of one comparison end with."""


def path_of(zoo: Path, name: str, end: str) -> Path:
    """The file of a comparison.

    Args:
      zoo: the zoo directory.
      name: of the comparison.
      end: one of `ENDS`.
    """
    return zoo / FOLDER / f"{name}{end}"


def names(zoo: Path) -> list[str]:
    """The names of the comparisons that were written to their end, sorted."""
    return [path.name.removesuffix(FIELDS) for path in sorted((zoo / FOLDER).glob(f"*{FIELDS}"))]


def assay_path(zoo: Path, name: str) -> Path:
    """The file of an assay's result.

    Args:
      zoo: the zoo directory.
      name: of the assay, with its options and the moment of training that it is of.
    """
    return zoo / FOLDER / ASSAYS / f"{_stem(name)}.nc"


def assay_table(zoo: Path, probe: str, name: str) -> Path:
    """The table of an assay's result on one probe, among the files of comparisons.

    Args:
      zoo: the zoo directory.
      probe: what a reader calls it.
      name: of the assay, with its options and the moment of training that it is of.
    """
    return zoo / FOLDER / f"{comparison_of_assay(probe, name)}.csv"


def comparison_of_assay(probe: str, name: str) -> str:
    """The name of the comparison that the distances of an assay on one probe are; see `assay_table`."""
    return f"{_stem(probe)}-{_stem(name)}"


def untrained_path(zoo: Path, name: str, cohort: str) -> Path:
    """The file of what an assay gives for the untrained networks of a cohort.

    Args:
      zoo: the zoo directory.
      name: of the assay, with its options.
      cohort: its id.
    """
    return zoo / FOLDER / ASSAYS / UNTRAINED / _stem(name) / f"{cohort}.nc"


def _stem(name: str) -> str:
    stem = re.sub(r"[^\w.,=()@-]+", "_", name.replace(", ", ","))
    if stem != name.replace(", ", ","):  # two names must not share a file
        stem += f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return stem


def assays(zoo: Path) -> list[Path]:
    """The results of assays that were written, sorted."""
    return sorted((zoo / FOLDER / ASSAYS).glob("[!.]*.nc"))


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; does nothing where there is none."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_dataset(dataset: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Writes netCDF, named as in `analysis.long_names`; a reader sees the old file or the new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        described(dataset).to_netcdf(part, engine="h5netcdf")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_dataset(path: str | os.PathLike[str], what: str = "comparison") -> xr.Dataset:
    """Reads what `write_dataset` wrote, whole.

    Args:
      path: of the file.
      what: how errors call what is in it.

    Raises:
      ValueError: there is no such file, or it cannot be read.
    """
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except FileNotFoundError:
        raise ValueError(f"There is no {what} at {path}.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable {what} ({error}).") from error
