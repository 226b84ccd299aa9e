"""Assays: what is measured of one network, for a whole population; one per file, the file's name is the assay's name.

A measure compares two networks, an assay describes one. An assay is a frozen dataclass `Assay`; the contract stands in
the protocol below. The engine, `analysis/zoo_assays.py`, runs it for every cohort that it takes, before training too,
keeps what is finished, and writes one labelled file; the report draws it. What breaks the contract is said in one
sentence that names the assay's file: what it declares before anything runs, what it gives when it gives it. Code
elsewhere asks an assay for the properties that are declared here and never for its name.

What an assay may ask of its networks is `Assayed` (`analysis/assays/_assayed.py`); how a result is cut for lines and
pictures, by probe, layer and state, is in `_pictures.py`.

Fields are the options, declared with `models.setting` and a default each. The engine has them checked
(`zoo.spec.fields.checked`) before it runs anything. Those that are not at their default make the assay's name, so that
results and pictures of other options are not overwritten, and all are flags of `run_zoo.py assay DIR NAME`. The
class's docstring says of each what it is.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from zoo import lookup
from zoo.spec.contracts import check_names, file_of
from zoo.spec.fields import fields_of, name_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from analysis.assays._assayed import Assayed

__all__ = ["ASKED_OF", "Assay", "check_words", "full_name"]

ASKED_OF = ("recurrent", "feedforward", "convolutional", "environment")
"""What an assay may take: families of models, and networks that act."""


@runtime_checkable
class Assay(Protocol):
    """What the engine and the report ask of an assay.

    Attributes:
      takes: what it can be asked of, of the words in `ASKED_OF`: families of models, at least one, and "environment"
        where it can be asked of networks that act, too.
      needs: other assays whose results it is given, by their names: run first, or read where they were run.
    """

    takes: ClassVar[frozenset[str]]
    needs: ClassVar[tuple[str, ...]]

    def run(self, population: "Assayed") -> "xr.Dataset":
        """The result for networks of one cohort.

        Args:
          population: the networks, and all that may be asked of them.

        Returns:
          Variables of numbers whose first dimension is `member`, with the coordinate `member`, the ids. Every further
          dimension has a coordinate, names or numbers, each once: where cohorts differ in it they are put side by side,
          and what one does not have is NaN. A ragged result is a long table: every variable has one other dimension
          instead, along which `member` is a coordinate. An attribute `long_name` of every variable says what it is,
          and `units`, where it has some, such as "ms" (else it is given "1").
          Nothing is called `trained`, `probe` or `probe_name`: these labels are the engine's.

        Raises:
          ValueError: it cannot be had of these networks; one sentence. They are left out, which is said, unless it can
            be had of none.
        """
        ...

    def lines(self, result: "xr.Dataset") -> Iterable[str]:
        """What the terminal says of a whole result, at least one line, each without a line break.

        Trained and untrained networks are told apart by these two words, and those on unlike probes are never put
        together: each probe has lines of its own, which have its name.

        Args:
          result: of all cohorts, trained and untrained, with the member table's columns as coordinates, and `trained`;
            `probe`, the id of what the networks were shown; and `probe_name`, one for each task and probe, how a reader
            calls them.
        """
        ...

    # An assay may have `tables(result) -> Iterable[(probe_name, DataFrame)]`, too: what of it people look for in a
    # table, a row per network. The engine writes analysis/<probe_name>-<assay>.csv.
    #
    # And it may have `distances(result) -> Iterable[(probe_name, Distance)]`: how far every two networks on a probe are
    # apart, each distance of a probe under another name; see `analysis/assays/_distances.py`. The engine makes a
    # comparison of them, <probe_name>-<assay>, which is tested, and drawn by the report, as one of representations.

    def figures(self, result: "xr.Dataset") -> Iterable[tuple[str, "Figure"]]:
        """Draws a whole result: pictures, each with the name of the part that it shows, and with something in it. Who
        saves them puts the assay's full name before. Networks on unlike probes are never put together: each probe has
        pictures of its own."""
        ...


def full_name(assay: Any) -> str:
    """The file's name, and the options that are not at their default: `lesions(groups=4, size=8)`."""
    known = fields_of(type(assay))
    options = (f"{n}={getattr(assay, n)}" for n, field in known.items() if getattr(assay, n) != field.default)
    words = ", ".join(options)
    return f"{name_of(assay)}({words})" if words else name_of(assay)


def check_words(cls: Any) -> None:
    """Refuse an assay that declares what the engine does not know; `zoo.spec.contracts.check_contract` asks.

    Raises:
      ValueError: one sentence with the file, what it declares and what is allowed.
    """
    check_names(cls, "takes", ASKED_OF)
    check_names(cls, "needs", lookup.names("assay"))
    if not set(cls.takes) - {"environment"}:
        takes = set(cls.takes) or "{}"
        raise ValueError(f"{file_of(cls)}: takes is {takes}; it must have {', '.join(ASKED_OF[:-1])} or several.")
