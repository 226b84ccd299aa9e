"""Weights of trained networks: distances of planted ones, and what the file says of a zoo."""

import itertools

import numpy as np
import pytest

from analysis import artefacts
from analysis.assays import _pictures, weights
from analysis.assays._permuted import exchange_gains, permuted_distance
from analysis.assays.weights import Assay
from analysis.zoo_assays import read_result
from tests.analysis.assayed_zoo import assayed, population
from zoo import load


def drawn(units: int, gates: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((gates, units, units)) / units**0.5


@pytest.mark.parametrize(("units", "gates"), [(5, 1), (20, 1), (12, 3)])
@pytest.mark.parametrize("starts", [1, 4])
def test_weights_in_another_order_of_units_are_0_apart(units: int, gates: int, starts: int) -> None:
    b = drawn(units, gates)
    planted = np.random.default_rng(1).permutation(units)
    distance, order = permuted_distance(b[:, planted][:, :, planted], b, starts)
    assert distance == 0
    np.testing.assert_array_equal(order, planted)


def test_weights_in_another_order_with_noise_are_the_noise_apart() -> None:
    b, noise = drawn(20), 0.05 * drawn(20, seed=2)
    planted = np.random.default_rng(1).permutation(20)
    distance, order = permuted_distance(b[:, planted][:, :, planted] + noise, b, 4)
    np.testing.assert_array_equal(order, planted)
    assert distance == pytest.approx(np.linalg.norm(noise))


@pytest.mark.parametrize("seed", range(5))
def test_of_few_units_the_distance_is_the_least_of_all_orders(seed: int) -> None:
    a, b = drawn(5, 2, seed), drawn(5, 2, seed + 100)
    least = min(np.linalg.norm(a - b[:, p][:, :, p]) for p in map(list, itertools.permutations(range(5))))
    distance, order = permuted_distance(a, b, 64)
    assert distance == pytest.approx(np.linalg.norm(a - b[:, order][:, :, order]))
    assert distance == pytest.approx(least, rel=1e-9)


def test_more_starts_bring_no_network_farther_away_and_the_same_is_found_each_time() -> None:
    a, b = drawn(16, seed=5), drawn(16, seed=6)
    distances = [permuted_distance(a, b, starts)[0] for starts in (1, 2, 4, 8)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < np.linalg.norm(a - b)
    assert permuted_distance(a, b, 8)[0] == distances[-1]


def test_the_gain_of_an_exchange_is_what_the_sum_gains() -> None:
    a, c = drawn(6, 2), drawn(6, 2, seed=1)
    gains = exchange_gains(a, c)
    for r, s in itertools.product(range(6), repeat=2):
        order = np.arange(6)
        order[[r, s]] = order[[s, r]]
        assert gains[r, s] == pytest.approx((a * c[:, order][:, :, order]).sum() - (a * c).sum(), abs=1e-12)


def test_the_file_has_the_weights_spectra_and_how_far_they_moved() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "weights"))
    trained = load(assayed())
    for row in range(result.sizes["member"]):
        one = result.isel(member=row, gate=0)
        member, is_trained = str(one["member"].item()), bool(one["trained"])
        now, first = (np.float64(trained.params(member, at=at)["recurrent"]) for at in ("last" if is_trained else 0, 0))
        singular = np.linalg.svd(now, compute_uv=False)
        shares = singular / singular.sum()
        assert one["spectral_radius"].item() == pytest.approx(np.abs(np.linalg.eigvals(now)).max(), rel=1e-5)
        assert one["effective_rank"].item() == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)
        assert one["norm"].item() == pytest.approx(np.linalg.norm(now), rel=1e-5)
        assert one["change"].item() == pytest.approx(np.linalg.norm(now - first), rel=1e-4, abs=1e-6)
        assert (one["change"].item() > 0) == is_trained


def test_only_networks_of_one_configuration_are_compared_unless_all_are_asked_for() -> None:
    of_seeds, of_all, of_none = (Assay(pairs=pairs).run(population("vanilla")) for pairs in ("seeds", "all", "none"))
    square = of_seeds["distance"].to_numpy()
    assert np.isfinite(square).all(), "they differ in their seeds only"
    np.testing.assert_array_equal(square, square.T)
    np.testing.assert_array_equal(np.diagonal(square), 0)
    assert (square[~np.eye(2, dtype=bool)] > 0).all()
    np.testing.assert_array_equal(of_all["distance"], square)
    assert np.isfinite(of_none["distance"]).sum() == 2, "of each to itself"


def test_distances_are_per_weight_and_never_between_a_trained_and_an_untrained_network() -> None:
    assay, result = read_result(artefacts.assay_path(assayed(), "weights"))
    ((probe, distance),) = assay.distances(result)
    assert (probe, distance.name, distance.is_metric) == ("flipflop", "weights", False)
    states = result["trained"].to_numpy()
    assert np.isnan(distance.values[states[:, None] != states[None]]).all()
    rows = np.flatnonzero(states)
    members = result["member"].to_numpy()[rows]
    first = result["distance"].isel(member=rows[0]).sel(other=members[1]).item()
    assert distance.values[rows[0], rows[1]] == pytest.approx(first / 5)  # of 25 weights


def test_untrained_copies_are_one_network_in_lines_and_pictures() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "weights"))
    twice = result.isel(member=np.r_[np.arange(result.sizes["member"]), np.flatnonzero(~result["trained"])])
    ((_, once),) = _pictures.probes(result)
    ((_, again),) = _pictures.probes(twice)
    sizes = [{s: len(p["member"]) for s, p in _pictures.states(weights._gates(each)[0][1])} for each in (once, again)]
    assert sizes[0] == sizes[1] == {"trained": 2, "untrained": 2}
