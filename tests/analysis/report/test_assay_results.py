"""The report has the lines and pictures of every assay whose result fits; one that does not is named."""

import shutil
from pathlib import Path

import pytest

from analysis import artefacts
from analysis.report.assay_results import assay_figures, assay_lines
from tests.analysis.assayed_zoo import assayed
from zoo import load, lookup


def test_every_assay_has_its_lines_and_pictures(tmp_path: Path) -> None:
    trained = load(assayed())
    lines = list(assay_lines(trained))
    names = lookup.names("assay")
    assert [line for line in lines if not line.startswith("  ")] == [f"{name}:" for name in names]
    pictures = assay_figures(trained, tmp_path)
    assert {path.name.split("-")[1] for path in pictures} == set(names)


@pytest.mark.parametrize("fault", ["torn", "assay", "zoo"])
def test_a_result_that_cannot_be_shown_is_named_and_the_others_are_shown(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in lookup.names("assay"):
        kind = lookup.find("assay", name).Assay
        monkeypatch.setattr(kind, "figures", lambda self, result, folder: [folder / result.attrs["assay"]])
    copy = Path(shutil.copytree(assayed(), tmp_path / "zoo"))
    path = artefacts.assay_path(copy, "lesions")
    if fault == "torn":
        path.write_bytes(path.read_bytes()[:200])
    else:
        result = artefacts.read_dataset(path)
        changes = {"assay": "poking"} if fault == "assay" else {}
        if fault == "zoo":
            result = result.assign_coords(member=[f"x{member}" for member in result["member"].to_numpy()])
        artefacts.write_dataset(result.assign_attrs(changes), path)
    lines = list(assay_lines(load(copy)))
    assert [line for line in lines if line.startswith("lesions ")]
    assert "dimensionality:" in lines
    drawn = [path.name for path in assay_figures(load(copy), tmp_path)]
    assert drawn == [name for name in lookup.names("assay") if name != "lesions"]


def test_a_zoo_without_assays_has_no_lines(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(assayed(), tmp_path / "zoo"))
    shutil.rmtree(copy / "analysis")
    assert list(assay_lines(load(copy))) == []
    assert assay_figures(load(copy), tmp_path) == []
