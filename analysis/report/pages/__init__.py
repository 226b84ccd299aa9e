"""The pages of a report, one per file; the file's name is the page's name, and nothing is registered.

A page is a module of five members. The writer, `analysis/report/writing.py`, lists this folder, and no code asks for a
page by its name: a report loses the page whose file is taken away, and shows the one that is put here.

- `ORDER`: a whole number. Pages come in its order, those of one number in the order of their names.
- `TAKES`: what it is asked about: "comparison", every comparison of a directory, and given its `Compared`
  (`analysis/report/compared.py`); "assay", every result of an assay, and given its `AssayResult`
  (`analysis/report/assay_results.py`); "zoo", the directory, once and last, and given the `Trained`
  (`zoo/store/reader.py`).
- `applies(of) -> bool`: whether there is anything to show; where not, the page is asked for nothing else.
- `figures(of)`: its pictures, each `(name, Figure)`. A picture is drawn when it is asked for and on the disk before the
  next, as `figures/<comparison>-<name>.png`, `figures/assay-<assay>-<name>.png` or, of a zoo, `figures/<name>.png`: the
  name, or that of the file, ends with the page's own, or begins with it, and no two pictures share a file. What an
  earlier report drew and this one does not goes.
- `lines(of)`: what the terminal says, text by text.

Pictures and numbers come from what was written, see `analysis.artefacts`; nothing is computed that is not shown. What
pages share is in `figures.py`, `compared.py` and `assay_results.py`; no page imports another.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from matplotlib.figure import Figure

__all__ = ["SUBJECTS", "Page", "Picture", "all_pages"]

Picture = tuple[str, Figure]
"""What is to be saved, and the name of it."""

SUBJECTS = ("comparison", "assay", "zoo")
"""What pages are asked about, in this order."""

EXPECTED = {
    "ORDER": "a whole number: pages come in its order",
    "TAKES": '"comparison", "assay" or "zoo": what it is asked about',
    "applies": "applies(of) -> bool: whether there is anything to show",
    "figures": "figures(of), which gives pictures: (name, Figure)",
    "lines": "lines(of), which gives texts for the terminal",
}


@runtime_checkable
class Page(Protocol):
    """What the writer asks of a page; see the module's text."""

    ORDER: int
    TAKES: str

    def applies(self, of: Any, /) -> bool: ...
    def figures(self, of: Any, /) -> Iterable[Picture]: ...
    def lines(self, of: Any, /) -> Iterable[str]: ...


def all_pages() -> list[Page]:
    """The pages of this folder, in their order.

    Raises:
      ValueError: one of them breaks the contract.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return sorted((_checked(importlib.import_module(f"{__name__}.{name}")) for name in names), key=lambda p: p.ORDER)


def _checked(module: ModuleType) -> Any:
    """The module, if it is a page."""
    for member, expected in EXPECTED.items():
        if not hasattr(module, member):
            raise ValueError(f"{module.__file__} has no {member}; a page has {expected}.")
        value = getattr(module, member)
        if member == "ORDER":
            fits = type(value) is int
        elif member == "TAKES":
            fits = value in SUBJECTS
        else:
            fits = callable(value) and _takes_one(value)
        if not fits:
            shown = f"{member}{inspect.signature(value)}" if inspect.isfunction(value) else f"{member} = {value!r}"
            raise ValueError(f"{module.__file__} has {shown}; a page has {expected}.")
    return module


def _takes_one(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    return True
