"""Linearization: what planted networks, and a trained zoo, come out as; what is said where there is no point."""

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from analysis import artefacts
from analysis.assays import _giving
from analysis.assays.linearization import Assay
from analysis.dynamics.selection import MECHANISMS
from analysis.zoo_assays import assay_of, read_result
from tests.analysis.assayed_zoo import assayed
from tests.analysis.dynamics.planted import Planted, runner

CONTEXTS = {"context 1": np.array([0.0, 0.0, 1.0, 0.0]), "context 2": np.array([0.0, 0.0, 0.0, 1.0])}


def population(step: Any, variables: dict[str, Any], points: Any, inputs: dict[str, np.ndarray], width: int = 3) -> Any:
    """What an assay is given of planted networks; `points` are the fixed points of each, `(member, input, point,
    coordinate)`."""
    members, channels = list(variables), len(next(iter(inputs.values())))
    model, names = Planted(step, width), list(inputs)
    run = runner(model, variables)
    draw = np.random.default_rng(0)
    trials = draw.normal(size=(6, 40, channels)).astype(np.float32)
    trials[:, :, 2:] = np.repeat(np.eye(2), 3, axis=0)[:, None, : channels - 2]  # a context each
    array = np.broadcast_to(np.asarray(points, float), (len(members), len(names), *np.shape(points)[-2:]))
    coordinates = {"member": members, "input": names, "coordinate": [f"[{i}]" for i in range(width)]}
    dims = "member", "input", "point", "coordinate"
    unstable = np.where(np.isfinite(array).all(-1), 0.0, np.nan)
    found = xr.Dataset({"state": (dims, array), "unstable": (dims[:3], unstable)}, coordinates)
    return SimpleNamespace(
        members=members,
        map=lambda function, shared=(), each=(), members=members, dtype="float32": run(
            function, shared, each, members=members, dtype=dtype
        ),
        model=model,
        task=SimpleNamespace(static_inputs=lambda: inputs, input_shape=(40, channels), dt=10.0),
        probe=SimpleNamespace(inputs=trials, lasts=np.full(6, 40)),
        trained=SimpleNamespace(variables=lambda member: variables[member]),
        needs={"fixed_points": found},
    )


def labelled(result: xr.Dataset, name: str = "planted") -> xr.Dataset:
    """With the labels that the engine gives."""
    count = result.sizes["member"]
    labels = {"trained": ("member", np.ones(count, bool)), "probe_name": ("member", [name] * count)}
    return result.assign_coords(labels).assign_attrs(name="linearization")


def linear_step(variables: Any, x: Any, inputs: Any) -> Any:
    """A linear network, with matrices of its own for every context, of which there are as many as inputs after two."""
    context = inputs[:, 2:] if inputs.shape[1] > 2 else jnp.ones((len(inputs), 1))
    recurrent = jnp.einsum("rk,kij,rj->ri", context, variables["j"], x)
    return recurrent + jnp.einsum("rk,kiu,ru->ri", context, variables["b"], inputs[:, :2])


def with_modes(eigenvalues: Any, left: np.ndarray) -> np.ndarray:
    """The matrix with these modes; `left` are the left eigenvectors as rows."""
    return np.linalg.inv(left) @ np.diag(eigenvalues) @ left


NONE = np.full((1, 3), np.nan)
ORIGIN = np.zeros((1, 3))
LEFT = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]])


def test_of_a_line_attractor_no_point_is_isolated_and_slow_ones_show_it() -> None:
    own = {"j": with_modes([1.0, 0.6, 0.2], LEFT)[None], "b": np.eye(3)[None, :, :2]}
    given = population(linear_step, {"m": own}, NONE, {"no input": np.zeros(2)})
    result = Assay().run(given).isel(member=0, input=0)
    assert result["instead"] == 1
    assert result["points"] == 8
    moduli = np.hypot(result["eigenvalue_real"], result["eigenvalue_imaginary"])
    assert ((np.abs(moduli - 1) < 1e-9).sum("mode") == 1).all()
    assert result["real_share"] == 1
    assert result["frequency"] == 0
    assert abs(result["time_constant"]) > 1e9
    assert result["slow_participation_ratio"] == pytest.approx(1, abs=0.01)
    assert result["median_error"] < 1e-6
    (line,) = Assay().lines(labelled(Assay().run(given)))
    assert line.startswith("planted, no input, trained: leading mode of the slowest point real in 1 of 1 network")
    assert "1 without fixed points, linear about slow ones" in line


