"""Arrays as pieces: what labels of units and rows tell apart, and what is missing."""

import numpy as np
import pytest

from analysis.formats import Array
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.pieces import pieces_of

SHOWN = ShownStimuli(5, {})
DRAW = np.random.default_rng(2)


def of(values: np.ndarray, axes: tuple[str, ...], **labels: dict[str, np.ndarray]):
    found = pieces_of("x", "x", Array(values, axes, labels), {}, SHOWN)
    assert found is not None
    return found


def test_rows_of_several_subjects_are_theirs() -> None:
    x, who = DRAW.normal(size=(10, 3)), np.array(list("abbaabbaba"))
    found = of(x, ("stimulus", "unit"), stimulus={"subject": who})
    assert [(piece.who, piece.aligned) for piece in found] == [("a", True), ("b", True)]
    for piece in found:
        np.testing.assert_array_equal(piece.patterns[0, :, 0], x[who == piece.who])


def test_units_of_regions_are_recordings_and_those_of_animals_subjects_whose_units_do_not_correspond() -> None:
    x = DRAW.normal(size=(5, 4))
    units = {"area": np.array(["V4", "IT", "V4", "IT"]), "animal": np.array(["m", "m", "n", "n"])}
    found = of(x, ("stimulus", "unit"), unit=units)
    assert [(piece.name, piece.who, piece.aligned) for piece in found] == [
        ("x V4", "m", False),
        ("x IT", "m", False),
        ("x V4", "n", False),
        ("x IT", "n", False),
    ]
    np.testing.assert_array_equal(np.concatenate([p.patterns for p in found], -1)[0, :, 0], x)


def test_missing_values_leave_out_as_little_as_can_be_and_it_is_said() -> None:
    x = DRAW.normal(size=(2, 5, 4))
    x[0, 0, 0] = np.nan  # one trial of one unit: the other stands for it
    x[:, 1, 2] = np.nan  # a unit that was never measured there
    x[:, 4] = np.nan  # a stimulus that nobody saw
    (piece,) = of(x, ("repeat", "stimulus", "unit"))
    np.testing.assert_array_equal(piece.kept, [0, 1, 2, 3])
    np.testing.assert_array_equal(piece.patterns[:, :, 0], x[:, :4][..., [0, 1, 3]])
    assert piece.said[-1] == (
        "11 values missing, 1 of 5 stimuli left out, measured of no unit, 1 of 4 units left out, not measured at some "
        "stimulus"
    )
    with pytest.raises(ValueError, match="x holds 5 NaN values, and no unit was measured at all stimuli"):
        of(np.where(np.eye(5) > 0, np.nan, 1.0), ("stimulus", "unit"))
