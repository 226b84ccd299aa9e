"""Every study of the folder is as the contract says; the page and a plan need no more than that."""

import pytest

from analysis.studies import SIZES, AssayStep
from analysis.zoo_assays import assay_of
from analysis.zoo_comparison import Request
from analysis.zoo_study import study_of
from zoo import lookup
from zoo.spec.zoo import Zoo

NAMES = lookup.names("study")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_a_study_says_what_it_trains_compares_assays_and_asks(name, size):
    study = study_of(name, {"size": size})
    zoo = study.zoo()
    assert zoo is None or isinstance(zoo, Zoo)
    assert all(isinstance(request, Request) for request in study.comparisons())
    for step in study.assays():
        assert isinstance(step, AssayStep)
        assert step.name in lookup.names("assay")
        assay_of(step.name, step.options)
    questions = list(study.questions())
    assert questions
    assert all(question.claim and question.source and question.statistic for question in questions)
    rows = [(question.claim, question.statistic) for question in questions]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_the_small_study_is_smaller(name):
    small, full = (study_of(name, {"size": size}).zoo() for size in SIZES)
    assert small is None or len(small.members) < len(full.members)