def test_modes_times_and_frequencies_are_those_that_were_planted() -> None:
    turn = 0.95 * np.exp(0.2j)
    j = np.zeros((3, 3))
    j[:2, :2], j[2, 2] = [[turn.real, -turn.imag], [turn.imag, turn.real]], 0.5
    given = population(linear_step, {"m": {"j": j[None], "b": np.eye(3)[None, :, :2]}}, ORIGIN, {"x": np.zeros(2)})
    result = Assay().run(given).isel(member=0, input=0)
    assert result["instead"] == 0
    np.testing.assert_allclose(result["time_constant"], -10 / np.log(0.95))
    np.testing.assert_allclose(result["frequency"], 0.2 / (2 * np.pi * 0.01))
    np.testing.assert_allclose(result["mode_time_constant"][0], -10 / np.log([0.95, 0.95, 0.5]))
    assert result["real_share"] == 0
    assert result["unstable"][0] == 0
    assert result["mode_time_constant"].attrs["units"] == "ms"
    line = Assay().lines(labelled(Assay().run(given)))[0]
    assert "real in 0 of 1 network" in line
    assert "frequency of the others 3.18 (median, 3.18 to 3.18) Hz" in line


def contexts_of(mechanism: str) -> dict[str, np.ndarray]:
    """Two contexts with a line attractor along the first unit that differ in this and in nothing else."""
    right, across, other = np.eye(3)
    selection = {"direct input": [right, right], "indirect input": [right + across, right + across]}
    selection |= {"selection vector": [right + across, right + other]}
    nothing = np.zeros(3)
    inputs = {"direct input": [(right, nothing), (nothing, right)]}
    inputs |= {"indirect input": [(across, nothing), (nothing, across)], "selection vector": [(across, other)] * 2}
    j = [with_modes([0.99, 0.5, 0.3], np.stack([s, across, other])) for s in selection[mechanism]]
    return {"j": np.stack(j), "b": np.stack([np.stack(pair, axis=-1) for pair in inputs[mechanism]])}


