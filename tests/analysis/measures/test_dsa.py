"""Dynamical similarity equals NumPy written from Ostrow et al. 2023, and sees dynamics where geometry is silent."""

from itertools import permutations

import jax
import numpy as np
import pytest
from scipy.linalg import block_diag, expm
from scipy.optimize import minimize

from analysis.engine.all_pairs import similarities
from analysis.engine.pair_tiles import PairStates, pair_values
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import cka, dsa

PRECISIONS = pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
FIVE = 5  # members of one shape, so that tests share a program
ANGULAR = dsa.Measure("vector-field", delays=1, rank=4, starts=3, steps=60)
EUCLIDEAN = dsa.Measure("vector-field", "euclidean", delays=1, rank=4, starts=3, steps=60)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def orthogonal(seed, size):
    return np.linalg.qr(normal(seed, size, size))[0]


def run(flow, start, times=15):
    """Trajectories (stimulus, time, unit) of x_t+1 = flow x_t from the rows of `start`."""
    states = [start]
    for _ in range(times - 1):
        states.append(states[-1] @ flow.T)
    return np.stack(states, 1)


def turning(speeds, decay=1.0):
    """A normal flow: one plane for each speed, in radians a step."""
    return block_diag(*(decay * np.array([[np.cos(w), -np.sin(w)], [np.sin(w), np.cos(w)]]) for w in speeds))


def network(seed, stimuli=10, times=12, units=8):
    """Trajectories of a random rate network."""
    weights, x, states = 1.3 * normal(seed, units, units) / units**0.5, normal(seed + 100, stimuli, units), []
    for _ in range(times):
        x = x + 0.3 * (np.tanh(x) @ weights.T - x)
        states.append(np.tanh(x))
    return np.stack(states, 1)


def fitted(x, delays, rank, center="time"):
    """The flow of (stimulus, time, unit): embedding, components and regression, step by step."""
    x = x - x.mean(0 if center == "time" else (0, 1))
    n, times, _ = x.shape
    rows = {
        (i, t): np.concatenate([x[i, t - d] for d in range(delays)]) for i in range(n) for t in range(delays - 1, times)
    }
    keys = list(rows)
    u = np.linalg.svd(np.stack([rows[key] for key in keys]), full_matrices=False)[0][:, :rank]
    v = dict(zip(keys, u))
    before = np.stack([v[i, t] for i, t in keys if (i, t + 1) in v])
    after = np.stack([v[i, t + 1] for i, t in keys if (i, t + 1) in v])
    return after.T @ before @ np.linalg.inv(before.T @ before)


def transported(a, b):
    """The Wasserstein distance of two spectra, over all matchings."""
    p, q = np.linalg.eigvals(a), np.linalg.eigvals(b)
    return min(np.sqrt((np.abs(p - q[list(match)]) ** 2).mean()) for match in permutations(range(len(q))))


@PRECISIONS
@pytest.mark.parametrize(("delays", "center"), [(1, "time"), (3, "time"), (2, "grand")])
def test_eigenvalues_are_compared_by_their_best_matching(delays, center, dtype, atol):
    a, b = network(0), network(1, units=6)
    measure = dsa.Measure(delays=delays, rank=5, center=center)
    value = similarities([prepare(measure, [a[None], b[None]], dtype)])[0].value[0, 1]
    expected = transported(*(fitted(x, delays, 5, center) for x in (a, b)))
    assert value == pytest.approx(expected, abs=atol)


def test_the_flow_of_a_linear_system_is_found_again_whatever_the_units():
    flow = 0.9 * orthogonal(0, 4) + 0.1 * normal(1, 4, 4)
    x = run(flow, normal(2, 20, 4)) @ normal(3, 4, 9) + 5  # seen through nine units with offsets
    state = dsa.Measure(delays=1, rank=4).prepare(x[None])
    found = state["spectrum"][0] @ [1, 1j]
    for matrix in (flow, state["flow"][0]):  # whose eigenvalues come in another order on another CPU
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.linalg.eigvals(matrix)), atol=1e-10)


def test_an_input_that_all_stimuli_share_drops_out_with_center_time():
    flow, start, drive = 0.95 * orthogonal(0, 4), normal(1, 20, 4), normal(2, 15, 4)
    driven = run(flow, start)
    for t in range(1, 15):
        driven[:, t] = driven[:, t - 1] @ flow.T + drive[t]
    members = np.stack([run(flow, start), driven])
    chosen = [dsa.Measure(delays=1, rank=4, center=center) for center in ("time", "grand")]
    without, left_in = (found.value[0, 1] for found in similarities(prepare_all(chosen, [members], "float64")))
    assert without < 1e-10
    assert left_in > 0.01


def nearest_by_scipy(a, b, starts):
    """The smallest angle between a and C b C', of many quasi-Newton searches through both parts of the group."""
    upper, size = np.triu_indices(len(a), 1), len(a)
    draw, best = np.random.default_rng(0), np.pi
    for k in range(starts):
        base = np.linalg.qr(draw.standard_normal((size, size)))[0]
        base[0] *= (-1) ** k

        def inner(w, base=base):
            skew = np.zeros((size, size))
            skew[upper] = w
            c = expm(skew - skew.T) @ base
            return -(a * (c @ b @ c.T)).sum()

        found = minimize(inner, np.zeros(len(upper[0])), method="BFGS", options=dict(gtol=1e-9)).fun
        best = min(best, np.arccos(-found / (np.linalg.norm(a) * np.linalg.norm(b))))
    return best


