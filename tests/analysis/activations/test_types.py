"""Groups of every kind hold one array."""

import numpy as np
import pytest

from analysis.activations.types import RDMs, Repeats, array_of


@pytest.mark.parametrize("kind", [np.asarray, Repeats, RDMs])
def test_the_array_of_a_group_is_the_one_it_was_made_of_whatever_its_kind(kind):
    array = np.arange(24.0).reshape(2, 3, 4)
    assert array_of(kind(array)) is array
