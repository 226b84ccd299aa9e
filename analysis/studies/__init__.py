"""Studies: published population studies as one command each; one per file, the file's name is the study's name.

A study says which networks it trains, what is compared and assayed of them, and which claims of a paper are then
asked. It is a frozen dataclass `Study`; the contract stands in the protocol below. The engine, `analysis/zoo_study.py`,
trains, compares, assays, asks every claim and writes the page; a killed study goes on where it was. Its directory is a
zoo directory like any other, with `claims.csv` and `study.html` beside.

A claim is one sentence of a paper as a statistic over the population. It is a `Question`, whose `answer` is asked three
times: of all networks that were trained to their end, of those that solved their task, and of the untrained ones, whose
value stands beside. An answer that cannot be had is `unanswered(sentence)`, or raises ValueError with one.
What answers share is in `_answers.py` (verdicts), `_replicates.py` (intervals over configurations) and `_results.py`
(what was found); the page is in `_page.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from zoo.spec.contracts import file_of

if TYPE_CHECKING:
    from analysis.studies._answers import Answer
    from analysis.studies._results import Results
    from zoo.spec.zoo import Zoo

__all__ = ["SIZES", "AssayStep", "Question", "Study", "check_words"]

SIZES = ("small", "full")
"""How large a study may be: what two cores do in an hour, or as published."""


class Question(NamedTuple):
    """One claim of a paper, and how it is answered.

    Attributes:
      claim: the sentence.
      source: where it stands in the paper, or whose it is.
      statistic: what is measured, in words.
      paper: the paper's value, in words; "" where it gives none.
      answer: from what was found of some networks; raises ValueError, one sentence, where it cannot be had.
    """

    claim: str
    source: str
    statistic: str
    paper: str
    answer: "Callable[[Results], Answer]"


class AssayStep(NamedTuple):
    """An assay that a study runs.

    Attributes:
      name: of the assay.
      options: that are not at their default.
    """

    name: str
    options: Mapping[str, Any] = MappingProxyType({})


@runtime_checkable
class Study(Protocol):
    """What the engine asks of a study.

    Attributes:
      source: the paper.
      ours: what differs from the paper or could not be verified in it, each a sentence; the page lists them.
      size: one of `SIZES`, a field.
    """

    source: ClassVar[str]
    ours: ClassVar[tuple[str, ...]]
    size: str

    def zoo(self) -> "Zoo | None":
        """Its networks; None where it is of any zoo that was trained before."""
        ...

    def comparisons(self) -> Sequence[Any]:
        """What is compared: `analysis.zoo_comparison.Request`s, one per task at most."""
        ...

    def assays(self) -> Sequence[AssayStep]:
        """What is assayed."""
        ...

    def questions(self) -> Iterable[Question]:
        """The claims, in the order of the page."""
        ...

    # A study may have `figures(results) -> Iterable[(name, Figure)]`, too: pictures of its own, drawn of all networks,
    # kept as figures/study-<name>.png and shown on the page. Where one cannot be had it raises ValueError.


def check_words(cls: Any) -> None:
    """Refuse a study that declares what the engine does not know; `zoo.spec.contracts.check_contract` asks.

    Raises:
      ValueError: one sentence with the file, what it declares and what is allowed.
    """
    size: Any = cls.__dataclass_fields__.get("size")
    if size is None or size.default not in SIZES:
        raise ValueError(f"{file_of(cls)}: Study has no field `size` whose default is {' or '.join(SIZES)}.")
    if isinstance(cls.ours, str):
        raise ValueError(f"{file_of(cls)}: ours is a text; it must be several sentences.")
    if not cls.source:
        raise ValueError(f"{file_of(cls)}: source is empty; it must name the paper.")
