"""What who asks for pictures may choose: their formats, and the fields that colour, order, group and mark them."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from zoo import lookup

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_MARKS", "USUAL", "PictureChoices", "check_before", "chosen", "resolved", "shown_fields", "under"]

Format = Literal["png", "pdf", "svg"]
"""What a picture can be written as."""

MOST_MARKS = 8
"""Levels of a field that shapes of marks tell apart."""


@dataclasses.dataclass(frozen=True)
class PictureChoices:
    """Attributes are flags of `report` and `run`."""

    formats: tuple[Format, ...] = ("png",)
    """Of the pictures, each in all of these; text in pdf and svg stays text."""
    by: tuple[str, ...] = ()
    """Varied fields that order and name what pictures show; the first colours and groups. All of them by default."""
    marks: str = ""
    """A varied field of few levels that the shapes of marks tell apart, in maps and curves."""


USUAL = PictureChoices()
"""What holds where nobody has chosen."""
_CURRENT: ContextVar[PictureChoices] = ContextVar("choices", default=USUAL)


def chosen() -> PictureChoices:
    """What holds for the pictures that are being drawn."""
    return _CURRENT.get()


@contextlib.contextmanager
def under(choices: PictureChoices) -> Iterator[None]:
    """Pictures are drawn as these say."""
    token = _CURRENT.set(choices)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def resolved(choices: PictureChoices, fields: Sequence[str]) -> PictureChoices:
    """The choices with the names of columns, "model.hidden" as "hidden" where no other section has one.

    Args:
      choices: as given.
      fields: what was varied, the seed among it.

    Raises:
      ValueError: no such field was varied, with the nearest that was; or a format is none or stands twice.
    """
    known = get_args(Format)
    for wrong in [form for form in choices.formats if form not in known]:
        raise ValueError(f"Unknown format {wrong!r}; {lookup.nearest(wrong, known)}.")
    if not choices.formats:
        raise ValueError(f"formats is empty; allowed: {', '.join(known)}.")
    return dataclasses.replace(
        choices,
        formats=tuple(dict.fromkeys(choices.formats)),
        by=tuple(dict.fromkeys(_column(name, fields) for name in choices.by)),
        marks=_column(choices.marks, fields) if choices.marks else "",
    )


def check_before(choices: PictureChoices, zoo: Any, out: Path) -> None:
    """Refuses, before a zoo is trained, what `resolved` would refuse after it; of a directory that is there, not yet:
    it may hold more than this spec.

    Raises:
      ValueError: see `resolved`.
    """
    from analysis.inference.factors import SEED
    from zoo.spec.member import varied

    if not out.exists():
        resolved(choices, [*varied(zoo.members), "model", "rule", SEED])


def _column(name: str, fields: Sequence[str]) -> str:
    if name in fields:
        return name
    bare = name.rpartition(".")[2]
    if bare in fields:
        return bare
    if not fields:
        raise ValueError(f"No field {name!r} was varied: all members are alike.")
    asked = name if any("." in field for field in fields) else bare
    raise ValueError(f"No field {name!r} was varied; {lookup.nearest(asked, fields)}.")


def shown_fields(table: "pd.DataFrame", fields: Sequence[str]) -> list[str]:
    """The fields that pictures of these rows show: those chosen, where they vary here, else all that can be told apart.

    Args:
      table: one row per item or member.
      fields: what was varied.
    """
    from analysis.inference.factors import SEED, levels, told_apart

    here = [field for field in chosen().by if field in (*fields, SEED) and field in table]
    return [field for field in here if len(levels(table[field])) > 1] or told_apart(table, fields)
