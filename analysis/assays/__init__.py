"""Assays: what is measured of one network, for a whole population; one per file, the file's name is the assay's name.

A measure compares two networks, an assay describes one. An assay is a frozen dataclass `Assay`; the contract stands in
the protocol below. The engine, `analysis/zoo_assays.py`, runs it for every cohort that it takes, before training too,
keeps what is finished, and writes one labelled file. Code elsewhere asks an assay for the properties that are declared
here and never for its name.

Fields are the options, declared with `models.setting` and a default each. The engine has them checked
(`zoo.spec.fields.checked`) before it runs anything. Those that are not at their default make the assay's name, so that
results of other options are not overwritten, and all are flags of `run_zoo.py assay DIR NAME`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoo.spec.fields import fields_of, name_of

if TYPE_CHECKING:
    import xarray as xr

    from analysis.assays._assayed import Assayed

__all__ = ["Assay", "full_name"]


@runtime_checkable
class Assay(Protocol):
    """What the engine and the report ask of an assay."""

    @property
    def takes(self) -> frozenset[str]:
        """What it can be asked of: families of models, "recurrent", "feedforward" and "convolutional", and
        "environment" where it can be asked of networks that act, too."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Other assays whose results it is given, by their names: run first, or read where they were run."""
        ...

    def run(self, population: "Assayed") -> "xr.Dataset":
        """The result for networks of one cohort.

        Args:
          population: the networks, and all that may be asked of them.

        Returns:
          Variables of numbers whose first dimension is `member`, with the coordinate `member`, the ids. Every further
          dimension has a coordinate, names or numbers: where cohorts differ in it they are put side by side, and what
          one does not have is NaN. A ragged result is a long table: every variable has one other dimension instead,
          along which `member` is a coordinate. An attribute `long_name` of a variable says what it is.

        Raises:
          ValueError: it cannot be had of these networks; one sentence.
        """
        ...

    def lines(self, result: "xr.Dataset") -> list[str]:
        """What the terminal says of a whole result.

        Args:
          result: of all cohorts, trained and untrained, with the member table's columns and `trained` as coordinates.
        """
        ...

    def figures(self, result: "xr.Dataset", folder: Path) -> list[Path]:
        """Draws a whole result; the pictures' files in the folder."""
        ...


def full_name(assay: Any) -> str:
    """The file's name, and the options that are not at their default: `lesions(groups=4, size=8)`."""
    known = fields_of(type(assay))
    options = (f"{n}={getattr(assay, n)}" for n, field in known.items() if getattr(assay, n) != field.default)
    words = ", ".join(options)
    return f"{name_of(assay)}({words})" if words else name_of(assay)
