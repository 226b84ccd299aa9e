"""Dynamical similarity equals dsa-metric's, which works in single precision; runs where it is installed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
dmd = pytest.importorskip("DSA.dmd")
simdist = pytest.importorskip("DSA.simdist")

from analysis.engine.all_pairs import similarities  # noqa: E402
from analysis.engine.preparation import prepare  # noqa: E402
from analysis.measures import dsa  # noqa: E402


def networks(count=5, stimuli=12, times=20, units=8):
    """Trajectories (member, stimulus, time, unit) of random rate networks."""
    members = []
    for seed in range(count):
        draw = np.random.default_rng(seed)
        weights, x = 1.3 * draw.standard_normal((units, units)) / units**0.5, draw.standard_normal((stimuli, units))
        states = []
        for _ in range(times):
            x = x + 0.3 * (np.tanh(x) @ weights.T - x)
            states.append(np.tanh(x))
        members.append(np.stack(states, 1))
    return np.stack(members)


def flows(x):
    """The peer's flows of centred trajectories, on two delays and six components."""
    fitted = []
    for member in x - x.mean(1, keepdims=True):
        model = dmd.DMD(torch.from_numpy(member), n_delays=2, rank=6, lamb=0.0)
        model.fit()
        fitted.append(model.A_v.numpy())
    return fitted


def test_flows_have_the_peers_eigenvalues_and_their_distance_is_the_root_of_its_squared_one():
    x = networks()
    peers = flows(x)
    measure = dsa.Measure(rank=6)
    for spectrum, flow in zip(measure.prepare(x)["spectrum"], peers):
        both = (np.sort_complex(values.round(5)) for values in (spectrum @ [1, 1j], np.linalg.eigvals(flow)))
        np.testing.assert_allclose(*both, atol=2e-5)
    score = simdist.SimilarityTransformDist(score_method="wasserstein").fit_score
    squared = [[score(a.copy(), b.copy()) for b in peers] for a in peers]
    value = similarities([prepare(measure, [x], "float64")])[0].value
    np.testing.assert_allclose(value, np.sqrt(squared), atol=2e-6)


def test_vector_fields_are_as_near_as_the_peer_finds_them():
    x = networks(2)
    a, b = flows(x)
    peer = simdist.SimilarityTransformDist(score_method="angular", iters=1500, lr=5e-3).fit_score(a, b)
    value = similarities([prepare(dsa.Measure("vector-field", rank=6), [x], "float64")])[0].value[0, 1]
    assert value < peer + 1e-4
    assert value == pytest.approx(peer, abs=1e-3)
