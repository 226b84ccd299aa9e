"""Dimensionality is that of planted covariances, and NumPy's eigenvalues give the same for trained networks."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from scipy.stats import special_ortho_group

from analysis.assays import dimensionality
from tests.analysis.assayed_zoo import population
from zoo.devices.population import Population
from zoo.tasks import lengths


def planted(activity: np.ndarray, mask: np.ndarray | None = None, **options: Any) -> Any:
    """The result for one network whose only layer shows this activity."""

    def batches(function: Any, shared: Any) -> Iterator[Population]:
        bound: Any = SimpleNamespace(model=SimpleNamespace(apply=lambda variables, inputs: (None, {"rate": inputs})))
        with jax.default_matmul_precision("highest"):  # compiled, as it is over members: sums are rounded otherwise
            values = jax.jit(lambda *shared: function(bound, None, None, *shared))(*shared)
        yield Population(["m"], jax.tree.map(lambda x: np.asarray(x)[None], values))

    lasts = np.full(len(activity), activity.shape[1] if activity.ndim == 3 else 1) if mask is None else lengths(mask)
    given: Any = SimpleNamespace(
        layers={"rate": activity.shape},
        members=["m"],
        probe=SimpleNamespace(inputs=activity.astype(np.float32), dt=float(activity.ndim == 3), lasts=lasts),
        batches=batches,
    )
    return dimensionality.Assay(**options).run(given).isel(member=0, layer=0)


def of_spectrum(variances: list[float], units: int, rows: int = 60) -> np.ndarray:
    """Rows of mean zero whose covariance has exactly these eigenvalues."""
    draw = np.random.default_rng(0).normal(size=(rows, len(variances)))
    scores, _ = np.linalg.qr(draw - draw.mean(0))
    turned = special_ortho_group.rvs(units, random_state=1)[: len(variances)]
    return scores * np.sqrt(np.array(variances) * rows) @ turned


@pytest.mark.parametrize("directions", [1, 3, 7])
@pytest.mark.parametrize("units", [8, 90])
def test_the_participation_ratio_of_k_equal_directions_is_k(directions: int, units: int) -> None:
    found = planted(of_spectrum([2.0] * directions, units))
    np.testing.assert_allclose(found["participation_ratio"], directions, rtol=1e-5)
    np.testing.assert_allclose(found["variance"], 2 * directions, rtol=1e-5)
    assert found["components"] == np.ceil(0.9 * directions)


def test_a_planted_spectrum_comes_back_in_descending_order() -> None:
    found = planted(of_spectrum([1.0, 6.0, 0.5, 2.5], 6) + 5)
    np.testing.assert_allclose(found["spectrum"], [0.6, 0.25, 0.1, 0.05, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found["participation_ratio"], 1 / (0.36 + 0.0625 + 0.01 + 0.0025), rtol=1e-5)
    assert found["components"] == 3
    assert planted(of_spectrum([1.0, 6.0, 0.5, 2.5], 6), variance=0.6)["components"] == 1


def test_a_time_course_that_all_stimuli_share_goes_with_center_time() -> None:
    own = of_spectrum([1.0, 1.0], 5).reshape(10, 6, 5)
    own = own - own.mean(0, keepdims=True)
    course = 10 * np.sin(np.arange(6))[None, :, None] * np.ones(5)
    plain = planted(own)["participation_ratio"]
    np.testing.assert_allclose(planted(own + course, center="time")["participation_ratio"], plain, rtol=1e-4)
    assert planted(own + course)["participation_ratio"] < 1.1


@pytest.mark.parametrize(("time", "pick"), [("last", lambda x: x[:, -1]), ("mean", lambda x: x.mean(1))])
def test_one_value_a_stimulus_is_its_last_or_its_mean_time_step(time: str, pick: Any) -> None:
    x = np.random.default_rng(2).normal(size=(12, 5, 4))
    found = planted(x, time=time)
    eigenvalues = np.linalg.eigvalsh(np.cov(pick(x).T))
    np.testing.assert_allclose(found["participation_ratio"], eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rtol=1e-5)
    assert found["times"] == 1


def test_what_comes_after_the_end_of_a_trial_does_not_count() -> None:
    x = np.random.default_rng(3).normal(size=(8, 6, 4))
    mask = np.float32(np.arange(6)[None] < np.arange(8)[:, None] % 3 + 2)
    kept = np.concatenate([row[: int(m.sum())] for row, m in zip(x, mask)])
    x[mask == 0] = 1e3
    eigenvalues = np.linalg.eigvalsh(np.cov(kept.T))
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    np.testing.assert_allclose(planted(x, mask)["participation_ratio"], expected, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.3, np.inf])
def test_a_layer_that_is_constant_or_not_finite_has_no_dimensionality(value: float) -> None:
    found = planted(np.full((10, 4), value))
    assert np.isnan(found["participation_ratio"])
    assert np.isnan(found["components"])
    assert found["spectrum"].isnull().all()


@pytest.mark.parametrize("center", ["grand", "time"])
def test_a_constant_layer_has_no_dimensionality_however_many_stimuli_there_are(center: str) -> None:
    """The mean of a thousand equal numbers is not that number in float32."""
    constant = np.broadcast_to(np.random.default_rng(0).normal(size=5), (2000, 30, 5))
    assert np.isnan(planted(constant, center=center)["participation_ratio"])


@pytest.mark.parametrize(("model", "at"), [("vanilla", "last"), ("mlp", "initial")])
def test_of_trained_networks_it_is_that_of_numpys_eigenvalues(model: str, at: str) -> None:
    given = population(model, at)
    found = dimensionality.Assay().run(given)
    _, activity = given.trained.apply(given.members, given.probe.inputs, at=at)
    for i in range(len(given.members)):
        for layer in given.layers:
            x = np.float64(activity[layer][i])
            eigenvalues = np.linalg.eigvalsh(np.cov(x.reshape(-1, x.shape[-1]).T, bias=True))[::-1]
            one = found.isel(member=i).sel(layer=layer)
            ratio = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
            np.testing.assert_allclose(one["participation_ratio"], ratio, rtol=1e-5)
            np.testing.assert_allclose(one["variance"], eigenvalues.sum(), rtol=1e-5)
            shares = one["spectrum"][: len(eigenvalues)]
            np.testing.assert_allclose(shares, eigenvalues / eigenvalues.sum(), atol=1e-5)
