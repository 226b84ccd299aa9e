"""What is an RDM: with the slack that its making leaves, and nothing that is merely square."""

import numpy as np
from scipy.spatial.distance import squareform

from analysis.recordings.dissimilarities import closest_form, side, squared

DRAW = np.random.default_rng(0)
PATTERNS = DRAW.normal(size=(9, 30))
RDM = 1 - np.corrcoef(PATTERNS)


def test_an_rdm_is_one_after_rounding_and_whatever_its_diagonal_holds() -> None:
    assert np.diagonal(RDM).any()  # rounding, as everyone's has
    for x in (RDM, RDM.astype(np.float32), RDM.astype(np.float16), np.where(np.eye(9) > 0, np.nan, RDM)):
        form = closest_form(x)
        assert form == "rdm"
        np.testing.assert_allclose(np.diagonal(squared(x)), 0)
    assert closest_form(np.stack([RDM, 3 * RDM])) == "rdm"


def test_what_is_not_an_rdm_is_told_from_one() -> None:
    assert closest_form(np.corrcoef(PATTERNS)) == "similarity"
    assert closest_form(PATTERNS @ PATTERNS.T) == "symmetric"
    assert closest_form(DRAW.normal(size=(9, 9))) == ""
    crooked = RDM * (1 - np.eye(9)) + np.triu(np.full((9, 9), 0.2), 1)
    assert closest_form(crooked) == "crooked"
    assert closest_form(PATTERNS) == ""
    assert closest_form(np.zeros((9, 9))) == ""


def test_one_triangle_row_by_row_or_in_a_matrix_is_the_whole() -> None:
    whole = RDM * (1 - np.eye(9))
    for x in (np.triu(RDM, 1), np.tril(RDM, -1), np.where(np.tri(9) > 0, np.nan, RDM)):
        assert closest_form(x) == "triangle"
        np.testing.assert_allclose(squared(x), whole)
    np.testing.assert_allclose(squared(squareform(RDM, checks=False)), whole)
    np.testing.assert_allclose(squared(np.stack([squareform(RDM, checks=False)] * 2))[1], whole)


def test_the_side_of_a_triangle_is_known_where_there_is_one() -> None:
    assert [side(n * (n - 1) // 2) for n in (2, 3, 10, 92)] == [2, 3, 10, 92]
    assert [side(n) for n in (0, 2, 4, 5)] == [0, 0, 0, 0]