def test_the_angle_between_vector_fields_is_that_of_a_long_search():
    members = np.stack([network(seed) for seed in range(FIVE)])
    expected = nearest_by_scipy(fitted(members[0], 1, 4), fitted(members[1], 1, 4), 4)
    for dtype in ("float64", "float32"):
        value = similarities([prepare(ANGULAR, [members], dtype)])[0].value[0, 1]
        assert value == pytest.approx(expected, abs=1e-5), dtype


def test_normal_flows_lie_as_far_apart_as_their_eigenvalues():
    flows = []
    for k, decay in enumerate(np.linspace(0.6, 1, FIVE)):
        turn = orthogonal(k, 4)
        flows.append(turn @ turning([0.3 + 0.1 * k, 1.2 - 0.1 * k], decay) @ turn.T)
    state = dict(flow=np.stack(flows), spectrum=np.zeros((FIVE, 4, 2)))
    with jax.enable_x64(True):
        value, _ = pair_values(EUCLIDEAN, PairStates([state], [np.arange(FIVE)]), dtype="float64")
    expected = [[2 * transported(a, b) for b in flows] for a in flows]  # 2 is the root of the rank
    np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize("measure", [ANGULAR, EUCLIDEAN], ids=str)
def test_a_copy_seen_through_other_units_is_at_distance_zero(measure):
    a = network(0)
    members = np.stack([a, 3 * a @ orthogonal(1, 8), a[..., ::-1] + 2, a, network(1)])
    value = similarities([prepare(measure, [members], "float64")])[0].value
    np.testing.assert_allclose(value[:4, :4], 0, atol=1e-7)
    np.testing.assert_array_equal(value.diagonal(), 0)
    assert value[0, 4] > 0.05


@pytest.mark.parametrize("measure", [dsa.Measure(rank=4), ANGULAR], ids=lambda measure: measure.compare)
def test_distances_keep_the_triangle_inequality_and_the_sides_are_alike(measure):
    members = np.stack([network(seed) for seed in range(FIVE)])
    slack = 1e-12 if measure.compare == "eigenvalues" else 1e-4  # of the search
    found = similarities([prepare(measure, [members], "float64")])[0]
    assert (found.value[:, None] <= found.value[:, :, None] + found.value.T[None] + slack).all()
    assert np.isnan(found.chance)
    swapped = similarities([prepare(measure, [members[::-1]], "float64")])[0].value[::-1, ::-1]
    np.testing.assert_allclose(swapped, found.value, atol=slack)


def test_equal_geometry_with_other_dynamics_is_alike_to_cka_and_apart_to_dsa_and_the_reverse():
    code, start = 6 * normal(0, 40, 10), normal(1, 40, 6)
    still = np.eye(10)
    slow, fast = ([0.2, 0.3, 0.4], [0.5, 0.8, 1.1])
    together = np.concatenate([code, start], 1)
    members = [
        run(block_diag(still, turning(speeds)), together) @ orthogonal(k, 16) for k, speeds in ((2, slow), (3, fast))
    ]
    members.append(run(block_diag(still, turning(slow)), normal(4, 40, 16)) @ orthogonal(5, 16))
    geometry, dynamics = (
        found.value
        for found in similarities(
            prepare_all([cka.Measure(), dsa.Measure(delays=1, rank=16)], [np.stack(members)], "float64")
        )
    )
    assert geometry[0, 1] > 0.99, "the code of the stimuli is the same, what moves is small"
    gaps = np.abs(np.exp(1j * np.array(slow)) - np.exp(1j * np.array(fast)))
    assert dynamics[0, 1] == pytest.approx(np.sqrt(2 * (gaps**2).sum() / 16), abs=1e-9)
    assert abs(geometry[0, 2]) < 0.1, "other codes of the same stimuli"
    assert dynamics[0, 2] < 1e-9


def test_components_that_are_missing_count_as_eigenvalues_of_zero():
    flow = turning([0.4], 0.9)
    x = run(flow, normal(0, 12, 2)) @ normal(1, 2, 7)
    spectrum = dsa.Measure(delays=1, rank=5).prepare(x[None].astype("float32"))["spectrum"][0]
    np.testing.assert_allclose(np.hypot(*spectrum.T), [0.9, 0.9, 0, 0, 0], atol=1e-5)


@pytest.mark.parametrize("measure", [dsa.Measure(rank=4), ANGULAR], ids=lambda measure: measure.compare)
def test_a_silent_member_has_no_value(measure):
    members = np.stack([network(seed) for seed in range(FIVE)])
    members[1] = 0.1
    value = similarities([prepare(measure, [members], "float64")])[0].value
    assert np.isnan(value[1]).all()
    assert np.isnan(value).sum() == 2 * FIVE - 1


def test_what_is_no_trajectory_or_too_short_is_named_with_the_fix():
    measure = dsa.Measure()
    assert measure.takes == ("trajectories",)
    assert measure.fault(30, 20, 8) == ""
    assert measure.fault(30, 1, 8) == "it needs trajectories, (stimulus, time, unit), and there is no time"
    assert measure.fault(30, 2, 8) == (
        "delays=2 needs at least 3 time steps and there are 2; choose delays of at most 1"
    )
    assert measure.fault(30, 20, 4) == (
        "rank=10 is more than the 8 components of 30 stimuli, 20 times and 4 units; choose rank of at most 8"
    )
    with pytest.raises(ValueError, match="no distance='euclidean' with compare='eigenvalues'; only with 'vector-f"):
        dsa.Measure(distance="euclidean")
