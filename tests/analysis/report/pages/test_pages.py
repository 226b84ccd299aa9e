"""The contract of pages: a file in the folder is all there is to one, and what is none is named before it is drawn."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest

from analysis.report import pages, writing
from analysis.report.pages import Page, all_pages
from tests.analysis.report.pictures import compared

PAGE = """
from matplotlib.figure import Figure

ORDER = {order}
TAKES = "{takes}"


def applies(of):
    return {applies}


def figures(of):
    yield "rate-{name}", Figure()


def lines(of):
    return [f"  dots of {{of.path{end}}}"]
"""

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Puts a page of this source, or with these parts, into the folder; there are no others."""
    folder = tmp_path / "pages"
    folder.mkdir()
    monkeypatch.setattr(pages, "__path__", [str(folder)])
    before = set(sys.modules)

    def put(name: str, source: str = PAGE, **parts: object) -> Path:
        path = folder / f"{name}.py"
        given = dict(order=1, takes="comparison", applies=True, end="('')", name=name)
        path.write_text(source.format(**given | parts))
        importlib.invalidate_caches()
        return path

    yield put
    for name in set(sys.modules) - before:
        if name.startswith(f"{pages.__name__}."):
            del sys.modules[name]
            delattr(pages, name.rpartition(".")[2])


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo directory of one comparison, `digits`."""
    of = compared(pd.DataFrame(), tmp_path)
    vars(of.trained).update(members=pd.DataFrame({"member": []}), curves=pd.DataFrame())
    monkeypatch.setattr(writing, "load", lambda directory: of.trained)
    of_representations = SimpleNamespace(of_task=SimpleNamespace(assay=""))
    monkeypatch.setattr(writing, "read_comparisons", lambda trained: ({of.name: of_representations}, []))
    monkeypatch.setattr(writing, "compared_in_order", lambda trained, comparisons: [of])
    return tmp_path


def pictures(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "figures").glob("*.png"))


def test_a_file_in_the_folder_is_a_page_whose_picture_and_line_are_in_the_report(put: Put, directory: Path) -> None:
    path = put("dots")
    said = list(writing.report(directory))
    assert pictures(directory) == ["digits-rate-dots.png"]
    assert f"  dots of {directory / 'analysis' / 'digits'}" in said
    assert any(line.startswith("1 picture in ") for line in said)
    path.unlink()
    assert len(list(writing.report(directory))) == len(said) - 1
    assert pictures(directory) == [], "what no page draws any more goes"


def test_pages_come_in_their_order_and_those_of_one_number_by_name(put: Put) -> None:
    for name, order in {"a": 2, "c": 1, "b": 1, "_shared": 0}.items():
        put(name, order=order)
    assert [str(vars(page)["__name__"]).rpartition(".")[2] for page in all_pages()] == ["b", "c", "a"]


def test_a_page_that_does_not_apply_shows_nothing_and_one_of_the_zoo_comes_once_and_last(
    put: Put, directory: Path
) -> None:
    put("dots", applies=False)
    put("whole", takes="zoo", order=0, end="")
    put("other", order=3, end="('.nc')")
    said = list(writing.report(directory))
    assert pictures(directory) == ["digits-rate-other.png", "rate-whole.png"]
    spoken = [line for line in said if line.startswith("  dots")]
    assert spoken == [f"  dots of {directory / 'analysis' / 'digits.nc'}", f"  dots of {directory}"]
    assert any(line.startswith("2 pictures in ") for line in said)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rate", "names a picture 'rate'; a name ends or begins with 'dots', the page's own"),
        ("ratedots", "names a picture 'ratedots'; a name ends or begins with 'dots', the page's own"),
        ("one dots", "names a picture 'one dots'; "),
        ("dots-a b", "both draw digits-dots-a_b; no two pictures share a file"),
    ],
)
def test_a_picture_whose_name_is_not_the_pages_own_is_refused_with_the_pages_file(
    put: Put, directory: Path, name: str, words: str
) -> None:
    path = put(
        "dots",
        PAGE.replace("rate-{name}", name).replace("figures(of):", "figures(of):\n    yield 'dots-a_b', Figure()"),
    )
    with pytest.raises(ValueError, match=rf"^{path} [^\n]*{words}[^\n]*\.$"):
        list(writing.report(directory))
    assert pictures(directory) == ["digits-dots-a_b.png"]


def test_a_picture_that_is_no_name_and_figure_is_refused_with_the_pages_file(put: Put, directory: Path) -> None:
    path = put("dots", PAGE.replace('"rate-{name}", Figure()', '"dots"'))
    with pytest.raises(ValueError, match=rf"^{path} gives the picture 'dots'; a page gives \(name, Figure\)\.$"):
        list(writing.report(directory))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ORDER", "PLACE", "has no ORDER; a page has a whole number: pages come in its order"),
        ("{order}", "'first'", "has ORDER = 'first'; a page has a whole number: pages come in its order"),
        ("{takes}", "model", 'has TAKES = \'model\'; a page has "comparison", "assay" or "zoo"'),
        ("def applies(of)", "def is_there(of)", r"has no applies; a page has applies\(of\) -> bool"),
        ("def figures(of)", "def figures()", r"has figures\(\); a page has figures\(of\), which gives pictures"),
        ("def lines(of)", "lines = 'dots'\n\n\ndef words(of)", r"has lines = 'dots'; a page has lines\(of\)"),
    ],
)
def test_a_file_that_is_no_page_is_named_with_what_is_expected_before_anything_is_drawn(
    put: Put, directory: Path, old: str, new: str, words: str
) -> None:
    put("good")
    path = put("wrong", PAGE.replace(old, new))
    with pytest.raises(ValueError, match=rf"{path} {words}[^\n]*\.$"):
        next(writing.report(directory))
    assert not (directory / "figures").exists()


def test_every_file_of_the_folder_is_a_page_that_says_what_it_is() -> None:
    for page in all_pages():
        assert isinstance(page, Page)
        assert page.__doc__


def test_no_page_imports_another() -> None:
    for page in all_pages():
        own = vars(page)["__name__"]
        for name, value in vars(page).items():
            home = str(value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", ""))
            assert home == own or not home.startswith(f"{pages.__name__}."), f"{own} has {name} of {home}"
