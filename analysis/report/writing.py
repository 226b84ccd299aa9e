"""The pictures of a zoo directory and the numbers that matter, from what training, comparison and assays left there."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from analysis import artefacts
from analysis.assays._giving import BrokenContract
from analysis.inference.factors import SEED, tested_fields
from analysis.report.assay_results import ASSAY_PREFIX, picture_prefix, read_assays
from analysis.report.choices import USUAL, PictureChoices, chosen, resolved
from analysis.report.compared import compared_in_order, of_assay, read_comparisons
from analysis.report.figures import style
from analysis.report.pages import Page, all_pages
from analysis.report.settling import settle
from zoo.files import write_atomically
from zoo.lookup import says_itself
from zoo.store.reader import load
from zoo.wording import counted, first_line, short

DRAWN = ".drawn.json"
"""The file among the pictures that says which of them belong to which comparison or assay, and which to the whole zoo,
whose name is ""."""


UNDATED: Any = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""What is said of a picture in its file, by format: not when it was drawn, that the same picture is the same file."""


def report(directory: Path, choices: PictureChoices = USUAL) -> Iterator[str]:
    """Draws `figures/*` of what there is in a zoo directory; yields the lines to print.

    Args:
      directory: of the zoo.
      choices: formats of the pictures, and the fields that they show.

    Raises:
      ValueError: there is nothing to report; a field was not varied; a page or, after all else has been shown, an assay
        breaks its contract.
    """
    pages = all_pages()  # what is no page ends the report before anything is drawn
    trained = load(directory)
    if choices != USUAL:
        choices = resolved(choices, [*tested_fields(trained, trained.members["member"]), SEED])
    comparisons, refusals = read_comparisons(trained)
    results, others = read_assays(trained)
    yield from (*refusals, *others)
    if not comparisons and not results and trained.curves.empty:
        raise ValueError(f"{trained.path} has nothing to report, not even the curve of a network; train it first.")
    if len(artefacts.names(trained.path)) == sum(of_assay(comparison) for comparison in comparisons.values()):
        yield f"{trained.path} has no comparison; compare makes one"
    folder, broken = trained.path / "figures", []
    drawing = _Drawing(pages, folder, {picture_prefix(path) for path in artefacts.assays(trained.path)})
    with style(choices), threadpool_limits(1, "blas"):
        for compared in compared_in_order(trained, comparisons):
            yield from drawing.shown("comparison", compared, compared.name)
        for result in results:
            try:
                yield from drawing.shown("assay", result, result.name)
            except BrokenContract as error:  # one assay's file is no reason to keep the rest back
                if result.is_older:
                    name = result.name.removeprefix(ASSAY_PREFIX)
                    yield f"{name} is of another version; run assay again to have it shown"
                else:
                    broken.append(error)
        yield from drawing.shown("zoo", trained, "")
    beside = ["matrices and tests"] * bool(comparisons) + ["results of assays"] * bool(results)
    where = f", {', '.join(beside)} in {trained.path / artefacts.FOLDER}" if beside else ""
    yield f"{counted(len(drawing.owners), 'picture')}{_as_what(choices)} in {folder}{where},"
    yield f"members in {trained.path / 'members.csv'}."
    if drawing.older:
        yield f"{counted(drawing.older, 'file')} of other formats there are of an earlier report."
    yield from map(str, broken[1:])
    if broken:
        raise broken[0]


