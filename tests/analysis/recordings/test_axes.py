"""What the axes of an array are, and what is refused because it could be two things."""

import numpy as np
import pytest

from analysis.formats import Array
from analysis.recordings.axes import OTHER_STIMULUS, PAIR, axes_of

DRAW = np.random.default_rng(1)


def axes(x: np.ndarray, named: tuple[str, ...] = (), times: int = 0, is_rdm: bool = False) -> tuple[str, ...] | None:
    return axes_of("x", Array(x, named, is_rdm=is_rdm), {6}, times)


def test_axes_follow_from_the_place_of_the_stimuli() -> None:
    assert axes(DRAW.normal(size=(6, 5))) == ("stimulus", "unit")
    assert axes(DRAW.normal(size=(6, 4, 5))) == ("stimulus", "time", "unit")
    assert axes(DRAW.normal(size=(3, 6, 5))) == ("subject", "stimulus", "unit")
    assert axes(DRAW.normal(size=(3, 6, 4, 5))) == ("subject", "stimulus", "time", "unit")
    assert axes(DRAW.normal(size=(5, 4, 6)), times=4) == ("unit", "time", "stimulus")
    assert axes(DRAW.normal(size=15)) == (PAIR,)
    assert axes(DRAW.normal(size=(3, 15))) == ("subject", PAIR)
    assert axes(DRAW.normal(size=(7, 5))) is None


def test_names_decide_before_shapes() -> None:
    x = DRAW.normal(size=(6, 6))
    assert axes(x + x.T, ("stimulus", "unit")) == ("stimulus", "unit")
    distances = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    assert axes(distances, ("stimulus", "other")) == ("stimulus", OTHER_STIMULUS)
    assert axes(DRAW.normal(size=(4, 5)), ("time", "unit")) is None
    with pytest.raises(ValueError, match="x has 2 axes and they are called stimulus, stimulus; name each, each once"):
        axes(x, ("stimulus", "stimulus"))


def test_what_a_file_calls_rdms_are_no_patterns() -> None:
    assert axes(DRAW.normal(size=(3, 15)), is_rdm=True) == ("subject", PAIR)
    with pytest.raises(ValueError, match="x is an RDM of 7 stimuli and the networks were shown 6; show them the"):
        axes(np.zeros((7, 7)), is_rdm=True)
