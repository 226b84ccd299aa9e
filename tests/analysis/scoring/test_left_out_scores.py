"""Values without each stimulus are what is computed anew without it."""

import numpy as np
import pytest

from analysis.activations.types import RDMs
from analysis.comparison import measure
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, stimuli_in_order
from analysis.inference.limits_over_stimuli import jackknife
from analysis.scoring.left_out_scores import with_targets, without_each

DRAW = np.random.default_rng(3)
N = 14
PATTERNS = DRAW.normal(size=(3, N, 1, 9))
WIDE = DRAW.normal(size=(2, N, 1, 30))
TIMED = DRAW.normal(size=(2, N, 3, 7))
TARGETS = np.array([3, 1])


@pytest.mark.parametrize(
    "name",
    [
        "cka",
        "cka(debiased=False)",
        "rsa(rdm=euclidean, compare=pearson)",
        "rsa(rdm=euclidean, compare=cosine)",
        "procrustes",
    ],
)
@pytest.mark.parametrize("budget", [2**28, 40_000])
def test_values_without_each_stimulus_are_computed_anew_without_it(name: str, budget: int) -> None:
    groups = [PATTERNS, WIDE]
    prepared = prepare(measure(name), groups, "float64")
    found = without_each(prepared, TARGETS, budget=budget)
    whole = similarities([prepared])[0].value
    np.testing.assert_allclose(found.value, whole[:, TARGETS], atol=1e-10)
    np.testing.assert_allclose(with_targets(prepared, TARGETS, budget), whole[:, TARGETS], atol=1e-10)
    for i in range(0, N, 5):
        rest = [stimuli_in_order(group, np.delete(np.arange(N), i)) for group in groups]
        anew = similarities([prepare(measure(name), rest, "float64")])[0].value
        np.testing.assert_allclose(found.without[i], anew[:, TARGETS], atol=1e-9)


@pytest.mark.parametrize("name", ["cka", "rsa"])
@pytest.mark.parametrize("kind", ["patterns", "trajectories", "rdms"])
def test_their_spread_is_that_of_the_jackknife(name: str, kind: str) -> None:
    squares = np.abs(DRAW.normal(size=(2, N, N)))
    rdms = RDMs((squares + squares.swapaxes(1, 2)) * (1 - np.eye(N)))
    groups = {"patterns": [PATTERNS, WIDE], "trajectories": [PATTERNS[:, :, [0] * 3], TIMED], "rdms": [PATTERNS, rdms]}[
        kind
    ]
    if (name, kind) == ("cka", "rdms"):
        groups = [PATTERNS, WIDE]
    prepared = prepare(measure(name), groups, "float64")
    found, limits = without_each(prepared, TARGETS), jackknife(prepared)
    se = np.sqrt((N - 1) / N * ((found.without - found.without.mean(0)) ** 2).sum(0))
    np.testing.assert_allclose(se, limits.se[:, TARGETS], rtol=1e-6, atol=1e-9)
