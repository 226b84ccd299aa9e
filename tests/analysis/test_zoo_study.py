"""A study from nothing to its page, and again; claims that cannot be asked say why, each in its row."""

import dataclasses
import shutil
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import run_zoo
from analysis import zoo_study
from analysis.studies import AssayStep, Question
from analysis.studies._answers import AGREES, UNDECIDED, Answer, signed, unanswered
from analysis.studies._page import CLAIM_COLUMNS
from analysis.studies._replicates import Estimate
from analysis.studies._results import ALL, BEFORE, SOLVED
from analysis.zoo_comparison import Request, compare_zoo
from analysis.zoo_study import CLAIMS, PAGE, facts, run_study, study_of
from models import setting
from tests.analysis import assayed_zoo
from zoo import load


def scores(results):
    if results.state == BEFORE:
        return unanswered("Untrained networks have no score.")
    values = results.of_task("flipflop")["score"]
    return signed(Estimate(float(values.mean()), float(values.min()), float(values.max()), len(values)), 1)


def sizes(results):
    pairs = results.pairs("digits", "cka", "dense2")
    ratio = results.assay("dimensionality")["participation_ratio"]
    return Answer(float(ratio.mean()), 0.0, float(pairs.values.max()), len(pairs.table), AGREES, "of course")


def broken(results):
    return unanswered("No network of it points anywhere.")


@dataclasses.dataclass(frozen=True)
class Study:
    """A study of the tests."""

    size: str = setting("small", choices=("small", "full"))

    source: ClassVar[str] = "Nobody 2026"
    ours: ClassVar[tuple[str, ...]] = ("All of it is ours <and nobody's>.",)

    def zoo(self):
        return assayed_zoo.ZOO

    def comparisons(self):
        return [Request(measures=["cka"])]

    def assays(self):
        return [AssayStep("dimensionality"), AssayStep("fixed_points", {"starts": 4})]

    def questions(self):
        yield Question("Scores are above 0", "page 1", "least score", "all", scores)
        yield Question("Sizes are known", "page 2", "mean size", "", sizes)
        yield Question("It points somewhere", "page 3", "angle", "90", broken)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    place = tmp_path_factory.mktemp("study") / "zoo"
    shutil.copytree(assayed_zoo.directory(), place)
    lines = []
    return place, run_study(Study(), place, say=lines.append), lines


def test_every_claim_is_a_row_of_those_that_solved_and_of_all(done):
    place, claims, _ = done
    assert list(claims) == list(CLAIM_COLUMNS)
    written = pd.read_csv(place / CLAIMS)
    pd.testing.assert_frame_equal(written, claims.replace("", np.nan), check_dtype=False)
    assert claims["members"].tolist() == [SOLVED, ALL] * 3
    assert claims["verdict"].tolist()[-2:] == [UNDECIDED] * 2
    assert set(claims["because"][4:]) == {"No network of it points anywhere."}
    of_all = claims[claims["members"] == ALL].set_index("statistic")
    scores = load(place).members.query("task == 'flipflop'")["score"]
    assert of_all.loc["least score", "value"] == pytest.approx(scores.mean())
    assert of_all.loc["least score", "n"] == 2


def test_a_claim_of_a_task_that_nobody_solved_says_so(done):
    _, claims, _ = done
    row = claims.iloc[0]
    assert (row["members"], row["because"]) == (SOLVED, "flipflop: no network solved it.")
    assert np.isnan(row["value"])


def test_the_untrained_value_stands_beside(done):
    _, claims, _ = done
    assert claims["untrained"].notna().tolist() == [False, False, True, True, False, False]


def test_the_page_has_every_claim_and_what_is_ours_and_no_markup_of_theirs(done):
    place, claims, _ = done
    text = (place / PAGE).read_text()
    assert all(claim in text for claim in claims["claim"])
    assert "&lt;and nobody&#x27;s&gt;" in text
    assert "data:image/png;base64," in text
    for picture in (place / "figures").glob("*.png"):
        assert f"figures/{picture.name}" in text


def test_networks_that_did_not_solve_are_counted(done):
    place, _, lines = done
    sentences = facts(load(place))
    assert "flipflop: 0 of 2 networks solved the task; not solved: 2 vanilla." in sentences
    assert set(sentences) <= set(lines)


def test_a_second_run_does_nothing_twice_and_finds_the_same(done):
    place, claims, _ = done
    lines = []
    again = run_study(Study(), place, say=lines.append)
    pd.testing.assert_frame_equal(again, claims)
    assert "flipflop, digits: was compared before" in lines
    assert "dimensionality: was done before" in lines


def test_what_was_compared_otherwise_since_is_compared_again(done, tmp_path, monkeypatch):
    place, claims, _ = done
    monkeypatch.setattr(zoo_study, "report", lambda path: [])
    shutil.copytree(place, tmp_path / "zoo")
    compare_zoo(tmp_path / "zoo", Request(measures=["rsa"]), lambda line: None)
    lines = []
    pd.testing.assert_frame_equal(run_study(Study(), tmp_path / "zoo", say=lines.append), claims)
    assert "flipflop, digits: was compared before" not in lines


@dataclasses.dataclass(frozen=True)
class Refused(Study):
    """Its comparison is of a layer that is not there, and its picture cannot be drawn."""

    def comparisons(self):
        return [Request(measures=["cka"], layers=["rates"])]

    def figures(self, results):
        yield "none", results.of_task("nothing")


def test_what_is_refused_is_said_on_the_page_and_claims_are_asked_all_the_same(done, tmp_path, monkeypatch):
    place, _, _ = done
    monkeypatch.setattr(zoo_study, "report", lambda path: [])
    shutil.copytree(place, tmp_path / "zoo")
    lines = []
    claims = run_study(Refused(), tmp_path / "zoo", say=lines.append)
    assert len(claims) == 6
    assert "has no layer 'rates'" in (tmp_path / "zoo" / PAGE).read_text().replace("&#x27;", "'")
    assert "a picture: nothing: no network of the zoo does it; they do digits, flipflop." in lines


def test_a_study_can_be_asked_of_a_zoo_that_was_trained_before(done):
    place, claims, _ = done
    lines = []
    pd.testing.assert_frame_equal(run_study(Study(), on=place, say=lines.append), claims)
    assert not any("to train" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["universalty", "--out", "x"], "Unknown study 'universalty'; the nearest"),
        (["universality"], "Give --out DIR, where its networks are trained, or --on DIR"),
        (["universality", "--out", "x", "--on", "y"], "Give --out DIR"),
        (["universality", "--out", "x", "--size", "huge"], "size"),
        (["universality", "--out", "x", "--sizes", "full"], "has no option 'sizes'; the nearest is 'size'"),
        (["universality", "--on", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(arguments, sentence, capsys):
    assert run_zoo.main(["study", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error


def test_a_study_is_found_by_its_name_with_hyphens():
    assert study_of("universality", {"size": "full"}).size == "full"
