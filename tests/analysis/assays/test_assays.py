"""Every assay of the folder keeps the contract, from the command line to the picture."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import run_zoo
from analysis import artefacts
from analysis.assays import Assay, full_name
from analysis.zoo_assays import read_result
from tests.analysis.assayed_zoo import assayed
from zoo import load, lookup
from zoo.spec.fields import checked, fields_of

FAMILIES = {"recurrent", "feedforward", "convolutional", "environment"}


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_an_assay_declares_what_it_takes_and_needs_and_a_default_for_every_option(name: str) -> None:
    kind = lookup.find("assay", name).Assay
    assay = checked(kind())
    assert isinstance(assay, Assay)
    assert assay.takes
    assert assay.takes <= FAMILIES
    assert assay.takes & {"recurrent", "feedforward", "convolutional"}
    assert set(assay.needs) <= set(lookup.names("assay")) - {name}
    assert all(field.default is not dataclasses.MISSING for field in fields_of(kind).values())
    assert full_name(assay) == name
    assert all(f"{option}:" in (kind.__doc__ or "") for option in fields_of(kind))


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_list_shows_an_assays_options_with_their_limits(name: str, capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["list", name]) == 0
    text = capsys.readouterr().out
    for option, field in fields_of(lookup.find("assay", name).Assay).items():
        assert f"--{option}" in text
        assert all(str(value) in text for value in field.limits.get("choices", ()))


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_a_result_has_every_network_trained_and_untrained_with_its_labels(name: str) -> None:
    assay, result = read_result(artefacts.assay_path(assayed(), name))
    assert full_name(assay) == name
    first = result["member"].dims[0]
    trained = load(assayed())
    table = trained.members.set_index("member")
    taken = {m for m in table.index if trained.member(m).model.family in assay.takes}
    for state in (True, False):
        rows = result.isel({first: np.flatnonzero(result["trained"] == state)})
        assert set(rows["member"].to_numpy()) <= taken
        assert first != "member" or sorted(rows["member"].to_numpy()) == sorted(taken)
        for label in ("cohort", "task", "model", "seed", "status", "score"):
            assert rows[label].to_numpy().tolist() == table.loc[rows["member"].to_numpy(), label].tolist()
    for variable in result.data_vars.values():
        assert variable.dims[0] == first
        assert np.issubdtype(variable.dtype, np.number)
        assert variable.attrs["long_name"]


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_an_assay_says_and_draws_its_result(name: str, tmp_path: Path) -> None:
    assay, result = read_result(artefacts.assay_path(assayed(), name))
    lines = assay.lines(result)
    assert lines
    assert any("trained" in line and "untrained" in line for line in lines)
    assert not any("nan" in line for line in lines)
    pictures = assay.figures(result, tmp_path)
    assert pictures
    assert len(set(pictures)) == len(pictures)
    assert all(path.parent == tmp_path and path.stat().st_size > 5000 for path in pictures)