class _Drawing:
    """The pictures of one report.

    Attributes:
      pages: in their order.
      folder: of the pictures.
      drawn: name of what pages are asked about -> files.
      owners: picture that this report has drawn -> the page's file.
      older: files of pictures that it has drawn in other formats only.
      replacing: files that an earlier report has drawn of what is being drawn.
    """

    def __init__(self, pages: list[Page], folder: Path, assays: set[str]):
        self.pages, self.folder, self.owners, self.older = pages, folder, dict[str, str](), 0
        self.replacing: list[str] = []
        self.drawn = _drawn(folder)
        for name in [name for name in self.drawn if name.startswith(ASSAY_PREFIX) and name not in assays]:
            self._remove(self.drawn.pop(name))

    def shown(self, subject: str, of: Any, name: str) -> Iterator[str]:
        """Draws what pages show of one subject, whose name is "" of the zoo, and yields what they say of it."""
        pages: list[Any] = []
        for page in self.pages:
            with _named(page, "applies"):
                if subject == page.TAKES and page.applies(of):
                    pages.append(page)
        before, self.drawn[name] = self.drawn.get(name, []), []
        self.replacing = before  # noted until they are removed: a report that ends here must not forget them
        for page in pages:
            with _named(page, "figures"):
                for picture in page.figures(of):
                    self._save(self._file(page, picture, name), picture[1], name)
        now = {f"{picture}.{form}" for picture in self.owners for form in chosen().formats}
        older = [file for file in before if file.rpartition(".")[0] in self.owners and file not in now]
        self._remove(set(before) - now - set(older))  # what is shown no more
        self.drawn[name] += older
        self.older += len(older)
        self.replacing = []
        if before or self.drawn[name]:
            self._note(name)
        for page in pages:
            with _named(page, "lines"):
                lines = list(page.lines(of))
            yield from lines

    def _save(self, picture: str, figure: Figure, name: str) -> None:
        """Notes that a picture is of this subject, then writes it in every format."""
        settle(figure)
        files = {form: f"{picture}.{form}" for form in chosen().formats}
        self.drawn[name] += files.values()
        self._note(name)
        for form, file in files.items():
            # Level 3: a third less time than the default for a matrix, the file hardly larger.
            options: Any = dict(pil_kwargs=dict(compress_level=3)) if form == "png" else {}
            options |= dict(bbox_inches="tight", pad_inches=0.1, metadata=UNDATED[form])
            figure.savefig(self.folder / file, **options)

    def _note(self, name: str) -> None:
        known = self.drawn | {name: list(dict.fromkeys([*self.replacing, *self.drawn[name]]))}
        write_atomically(self.folder / DRAWN, json.dumps(known, indent=1).encode())

    def _remove(self, files: Any) -> None:
        for file in files:
            (self.folder / Path(file).name).unlink(missing_ok=True)

    def _file(self, page: Any, picture: Any, name: str) -> str:
        """The name of a picture's files, without their ends; a ValueError where the page's file breaks the contract."""
        where = page.__file__
        if not (isinstance(picture, tuple) and list(map(type, picture)) == [str, Figure]):
            raise ValueError(f"{where} gives the picture {short(picture)}; a page gives (name, Figure).")
        own, whole = Path(where).stem, "-".join(part for part in (name, picture[0]) if part)
        if not any(
            text == own or text.startswith(f"{own}-") or text.endswith(f"-{own}") for text in (picture[0], whole)
        ):
            raise ValueError(
                f"{where} names a picture {picture[0]!r}; a name ends or begins with {own!r}, the page's own."
            )
        file = re.sub(r"[^\w.@-]+", "_", whole)
        if file in self.owners:
            raise ValueError(f"{where} and {self.owners[file]} both draw {file}; no two pictures share a file.")
        self.owners[file] = where
        return file


@contextlib.contextmanager
def _named(page: Any, member: str) -> Iterator[None]:
    """What goes wrong in a page is named with its file."""
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as error:  # a plug-in does what it likes
        if says_itself(error):
            raise
        what = f"{member} ends with {type(error).__name__}, {first_line(error)!r}"
        raise ValueError(f"{page.__file__}: {what}.") from error


def _as_what(choices: PictureChoices) -> str:
    """The formats in words, where they are not the usual one."""
    return "" if choices.formats == USUAL.formats else f", each as {' and '.join(choices.formats)},"


def _drawn(folder: Path) -> dict[str, list[str]]:
    """Name -> its pictures, as earlier reports have drawn them."""
    try:
        return json.loads((folder / DRAWN).read_text())
    except (OSError, ValueError):
        return {}
