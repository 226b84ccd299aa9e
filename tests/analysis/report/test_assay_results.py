"""The report has the lines and pictures of every assay whose result fits; one that does not is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import run_zoo
from analysis import artefacts
from analysis.assays import lesions
from analysis.report import figures, writing
from analysis.report.assay_results import read_assays
from analysis.report.pages import assay
from tests.analysis.assayed_zoo import assayed
from zoo import load, lookup


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few pixels, which are written sooner."""
    monkeypatch.setitem(figures.STYLE, "savefig.dpi", 20)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(assayed(), tmp_path / "zoo"))


def pictures(zoo: Path) -> set[str]:
    return {path.name for path in (zoo / "figures").glob("*.png")}


def test_a_zoo_that_was_assayed_and_not_compared_is_reported(copy: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["report", str(copy)]) == 0
    text = capsys.readouterr().out
    assert f"{copy} has no comparison; compare makes one" in text
    names = lookup.names("assay")
    assert [line for line in text.splitlines() if line[:-1] in names] == [f"{name}:" for name in names]
    expected = {f"{task}-curves.png" for task in ("flipflop", "digits")}
    for name in names:
        tasks = np.unique(artefacts.read_dataset(artefacts.assay_path(copy, name))["task"])
        expected |= {f"assay-{name}-{task}.png" for task in tasks}
    assert pictures(copy) >= expected


def test_pictures_of_other_options_stand_side_by_side_and_go_with_their_result(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "all_pages", lambda: [assay])
    artefacts.assay_path(copy, "dimensionality").unlink()
    path = artefacts.assay_path(copy, "lesions")
    _, result = next((each.assay, each.result) for each in read_assays(load(copy))[0] if each.name == "assay-lesions")
    other = artefacts.assay_path(copy, "lesions(size=1, order=random)")
    artefacts.write_dataset(result.assign_attrs(name="lesions(size=1, order=random)"), other)
    assert run_zoo.main(["report", str(copy)]) == 0
    both = {"assay-lesions-digits.png", "assay-lesions_size_1_order_random_-digits.png"}
    assert both <= pictures(copy)
    path.unlink()
    assert run_zoo.main(["report", str(copy)]) == 0
    assert both & pictures(copy) == {"assay-lesions_size_1_order_random_-digits.png"}


def torn(path: Path, result: Any) -> None:
    path.write_bytes(path.read_bytes()[:200])


def foreign(path: Path, result: Any) -> None:
    members = [f"x{member}" for member in result["member"].to_numpy()]
    artefacts.write_dataset(result.assign_coords(member=members), path)


def unknown(path: Path, result: Any) -> None:
    artefacts.write_dataset(result.assign_attrs(assay="poking"), path)


def earlier(path: Path, result: Any) -> None:
    artefacts.write_dataset(result.drop_vars("probe_name"), path)


@pytest.mark.parametrize("fault", [torn, foreign, unknown, earlier])
def test_a_result_that_cannot_be_shown_is_named_and_the_others_are_shown(
    fault: Callable[[Path, Any], None], copy: Path
) -> None:
    path = artefacts.assay_path(copy, "lesions")
    fault(path, artefacts.read_dataset(path))
    results, refusals = read_assays(load(copy))
    assert [result.name for result in results] == [f"assay-{n}" for n in lookup.names("assay") if n != "lesions"]
    (refusal,) = refusals
    assert refusal.startswith("lesions ")
    assert "run assay again" in refusal


@pytest.mark.parametrize("member", ["lines", "figures"])
def test_an_assay_that_breaks_its_contract_is_named_at_the_end_with_status_2_and_the_rest_is_shown(
    member: str, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(lesions.Assay, member, lambda self, result: 1 / 0)
    assert run_zoo.main(["report", str(copy)]) == 2
    said = capsys.readouterr()
    assert (
        said.err
        == f"run_zoo.py: analysis/assays/lesions.py: {member} ends with ZeroDivisionError, 'division by zero'.\n"
    )
    assert "dimensionality:" in said.out
    assert "members in" in said.out
    assert "flipflop-curves.png" in pictures(copy)


def test_a_result_of_another_version_that_lacks_something_is_named_and_the_rest_is_shown(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(writing, "all_pages", lambda: [assay])
    path = artefacts.assay_path(copy, "dimensionality")
    result = artefacts.read_dataset(path).drop_vars("participation_ratio")
    artefacts.write_dataset(result.assign_attrs(source="of yesterday"), path)
    assert run_zoo.main(["report", str(copy)]) == 0
    said = capsys.readouterr()
    assert "dimensionality is of another version; run assay again to have it shown" in said.out.splitlines()
    assert "lesions:" in said.out


def test_a_zoo_without_assays_has_no_results(copy: Path) -> None:
    shutil.rmtree(copy / "analysis")
    assert read_assays(load(copy)) == ([], [])
