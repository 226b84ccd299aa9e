"""Nothing done costs nothing; units are silenced in their window only; a mode removed is that mode and no other."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from analysis import artefacts
from analysis.assays import _perturbed
from analysis.assays.perturbations import Assay
from analysis.dynamics.modes import modes_of
from analysis.zoo_assays import assay_of, read_result
from models import vanilla
from tests.analysis.assayed_zoo import assayed, population, vanilla_outputs
from zoo.tasks import flipflop


def given(points: bool = True) -> Any:
    """The vanilla networks of the zoo, with the fixed points that were found, or none."""
    networks = population("vanilla")
    _, found = read_result(artefacts.assay_path(assayed(), "fixed_points"))
    found = found.isel(member=np.flatnonzero(found["trained"])).sel(member=networks.members)
    found = found if points else found.assign(state=found["state"] * np.nan)
    return dataclasses.replace(networks, needs={"fixed_points": found})


def test_where_nothing_is_done_the_score_is_the_unperturbed_one_to_the_last_bit() -> None:
    networks = given()
    found = Assay(noise=(0.0,), fractions=(0.0,), drive=0.0, draws=2, modes=1).run(networks)
    assert found["perturbed"].shape == (2, 4, 1, 2)
    assert (found["perturbed"] == found["intact"]).all()
    scores = networks.trained.members.set_index("member").loc[networks.members, "score"]
    np.testing.assert_allclose(found["intact"], scores, atol=1e-6)
    np.testing.assert_allclose(found["unmodified"][:, 0], scores, atol=1e-6)


def test_a_network_that_is_silenced_throughout_puts_out_its_readout_bias() -> None:
    networks = given()
    found = Assay(window=(0.0, 80.0), noise=(), fractions=(1.0,), draws=1, modes=1).run(networks)
    trials = networks.task.evaluation()
    for i, member in enumerate(networks.members):
        bias = jnp.asarray(networks.trained.params(member)["readout"]["bias"])
        expected = networks.task.score(jnp.broadcast_to(bias[None, None], trials.targets.shape), trials)
        np.testing.assert_allclose(found["perturbed"].sel(kind="silence", level=1.0)[i], expected, atol=1e-6)
    assert np.isnan(found["perturbed"].sel(kind="noise")).all()
    assert (found["begin"].item(0), found["end"].item(0)) == (0.0, 80.0)


@pytest.mark.parametrize("kind", ["silence", "clamp", "drive"])
def test_units_are_silenced_clamped_and_driven_in_the_window_as_in_numpy(kind: str) -> None:
    networks, window = given(), (3, 6)
    found = Assay(window=(30.0, 60.0), noise=(), numbers=(2,), drive=1.5, draws=3, modes=1).run(networks)
    trials = networks.task.evaluation()
    inputs = np.asarray(trials.inputs, np.float64)
    held = np.asarray(_perturbed._at_random(5, (2,), True, 3))
    assert (held.sum(1) == 2).all()
    for i, member in enumerate(networks.members):
        params = networks.trained.params(member)
        kernel, bias = (np.float64(params["input"][name]) for name in ("kernel", "bias"))
        identity = {**params, "readout": {"kernel": np.eye(5), "bias": np.zeros(5)}}
        rates = vanilla_outputs(identity, inputs).reshape(-1, 5)
        value = {"silence": 0 * rates[0], "clamp": rates.mean(0), "drive": 1.5 * rates.std(0)}[kind]
        for draw in range(3):
            rate, outputs = np.zeros((len(inputs), 5)), []
            for t in range(inputs.shape[1]):
                rate = np.tanh(rate @ np.float64(params["recurrent"]) + inputs[:, t] @ kernel + bias)
                if window[0] <= t < window[1]:
                    rate = np.where(held[draw], (rate if kind == "drive" else 0) + value, rate)
                outputs.append(rate @ np.float64(params["readout"]["kernel"]) + np.float64(params["readout"]["bias"]))
            expected = networks.task.score(jnp.float32(np.stack(outputs, 1)), trials)
            np.testing.assert_allclose(found["perturbed"].sel(kind=kind, level=2.0)[i, draw], expected, atol=1e-6)


def linear_network() -> tuple[Any, Any, np.ndarray, np.ndarray, np.ndarray]:
    """A linear network on a flip-flop, with its Jacobian, input weights and fixed point."""
    draw = np.random.default_rng(3)
    jacobian = 0.4 * draw.normal(size=(4, 4))
    kernel, bias, readout = draw.normal(size=(2, 4)), draw.normal(size=4), draw.normal(size=(4, 2))
    params = {
        "input": {"kernel": kernel, "bias": bias},
        "recurrent": jacobian.T,
        "readout": {"kernel": readout, "bias": np.zeros(2)},
    }
    model = vanilla.Model(hidden=4, activation="linear", outputs=2)
    task = flipflop.Task(bits=2, steps=12, eval_trials=30, probe_trials=4)
    variables = {"params": jax.tree.map(jnp.float32, params)}
    point = np.linalg.solve(np.eye(4) - jacobian, bias)
    return SimpleNamespace(model=model, task=task), variables, jacobian, kernel, point


@pytest.mark.parametrize("linear", [False, True])
def test_without_a_mode_a_linear_network_is_that_with_the_mode_taken_out_of_its_weights(linear: bool) -> None:
    bound, variables, jacobian, kernel, point = linear_network()
    taken = _perturbed.removals(point[None, None], np.zeros((1, 1, 2)), jacobian[None, None], 3, 2)
    shown = [jnp.float32(np.nan_to_num(x)) for x in (taken.points, taken.inputs, taken.right, taken.left)]
    whole, without = _perturbed.removing(linear, 500)(bound, variables, None, None, *(x[0] for x in shown))
    trials = bound.task.evaluation()
    readout = np.float64(variables["params"]["readout"]["kernel"])

    def score(kept: np.ndarray) -> float:
        """`kept` projects onto what is left: d <- kept (J d + B u)."""
        deviation, outputs = np.broadcast_to(-point, (30, 4)), []
        for t in range(12):
            deviation = (deviation @ jacobian.T + np.float64(trials.inputs[:, t]) @ kernel) @ kept.T
            outputs.append((deviation + point) @ readout)
        return float(bound.task.score(jnp.float32(np.stack(outputs, 1)), trials))

    np.testing.assert_allclose(whole[0], score(np.eye(4)), atol=1e-6)
    modes, drops = modes_of(jacobian, 3), []
    for rank in range(3):
        if np.isfinite(modes.norms[rank]):
            kept = np.eye(4) - modes.right[rank].T @ modes.left[rank]
            np.testing.assert_allclose(without[0, rank, 0], score(kept), atol=1e-6)
            drops.append(float(whole[0] - without[0, rank, 0]))
            for draw in (1, 2):
                p = taken.right[0, 0, rank, draw].T @ taken.left[0, 0, rank, draw]
                np.testing.assert_allclose(without[0, rank, draw], score(np.eye(4) - p), atol=1e-6)
    assert max(map(abs, drops)) > 0.01


def test_every_static_input_has_the_trials_that_are_nearest_to_it() -> None:
    bound, variables, jacobian, _, point = linear_network()
    inputs = np.array([[[0.0, 0.0], [9.0, 9.0]]])
    taken = _perturbed.removals(np.stack([point, point])[None], inputs, np.stack([jacobian] * 2)[None], 1, 1)
    shown = [jnp.float32(x[0]) for x in (taken.points, taken.inputs, taken.right, taken.left)]
    whole, _ = _perturbed.removing(False, 500)(bound, variables, None, None, *shown)
    trials = bound.task.evaluation()
    outputs, _ = bound.model.apply(variables, trials.inputs)
    np.testing.assert_allclose(whole[0], bound.task.score(outputs, trials), atol=1e-6)
    assert np.isnan(whole[1])


def test_a_network_without_a_fixed_point_has_no_modes_and_the_line_says_so() -> None:
    found = Assay(noise=(0.1,), fractions=(), draws=1, modes=2).run(given(points=False))
    assert np.isfinite(found["perturbed"].sel(kind="noise", level=0.1)).all()
    for name in ("unmodified", "without_mode", "without_random", "modulus", "time_constant"):
        assert np.isnan(found[name]).all(), name
    labels = {"trained": ("member", [True] * 2), "probe_name": ("member", ["flipflop"] * 2)}
    result = found.assign_coords(labels)
    result.attrs["name"] = "perturbations"
    lines = Assay().lines(result)
    assert "trained none: no fixed point in any of 2" in lines[-1]
    assert list(Assay().figures(result))
    of_another_task = result.assign(has_point=result["has_point"] * np.nan)
    assert not any("linear mode" in line for line in Assay().lines(of_another_task))


def test_modes_that_no_network_has_are_not_told() -> None:
    found = Assay(noise=(), fractions=(), draws=1, modes=99).run(given())
    labels = {"trained": ("member", [True] * 2), "probe_name": ("member", ["flipflop"] * 2)}
    result = found.assign_coords(labels)
    result.attrs["name"] = "perturbations"
    (line,) = Assay().lines(result)
    assert "nan" not in line
    assert "medians of 2" in line


def test_numbers_of_units_that_the_networks_do_not_have_are_left_out_or_refused() -> None:
    found = Assay(noise=(), numbers=(2, 99), draws=1, modes=1).run(given())
    assert found["level"].to_numpy().tolist() == [2.0]
    with pytest.raises(ValueError, match=r"numbers is \(99,\), and vanilla has 5 units here"):
        Assay(numbers=(99,)).run(given())


def test_the_fixed_point_is_the_nearest_to_the_centre() -> None:
    states = np.array([[[[5.0, 0.0], [1.0, 1.0], [np.nan, np.nan]], [[np.nan, np.nan]] * 3]])
    found = _perturbed.nearest(states, np.array([[0.5, 0.5]]))
    np.testing.assert_array_equal(found[0], [[1.0, 1.0], [np.nan, np.nan]])


def test_larger_sets_of_units_have_the_smaller_ones_and_a_fraction_is_at_least_one_unit() -> None:
    held = np.asarray(_perturbed._at_random(10, (0.01, 0.3, 1.0), False, 4)).reshape(3, 4, 10)
    assert held.sum(-1).tolist() == [[1] * 4, [3] * 4, [10] * 4]
    assert (held[0] <= held[1]).all()
    assert len({tuple(row) for row in held[1].tolist()}) > 1


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((50.0,), r"window is \(50.0,\); it must be two numbers, beginning and end in ms."),
        (
            (900.0, 950.0),
            r"has no time step of flipflop in it: its trials begin at 0 ms and end at 80 ms, in steps of 10",
        ),
    ],
)
def test_a_window_without_a_time_step_is_refused_in_one_sentence(window: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Assay(window=window)._window(population("vanilla").task)
    assert Assay()._window(population("vanilla").task) == (4, 8)
    assert Assay(window=(20.0, 50.0))._window(population("vanilla").task) == (2, 5)
    with pytest.raises(ValueError, match="fractions"):
        assay_of("perturbations", {"fractions": (1.5,)})


def test_a_result_has_a_score_of_every_kind_and_level_of_all_networks() -> None:
    assay, result = read_result(artefacts.assay_path(assayed(), "perturbations"))
    assert isinstance(result, xr.Dataset)
    for kind in result["kind"].to_numpy():
        levels = assay.noise if kind == "noise" else assay.fractions
        assert np.isfinite(result["perturbed"].sel(kind=kind, level=list(levels))).all()
    assert assay.takes == {"recurrent"}


def test_the_table_has_what_every_network_loses_to_what_is_done_to_it() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "perturbations"))
    table = pd.read_csv(artefacts.assay_table(assayed(), "flipflop", "perturbations"))
    assert set(table["kind"]) == {"noise", "silence", "clamp", "drive", "mode"}
    for row, (member, trained) in enumerate(zip(result["member"].to_numpy(), result["trained"].to_numpy())):
        one = result.isel(member=row)
        own = table[(table["member"] == member) & (table["trained"] == trained)]
        silenced = own[own["kind"] == "silence"].set_index("level")
        np.testing.assert_allclose(
            silenced["score"], one["perturbed"].sel(kind="silence", level=silenced.index).median("draw")
        )
        np.testing.assert_allclose(silenced["lost"], one["intact"].item() - silenced["score"])
        modes = own[own["kind"] == "mode"].set_index("level")
        assert len(modes) == np.isfinite(one["without_mode"]).sum()
        np.testing.assert_allclose(modes["lost"], one["unmodified"][0].item() - modes["score"])
