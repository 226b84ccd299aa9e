"""Every assay of the folder keeps the contract, from the command line to the picture."""

import re

import numpy as np
import pytest

import run_zoo
from analysis import artefacts
from analysis.assays import Assay, _giving, full_name
from analysis.zoo_assays import read_result
from tests.analysis.assayed_zoo import assayed
from zoo import load, lookup
from zoo.spec.contracts import class_of
from zoo.spec.fields import checked, fields_of


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_an_assay_declares_what_it_takes_and_needs_and_a_default_for_every_option(name: str) -> None:
    kind = class_of("assay", name)  # which checks what it declares
    assay = checked(kind())
    assert isinstance(assay, Assay)
    assert name not in assay.needs
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
    assert set(result["probe_name"].to_numpy()) <= {"flipflop", "digits"}


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_an_assay_says_and_draws_its_result_with_the_two_states_told_apart(name: str) -> None:
    assay, result = read_result(artefacts.assay_path(assayed(), name))
    for state, word, other in ((True, "trained", "untrained"), (False, "untrained", "trained")):
        first = result["trained"].dims[0]
        alone = result.isel({first: np.flatnonzero(result["trained"] == state)})
        words = re.findall(r"\w+", " ".join(_giving.lines_of(assay, alone)))
        assert word in words
        assert other not in words
    assert {"trained", "untrained"} <= set(re.findall(r"\w+", " ".join(_giving.lines_of(assay, result))))
    assert list(_giving.figures_of(assay, result))


@pytest.mark.parametrize("name", lookup.names("assay"))
def test_networks_on_unlike_probes_are_in_other_lines_and_pictures(name: str) -> None:
    assay, result = read_result(artefacts.assay_path(assayed(), name))
    first = result["member"].dims[0]
    rows = result.isel({first: np.flatnonzero(result["probe_name"] == "flipflop")})
    halves = ["flipflop bits=2" if i % 2 else "flipflop bits=3" for i in range(rows.sizes[first])]
    apart = rows.assign_coords(probe_name=(first, halves))
    once, twice = (_giving.lines_of(assay, each) for each in (rows, apart))
    assert len(twice) > len(once)
    assert all(any(f"bits={bits}" in line for line in twice) for bits in (2, 3))
    assert not any("bits=2" in line and "bits=3" in line for line in twice)
    once, twice = (list(_giving.figures_of(assay, each)) for each in (rows, apart))
    assert len(twice) > len(once)
