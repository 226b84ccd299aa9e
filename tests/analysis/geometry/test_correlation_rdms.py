"""The RDM of pictures and exports."""

import numpy as np
import pytest

from analysis.geometry.correlation_rdms import correlation_rdm
from analysis.measures import _rdms, rsa


def test_it_is_one_less_the_correlation_of_flattened_patterns():
    x = np.random.default_rng(0).standard_normal((7, 3, 5))
    np.testing.assert_allclose(correlation_rdm(x), 1 - np.corrcoef(x.reshape(7, 15)), atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 1, 6), (8, 5, 6)], ids=["patterns", "trajectories"])
def test_it_is_what_rsa_compares_by_default_also_of_silent_stimuli(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x[2], x[5] = 0, 3
    state = rsa.Measure(compare="cosine").prepare(x[None].astype(np.float64))
    rdm = np.asarray(_rdms.dissimilarities(state, np.arange(8), np.arange(8)))[0, :, 0, :, 0].copy()
    np.fill_diagonal(rdm, 0)
    np.testing.assert_allclose(correlation_rdm(x), rdm, atol=1e-6)
    assert (correlation_rdm(x)[2] == [1, 1, 0, 1, 1, 1, 1, 1]).all()