def test_networks_of_one_mechanism_each_are_in_its_corner() -> None:
    variables = {mechanism: contexts_of(mechanism) for mechanism in MECHANISMS}
    result = labelled(Assay().run(population(linear_step, variables, ORIGIN, CONTEXTS)))
    np.testing.assert_allclose(result["coordinates"], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(result["selectivity"][:, :2], 1)
    assert np.isnan(result["selectivity"][:, 2:]).all()  # what tells the contexts apart is no evidence
    assert result["contexts"].to_numpy().tolist() == [2, 2, 2]
    np.testing.assert_allclose(result["alignment"][0, :, :2], [[1, np.nan], [np.nan, 1]])
    np.testing.assert_allclose(result["alignment"][2, :, :2], [[0.5**0.5, 0], [0, 0.5**0.5]], atol=1e-12)
    ((_, table),) = Assay().tables(result)
    assert table["selection_vector"].round(9).tolist() == [0, 0, 0, 0, 1, 1]
    (line,) = [line for line in Assay().lines(result) if "what selects the input" in line]
    assert "direct input 0.00, indirect input 0.00, selection vector 0.00 (medians of 3 networks)" in line
    ((_, figure),) = Assay().figures(result)
    assert len(figure.axes) == 3


def test_turning_or_permuting_the_units_leaves_every_summary() -> None:
    draw = np.random.default_rng(4)
    w = np.stack([with_modes([1.2, 0.5, 0.3], LEFT + 0.3 * draw.normal(size=(3, 3))) for _ in range(2)])
    b, points = draw.normal(size=(2, 3, 2)), 0.2 * draw.normal(size=(4, 3))

    def step(variables: Any, x: Any, inputs: Any) -> Any:
        return jnp.tanh(linear_step(variables, x @ variables["turn"], inputs)) @ variables["turn"].T

    turns = np.eye(3), np.linalg.qr(draw.normal(size=(3, 3)))[0], np.eye(3)[[2, 0, 1]]
    variables = {f"m{i}": {"turn": turn, "j": w, "b": b} for i, turn in enumerate(turns)}
    results = [
        Assay().run(population(step, {name: own}, points @ own["turn"].T, CONTEXTS)) for name, own in variables.items()
    ]
    tables = [next(iter(Assay().tables(labelled(each))))[1].drop(columns="member") for each in results]
    assert tables[0].notna().all(axis=None)
    errors = [table.pop("median_error") for table in tables]
    for table, error in zip(tables[1:], errors[1:]):
        pd.testing.assert_frame_equal(tables[0], table, rtol=1e-3)
        np.testing.assert_allclose(errors[0], error, rtol=0.7)  # the noise is along other units


def test_networks_without_a_point_are_nan_and_counted_and_where_none_has_one_a_sentence_says_so() -> None:
    holds = {"j": with_modes([0.9, 0.6, 0.2], LEFT)[None], "b": np.eye(3)[None, :, :2]}

    def drifts(variables: Any, x: Any, inputs: Any) -> Any:
        return linear_step(variables, x, inputs) + variables["drift"][None]

    variables = {
        "holds": holds | {"drift": np.zeros(3)},
        "drifts": holds | {"j": np.eye(3)[None], "drift": np.full(3, 100.0)},
    }
    points = np.stack([ORIGIN[None], NONE[None]])
    given = population(drifts, variables, points[:, 0:1], {"x": np.zeros(2)})
    result = labelled(Assay().run(given))
    assert result["points"].to_numpy().ravel().tolist() == [1, 0]
    assert np.isnan(result["time_constant"][1]).all()
    assert np.isnan(result["right_real"][1]).all()
    (line,) = Assay().lines(result)
    assert "real in 1 of 1 network" in line
    assert "1 without any point" in line
    assert next(iter(Assay().tables(result)))[1]["points"].tolist() == [1, 0]
    (line,) = Assay().lines(result.isel(member=[1]))
    assert line.endswith("trained: no fixed and no slow point in any of 1 network, so no modes")
    nobody = population(drifts, {"drifts": variables["drifts"]}, NONE, {"x": np.zeros(2), "y": np.zeros(2)})
    assert len(_giving.lines_of(Assay(), labelled(Assay().run(nobody)))) == 3
    assert list(_giving.figures_of(Assay(), labelled(Assay().run(nobody))))


def test_fixed_points_beyond_the_most_that_are_taken_are_counted_in_the_line() -> None:
    own = {"j": with_modes([0.9, 0.6, 0.2], LEFT)[None], "b": np.eye(3)[None, :, :2]}
    given = population(linear_step, {"m": own}, np.zeros((5, 3)), {"x": np.zeros(2)})
    (line,) = Assay(points=2).lines(labelled(Assay(points=2).run(given)))
    assert line.endswith("3 fixed points beyond points=2 left out")
    assert "left out" not in Assay().lines(labelled(Assay().run(given)))[0]


def test_inputs_of_another_task_are_in_no_row_and_no_line() -> None:
    own = {"j": with_modes([0.9, 0.6, 0.2], LEFT)[None], "b": np.eye(3)[None, :, :2]}
    parts = [
        Assay().run(population(linear_step, {member: own}, ORIGIN, {name: np.zeros(2)}))
        for member, name in (("m", "x"), ("n", "y"))
    ]
    result = labelled(_giving.joined(Assay(), parts)).assign_coords(probe_name=("member", ["one", "other"]))
    tables = dict(Assay().tables(result))
    assert tables["one"]["input"].tolist() == ["x"]
    assert tables["other"]["input"].tolist() == ["y"]
    assert [line.split(", trained")[0] for line in Assay().lines(result)] == ["one, x", "other, y"]


def test_modes_of_a_trained_zoo_are_those_of_its_fixed_points_and_the_table_has_a_row_per_network() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "linearization"))
    _, found = read_result(artefacts.assay_path(assayed(), "fixed_points"))
    assert result["member"].to_numpy().tolist() == found["member"].to_numpy().tolist()
    assert (result["points"] + result["left_out"] == found["points"]).where(result["instead"] == 0, True).all()
    fixed = (result["instead"] == 0) & (result["points"] > 0)
    assert fixed.any()
    for part in ("real", "imaginary"):
        here = result[f"eigenvalue_{part}"].where(fixed)
        there = found[f"eigenvalue_{part}"].sel(point=result["point"]).where(fixed)
        np.testing.assert_allclose(np.abs(here), np.abs(there), atol=1e-9)
    table = pd.read_csv(artefacts.assay_table(assayed(), "flipflop", "linearization"))
    assert len(table) == result.sizes["member"] * result.sizes["input"]
    assert {"member", "trained", "input", "time_constant", "frequency", "slow_participation_ratio"} <= set(table)
    left, right = (result[f"{side}_real"] + 1j * result[f"{side}_imaginary"] for side in ("left", "right"))
    product = (left * right).sum("coordinate", skipna=False)
    np.testing.assert_allclose(product.where(fixed, 1).fillna(1), 1, atol=1e-9)
    assert result["contexts"].isnull().all()  # one static input is no context


def test_what_an_option_may_be_is_said() -> None:
    with pytest.raises(ValueError, match=r"linearization\.Assay\.noise is 0\.0; it must be above 0\.0"):
        assay_of("linearization", {"noise": 0.0})
