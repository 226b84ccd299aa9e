"""The pictures of a zoo directory and the numbers that matter, from what training and comparison left there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from analysis import artefacts
from analysis.report.compared import in_order, read_comparisons
from analysis.report.figures import style
from analysis.report.pages import Page, Picture, all_pages
from zoo.files import write_atomically
from zoo.store.reader import load

DRAWN = ".drawn.json"
"""The file among the pictures that says which of them belong to which comparison, and which to the whole zoo: ""."""


def report(directory: Path) -> Iterator[str]:
    """Draws `figures/*.png` of a compared zoo directory; yields the lines to print."""
    pages = all_pages()  # what is no page ends the report before anything is drawn
    trained = load(directory)
    comparisons, refusals = read_comparisons(trained)
    yield from refusals
    if not comparisons:
        raise ValueError(f"{trained.path} has no comparison that can be reported; run compare again.")
    folder, drawn = trained.path / "figures", _drawn(trained.path / "figures")
    with style(), threadpool_limits(1, "blas"):
        for compared in in_order(trained, comparisons):
            of_one = [page for page in pages if page.TAKES == "comparison"]
            yield from _shown(of_one, compared, compared.name, folder, drawn)
        yield from _shown([page for page in pages if page.TAKES == "zoo"], trained, "", folder, drawn)
    count = sum(len(drawn[name]) for name in (*comparisons, ""))
    yield f"{count} pictures in {folder}, matrices and tests in {trained.path / artefacts.FOLDER},"
    yield f"members in {trained.path / 'members.csv'}."


def _shown(pages: list[Page], of: Any, name: str, folder: Path, drawn: dict[str, list[str]]) -> Iterator[str]:
    """Draws what pages show of one comparison, or of the zoo, whose name is "", and yields what they say of it."""
    pages = [page for page in pages if page.applies(of)]
    before, drawn[name] = drawn.get(name, []), []
    for picture in (picture for page in pages for picture in page.figures(of)):
        drawn[name].append(_file(picture, name))
        write_atomically(folder / DRAWN, json.dumps(drawn, indent=1).encode())
        if not isinstance(picture, Path):
            # Level 3: a third less time than the default for a matrix, the file hardly larger.
            options: Any = dict(bbox_inches="tight", pad_inches=0.1, pil_kwargs=dict(compress_level=3))
            picture[1].savefig(folder / drawn[name][-1], **options)
    for file in set(before) - set(drawn[name]):  # of what this comparison has replaced
        (folder / Path(file).name).unlink(missing_ok=True)
    for page in pages:
        yield from page.lines(of)


def _file(picture: Picture, name: str) -> str:
    """The name of a picture's file."""
    if isinstance(picture, Path):
        return picture.name
    return re.sub(r"[^\w.-]+", "_", "-".join(part for part in (name, picture[0]) if part)) + ".png"


def _drawn(folder: Path) -> dict[str, list[str]]:
    """Comparison -> its pictures, as earlier reports have drawn them."""
    try:
        return json.loads((folder / DRAWN).read_text())
    except (OSError, ValueError):
        return {}
